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


@dataclass(frozen=True, slots=True)
class RMSprop(FirstOrder):
    """RMSprop with the settings and formulas of `torch.optim.RMSprop`.

    `centered` divides by the standard deviation of the gradient instead of its root mean square.
    Method: Tieleman & Hinton 2012, lecture 6.5; centred as in Graves 2013, equations 38-45.
    """

    lr: float | Schedule = 1e-2
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0
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
        return (zeros_like(w),) * (1 + self.centered + (self.momentum > 0))

    def update(self, w: Node, g: Node, s: State, t: Node) -> tuple[Node, State]:
        """Return w - lr * g / (root of the mean square + eps), with momentum if asked."""
        g = descent(w, g, self.weight_decay, self.maximize)
        square = variance = self.alpha * s[0] + (1 - self.alpha) * (g * g)
        after = [square]
        if self.centered:
            mean = s[1] + (1 - self.alpha) * (g - s[1])
            variance = square - mean * mean
            after.append(mean)
        step = g / (sqrt(variance) + self.eps)
        if self.momentum:
            step = self.momentum * s[-1] + step
            after.append(step)
        return w - cast(rate(self.lr, t), w.dtype) * step, tuple(after)
