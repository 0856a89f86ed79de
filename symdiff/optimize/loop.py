"""The iteration as one expression: a `while_loop` over points, in chunks that leave a record of every step.

A step writes its loss into an entry of an array, which the compiler changes in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from symdiff.ir.dims import Shape, as_extent
from symdiff.ir.node import PRIMITIVES, Node, as_node, const, make
from symdiff.ir.primitive import cast
from symdiff.ops.control import while_loop
from symdiff.ops.elementwise import eq, isfinite, where
from symdiff.ops.rows import set_row
from symdiff.optimize.objective import Objective, Point, infinity_norm
from symdiff.optimize.rule import Rule, true


class Status(IntEnum):
    """Where a run stands; the loop sets the first five, the driver the others. NEW: the start is to be evaluated."""

    RUNNING = 0
    CONVERGED = 1
    NOT_FINITE = 2
    STUCK = 3
    UNBOUNDED = 4
    INTERRUPTED = 5
    STOPPED = 6
    NEW = 7


# The numbers of steps that one call can record: a run that is short does not write thousands of entries.
FEW_STEPS, MOST_STEPS = 64, 4096
# The run-time size of a record; the user's sizes do not end like that.
RECORD = as_extent("record__")


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

    def start(self, x: Sequence[Node], zero: Node, tol: Node) -> Carry:
        """Return the carry at the start `x`; the number of steps, `zero`, is a value that only a run knows."""
        objective = self.seen(zero)
        point = objective.at(x)
        state = self.rule.init(objective, point)
        # exp has a finite value and slope at -inf, which is no start all the same.
        norm = where(isfinite(infinity_norm(point.x)), point.norm, float("nan"))
        status = _status(replace(point, norm=norm), true(), tol)
        return Carry(zero, status, point.loss, norm, zero, point.loss, norm, point.x, point.grad, point.x, tuple(state))

    def seen(self, step: Node) -> Objective:
        """Return the function that a step minimises."""
        return self.rule.view(self.objective.for_step(step))

    def chunk(self, like: Carry) -> tuple[list[Node], list[Node]]:
        """Return (outputs, inputs) of a chunk: carry and record, for a carry, a blank record, a step to stop at, tol.

        `like` holds a carry of nodes, for shapes and dtypes. The record is loss and gradient norm, of the start if it
        is new and after each step, in two arrays that bound the number of steps; entries after the last mean nothing.
        """
        symbols = like.like([_symbol(f"carry{k}", n) for k, n in enumerate(like.flat())])
        stop, tol = _symbol("stop", const(0, "int64")), _symbol("tol", const(0.0))
        blank = [_symbol(f"record{k}", n, (RECORD,)) for k, n in enumerate((like.loss, like.norm))]

        def is_new(k: Node, step: Node, status: Node, *_: Node) -> Node:
            return eq(status, _code(Status.NEW))

        def is_going(k: Node, step: Node, status: Node, *_: Node) -> Node:
            return eq(status, _code(Status.RUNNING)) & (step < stop) & (k < as_node(RECORD))

        def recorded(k: Node, c: Carry, *record: Node) -> list[Node]:
            return [k + 1, *c.flat(), *(set_row(a, v, k) for a, v in zip(record, (c.loss, c.norm), strict=True))]

        def begin(k: Node, *values: Node) -> list[Node]:
            c = like.like(values[:-2])
            return recorded(k, self.start(c.x, c.step, tol), *values[-2:])

        def go_on(k: Node, *values: Node) -> list[Node]:
            return recorded(k, self.advance(like.like(values[:-2]), tol), *values[-2:])

        begun = while_loop(is_new, begin, [const(0, "int64"), *symbols.flat(), *blank])
        # Without unknowns the start is the end.
        _, *out = while_loop(is_going, go_on, begun) if like.x else begun
        return out, [*symbols.flat(), *blank, stop, tol]

    def advance(self, c: Carry, tol: Node) -> Carry:
        """Return the carry after one step of the rule."""
        now = Point(c.x, c.loss, c.grad, c.norm)
        # What a step evaluates is the point from which the next one goes.
        objective = self.seen(c.step + 1)
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


def _symbol(name: str, like: Node, shape: Shape | None = None) -> Node:
    # A leading NUL cannot occur in a user's name: interning would merge the two symbols.
    shape = like.shape if shape is None else shape
    return make(PRIMITIVES["symbol"], (), {"name": f"\0{name}", "shape": shape, "dtype": like.dtype})
