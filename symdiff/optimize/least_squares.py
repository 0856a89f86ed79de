"""least_squares: find where the sum of squared residuals is smallest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from symdiff.diff.jacobian import jacobian
from symdiff.diff.wrt import as_function, as_list
from symdiff.front.linalg import qr, triangular_solve
from symdiff.ir.dims import product
from symdiff.ir.errors import DomainError, DTypeError
from symdiff.ir.graph import substitute
from symdiff.ir.node import Node, const
from symdiff.ops.control import while_loop
from symdiff.ops.elementwise import abs_, eq, isfinite, maximum, minimum, where
from symdiff.ops.index import broadcast_to, concatenate, reshape, transpose
from symdiff.ops.leaves import iota
from symdiff.ops.linalg import matmul
from symdiff.ops.reduce import max_, sum_
from symdiff.optimize.inputs import check_limits, read_problem
from symdiff.optimize.line_search import NOISE_EPS, flatten, unflatten
from symdiff.optimize.minimize import Callback, run
from symdiff.optimize.objective import Objective, Point, pack, unpack
from symdiff.optimize.result import OptimizeResult
from symdiff.optimize.rule import Move, Rule, State, check_setting

# A damping this small against the columns of the Jacobian keeps a singular one solvable and changes no digit else.
_LEAST_DAMPING = 1e-12
_MOST_TRIALS = 60
# A part of the promised decrease that must come true.
_ENOUGH = 1e-4


def least_squares(
    residuals: Any,
    start: Mapping[Any, Any],
    data: Mapping[Any, Any] | None = None,
    method: Rule | None = None,
    tol: float = 1e-9,
    max_steps: int = 1000,
    progress: bool = False,
    callback: Callback | None = None,
    target: str = "cpu",
) -> OptimizeResult:
    """Minimise half the sum of squares of `residuals`, an expression or a list of them, over the symbols of `start`.

    Everything is as for `minimize`, but `method` is a `LevenbergMarquardt` with other settings, and `tol` bounds what
    does not depend on units: the run has converged where the cosine of the angle between the residuals and the plane
    of their tangents, or the relative length of the step to that plane's nearest point, is at most `tol`.
    `history["grad_norm"]` holds the smaller of these two.

    Shapes: residuals of any shape. Returns: an `OptimizeResult`; `fun` is half the sum
    of squares, `grad_norm` the gradient's infinity norm. Raises: as `minimize`.
    Method: Bates & Watts 1981 (the criterion); see `LevenbergMarquardt`.

    >>> import symdiff as sd
    >>> a, b = sd.symbols("a b")
    >>> t, y = sd.vector("t", "n"), sd.vector("y", "n")
    >>> data = {t: [0.0, 1.0, 2.0], y: [2.0, 1.0, 0.5]}
    >>> res = sd.least_squares(a * sd.exp(-b * t) - y, {a: 1.0, b: 1.0}, data, target="reference")
    >>> res.converged, round(float(res.x[a]), 9), round(float(res.x[b]), 9)
    (True, 2.0, 0.693147181)
    """
    check_limits(tol, max_steps)
    rule = LevenbergMarquardt() if method is None else method
    if not isinstance(rule, LevenbergMarquardt):
        raise DTypeError(f"least_squares: method is a LevenbergMarquardt(…), got {method!r}.")
    parts = [as_function(r) for r in as_list(residuals)[0]]
    r = pack(parts)
    problem = read_problem(0.5 * sum_(r * r, axes=(0,)), start, data)
    objective = Residuals(problem.objective.f, problem.objective.unknowns, r)
    problem = replace(problem, objective=objective)
    return run(problem, rule, tol, max_steps, progress, callback, target)


@dataclass(frozen=True, slots=True)
class Residuals(Objective):
    """Half the sum of the squares of a vector; the norm of a point is the criterion of `least_squares`."""

    residuals: Node

    @property
    def measure(self) -> str:
        """What the norm of a point is called."""
        return "relative offset"

    def linear(self, x: Sequence[Node]) -> tuple[Node, Node]:
        """Return the residuals at `x` and their Jacobian, of shape (entries, unknowns)."""
        m = self.residuals.shape[0]
        columns = [reshape(jacobian(self.residuals, u), shape=(m, product(u.shape))) for u in self.unknowns]
        place = dict(zip(self.unknowns, x, strict=True))
        r, jac = substitute([self.residuals, concatenate(*columns, axis=1)], place)
        return r, jac

    def at(self, x: Sequence[Node]) -> Point:
        """Return the point `x`."""
        r, jac = self.linear(x)
        step, along = nearest(jac, -r, const(_LEAST_DAMPING, r.dtype))
        size = sum_(r * r, axes=(0,)) ** 0.5
        cosine = where(size > 0, along / size, 0.0)
        relative = max_(abs_(step) / maximum(abs_(pack(x)), float(np.finfo(r.dtype).tiny)), axes=(0,))
        # A step that is no number says nothing; a cosine that is none ends the run.
        norm = where(isfinite(relative), minimum(cosine, relative), cosine)
        return Point(tuple(x), 0.5 * size * size, unpack(matmul(transpose(jac, perm=(1, 0)), r), x), norm)


@dataclass(frozen=True, slots=True)
class LevenbergMarquardt(Rule):
    """x1 = x + p, p the least-squares solution of [J; sqrt(lam) D] p = [-r; 0], D the lengths of J's columns so far.

    The damping `lam` falls where the model has promised well and grows until a step decreases the sum.

    Needs: the dense Jacobian; a QR factorisation a trial, 2 m n**2 flops.
    Method: Moré 1978 (scaling, QR); Nielsen 1999 (damping). `damping` is the first lam.
    """

    damping: float = 1e-3

    def __post_init__(self) -> None:
        """Raise DomainError for a damping that is not positive."""
        check_setting(self, "damping", self.damping, 0.0, math.inf)

    def init(self, objective: Objective, point: Point) -> State:
        """Return the first damping, its growth, and the scale of the unknowns."""
        if not isinstance(objective, Residuals):
            raise DomainError("LevenbergMarquardt minimises sums of squares: call least_squares with the residuals.")
        dtype = objective.residuals.dtype
        lengths = column_lengths(objective.linear(point.x)[1])
        return const(self.damping, dtype), const(2.0, dtype), where(lengths > 0, lengths, 1.0)

    def step(self, objective: Objective, point: Point, state: State, t: Node) -> Move:
        """Try steps with more and more damping until one decreases the sum as promised."""
        assert isinstance(objective, Residuals)
        r, jac = objective.linear(point.x)
        lam, growth, scale = state
        scale = maximum(scale, column_lengths(jac))

        noise = NOISE_EPS * float(np.finfo(r.dtype).eps) * point.loss

        def possible(lam: Node, growth: Node, tries: Node, done: Node, *_: Node) -> Node:
            return ~done & (tries < _MOST_TRIALS)

        def attempt(lam: Node, growth: Node, tries: Node, done: Node, blind: Node, *old: Node) -> list[Node]:
            p, _ = nearest(jac, -r, lam, scale)
            x = [w + d for w, d in zip(point.x, unpack(p, point.x), strict=True)]
            (after,) = substitute([objective.residuals], dict(zip(objective.unknowns, x, strict=True)))
            change, damped = matmul(jac, p), scale * p
            promised = 0.5 * _total(change * change) + lam * _total(damped * damped)
            # Near the minimum both sums agree to all digits: their difference comes from that of the residuals.
            gain = 0.5 * _total((r - after) * (r + after)) / promised
            small = promised <= noise
            good = isfinite(gain) & ((gain > _ENOUGH) | small)
            less = lam * where(small, 1 / 3, maximum(1 / 3, 1 - (2 * gain - 1) ** 3))
            kept = [where(good, new, before) for new, before in zip(x, old, strict=True)]
            return [where(good, less, lam * growth), where(good, 2.0, 2.0 * growth), tries + 1, good, small, *kept]

        off = const(0, "bool")
        lam, growth, _, found, blind, *x = while_loop(
            possible, attempt, [lam, growth, const(0, "int64"), off, off, *point.x]
        )
        new = objective.at(x)
        # Where rounding hides the decrease, a step counts that comes nearer by the criterion.
        moved = found & (~blind | (new.norm < point.norm))
        kept = [where(moved, after, before) for after, before in zip(flatten(new), flatten(point), strict=True)]
        return Move(unflatten(kept, point), (lam, growth, scale), moved)


def nearest(jac: Node, right: Node, damping: Node, scale: Node | None = None) -> tuple[Node, Node]:
    """Return p that minimises |J p - right|² + damping |D p|², and the length of the part of `right` that J reaches.

    D has the diagonal `scale`, by default the lengths of the columns of J. Shapes: J (m, n), right (m,), p (n,).
    """
    n = jac.shape[1]
    lengths = column_lengths(jac)
    scale = where(lengths > 0, lengths, 1.0) if scale is None else scale
    row, col = reshape(iota(n=n), shape=(n, 1)), reshape(iota(n=n), shape=(1, n))
    below = where(eq(row, col), damping**0.5 * scale, const(0.0, jac.dtype))
    whole = concatenate(jac, below, axis=0)
    padded = concatenate(right, broadcast_to(const(0.0, jac.dtype), shape=(n,)), axis=0)
    q, r = qr(whole)
    turned = matmul(transpose(q, perm=(1, 0)), padded)
    return triangular_solve(r, turned, lower=False), _total(turned * turned) ** 0.5


def column_lengths(a: Node) -> Node:
    """The Euclidean lengths of the columns."""
    return sum_(a * a, axes=(0,)) ** 0.5


def _total(x: Node) -> Node:
    return sum_(x, axes=(0,))


__all__ = ["LevenbergMarquardt", "Residuals", "column_lengths", "least_squares", "nearest"]
