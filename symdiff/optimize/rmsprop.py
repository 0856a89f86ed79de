"""RMSprop: steps scaled by the recent size of the gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass

from symdiff.ir.node import Node
from symdiff.ir.primitive import cast
from symdiff.ops.elementwise import sqrt
from symdiff.ops.index import zeros_like
from symdiff.optimize.rule import FirstOrder, State, check_setting, descent
from symdiff.optimize.schedules import Schedule, check_rate, rate
from symdiff.optimize.settings import Setting, is_used, like


@dataclass(frozen=True, slots=True)
class RMSprop(FirstOrder):
    """RMSprop with the settings and formulas of `torch.optim.RMSprop`.

    `centered` divides by the standard deviation of the gradient instead of its root mean square.
    Method: Tieleman & Hinton 2012, lecture 6.5; centred as in Graves 2013, equations 38-45.
    """

    lr: Setting | Schedule = 1e-2
    alpha: Setting = 0.99
    eps: Setting = 1e-8
    weight_decay: Setting = 0.0
    momentum: Setting = 0.0
    centered: bool = False
    maximize: bool = False

    def __post_init__(self) -> None:
        """Raise DomainError for settings outside their range."""
        check_rate("RMSprop", self.lr)
        check_setting(self, "alpha", self.alpha, 0.0, 1.0, low_open=False)
        for name in ("eps", "weight_decay", "momentum"):
            check_setting(self, name, getattr(self, name), 0.0, math.inf, low_open=False)

    def start(self, w: Node) -> State:
        """Return zeros for the mean square, and the mean and the buffer where they are used."""
        return (zeros_like(w),) * (1 + self.centered + is_used(self.momentum))

    def update(self, w: Node, g: Node, s: State, t: Node) -> tuple[Node, State]:
        """Return w - lr * g / (root of the mean square + eps), with momentum if asked."""
        g = descent(w, g, self.weight_decay, self.maximize)
        alpha = like(self.alpha, w)
        square = variance = alpha * s[0] + (1 - alpha) * (g * g)
        after = [square]
        if self.centered:
            mean = s[1] + (1 - alpha) * (g - s[1])
            variance = square - mean * mean
            after.append(mean)
        step = g / (sqrt(variance) + like(self.eps, w))
        if is_used(self.momentum):
            step = like(self.momentum, w) * s[-1] + step
            after.append(step)
        return w - cast(rate(self.lr, t), w.dtype) * step, tuple(after)
