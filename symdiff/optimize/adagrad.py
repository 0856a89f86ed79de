"""Adagrad: steps scaled by all gradients so far."""

from __future__ import annotations

import math
from dataclasses import dataclass

from symdiff.ir.node import Node
from symdiff.ir.primitive import cast
from symdiff.ops.elementwise import sqrt
from symdiff.ops.index import zeros_like
from symdiff.optimize.rule import FirstOrder, State, check_setting, descent
from symdiff.optimize.schedules import Schedule, check_rate, rate
from symdiff.optimize.settings import Setting, like


@dataclass(frozen=True, slots=True)
class Adagrad(FirstOrder):
    """Adagrad with the settings and formulas of `torch.optim.Adagrad`.

    Method: Duchi, Hazan & Singer 2011, with a diagonal matrix. `lr_decay` divides the rate by 1 + lr_decay (t - 1).
    """

    lr: Setting | Schedule = 1e-2
    lr_decay: Setting = 0.0
    weight_decay: Setting = 0.0
    initial_accumulator_value: Setting = 0.0
    eps: Setting = 1e-10
    maximize: bool = False

    def __post_init__(self) -> None:
        """Raise DomainError for settings outside their range."""
        check_rate("Adagrad", self.lr)
        for name in ("lr_decay", "weight_decay", "initial_accumulator_value", "eps"):
            check_setting(self, name, getattr(self, name), 0.0, math.inf, low_open=False)

    def start(self, w: Node) -> State:
        """Return the first sum of squares."""
        return (zeros_like(w) + like(self.initial_accumulator_value, w),)

    def update(self, w: Node, g: Node, s: State, t: Node) -> tuple[Node, State]:
        """Return w - lr * g / (sqrt(total) + eps) and the new total of squares."""
        g = descent(w, g, self.weight_decay, self.maximize)
        lr = cast(rate(self.lr, t) / (1 + self.lr_decay * (t - 1)), w.dtype)
        total = s[0] + g * g
        return w - lr * g / (sqrt(total) + like(self.eps, w)), (total,)
