"""Gradient descent with a fixed step or a backtracking line search."""

from __future__ import annotations

from dataclasses import dataclass

from symdiff.ir.node import Node
from symdiff.ir.primitive import cast
from symdiff.ops.elementwise import maximum
from symdiff.optimize.line_search import backtrack
from symdiff.optimize.objective import Objective, Point
from symdiff.optimize.rule import Move, Rule, State
from symdiff.optimize.schedules import Schedule, check_rate, rate


@dataclass(frozen=True, slots=True)
class GradientDescent(Rule):
    """x1 = x - a*g: with `lr` given a = lr in every step, without it a is found by backtracking (Armijo).

    The first trial is min(1, 1/|g|_inf), so that no entry moves by more than 1; later ones are twice the
    last accepted step, so a grows again where the function gets flatter.

    Method: Cauchy 1847; Nocedal & Wright 2006, algorithm 3.1.

    >>> import symdiff as sd
    >>> x = sd.symbols("x")
    >>> res = sd.minimize((x - 3) ** 2, {x: 0.0}, method=GradientDescent(lr=0.25), target="reference")
    >>> res.converged, round(float(res.x[x]), 6)
    (True, 3.0)
    """

    lr: float | Schedule | None = None

    def __post_init__(self) -> None:
        """Raise DomainError for a step that is not positive and finite."""
        if self.lr is not None:
            check_rate("GradientDescent", self.lr)

    def init(self, objective: Objective, point: Point) -> State:
        """Return half of the first trial step; nothing for a fixed step."""
        return () if self.lr is not None else (0.5 / maximum(point.norm, 1.0),)

    def step(self, objective: Objective, point: Point, state: State, t: Node) -> Move:
        """Step along the negative gradient."""
        if self.lr is not None:
            lr = rate(self.lr, t)
            return Move(objective.at([w - cast(lr, w.dtype) * g for w, g in zip(point.x, point.grad, strict=True)]))
        (a,) = state
        new, moved, a1 = backtrack(objective, point, [-g for g in point.grad], 2.0 * a)
        return Move(new, (a1,), moved)
