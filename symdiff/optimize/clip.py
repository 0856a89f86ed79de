"""Clip: a rule that sees no gradient longer than a bound."""

from __future__ import annotations

import math
from dataclasses import dataclass

from symdiff.ir.errors import DTypeError
from symdiff.ir.node import Node
from symdiff.ir.primitive import cast
from symdiff.ops.elementwise import minimum, sqrt
from symdiff.optimize.objective import Objective, Point, dot
from symdiff.optimize.rule import FirstOrder, Move, Rule, State, check_setting
from symdiff.optimize.settings import Setting


@dataclass(frozen=True, slots=True)
class Clip(Rule):
    """The rule `rule` on gradients scaled to a norm of at most `max_norm`, over all unknowns together.

    Convergence is judged by the gradient itself. Method: `torch.nn.utils.clip_grad_norm_` (Pascanu et al. 2013).
    """

    on_batches = True
    rule: FirstOrder
    max_norm: Setting

    def __post_init__(self) -> None:
        """Raise DomainError for a bound that is not positive, DTypeError for a rule that reads more than gradients."""
        check_setting(self, "max_norm", self.max_norm, 0.0, math.inf)
        if not isinstance(self.rule, FirstOrder):
            raise DTypeError(f"Clip takes a rule such as SGD or Adam, which reads gradients only, got {self.rule!r}.")

    def init(self, objective: Objective, point: Point) -> State:
        """Return the state of the rule."""
        return self.rule.init(objective, point)

    def step(self, objective: Objective, point: Point, state: State, t: Node) -> Move:
        """Return the rule's step for the shortened gradient."""
        # The small number is PyTorch's; it keeps 0/0 out.
        factor = minimum(self.max_norm / (sqrt(dot(point.grad, point.grad)) + 1e-6), 1.0)
        short = tuple(g * cast(factor, g.dtype) for g in point.grad)
        return self.rule.step(objective, Point(point.x, point.loss, short, point.norm), state, t)
