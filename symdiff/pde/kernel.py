"""The time loop as one expression, compiled once for every grid, parameter and time step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    and the unknowns. A step that is not solved ends the loop early.
    """
    first, stop = _scalar("i", "int64"), _scalar("stop", "int64")
    start, dt = _scalar("start"), _scalar("dt")
    blocks = semi.blocks

    def step(i: Node, *rest: Node) -> tuple[Node | None, list[Node]]:
        t = start + cast(i, "float64") * dt
        after = stepper.step(semi, dict(zip(blocks, rest, strict=True)), t, dt)
        return after.residual, [after.blocks[u] for u in blocks]

    inputs = [first, stop, start, dt, *semi.spacings, *semi.points, *semi.problem.parameters, *blocks.values()]
    if not stepper.is_implicit:
        i, *state = while_loop(
            lambda i, *_: i < stop, lambda i, *x: [i + 1, *step(i, *x)[1]], [first, *blocks.values()]
        )
        return [i, const(0.0), *state], inputs

    def turn(i: Node, worst: Node, *x: Node) -> list[Node]:
        residual, state = step(i, *x)
        return [i + 1, worst if residual is None else maximum(worst, residual), *state]

    def going(i: Node, worst: Node, *_: Node) -> Node:
        return (i < stop) & (worst <= ACCEPTED_RESIDUAL)

    return while_loop(going, turn, [first, const(0.0), *blocks.values()]), inputs


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
