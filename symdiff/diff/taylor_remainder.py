"""The Taylor test: a derivative is right if what it leaves of f(x + h v) - f(x) falls as the theory says.

With the right first derivative the remainder |phi(x + h v) - phi(x) - h phi'v| falls like h^2, with the right
second one, |... - h^2/2 v'Hv| like h^3; with a wrong one it falls like h. phi is f, or <w, f> with random w where f
is an array. The displacement h v is taken as it was rounded, so that only the rounding of phi itself limits h.
Method: Farrell, Ham, Funke & Rognes 2013 (SIAM J. Sci. Comput. 35, C369), section 4.2.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import comb
from typing import Any, Literal, get_args

import numpy as np

from symdiff.diff.along import Line, random_line
from symdiff.diff.finite import Values, read_point
from symdiff.diff.rounding import rounding_error
from symdiff.diff.table import printed, report_table
from symdiff.diff.wrt import as_function
from symdiff.ir.errors import DerivativeError
from symdiff.ir.graph import count_ops
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node

TaylorMode = Literal["reverse", "forward"]

_FACTOR = 4.0
# From a tenth of the point down to where h^2 is far below rounding.
_STEPS = 0.1 * _FACTOR ** -np.arange(16.0)
# The bound on rounding is several times what rounding is; a remainder of four bounds has a slope right to some 0.05.
_CLEAR = 4.0
_BAND = 0.25
_FAR_BELOW = 0.02
_BELOW = 0.3


@dataclass(frozen=True, slots=True)
class TaylorTest:
    """Remainders for falling steps, and the power of the step with which they fall.

    `slopes[k]` belongs to steps k and k + 1, NaN where rounding hides a remainder; `slope` is the last three's
    median or the drop into rounding, infinite where nothing but rounding remains at any step. A test that is not
    `conclusive` says in `notes` what kept it from a verdict: a kink, the end of the domain, rounding.
    """

    mode: str
    order: int
    steps: np.ndarray
    remainders: np.ndarray
    rounding: np.ndarray
    slopes: np.ndarray
    slope: float
    conclusive: bool
    notes: tuple[str, ...]
    ops: int
    seconds: float

    @property
    def expected(self) -> int:
        """The slope of a right derivative; steeper is right as well, where the next term happens to vanish."""
        return self.order + 1

    @property
    def passed(self) -> bool:
        """Whether the test is conclusive and the remainder falls with the expected power or faster (band 0.25)."""
        return self.conclusive and self.slope >= self.expected - _BAND

    def __rich__(self) -> Any:
        slopes = ["", *(f"{s:.2f}" if np.isfinite(s) else "" for s in self.slopes)]
        lines = zip(self.steps, self.remainders, self.rounding, slopes, strict=True)
        rows = [(f"{h:.1e}", f"{r:.2e}", f"{e:.1e}", s, None) for h, r, e, s in lines]
        title = f"Taylor test of {self.mode} mode, order {self.order}: slope {self.slope:.2f}, expected {self.expected}"
        out = report_table(title, ("step", "remainder", "rounding", "slope"), rows, self.notes)
        return out

    def __str__(self) -> str:
        return printed(self)


def taylor_test(
    f: Any, point: Mapping[Any, Any], wrt: Any = None, order: int = 1, mode: TaylorMode = "reverse", seed: int = 5
) -> TaylorTest:
    """Test at a point that the derivative along a random direction leaves a remainder of the right order.

    `point` and `wrt` are as in `compare`. `order` 1 tests the gradient (slope 2), `order` 2 also the
    Hessian-vector product (slope 3). `mode` is the mode that is tested.
    Raises: UnknownSymbolError, DerivativeError, ShapeError.
    Cost: about 16 values of `f` and 20 products, whatever the size of the arrays.

    >>> import symdiff as sd
    >>> v = sd.vector("v", 3)
    >>> test = sd.taylor_test(sd.sum(sd.exp(v) * v[0]), {v: [0.1, 0.2, 0.3]})
    >>> test.passed, round(test.slope, 1)
    (True, 2.0)
    """
    if order not in (1, 2):
        raise DerivativeError(f"A Taylor test has order 1 (gradient) or 2 (Hessian-vector product), got {order!r}.")
    if mode not in get_args(TaylorMode):
        raise DerivativeError(f"The mode of a Taylor test is 'reverse' or 'forward', got {mode!r}.")
    node, values, symbols, _ = read_point(f, point, wrt)
    return run_taylor(as_function(node), values, symbols, order, mode, seed)


def run_taylor(f: Node, values: Values, symbols: list[Node], order: int, mode: str, seed: int) -> TaylorTest:
    """Run the test on arguments that are checked."""
    line = random_line(f, values, symbols, seed)
    phi = line.weighted(f)
    terms = [line.forward() if mode == "forward" else line.reverse()]
    if order == 2:
        terms.append(line.curvature(mode) / 2)
    start = time.perf_counter()
    base, *changes = (float(v) for v in interpret([phi, *terms], line.values))
    seconds = time.perf_counter() - start
    at_x, *at_terms = (float(r) for r in rounding_error([phi, *terms], line.values))
    with np.errstate(all="ignore"):
        remainders = np.array([_remainder(line, phi, terms, base, h) for h in _STEPS])
        # phi twice; a term scales with its power of the step.
        rounding = np.full(len(_STEPS), 2 * at_x)
        for k, r in enumerate(at_terms, start=1):
            rounding += r * _STEPS**k
    clear = np.isfinite(remainders) & (remainders > _CLEAR * rounding)
    slopes = _slopes(remainders, clear)
    conclusive = False
    found = slopes[np.isfinite(slopes)]
    notes: list[str] = []
    if not np.isfinite(base):
        slope = np.nan
        notes.append("f is not finite at this point")
    elif found.size:
        slope = max(float(np.median(found[-3:])), _drop(remainders, rounding, clear))
        conclusive = slope >= order + 1 - _BAND or _is_smooth(line, phi, order + 1, remainders, clear)
        if not conclusive:
            notes.append(f"differences of f itself fall no faster: it has kinks here, where order {order} says nothing")
    elif clear.any():
        slope = np.nan
        notes.append("rounding hides the remainders of all steps but one: nothing can be said")
    elif np.isfinite(remainders).any():
        # The change of phi itself must stand out, or nothing was tested; a derivative of exactly 0 claims no change.
        slope, conclusive = np.inf, changes[0] == 0 or bool(np.any(abs(changes[0]) * _STEPS > _CLEAR * rounding))
        notes.append(
            "nothing but rounding remains: f is a polynomial of low degree along the direction"
            if conclusive
            else "rounding hides the change of f: nothing can be said"
        )
    else:
        slope = np.nan
        notes.append("every step leaves the domain of f")
    return TaylorTest(
        mode,
        order,
        _STEPS,
        remainders,
        rounding,
        slopes,
        slope,
        conclusive,
        tuple(notes),
        count_ops([phi, *terms]),
        seconds,
    )


def _remainder(line: Line, phi: Node, terms: list[Node], base: float, h: float) -> float:
    at, along = line.moved(h)
    (there,) = interpret([phi], at)
    return abs(float(there) - base - sum(float(t) for t in interpret(terms, along)))


def _slopes(remainders: np.ndarray, clear: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        slopes = np.log(remainders[:-1] / remainders[1:]) / np.log(_FACTOR)
    return np.where(clear[:-1] & clear[1:], slopes, np.nan)


def _drop(remainders: np.ndarray, rounding: np.ndarray, clear: np.ndarray) -> float:
    """The least slope with which the last clear remainder falls into rounding: steep below the nearest kink.

    What a wrong derivative leaves does not fall like this.
    """
    last = int(np.flatnonzero(clear)[-1])
    if last + 1 == len(remainders):
        return -np.inf
    return float(np.log(remainders[last] / (_CLEAR * rounding[last + 1])) / np.log(_FACTOR))


def _is_smooth(line: Line, phi: Node, n: int, remainders: np.ndarray, clear: np.ndarray) -> bool:
    """Whether n-th differences of phi, which no derivative enters, are far below the remainders of small steps.

    For a smooth function they fall like h^n, faster than what a wrong derivative leaves; kinks are in both. Two
    differences, over [0, h] and over [-h, (n-1) h]: a kink may cancel in one.
    """
    weights = [(-1) ** k * comb(n, k) for k in range(n + 1)]
    ratios = []
    for k in np.flatnonzero(clear)[-3:]:
        h = float(_STEPS[k])
        bends = []
        for start, step in ((0.0, h / n), (-h, h)):
            values = [float(interpret([phi], line.moved(start + j * step)[0])[0]) for j in range(n + 1)]
            bends.append(abs(sum(w * v for w, v in zip(weights, values, strict=True))))
        ratios.append(max(bends) / remainders[k])
    falling = len(ratios) > 2 and all(b < a / 2 for a, b in pairwise(ratios))
    return bool(np.median(ratios) < _FAR_BELOW or (falling and ratios[-1] < _BELOW))
