"""The reference: derivatives to 50 digits, from values of `f` alone.

No rule of ours takes part: `f` is evaluated with mpmath at some 200 digits and differenced with steps that are
1e-50 of x. What the two sides of a point say tells kinks, jumps and edges of the domain from smooth points, so
that the reference there is the set of values a derivative may honestly take.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.diff.finite import Values
from symdiff.ir.interpret import interpret, mp_array
from symdiff.ir.node import Node

DIGITS = 50
# A central difference with relative step 1e-50 is right to 1e-100; 1e-60 is the second step.
_STEPS = (50, 60)
_SPARE = 80
# Slopes below this, for values of f near 1, may be the rounding of the differences themselves and count as 0.
FAINT = 1e-100
NOT_FINITE = "f is not finite"


@dataclass(frozen=True, slots=True)
class Exact:
    """The derivative by one symbol: object arrays of mpf of shape (*f.shape, *x.shape).

    `value` is the symmetric derivative; a derivative may lie between `low` and `high`, equal at smooth points.
    `notes` names the entries that are not smooth; `defined` says whether `f` is finite somewhere, or has no entries.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    notes: tuple[str, ...]
    defined: bool


def exact_derivative(f: Node, values: Values, x: Node) -> Exact:
    """Return df/dx at a point to 50 digits, from values of `f` alone.

    Cost: five values of `f` with mpmath per entry of `x`.
    """
    import mpmath

    parts: list[list[np.ndarray]] = [[], [], []]
    notes: list[str] = []
    undefined, entries = 0, 0
    for index in np.ndindex(values[x].shape):
        entry = float(values[x][index])
        with mpmath.workdps(working_digits(entry)):
            sides = [_sides(f, values, x, index, _step(entry, k)) for k in _STEPS]
            f0 = shifted(f, values, x, index, 0)
            found = [_classify(f0.ravel()[j], sides, j) for j in range(f0.size)]
            if np.isnan(entry):
                # Where f does not depend on it, f is finite all the same; a derivative by NaN has no meaning.
                anything = (mpmath.nan, -mpmath.inf, mpmath.inf, "the point is not a number")
                found = [v if v[3] == NOT_FINITE else anything for v in found]
        entries += len(found)
        undefined += sum(v[3] == NOT_FINITE for v in found)
        for part, k in zip(parts, range(3), strict=True):
            part.append(_objects([v[k] for v in found]))
        where = f"{x.params['name']}{list(index) if index else ''}"
        notes += [f"{where}: {text}" for text in dict.fromkeys(v[3] for v in found if v[3])]
    fshape = tuple(np.shape(interpret([f], values)[0]))
    shape = (*fshape, *values[x].shape)
    value, low, high = (
        np.stack(part, axis=-1).reshape(shape) if part else np.empty(shape, dtype=object) for part in parts
    )
    return Exact(value, low, high, tuple(notes), not entries or undefined < entries)


def distance(value: Any, low: Any, high: Any) -> np.ndarray:
    """The distance of each entry to its interval, computed with 60 digits; NaN for a NaN."""
    import mpmath

    value, low, high = (np.asarray(a, dtype=object) for a in (value, low, high))
    out = np.empty(low.shape)
    flat = out.ravel()
    with mpmath.workdps(DIGITS + 10):
        for k, (v, a, b) in enumerate(zip(value.ravel(), low.ravel(), high.ravel(), strict=True)):
            v = v if isinstance(v, mpmath.mpf) else mpmath.mpf(float(v))
            # Where f has no derivative at all, no value is wrong.
            slack = 0 if a == b else mpmath.mpf(10) ** -DIGITS * max(abs(a), abs(b))
            inside = (a == -mpmath.inf and b == mpmath.inf) or a - slack <= v <= b + slack
            # Infinity is the rounding of what is beyond floating-point numbers.
            inside = inside or (mpmath.isinf(v) and v in (float(a), float(b)))
            flat[k] = 0.0 if inside else float(a - v) if v < a else float(v - b) if v > b else np.nan
    return out


def working_digits(x: float) -> int:
    """Return the digits at which differences of f near `x` with the smallest step still have 50 right ones."""
    size = abs(np.log10(abs(x))) if x and np.isfinite(x) else 0.0
    return int(2 * _STEPS[-1] + _SPARE + 2 * size)


