"""SVRG: minibatches whose noise dies out, by a full gradient now and then."""

from __future__ import annotations

from dataclasses import dataclass

from symdiff.front.loops import cond
from symdiff.ir.errors import DomainError
from symdiff.ir.node import Node, as_node
from symdiff.ir.primitive import cast
from symdiff.ops.elementwise import eq
from symdiff.optimize.batches import BatchStep
from symdiff.optimize.objective import Objective, Point
from symdiff.optimize.rule import Move, Rule, State
from symdiff.optimize.schedules import Schedule, check_rate, rate
from symdiff.optimize.settings import Setting


@dataclass(frozen=True, slots=True)
class SVRG(Rule):
    """w1 = w - lr (g_B(w) - g_B(s) + g(s)), stochastic variance-reduced gradient descent, for runs with `batch_size`.

    g_B is the gradient on the batch, g that on all rows and s a snapshot: the point at the start of each epoch, or of
    each `every` steps. The direction has the mean of the full gradient and a variance that vanishes at the minimum, so
    a constant rate converges, linearly for strongly convex functions.

    The loss must be a mean over the rows, else that of a batch estimates something smaller.
    Cost: three gradients of a batch a step, and one of all rows a snapshot.
    Method: Johnson & Zhang 2013, figure 1, option I.
    """

    on_batches = True
    lr: Setting | Schedule = 1e-2
    every: int | None = None

    def __post_init__(self) -> None:
        """Raise DomainError for settings outside their range."""
        check_rate("SVRG", self.lr)
        if self.every is not None and (
            isinstance(self.every, bool) or not isinstance(self.every, int) or self.every < 1
        ):
            raise DomainError(f"SVRG: every is a positive int or None, got {self.every!r}.")

    def init(self, objective: Objective, point: Point) -> State:
        """Return the snapshot, its gradient on all rows, and its gradient on the batch."""
        return *point.x, *_batch(objective).whole.at(point.x).grad, *point.grad

    def step(self, objective: Objective, point: Point, state: State, t: Node) -> Move:
        """Step along the corrected gradient; take a new snapshot when it is time."""
        batch, n = _batch(objective), len(point.x)
        s, full, old = state[:n], state[n : 2 * n], state[2 * n :]
        lr = rate(self.lr, t)
        x = [w - cast(lr, w.dtype) * (g - h + mu) for w, g, h, mu in zip(point.x, point.grad, old, full, strict=True)]
        new = batch.at(x)
        every = as_node(self.every) if self.every is not None else batch.per_epoch
        taken = eq(cast(t, "int64") % cast(every, "int64"), 0)
        after = cond(taken, lambda *v: [*v[:n], *batch.whole.at(v[:n]).grad], lambda *v: list(v[n:]), *x, *s, *full)
        s, full = after[:n], after[n:]
        # The batch is the one from which the next step goes.
        return Move(new, (*s, *full, *batch.at(s).grad))


def _batch(objective: Objective) -> BatchStep:
    if not isinstance(objective, BatchStep):
        raise DomainError("SVRG goes by batches: give minimize a batch_size, or choose SGD.")
    return objective


__all__ = ["SVRG"]
