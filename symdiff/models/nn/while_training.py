"""WhileTraining: a rule whose function changes with the step, beside which running averages follow the batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from symdiff.ir.graph import substitute
from symdiff.ir.node import Node
from symdiff.ir.primitive import cast
from symdiff.models.nn.training import STEP
from symdiff.optimize.objective import Arrays, Objective, Point, infinity_norm
from symdiff.optimize.rule import Move, Rule, State


@dataclass(frozen=True, slots=True)
class WhileTraining(Rule):
    """The rule `rule` for the parameters, and average - rate * slope for the symbols named in `rates`.

    `Training.loss` makes that slope average - value. A rate of None is 1/t: the mean of all steps so far. In the
    function STEP is the number of the step that evaluates it. Convergence is judged by the parameters.
    """

    rule: Rule
    rates: tuple[tuple[str, float | None], ...]

    on_batches = True  # `minimize` asks the rule itself

    def init(self, objective: Objective, point: Point) -> State:
        """Return the state of the rule."""
        held = self._held(objective, point.x)
        return self.rule.init(held, held.part(point))

    def step(self, objective: Objective, point: Point, state: State, t: Node) -> Move:
        """Move the averages, then the parameters, and evaluate once at the new point."""
        now = replace(objective, f=substitute([objective.f], {STEP: cast(t, "int64")})[0])
        rates = dict(self.rates)
        moved = []
        for symbol, average, slope in zip(now.unknowns, point.x, point.grad, strict=True):
            rate = rates.get(symbol.params["name"], 0.0)
            moved.append(average - (cast(1 / t, slope.dtype) if rate is None else rate) * slope)
        held = self._held(now, moved)
        move = self.rule.step(held, held.part(point), state, t)
        # The nodes of this point are those that the rule's step made: nothing is evaluated twice.
        whole = now.at(held.whole(move.point.x))
        return Move(replace(whole, norm=move.point.norm), move.state, move.moved)

    def _held(self, objective: Objective, x: Sequence[Node]) -> _Held:
        names = dict(self.rates)
        kept = {u: value for u, value in zip(objective.unknowns, x, strict=True) if u.params["name"] in names}
        free = tuple(u for u in objective.unknowns if u not in kept)
        return _Held(substitute([objective.f], kept)[0], free, objective, tuple(x))


@dataclass(frozen=True, slots=True)
class _Held(Objective):
    """The objective `full` as a function of some of its unknowns; the others are held at their entries of `x`."""

    full: Objective
    x: Arrays

    def at(self, x: Sequence[Node]) -> Point:
        """Return the point with what is known of its free unknowns."""
        return self.part(self.full.at(self.whole(x)))

    def whole(self, x: Sequence[Node]) -> Arrays:
        """Return values of all unknowns, for those of the free ones."""
        free = dict(zip(self.unknowns, x, strict=True))
        return tuple(free.get(u, held) for u, held in zip(self.full.unknowns, self.x, strict=True))

    def part(self, point: Point) -> Point:
        """Return the free part of a point of all unknowns."""
        free = [k for k, u in enumerate(self.full.unknowns) if u in self.unknowns]
        grad = tuple(point.grad[k] for k in free)
        return Point(tuple(point.x[k] for k in free), point.loss, grad, infinity_norm(grad))