def shifted(f: Node, values: Values, x: Node, index: tuple[int, ...], h: Any) -> np.ndarray:
    """Return f with `h` added to one entry of `x`, at mpmath's present precision."""
    moved = mp_array(values[x])
    moved[index] = moved[index] + h
    return np.asarray(interpret([f], {**values, x: moved}, "mpmath")[0], dtype=object)


def _step(x: float, digits: int) -> Any:
    import mpmath

    return mpmath.mpf(10) ** -digits * (abs(mpmath.mpf(x)) if x and np.isfinite(x) else 1)


def _sides(f: Node, values: Values, x: Node, index: tuple[int, ...], h: Any) -> tuple[Any, Any, Any]:
    right, left = (shifted(f, values, x, index, d) for d in (h, -h))
    return right.ravel(), left.ravel(), h


def _objects(items: list[Any]) -> np.ndarray:
    out = np.empty(len(items), dtype=object)
    out[:] = items
    return out


def _classify(f0: Any, sides: list[tuple[Any, Any, Any]], j: int) -> tuple[Any, Any, Any, str]:
    """Return (value, low, high, note) of one entry from f at x, x ± h1 and x ± h2, h2 = 1e-10 h1.

    With h, a smooth function's two one-sided slopes approach each other in proportion to h, a kink's stay
    apart; a jump's difference f(x+h) - f(x-h) stays, while a vertical tangent's falls more slowly than h.
    """
    from mpmath import isfinite, mpf, nan

    inf = mpf("inf")
    anything = (mpf(nan), -inf, inf)
    if not isfinite(f0):
        return *anything, NOT_FINITE
    (r1, l1, h1), (r2, l2, h2) = ((right[j], left[j], h) for right, left, h in sides)
    right, left = (
        _slope(lambda r, _: r - f0, r1, l1, h1, r2, l2, h2),
        _slope(lambda _, s: f0 - s, r1, l1, h1, r2, l2, h2),
    )
    if right is None or left is None:
        one = left if right is None else right
        return *(anything if one is None else (one, one, one)), "the domain of f ends"
    # Jumps: what remains of the difference when h falls by 1e-10; |x|^0.05 would still lose two thirds. So does the
    # rounding of f where it is constant, which is no jump.
    if any(abs(a) > FAINT * h1 and abs(b) > abs(a) / 2 for a, b in ((r1 - f0, r2 - f0), (f0 - l1, f0 - l2))):
        return *anything, "f jumps"
    near, far = (abs((r - f0) / h - (f0 - s) / h) for r, s, h in ((r2, l2, h2), (r1, l1, h1)))
    if not isfinite(right) or not isfinite(left):
        return (
            (right, right, right, "a vertical tangent")
            if right == left
            else (mpf(nan), *_ordered(left, right), "a cusp")
        )
    if near > far / 10 and near > mpf(10) ** -DIGITS * (abs(right) + abs(left)) + FAINT:
        return (right + left) / 2, *_ordered(left, right), "a kink"
    coarse, fine = (r1 - l1) / (2 * h1), (r2 - l2) / (2 * h2)
    # relu(x)^1.5 has the slope h^0.5 -> 0: what falls with h has the limit 0. What grows as 1/h here, below FAINT, is
    # the rounding of f divided by h.
    value = coarse if abs(coarse) / 100 <= abs(fine) <= abs(coarse) * 2 else mpf(0)
    return value, value, value, ""


def _ordered(a: Any, b: Any) -> tuple[Any, Any]:
    return (a, b) if a <= b else (b, a)


def _slope(difference: Callable[[Any, Any], Any], r1: Any, l1: Any, h1: Any, r2: Any, l2: Any, h2: Any) -> Any:
    """Return the limit of a one-sided slope: ±inf if it grows as h falls, None if f has no value there."""
    from mpmath import isfinite, mpf

    d1, d2 = difference(r1, l1), difference(r2, l2)
    if not isfinite(d1) or not isfinite(d2):
        return None
    steep, steeper = d1 / h1, d2 / h2
    # A finite limit is reached to 1e-50; even log h still grows by a fifth.
    if abs(steeper) > abs(steep) * (1 + mpf(10) ** -15) + FAINT:
        return mpf("inf") if steeper > 0 else mpf("-inf")
    return steeper
