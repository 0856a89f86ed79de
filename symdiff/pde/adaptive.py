"""rk45: steps whose size follows their error, and states between them.

A step is accepted if its error estimate, the difference of results of orders 5 and 4, is nowhere above `tol` times
the largest value of its field. The next step's size comes from this error and the one before (a PI controller), so
it does not oscillate where stability limits it.

Method: Dormand & Prince 1980; Gustafsson 1991 with the exponents 0.7/5 and 0.4/5; Shampine 1986 for states between.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from symdiff.ir.node import Node, const
from symdiff.ops import leaves
from symdiff.ops.control import while_loop
from symdiff.ops.elementwise import maximum, minimum, where
from symdiff.ops.reduce import max_
from symdiff.ops.rows import set_row
from symdiff.pde.explicit import advance, stages
from symdiff.pde.linear import ratio
from symdiff.pde.semidiscrete import Semidiscrete
from symdiff.pde.stepper import Stepped, Stepper
from symdiff.pde.tableaux import DORMAND_PRINCE, DORMAND_PRINCE_ERROR, DORMAND_PRINCE_MIDDLE
from symdiff.pde.track import MOST_STEPS, Track

_SAFETY, _SMALLEST, _LARGEST = 0.9, 0.2, 5.0  # of the factor from one step's size to the next
_INTEGRAL, _PROPORTIONAL = 0.7 / 5, 0.4 / 5
# A step that is this small relative to the whole run changes the time by rounding errors only.
FEWEST = 1e-14

Arrays = list[np.ndarray]


@final
@dataclass(frozen=True, slots=True)
class Adaptive(Stepper):
    """The pair of Dormand & Prince; `step` is one of a given size."""

    name: str = "rk45"
    order: int = 5

    @property
    def is_implicit(self) -> bool:
        """It is explicit."""
        return False

    def amplification(self, z: np.ndarray) -> np.ndarray:
        """Return the stability polynomial at z."""
        return np.polynomial.polynomial.polyval(z, [float(c) for c in DORMAND_PRINCE.polynomial()])

    def memory(self, semi: Semidiscrete) -> list[Node]:
        """The rates, and of the last step, none yet, the unknowns at its start, their rates, those in its middle."""
        blocks, rates = list(semi.blocks.values()), list(semi.rates(semi.blocks, const(0.0)).values())
        return [*rates, *blocks, *rates, *blocks]

    def step(
        self, semi: Semidiscrete, extended: Mapping[Node, Node], t: Node, dt: Node, memory: Sequence[Node] = ()
    ) -> Stepped:
        """Return the unknowns at t + dt."""
        blocks = {u: semi.inner(u, ext) for u, ext in extended.items()}
        rates = stages(DORMAND_PRINCE, semi, blocks, t, dt, semi.rates(blocks, t, extended=extended))
        return Stepped({u: advance(x, dt, DORMAND_PRINCE.b, [r[u] for r in rates]) for u, x in blocks.items()})


def adaptive_loop(semi: Semidiscrete, track: Track | None = None) -> tuple[list[Node], list[Node]]:
    """Return (outputs, inputs) of steps until the time `stop` is passed, `most` were tried or dt is `least`.

    The state, in both: numbers of accepted and of rejected steps, the time, the next step's size, the last error and
    the last accepted step's size; then for every field the unknowns with the points beyond them, their rates, and of
    the last step the unknowns at its start, their rates there and the unknowns in its middle. No step passes `until`.
    Behind it are the records of the numbers to `track` and of the time, one entry for each accepted step.
    """
    most, counts = _symbol("most", dtype="int64"), [_symbol(n, dtype="int64") for n in ("accepted", "rejected")]
    stop, until, least, tol = (_symbol(n) for n in ("stop", "until", "least", "tol"))
    numbers = [_symbol(n) for n in ("t", "dt", "error", "used")]
    states, blocks = semi.extensions, semi.blocks
    others = [_symbol(f"{kind} {k}", b.shape) for kind in range(4) for k, b in enumerate(blocks.values())]
    n, m = len(blocks), len(states)
    fixed = [*semi.spacings, *semi.points, *semi.parameters]
    records = track.records(also=1) if track else []
    inputs = [most, stop, until, least, tol, *fixed, *counts, *numbers, *states.values(), *others, *records]

    def going(tried: Node, yes: Node, no: Node, t: Node, dt: Node, *rest: Node) -> Node:
        return (tried < most) & (t < stop) & (dt > least)

    def turn(tried: Node, yes: Node, no: Node, t: Node, dt: Node, error: Node, used: Node, *rest: Node) -> list[Node]:
        arrays, record = rest[: m + 4 * n], rest[m + 4 * n :]
        now = {u: semi.inner(u, x) for u, x in zip(blocks, arrays, strict=False)}
        first = dict(zip(blocks, arrays[m : m + n], strict=True))
        here = semi.starting(dict(zip(states, arrays, strict=False)))
        # The last step ends exactly at `until`.
        is_last = t + dt >= until
        h = where(is_last, until - t, dt)
        after = where(is_last, until, t + dt)
        rates = stages(DORMAND_PRINCE, here, now, t, h, first)
        new = {u: advance(x, h, DORMAND_PRINCE.b, [r[u] for r in rates]) for u, x in now.items()}
        ext = dict(zip(states, here.extended(new, after), strict=True))
        rates.append(here.rates(new, after, extended=ext))
        size = functools.reduce(maximum, [_error(now[u], new[u], h, [r[u] for r in rates]) / tol for u in blocks])
        good = size <= 1.0  # not for NaN
        free = maximum(size, 1e-10)
        factor = _SAFETY * free**-_INTEGRAL * error**_PROPORTIONAL
        factor = where(good, minimum(factor, _LARGEST), minimum(_SAFETY * free ** (-1 / 5), 1.0))
        factor = maximum(where(size < float("inf"), factor, 0.0), _SMALLEST)
        middle = [advance(x, h, DORMAND_PRINCE_MIDDLE, [r[u] for r in rates]) for u, x in now.items()]
        found = [*ext.values(), *rates[-1].values(), *now.values(), *first.values(), *middle]
        kept = [where(good, f, a) for f, a in zip(found, arrays, strict=True)]
        one = where(good, const(1, "int64"), const(0, "int64"))
        scalars = [where(good, after, t), factor * h, where(good, free, error), where(good, h, used)]
        # What a rejected step writes, the next one overwrites.
        rows = [*track.at(new, after, ext), after] if track else []
        written = [set_row(a, row, yes - counts[0]) for a, row in zip(record, rows, strict=True)]
        return [tried + 1, yes + one, no + (1 - one), *scalars, *kept, *written]

    _, *state = while_loop(going, turn, [const(0, "int64"), *counts, *numbers, *states.values(), *others, *records])
    return state, inputs


def _error(old: Node, new: Node, h: Node, rates: Sequence[Node]) -> Node:
    """Return the largest error of a field, relative to its largest value."""
    axes = tuple(range(new.ndim))
    difference = advance(old * 0.0, h, DORMAND_PRINCE_ERROR, rates)
    return ratio(max_(abs(difference), axes=axes), maximum(max_(abs(old), axes=axes), max_(abs(new), axes=axes)))


def _symbol(name: str, shape: Any = (), dtype: str = "float64") -> Node:
    return leaves.symbol(name=f"\0{name}", shape=shape, dtype=dtype)


@dataclass(frozen=True, slots=True)
class March:
    """The state of an adaptive run, in the order of `adaptive_loop`."""

    accepted: int
    rejected: int
    t: float
    dt: float
    error: float
    used: float
    arrays: Arrays

    def between(self, t: float, count: int, unknowns: Callable[[Arrays], Arrays]) -> Arrays:
        """Return the unknowns at a time within the last step: a polynomial of degree 4 (Shampine 1986).

        They are those of the `count` fields that evolve.
        """
        first = len(self.arrays) - 4 * count
        new = unknowns(self.arrays[:count])
        f1, y0, f0, middle = (self.arrays[first + k * count : first + (k + 1) * count] for k in range(4))
        h = self.used
        s = (t - (self.t - h)) / h
        out = []
        for y1, a1, y, a0, m in zip(new, f1, y0, f0, middle, strict=True):
            d4 = 2 * h * (a1 - a0) - 8 * (y1 + y) + 16 * m
            d3 = h * (5 * a0 - 3 * a1) + 18 * y + 14 * y1 - 32 * m
            d2 = h * (a1 - 4 * a0) - 11 * y - 5 * y1 + 16 * m
            out.append((((d4 * s + d3) * s + d2) * s + h * a0) * s + y)
        return out


class AdaptiveKernel:
    """The compiled loop with everything bound but the limits and the state."""

    def __init__(self, function: Callable[..., Sequence[Any]], fixed: tuple[Any, ...], n_records: int = 0):
        self.function, self.fixed, self.n_records = function, fixed, n_records

    def __call__(
        self, most: int, stop: float, until: float, tol: float, march: March
    ) -> tuple[March, list[np.ndarray]]:
        """Return the state when `stop` is passed, `most` steps were tried or the next is nothing, and the records."""
        numbers = (march.accepted, march.rejected, march.t, march.dt, march.error, march.used)
        blank = [np.empty(MOST_STEPS) for _ in range(self.n_records)]
        out = self.function(most, stop, until, FEWEST * until, tol, *self.fixed, *numbers, *march.arrays, *blank)
        accepted, rejected, *floats = out[:6]
        t, dt, error, used = map(float, floats)
        n = 6 + len(march.arrays)
        rows = [np.array(a[: int(accepted) - march.accepted]) for a in out[n:]]
        return March(int(accepted), int(rejected), t, dt, error, used, [np.asarray(a) for a in out[6:n]]), rows
