"""A run as one expression of everything that it depends on: what reverse mode goes back through.

    for every time at which something was observed:  for the steps up to it:  one step

Without observations there is one interval. Every interval has the same number of steps, so that the loops' numbers of
turns are known, and a step that fits its length: observations are hit exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from symdiff.ir.dims import Extent, as_extent
from symdiff.ir.graph import substitute
from symdiff.ir.node import Node, as_node, const
from symdiff.ir.primitive import cast
from symdiff.ops import leaves
from symdiff.ops.control import build_loop
from symdiff.ops.elementwise import maximum
from symdiff.ops.index import broadcast_to, take
from symdiff.pde.fields import Fields
from symdiff.pde.goals import Goal, Misfit
from symdiff.pde.jets import added
from symdiff.pde.kernel import advance, any_not_finite
from symdiff.pde.schedule import count
from symdiff.pde.semidiscrete import Semidiscrete
from symdiff.pde.stepper import Stepper

Blocks = dict[Node, Node]
_ROUNDING = 1e-12  # of the end, by which observations may be off it


@final
@dataclass(frozen=True, slots=True)
class Clock:
    """Intervals of `n` steps each: where they begin and end, and of each misfit the row observed at the end, or -1."""

    n: int
    begins: np.ndarray
    ends: np.ndarray
    rows: tuple[np.ndarray, ...]

    @property
    def dts(self) -> np.ndarray:
        """The step of each interval."""
        return (self.ends - self.begins) / self.n

    @property
    def steps(self) -> int:
        """The number of all steps."""
        return self.n * len(self.ends)


def clock(until: float, dt: float, goal: Goal) -> Clock:
    """Return the intervals from 0 over the times of observation to `until`, with steps of at most dt."""

    def snapped(times: np.ndarray) -> np.ndarray:
        """Times that only rounding errors part from the end are the end."""
        return np.where(np.abs(times - until) <= _ROUNDING * until, until, times)

    ends = np.union1d(snapped(goal.times()), [until])
    begins = np.concatenate([[0.0], ends[:-1]])
    n = max(count(float(b - a), dt) for a, b in zip(begins, ends, strict=True))
    times = [snapped(m.given.times) for m in goal.misfits]
    rows = [np.searchsorted(t, ends) for t in times]
    hit = [np.isin(ends, t) for t in times]
    return Clock(n, begins, ends, tuple(np.where(h, r, -1) for h, r in zip(hit, rows, strict=True)))


@final
class Course:
    """A run from expressions for the initial values, None where an array is given.

    `value` is the goal, `residual` the largest one of an implicit step, `bad` is 1 where the end is not finite, `final`
    are the unknowns there. `inputs` are the symbols; `variables[k]` is the one that a parameter or a known field is, or
    what is added to the initial values of a field. With `keeps_all` reverse mode keeps the states of all steps.
    """

    def __init__(
        self, semi: Semidiscrete, stepper: Stepper, goal: Goal, initial: Sequence[Node | None], keeps_all: bool
    ):
        self.semi, self.stepper, self.goal = semi, stepper, goal
        self.steps: Extent = as_extent("steps")
        self.turns = self.steps if keeps_all else None
        offsets = {u: _symbol(f"offset {u.params['name']}", b.shape) for u, b in semi.blocks.items()}
        self.variables: Blocks = {**offsets, **semi.known, **{p: p for p in semi.problem.parameters}}
        self.is_observed = bool(goal.misfits)
        shape = (as_extent("intervals"),) if self.is_observed else ()
        self.begins, self.dts = _symbol("begins", shape), _symbol("dts", shape)
        self.rows = [_symbol(f"rows {k}", shape, "int64") for k in range(len(goal.misfits))]
        arrays = [b for b, i in zip(semi.blocks.values(), initial, strict=True) if i is None]
        # The number of steps is the size of an array that nothing reads.
        steps = _symbol("steps", (self.steps,))
        self.fixed = [*semi.spacings, *semi.points, *semi.parameters]
        self.inputs = [self.begins, self.dts, *self.rows, steps, *self.fixed, *offsets.values(), *arrays]
        self.inputs += [s for m in goal.misfits for s in m.inputs()]
        self._build(self._start(initial, offsets))

    def _start(self, initial: Sequence[Node | None], offsets: Blocks) -> Blocks:
        """Return the unknowns at time 0 as expressions in parameters, plus what they are varied by."""
        semi, out = self.semi, {}
        fields = Fields(semi, semi.blocks, const(0.0))
        for (u, block), expression in zip(semi.blocks.items(), initial, strict=True):
            value = block
            if expression is not None:
                (value,) = fields.evaluate([expression], semi.layout[u].region)
                value = broadcast_to(value, shape=block.shape)
            out[u] = value + offsets[u]
        return out

    def _build(self, start: Blocks) -> None:
        semi, goal = self.semi, self.goal
        places = {block: start[u] for u, block in semi.blocks.items()}
        state = [*start.values(), *substitute(self.stepper.memory(semi), places)]
        zero = const(0.0)
        if not self.is_observed:
            self.residual, total, state = self._interval(self.begins, self.dts, zero, zero, state)
            end = self._end(self.begins, self.dts)
        else:
            n = self.begins.shape[0]
            _, self.residual, total, *state = build_loop(
                lambda k, *_: k < as_node(n), self._observed, [const(0, "int64"), zero, zero, *state], turns=n
            )
            last = as_node(n) - 1
            end = self._end(take(self.begins, last, axis=0), take(self.dts, last, axis=0))
        self.final = self._blocks(state)
        self.bad = any_not_finite(self.final.values())
        self.value = added([total, *(f.at(self.final, end) for f in goal.final)])

    def _blocks(self, state: Sequence[Node]) -> Blocks:
        return dict(zip(self.semi.blocks, state, strict=False))

    def _end(self, begin: Node, dt: Node) -> Node:
        return begin + cast(as_node(self.steps), "float64") * dt

    def _observed(self, k: Node, worst: Node, total: Node, *state: Node) -> list[Node]:
        """One interval, and the misfits at its end."""
        begin, dt = take(self.begins, k, axis=0), take(self.dts, k, axis=0)
        worst, total, after = self._interval(begin, dt, worst, total, state)
        blocks, end = self._blocks(after), self._end(begin, dt)
        for misfit, rows in zip(self.goal.misfits, self.rows, strict=True):
            total = total + self._misfit(misfit, take(rows, k, axis=0), blocks, end)
        return [k + 1, worst, total, *after]

    def _misfit(self, misfit: Misfit, row: Node, blocks: Blocks, t: Node) -> Node:
        """Return a misfit where its row is not -1, else 0; the row is then one that exists."""
        return cast(row >= 0, "float64") * misfit.at(blocks, t, maximum(row, const(0, "int64")))

    def _interval(
        self, begin: Node, dt: Node, worst: Node, total: Node, state: Sequence[Node]
    ) -> tuple[Node, Node, list[Node]]:
        """Return the largest residual, the goal up to here and the state after the steps of an interval."""
        semi, stop = self.semi, as_node(self.steps)

        def step(i: Node, worst: Node, total: Node, *state: Node) -> list[Node]:
            t, after_t = begin + cast(i, "float64") * dt, begin + cast(i + 1, "float64") * dt
            # The loop's state are the unknowns alone: then a turn back has nothing to do with the points beyond them.
            extended = [*semi.extended(self._blocks(state), t), *state[len(semi.blocks) :]]
            largest, _, after = advance(semi, self.stepper, t, after_t, dt, worst, extended)
            if self.goal.rates:
                total = total + dt * self._rate(after.blocks, after_t)
            return [i + 1, largest, total, *after.blocks.values(), *after.memory]

        first = [const(0, "int64"), worst, total, *state]
        _, worst, total, *after = build_loop(lambda i, *_: i < stop, step, first, self.turns)
        if self.goal.rates:
            # The ends of the trapezoidal rule.
            ends = self._rate(self._blocks(state), begin) - self._rate(self._blocks(after), self._end(begin, dt))
            total = total + (0.5 * dt) * ends
        return worst, total, after

    def _rate(self, blocks: Blocks, t: Node) -> Node:
        return added([f.at(blocks, t) for f in self.goal.rates])

    def values(
        self, ticks: Clock, fixed: Sequence[Any], state: Sequence[np.ndarray], initial: Sequence[Any], goal: Goal
    ) -> list[Any]:
        """Return the values of `inputs` for a goal like this one, with nothing added to the initial values."""
        begins, dts = ticks.begins, ticks.dts
        times = [begins, dts, *ticks.rows] if self.is_observed else [float(begins[0]), float(dts[0])]
        arrays = [x for x, i in zip(state, initial, strict=True) if i is None]
        offsets = [np.zeros_like(x) for x in state]
        misfits = [x for m in goal.misfits for x in m.inputs().values()]
        return [*times, np.empty(ticks.n), *fixed, *offsets, *arrays, *misfits]


def _symbol(name: str, shape: Any, dtype: str = "float64") -> Node:
    return leaves.symbol(name=f"\0{name}", shape=shape, dtype=dtype)
