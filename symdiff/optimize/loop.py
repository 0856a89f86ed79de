"""The iteration as one expression: a `while_loop` over points, in chunks that leave a record of every step.

A step writes its loss into an entry of an array, which the compiler changes in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from symdiff.ir.node import PRIMITIVES, Node, const, make
from symdiff.ir.primitive import cast
from symdiff.ops.control import while_loop
from symdiff.ops.elementwise import eq, isfinite, where
from symdiff.ops.index import broadcast_to
from symdiff.ops.rows import set_row
from symdiff.optimize.objective import Objective, Point
from symdiff.optimize.rule import Rule


class Status(IntEnum):
    """Where a run stands; the loop sets the first five, the driver the others."""

    RUNNING = 0
    CONVERGED = 1
    NOT_FINITE = 2
    STUCK = 3
    UNBOUNDED = 4
    INTERRUPTED = 5
    STOPPED = 6


MOST_STEPS = 4096  # that one call can record


class Carry(NamedTuple):
    """What goes from step to step: nodes inside the loop, arrays between the chunks.

    `best_…` is the finite point with the lowest loss so far: what a diverging or interrupted run returns.
    """

    step: Any
    status: Any
    loss: Any
    norm: Any
    best_step: Any
    best_loss: Any
    best_norm: Any
    x: tuple[Any, ...]
    grad: tuple[Any, ...]
    best_x: tuple[Any, ...]
    state: tuple[Any, ...]

    def flat(self) -> list[Any]:
        """Return all values in one list."""
        return [*self[:7], *self.x, *self.grad, *self.best_x, *self.state]

    def like(self, values: Sequence[Any]) -> Carry:
        """Undo `flat`."""
        n, rest = len(self.x), tuple(values[7:])
        x, grad, best_x, state = rest[:n], rest[n : 2 * n], rest[2 * n : 3 * n], rest[3 * n :]
        step, status, loss, norm, best_step, best_loss, best_norm = values[:7]
        return Carry(step, status, loss, norm, best_step, best_loss, best_norm, x, grad, best_x, state)


@dataclass(frozen=True, slots=True)
class Iteration:
    """The iteration of `rule` on `objective`, as expressions ready to be compiled."""

    objective: Objective
    rule: Rule

    def start(self) -> tuple[list[Node], list[Node]]:
        """Return (outputs, inputs) of the start: loss, norm, gradient and the rule's state for the unknowns."""
        objective = self.objective.for_step(const(0, "int64"))
        point = objective.at(objective.unknowns)
        state = self.rule.init(objective, point)
        return [point.loss, point.norm, *point.grad, *state], list(self.objective.unknowns)

    def chunk(self, like: Carry) -> tuple[list[Node], list[Node]]:
        """Return (outputs, inputs) of a chunk: carry and record, for a carry, a step to stop at and tol.

        `like` holds a carry of nodes, for shapes and dtypes. The record is loss and gradient norm after each step,
        two arrays of MOST_STEPS numbers; entries after the last step mean nothing.
        """
        symbols = like.like([_symbol(f"carry{k}", n) for k, n in enumerate(like.flat())])
        stop, tol = _symbol("stop", const(0, "int64")), _symbol("tol", const(0.0))

        def going(step: Node, status: Node) -> Node:
            return eq(status, _code(Status.RUNNING)) & (step < stop)

        def one(k: Node, *values: Node) -> list[Node]:
            new = self.advance(like.like(values[:-2]), tol)
            record = [set_row(a, v, k) for a, v in zip(values[-2:], (new.loss, new.norm), strict=True)]
            return [k + 1, *new.flat(), *record]

        empty = [broadcast_to(const(0.0, n.dtype), shape=(MOST_STEPS,)) for n in (like.loss, like.norm)]
        init = [const(0, "int64"), *symbols.flat(), *empty]
        _, *out = while_loop(lambda k, *v: going(v[0], v[1]) & (k < MOST_STEPS), one, init)
        return out, [*symbols.flat(), stop, tol]

    def advance(self, c: Carry, tol: Node) -> Carry:
        """Return the carry after one step of the rule."""
        now = Point(c.x, c.loss, c.grad, c.norm)
        # What a step evaluates is the point from which the next one goes.
        objective = self.objective.for_step(c.step + 1)
        move = self.rule.step(objective, now, c.state, cast(c.step, "float64") + 1.0)
        new = move.point
        step = c.step + cast(move.moved, "int64")
        better = isfinite(new.loss) & isfinite(new.norm) & (new.loss <= c.best_loss)
        return Carry(
            step=step,
            status=_status(new, move.moved, tol),
            loss=new.loss,
            norm=new.norm,
            best_step=where(better, step, c.best_step),
            best_loss=where(better, new.loss, c.best_loss),
            best_norm=where(better, new.norm, c.best_norm),
            x=new.x,
            grad=new.grad,
            best_x=tuple(where(better, u, v) for u, v in zip(new.x, c.best_x, strict=True)),
            state=move.state,
        )


def unbounded_below(dtype: Any) -> float:
    """Return the loss below which a function counts as unbounded: its square no longer fits the dtype."""
    return -(float(np.finfo(dtype).max) ** 0.5)


def _code(status: Status) -> Node:
    return const(int(status), "int64")


def _status(new: Point, moved: Node, tol: Node) -> Node:
    finite = isfinite(new.loss) & isfinite(new.norm)
    code = where(moved, _code(Status.RUNNING), _code(Status.STUCK))
    code = where(new.loss < unbounded_below(new.loss.dtype), _code(Status.UNBOUNDED), code)
    code = where(finite, code, _code(Status.NOT_FINITE))
    # NaN compares false, and an infinite loss with a zero gradient is no minimum either.
    return where(finite & (new.norm <= tol), _code(Status.CONVERGED), code)


def _symbol(name: str, like: Node) -> Node:
    # A leading NUL cannot occur in a user's name: interning would merge the two symbols.
    return make(PRIMITIVES["symbol"], (), {"name": f"\0{name}", "shape": like.shape, "dtype": like.dtype})
