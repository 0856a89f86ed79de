"""Sequential minimal optimisation: the dual of a support vector machine, two multipliers at a time.

With beta = y alpha the dual of every SVM with a bias reads

    maximise  y·beta - beta·K beta / 2   where  sum beta = 0,  low <= beta <= high,

low and high being min(0, yC) and max(0, yC). Its gradient is g = y - K beta. A step moves beta_i up and beta_j down by
the same amount, so the sum stays 0 exactly: i has the largest gradient among those that may go up, j promises the
largest gain by second order (Fan, Chen & Lin 2005, WSS 2; Platt 1998). The formulation is Bottou & Lin's (2007).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.front.sorting import argmax
from symdiff.front.symbols import array, matrix, vector
from symdiff.ir.node import Node, const
from symdiff.ir.primitive import cast
from symdiff.models.gram import PRECOMPUTED, SYMBOLS, Gram, row_and_diagonal
from symdiff.ops.control import while_loop
from symdiff.ops.elementwise import eq, maximum, minimum, where
from symdiff.ops.index import take
from symdiff.ops.rows import set_row

_CHUNK = 1000  # steps between two looks at the gap: a few milliseconds
_FLAT = 1e-12  # curvature along a pair of equal samples, as in LIBSVM


@dataclass(frozen=True, slots=True)
class Dual:
    """A feasible point of the dual: multipliers y alpha, bias, values of primal and dual there, and how it was found.

    The optimum lies between `primal` and `dual`. Without a bound on the multipliers the values are those of the
    point scaled to be feasible; `primal` is infinite while that is impossible.
    """

    beta: np.ndarray
    bias: float
    primal: float
    dual: float
    steps: int
    converged: bool

    @property
    def gap(self) -> float:
        """The duality gap: how far from the optimum the objective can be."""
        return self.primal - self.dual


def solve(
    gram: Gram, x: np.ndarray, y: np.ndarray, c: np.ndarray, tol: float, max_steps: int, cache_bytes: float
) -> Dual:
    """Solve the dual for samples x, labels y of -1 and 1, and bounds c of the multipliers, which may be infinite.

    Converged where the duality gap is at most `tol` times the objective; the gap is judged with a gradient computed
    anew from beta, free of what the steps have added up.
    Cost: a step takes two rows of the kernel matrix: kept as a whole if it fits into `cache_bytes`, else computed.
    """
    low, high = np.minimum(0.0, y * c), np.maximum(0.0, y * c)
    keep = gram.is_precomputed or 8.0 * len(y) ** 2 <= cache_bytes
    if keep:
        data = x if gram.is_precomputed else gram.matrix(x, x)
        step = functools.partial(_steps(PRECOMPUTED, 1, gram.target), data)
    else:
        step = functools.partial(_steps(gram.kernel, gram.degree, gram.target), x)

    def gradient(beta: np.ndarray) -> np.ndarray:
        return y - (data @ beta if keep else gram.times(x, x, beta[:, None])[:, 0])

    beta, g, steps = np.zeros(len(y)), y.copy(), 0
    while True:
        asked = min(_CHUNK, max_steps - steps)
        made, beta, g = step(*gram.parameters, low, high, beta, g, asked)
        steps += int(made)
        now = _judge(beta, g, low, high)
        if made == asked and steps < max_steps and not _is_good(now, tol) and now.dual < np.inf:
            continue
        g = gradient(beta)
        now = _judge(beta, g, low, high)
        good = _is_good(now, tol)
        if good or steps >= max_steps or not made or now.dual == np.inf:
            return Dual(now.beta, now.bias, now.primal, now.dual, steps, good)


def _is_good(now: Dual, tol: float) -> bool:
    return now.primal < np.inf and now.gap <= tol * now.primal


def _judge(beta: np.ndarray, g: np.ndarray, low: np.ndarray, high: np.ndarray) -> Dual:
    """Return the point with its bias and the values of primal and dual there, all from the gradient.

    With f = K beta + b the scores are y f = 1 - y (g - b) and w·w = beta·(y - g). For sum beta = 0 the gap is
    sum (high - beta) max(g - b, 0) + (beta - low) max(b - g, 0): no term is negative, so nothing cancels.
    """
    y = np.where(high > 0, 1.0, -1.0)
    up, down = beta < high, beta > low
    top = g[up].max() if up.any() else g.max()
    bottom = g[down].min() if down.any() else g.min()
    b = (top + bottom) / 2
    if np.isinf(high - low).any():
        return _scaled(beta, b, beta @ (y - g), np.min(1 - y * (g - b)))
    gap = (high - beta) @ np.maximum(g - b, 0) + (beta - low) @ np.maximum(b - g, 0)
    dual = beta @ (y + g) / 2
    return Dual(beta, b, dual + gap, dual, 0, False)


def _scaled(beta: np.ndarray, b: float, square: float, least: float) -> Dual:
    """Return a point without bounds, for w·w = `square` and the smallest score `least`.

    The scores all reach 1 where w is divided by `least`, if that is positive; the dual is largest where beta is
    multiplied by sum |beta| / w·w.
    """
    total = float(np.abs(beta).sum())
    primal = square / least**2 / 2 if least > 0 else np.inf
    if square > 0:
        return Dual(beta, b, primal, total**2 / square / 2, 0, False)
    return Dual(beta, b, np.inf, np.inf if total > 0 else 0.0, 0, False)  # w = 0: no hyperplane parts the classes


@functools.lru_cache(maxsize=32)
def _steps(kernel: str | Callable[[Node, Node], Any], degree: int, target: str) -> Any:
    """Compile the loop: (data, parameters, low, high, beta, g, most) -> (steps made, beta, g).

    It ends early where no pair can gain.
    """
    data = matrix("K", "n", "n") if kernel == PRECOMPUTED else matrix("X", "n", "d")
    low, high, start, gradient = (vector(name, "n") for name in ("low", "high", "beta", "g"))
    most = array("most", (), "int64")
    row, diag = row_and_diagonal(kernel, degree, data)

    def turn(k: Node, going: Node, beta: Node, g: Node) -> list[Node]:
        from_below = where(beta < high, g, -np.inf)
        i = argmax(from_below)
        row_i = row(i)
        slope = take(from_below, i, axis=0) - g
        curve = maximum(take(row_i, i, axis=0) + diag - 2 * row_i, _FLAT)
        gain = where((beta > low) & (slope > 0), slope**2 / curve, -np.inf)
        j = argmax(gain)
        beta_i, beta_j, high_i, low_j = (
            take(beta, i, axis=0),
            take(beta, j, axis=0),
            take(high, i, axis=0),
            take(low, j, axis=0),
        )
        step = minimum(take(slope, j, axis=0) / take(curve, j, axis=0), minimum(high_i - beta_i, beta_j - low_j))
        # What arrives at a bound is set to it: rounding must not leave it a hair inside.
        up = where(eq(step, high_i - beta_i), high_i, beta_i + step)
        down = where(eq(step, beta_j - low_j), low_j, beta_j - step)
        moves = (take(gain, j, axis=0) > 0) & ((up > beta_i) | (down < beta_j))
        up, down, step = where(moves, up, beta_i), where(moves, down, beta_j), where(moves, step, 0.0)
        after = set_row(set_row(beta, up, i), down, j)
        return [k + cast(moves, "int64"), moves, after, g - step * (row_i - row(j))]

    begin = [const(0, "int64"), const(True, "bool"), start, gradient]
    k, _, beta, g = while_loop(lambda k, going, *_: going & (k < most), turn, begin)
    from symdiff.compile import compile  # late: the compiler loads LLVM

    return compile([k, beta, g], [data, *SYMBOLS, low, high, start, gradient, most], target=target)


__all__ = ["Dual", "solve"]
