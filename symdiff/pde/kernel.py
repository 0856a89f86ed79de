"""The time loop as one expression, compiled once for every grid, parameter and time step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.ir.node import Node, const
from symdiff.ir.primitive import cast
from symdiff.ops import leaves
from symdiff.ops.control import while_loop
from symdiff.ops.elementwise import maximum
from symdiff.pde.implicit import ACCEPTED_RESIDUAL
from symdiff.pde.semidiscrete import Semidiscrete
from symdiff.pde.stepper import Stepper


def loop(semi: Semidiscrete, stepper: Stepper) -> tuple[list[Node], list[Node]]:
    """Return (outputs, inputs) of the steps i … stop - 1 from the time start + i*dt.

    Outputs: the next step's number, the largest relative residual of an implicit step (0 for explicit methods)
    and the unknowns. A step that is not solved ends the loop early. The loop's state are the unknowns with the points
    beyond them: a step writes its result into the next extension, and nothing is copied.
    """
    first, stop = _scalar("i", "int64"), _scalar("stop", "int64")
    start, dt = _scalar("start"), _scalar("dt")
    blocks = semi.blocks
    inputs = [first, stop, start, dt, *semi.spacings, *semi.points, *semi.problem.parameters, *blocks.values()]

    def time(i: Node) -> Node:
        return start + cast(i, "float64") * dt

    def extended(states: Mapping[Node, Node], t: Node) -> list[Node]:
        given = semi.given(t)
        return [semi.extend(u, block, t, given) for u, block in states.items()]

    def step(i: Node, worst: Node, *exts: Node) -> list[Node]:
        after = stepper.step(semi, dict(zip(blocks, exts, strict=True)), time(i), dt)
        largest = worst if after.residual is None else maximum(worst, after.residual)
        # The time of step i + 1 as that step itself computes it: chunks of any length give the same bits.
        return [i + 1, largest, *extended(after.blocks, time(i + 1))]

    def going(i: Node, worst: Node, *_: Node) -> Node:
        return (i < stop) & (worst <= ACCEPTED_RESIDUAL) if stepper.is_implicit else i < stop

    i, worst, *exts = while_loop(going, step, [first, const(0.0), *extended(blocks, time(first))])
    return [i, worst, *(semi.inner(u, ext) for u, ext in zip(blocks, exts, strict=True))], inputs


def _scalar(name: str, dtype: str = "float64") -> Node:
    return leaves.symbol(name=f"\0{name}", shape=(), dtype=dtype)


@dataclass(frozen=True, slots=True)
class Kernel:
    """The compiled loop with everything bound but the steps and the state."""

    function: Callable[..., Sequence[Any]]
    fixed: tuple[Any, ...]

    def __call__(
        self, i: int, stop: int, start: float, dt: float, state: Sequence[np.ndarray]
    ) -> tuple[int, float, list[np.ndarray]]:
        """Return (next step, largest residual, state) after the steps i … stop - 1."""
        after, residual, *arrays = self.function(i, stop, start, dt, *self.fixed, *state)
        return int(after), float(residual), [np.asarray(a) for a in arrays]
