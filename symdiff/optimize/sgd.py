"""Gradient descent with momentum."""

from __future__ import annotations

import math
from dataclasses import dataclass

from symdiff.ir.errors import DomainError
from symdiff.ir.node import Node
from symdiff.ir.primitive import cast
from symdiff.ops.elementwise import where
from symdiff.ops.index import zeros_like
from symdiff.optimize.rule import FirstOrder, State, check_setting, descent
from symdiff.optimize.schedules import Schedule, check_rate, rate
from symdiff.optimize.settings import Setting, is_used, like


@dataclass(frozen=True, slots=True)
class SGD(FirstOrder):
    """Descent with momentum, with the settings and formulas of `torch.optim.SGD`.

        b1 = momentum b + (1 - dampening) g        (b1 = g in the first step)
        w1 = w - lr b1,   or   w - lr (g + momentum b1)   with `nesterov`

    Method: Polyak 1964 (heavy ball); Nesterov 1983 in the form of Sutskever et al. 2013.
    """

    lr: Setting | Schedule = 1e-3
    momentum: Setting = 0.0
    dampening: Setting = 0.0
    weight_decay: Setting = 0.0
    nesterov: bool = False
    maximize: bool = False

    def __post_init__(self) -> None:
        """Raise DomainError for settings outside their range."""
        check_rate("SGD", self.lr)
        check_setting(self, "momentum", self.momentum, 0.0, math.inf, low_open=False)
        check_setting(self, "weight_decay", self.weight_decay, 0.0, math.inf, low_open=False)
        if self.nesterov and not (is_used(self.momentum) and not is_used(self.dampening)):
            raise DomainError("SGD: nesterov needs momentum > 0 and dampening = 0.")

    def start(self, w: Node) -> State:
        """Return a zero buffer, none without momentum."""
        return (zeros_like(w),) if is_used(self.momentum) else ()

    def update(self, w: Node, g: Node, s: State, t: Node) -> tuple[Node, State]:
        """Return w - lr * b1 and the new buffer b1."""
        g = descent(w, g, self.weight_decay, self.maximize)
        lr = cast(rate(self.lr, t), w.dtype)
        if not s:
            return w - lr * g, ()
        momentum = like(self.momentum, w)
        b = where(t > 1, momentum * s[0] + (1 - like(self.dampening, w)) * g, g)
        return w - lr * (g + momentum * b if self.nesterov else b), (b,)
