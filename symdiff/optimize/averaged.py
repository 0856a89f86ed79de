"""Averaged: the mean of the points that a rule goes through."""

from __future__ import annotations

from dataclasses import dataclass

from symdiff.ir.errors import DomainError, DTypeError
from symdiff.ir.node import Node, const
from symdiff.ir.primitive import cast
from symdiff.ops.elementwise import eq, where
from symdiff.optimize.clip import Clip
from symdiff.optimize.objective import Objective, Point
from symdiff.optimize.rule import FirstOrder, Move, Rule, State


@dataclass(frozen=True, slots=True)
class Averaged(Rule):
    """The rule `rule`, with the mean of its points after step `start`, of every `every`-th of them, as the answer.

    Until then the answer is the rule's own point. With `every=1` this is Polyak-Ruppert averaging, which takes the
    noise of minibatches out of a constant or slowly decreasing rate; with the steps of an epoch it is stochastic weight
    averaging (SWA), `torch.optim.swa_utils.AveragedModel`. History and convergence are those of the mean.

    Cost: one more evaluation a step, at the mean.
    Method: Polyak & Juditsky 1992, (2); Izmailov et al. 2018, algorithm 1.

    >>> import symdiff as sd
    >>> from symdiff.optimize import SGD
    >>> x = sd.symbols("x")  # SGD goes from 8 to 4, 2 and 1
    >>> res = sd.minimize(x**2 / 2, {x: 8.0}, method=Averaged(SGD(lr=0.5)), max_steps=3, target="reference")
    >>> round(float(res.x[x]), 12) == round(7 / 3, 12)
    True
    """

    on_batches = True
    rule: FirstOrder | Clip
    start: int = 0
    every: int = 1

    def __post_init__(self) -> None:
        """Raise DomainError for counts that are none, DTypeError for a rule that reads more than gradients."""
        if not isinstance(self.rule, (FirstOrder, Clip)):
            raise DTypeError(
                f"Averaged takes a rule that reads gradients only, such as SGD or Adam, got {self.rule!r}."
            )
        for name, value, least in (("start", self.start, 0), ("every", self.every, 1)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise DomainError(f"Averaged: {name} is an int >= {least}, got {value!r}.")

    def init(self, objective: Objective, point: Point) -> State:
        """Return the count of points in the mean, the rule's point with its gradient, and the rule's state."""
        return const(0.0), *point.x, *point.grad, *self.rule.init(objective, point)

    def step(self, objective: Objective, point: Point, state: State, t: Node) -> Move:
        """Make the rule's step and take its point into the mean."""
        n = len(point.x)
        count, x, grad, inner = state[0], state[1 : n + 1], state[n + 1 : 2 * n + 1], state[2 * n + 1 :]
        move = self.rule.step(objective, Point(x, point.loss, grad, point.norm), inner, t)
        past = t - (self.start + 1)
        counts = (past >= 0) & eq(past % self.every, 0.0)
        count = count + cast(counts, "float64")
        part = where(past < 0, 1.0, where(counts, 1.0 / count, 0.0))
        mean = [m + cast(part, m.dtype) * (u - m) for m, u in zip(point.x, move.point.x, strict=True)]
        return Move(objective.at(mean), (count, *move.point.x, *move.point.grad, *move.state))


__all__ = ["Averaged"]
