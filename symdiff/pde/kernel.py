"""The time loop as one expression, compiled once for every grid, parameter and time step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from symdiff.ir.dims import Extent, Shape
from symdiff.ir.node import Node, const
from symdiff.ir.primitive import cast
from symdiff.ops import leaves
from symdiff.ops.control import build_loop
from symdiff.ops.elementwise import maximum, where
from symdiff.ops.reduce import max_
from symdiff.ops.rows import set_row
from symdiff.pde.newton import ACCEPTED_RESIDUAL
from symdiff.pde.semidiscrete import Semidiscrete
from symdiff.pde.stepper import Stepped, Stepper
from symdiff.pde.track import MOST_STEPS, Track


def loop(
    semi: Semidiscrete, stepper: Stepper, turns: Extent | None = None, track: Track | None = None
) -> tuple[list[Node], list[Node]]:
    """Return (outputs, inputs) of the steps i … stop - 1 from the time start + i*dt, `turns` if their number is known.

    Outputs: the next step's number, the largest relative residual of an implicit step (0 for explicit methods),
    whether an unknown is infinite or NaN (as 0 or 1), the unknowns with the points beyond them and what the method
    remembers. A step that is not solved ends the loop early. The loop's state is extended all the time: a step
    writes its result into the next extension, runs begin where others ended, and nothing is copied. The last outputs
    are the records of the numbers to `track`, one entry for each step; the last inputs are memory for them.
    """
    first, stop = _symbol("i", dtype="int64"), _symbol("stop", dtype="int64")
    start, dt = _symbol("start"), _symbol("dt")
    states = semi.extensions
    memory = [_symbol(f"memory {k}", m.shape) for k, m in enumerate(stepper.memory(semi))]
    records = track.records() if track else []
    fixed = [*semi.spacings, *semi.points, *semi.parameters]
    inputs = [first, stop, start, dt, *fixed, *states.values(), *memory, *records]
    n_state = len(states) + len(memory)

    def time(i: Node) -> Node:
        return start + cast(i, "float64") * dt

    def step(i: Node, worst: Node, *state: Node) -> list[Node]:
        # The time of step i + 1 as that step itself computes it: chunks of any length give the same bits.
        largest, new, after = advance(semi, stepper, time(i), time(i + 1), dt, worst, state[:n_state])
        rows = track.at(after.blocks, time(i + 1), dict(zip(states, new, strict=True))) if track else []
        written = [set_row(a, row, i - first) for a, row in zip(state[n_state:], rows, strict=True)]
        return [i + 1, largest, *new, *after.memory, *written]

    def going(i: Node, worst: Node, *_: Node) -> Node:
        return (i < stop) & (worst <= ACCEPTED_RESIDUAL) if stepper.is_implicit and turns is None else i < stop

    i, worst, *state = build_loop(going, step, [first, const(0.0), *states.values(), *memory, *records], turns)
    bad = any_not_finite(semi.inner(u, ext) for u, ext in zip(states, state, strict=False))
    return [i, worst, bad, *state], inputs


def advance(
    semi: Semidiscrete, stepper: Stepper, t: Node, after_t: Node, dt: Node, worst: Node, state: Sequence[Node]
) -> tuple[Node, list[Node], Stepped]:
    """Return the largest residual, the unknowns with the points beyond them after a step, and the step itself.

    `state` are the unknowns with the points beyond them, and what the method remembers.
    """
    found = dict(zip(semi.extensions, state, strict=False))
    here = semi.starting(found)
    after = stepper.step(here, {u: found[u] for u in semi.blocks}, t, dt, state[len(found) :])
    largest = worst if after.residual is None else maximum(worst, after.residual)
    return largest, here.extended(after.blocks, after_t), after


def any_not_finite(arrays: Iterable[Node]) -> Node:
    """Return 1.0 if an entry is infinite or NaN, which no comparison holds for, else 0.0."""
    is_bad = [where(abs(x) <= float(np.finfo(np.float64).max), 0.0, 1.0) for x in arrays]
    return functools.reduce(maximum, [max_(x, axes=tuple(range(x.ndim))) for x in is_bad])


def _symbol(name: str, shape: Shape = (), dtype: str = "float64") -> Node:
    return leaves.symbol(name=f"\0{name}", shape=shape, dtype=dtype)


class Kernel:
    """The compiled loop with everything bound but the steps and the state.

    A call writes its state over that of an earlier call, never over the one that it starts from.
    """

    def __init__(self, function: Callable[..., Sequence[Any]], fixed: tuple[Any, ...], n_records: int = 0):
        self.function, self.fixed, self.n_records = function, fixed, n_records
        self._spare: list[list[np.ndarray]] = []

    def __call__(
        self, i: int, stop: int, start: float, dt: float, state: Sequence[np.ndarray]
    ) -> tuple[int, float, bool, list[np.ndarray], list[np.ndarray]]:
        """Return (next step, largest residual, whether all is finite, state, records) after the steps i … stop - 1."""
        if len(self._spare) < 2:
            self._spare.append([np.empty_like(a) for a in state])
        to = next(arrays for arrays in self._spare if all(a is not b for a, b in zip(arrays, state, strict=True)))
        numbers = [np.empty((), np.int64), np.empty(()), np.empty(())]
        rows = [np.empty(MOST_STEPS) for _ in range(self.n_records)]
        out = [*numbers, *to, *rows]
        after, residual, bad, *_ = self.function(i, stop, start, dt, *self.fixed, *state, *rows, out=out)
        return int(after), float(residual), not bad, to, [a[: int(after) - i] for a in rows]
