"""Adam: steps scaled by running moments of the gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass

from symdiff.ir.node import Node
from symdiff.ir.primitive import cast
from symdiff.ops.elementwise import sqrt
from symdiff.ops.index import zeros_like
from symdiff.optimize.rule import FirstOrder, State, check_setting


@dataclass(frozen=True, slots=True)
class Adam(FirstOrder):
    """Adam with the settings and formulas of `torch.optim.Adam`.

    The step size does not shrink by itself: expect `converged` only where the iterates settle below `tol`.

    Method: Kingma & Ba 2015, algorithm 1; `eps` is added after the bias correction, as there.
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def __post_init__(self) -> None:
        """Raise DomainError for settings outside their range."""
        check_setting(self, "lr", self.lr, 0.0, math.inf)
        check_setting(self, "betas[0]", self.betas[0], 0.0, 1.0, low_open=False)
        check_setting(self, "betas[1]", self.betas[1], 0.0, 1.0, low_open=False)
        check_setting(self, "eps", self.eps, 0.0, math.inf, low_open=False)

    def start(self, w: Node) -> State:
        """Return zero moments."""
        return zeros_like(w), zeros_like(w)

    def update(self, w: Node, g: Node, s: State, t: Node) -> tuple[Node, State]:
        """Return w - lr * m_hat / (sqrt(v_hat) + eps) and the new moments."""
        b1, b2 = self.betas
        m = b1 * s[0] + (1 - b1) * g
        v = b2 * s[1] + (1 - b2) * (g * g)
        m_hat = m / cast(1 - b1**t, w.dtype)
        v_hat = v / cast(1 - b2**t, w.dtype)
        return w - self.lr * m_hat / (sqrt(v_hat) + self.eps), (m, v)
