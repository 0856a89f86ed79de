"""The iteration as one expression: a `while_loop` over points, in chunks that leave a record of every step.

The chunk is a loop over rows, and a row a loop over steps. A step writes its loss into a row of 64 numbers, a
full row goes into the block: appending to one long array in SSA form would copy it in every step.
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
from symdiff.ops.index import broadcast_to, reshape
from symdiff.ops.leaves import iota
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


ROW = 64
ROWS = 64
MOST_STEPS = ROW * ROWS  # that one call can record


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
        two arrays of shape (ROWS, ROW); entries after the last step mean nothing.
        """
        symbols = like.like([_symbol(f"carry{k}", n) for k, n in enumerate(like.flat())])
        stop, tol = _symbol("stop", const(0, "int64")), _symbol("tol", const(0.0))

        def going(step: Node, status: Node) -> Node:
            return eq(status, _code(Status.RUNNING)) & (step < stop)

        def fill_row(carry: list[Node]) -> list[Node]:
            zeros = [broadcast_to(const(0.0, n.dtype), shape=(ROW,)) for n in (like.loss, like.norm)]

            def one(j: Node, *values: Node) -> list[Node]:
                new = self.advance(like.like(values[:-2]), tol)
                rows = [_put(row, j, v) for row, v in zip(values[-2:], (new.loss, new.norm), strict=True)]
                return [j + 1, *new.flat(), *rows]

            _, *out = while_loop(lambda j, *v: going(v[0], v[1]) & (j < ROW), one, [const(0, "int64"), *carry, *zeros])
            return out

        def rows(r: Node, *values: Node) -> list[Node]:
            *carry, loss, norm = fill_row(list(values[:-2]))
            blocks = [_put(b, r, row) for b, row in zip(values[-2:], (loss, norm), strict=True)]
            return [r + 1, *carry, *blocks]

        blocks = [broadcast_to(const(0.0, n.dtype), shape=(ROWS, ROW)) for n in (like.loss, like.norm)]
        _, *out = while_loop(
            lambda r, *v: going(v[0], v[1]) & (r < ROWS), rows, [const(0, "int64"), *symbols.flat(), *blocks]
        )
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


def _put(array: Node, k: Node, value: Node) -> Node:
    """Return `array` with entry (or row) k replaced."""
    n = array.shape[0]
    here = reshape(eq(iota(n=n), k), shape=(n, *(1,) * value.ndim))
    return where(here, value, array)


def _symbol(name: str, like: Node) -> Node:
    # A leading NUL cannot occur in a user's name: interning would merge the two symbols.
    return make(PRIMITIVES["symbol"], (), {"name": f"\0{name}", "shape": like.shape, "dtype": like.dtype})
