"""Adam and AdamW: steps scaled by running moments of the gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass

from symdiff.ir.errors import DomainError
from symdiff.ir.node import Node
from symdiff.ir.primitive import cast
from symdiff.ops.elementwise import maximum, sqrt
from symdiff.ops.index import zeros_like
from symdiff.optimize.rule import FirstOrder, State, check_setting, descent
from symdiff.optimize.schedules import Schedule, check_rate, rate
from symdiff.optimize.settings import Setting, like


@dataclass(frozen=True, slots=True)
class Adam(FirstOrder):
    """Adam with the settings and formulas of `torch.optim.Adam`.

    The step size does not shrink by itself: expect `converged` only where the iterates settle below `tol`.
    `weight_decay` adds that times w to the gradient; `amsgrad` divides by the largest second moment so far.

    Method: Kingma & Ba 2015, algorithm 1; `eps` is added after the bias correction, as there. AMSGrad: Reddi, Kale &
    Kumar 2018, algorithm 2.
    """

    lr: Setting | Schedule = 1e-3
    betas: tuple[Setting, Setting] = (0.9, 0.999)
    eps: Setting = 1e-8
    weight_decay: Setting = 0.0
    amsgrad: bool = False
    maximize: bool = False

    def __post_init__(self) -> None:
        """Raise DomainError for settings outside their range."""
        check_rate(type(self).__name__, self.lr)
        if not isinstance(self.betas, (tuple, list)) or len(self.betas) != 2:
            raise DomainError(f"{type(self).__name__}: betas is a pair such as (0.9, 0.999), got {self.betas!r}.")
        check_setting(self, "betas[0]", self.betas[0], 0.0, 1.0, low_open=False)
        check_setting(self, "betas[1]", self.betas[1], 0.0, 1.0, low_open=False)
        check_setting(self, "eps", self.eps, 0.0, math.inf, low_open=False)
        check_setting(self, "weight_decay", self.weight_decay, 0.0, math.inf, low_open=False)

    def start(self, w: Node) -> State:
        """Return zero moments, and their maximum where it is used."""
        return (zeros_like(w),) * (3 if self.amsgrad else 2)

    def update(self, w: Node, g: Node, s: State, t: Node) -> tuple[Node, State]:
        """Return w - lr * m_hat / (sqrt(v_hat) + eps) and the new moments."""
        return self._moved(w, descent(w, g, self.weight_decay, self.maximize), s, t)

    def _moved(self, w: Node, g: Node, s: State, t: Node) -> tuple[Node, State]:
        b1, b2 = self.betas
        m = like(b1, w) * s[0] + (1 - like(b1, w)) * g
        v = like(b2, w) * s[1] + (1 - like(b2, w)) * (g * g)
        largest = maximum(s[2], v) if self.amsgrad else v
        m_hat = m / cast(1 - b1**t, w.dtype)
        v_hat = largest / cast(1 - b2**t, w.dtype)
        after = w - cast(rate(self.lr, t), w.dtype) * m_hat / (sqrt(v_hat) + like(self.eps, w))
        return after, (m, v, largest)[: len(s)]


@dataclass(frozen=True, slots=True)
class AdamW(Adam):
    """Adam whose `weight_decay` shrinks w itself, by the factor 1 - lr * weight_decay, as `torch.optim.AdamW`.

    Method: Loshchilov & Hutter 2019, algorithm 2.
    """

    weight_decay: Setting = 1e-2

    def update(self, w: Node, g: Node, s: State, t: Node) -> tuple[Node, State]:
        """Return Adam's step from the shrunk w, and the new moments."""
        shrunk = w * cast(1 - rate(self.lr, t) * self.weight_decay, w.dtype)
        return self._moved(shrunk, descent(w, g, 0.0, self.maximize), s, t)
