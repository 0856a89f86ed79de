"""Which steps a run makes: pieces of equal steps that end exactly at the save points."""

from __future__ import annotations

import math
from dataclasses import dataclass

from symdiff.ir.errors import DomainError

# A step count within this of a whole number is meant to be it: 0.1/0.001 is 100 up to rounding.
_WHOLE = 1e-9


@dataclass(frozen=True, slots=True)
class Piece:
    """`n` steps of size `dt` from `start` to `stop`; the state at `stop` is saved."""

    start: float
    stop: float
    n: int
    dt: float


def count(length: float, dt: float) -> int:
    """Return the least number of steps of at most dt that make up a length."""
    ratio = length / dt
    whole = round(ratio)
    return max(whole if abs(ratio - whole) <= _WHOLE * max(whole, 1) else math.ceil(ratio), 1)


def plan(until: float, dt: float, save_every: float | None) -> list[Piece]:
    """Return the pieces from 0 to `until`, each with the largest step of at most `dt` that divides it.

    >>> [(p.n, p.stop) for p in plan(1.0, 0.3, 0.4)]
    [(2, 0.4), (2, 0.8), (1, 1.0)]
    """
    n_saves = count(until, save_every) if save_every else 1
    ends = [k * save_every for k in range(1, n_saves)] if save_every else []
    pieces, start = [], 0.0
    for stop in [*ends, until]:
        n = count(stop - start, dt)
        pieces.append(Piece(start, stop, n, (stop - start) / n))
        start = stop
    return pieces


def positive(value: object, name: str, hint: str) -> float:
    """Return a positive finite number. Raises DomainError otherwise."""
    try:
        number = float(value)  # type: ignore[arg-type]  # what does not convert is an error below
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise DomainError(f"{name} is a positive finite number, got {value!r}; {hint}.")
    return number
