"""The linear support vector machine as an optimisation problem: its primal and dual, and what lies between them.

With the rows a_i = y_i z_i of A, z_i a sample with its constant for the intercept, and penalties r >= 0 of the weights

    primal   minimise  r·w²/2 + sum_i c_i loss(1 - a_i·w),   loss(t) = max(0, t) or max(0, t)²
    dual     maximise  sum alpha - |A' alpha|²/2 - sum_i delta_i alpha_i²/2,   0 <= alpha_i <= high_i

with high = c, delta = 0 for the hinge and high = inf, delta = 1/(2c) for its square. The hard margin has neither:
minimise r·w²/2 where every a_i·w >= 1. A weight that has no penalty asks (A' alpha)_k = 0 in the dual.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Machine:
    """A problem. `rows` are the a_i, `penalty` is r, `bound` c; `loss` is "hinge", "squared_hinge" or "hard"."""

    rows: np.ndarray
    penalty: np.ndarray
    bound: np.ndarray
    loss: str

    @property
    def high(self) -> np.ndarray:
        """The bounds of the multipliers."""
        return self.bound if self.loss == "hinge" else np.full(len(self.rows), math.inf)

    @property
    def delta(self) -> np.ndarray:
        """The curvature that the squared hinge adds to the dual."""
        return 0.5 / self.bound if self.loss == "squared_hinge" else np.zeros(len(self.rows))

    @property
    def radius(self) -> float:
        """The largest length of a row: no margin is larger."""
        return float(np.sqrt((self.rows**2).sum(axis=1).max()))

    def weights(self, alpha: np.ndarray) -> np.ndarray:
        """Return the weights that belong to multipliers; 0 for a weight without penalty, which they do not tell."""
        return np.divide(alpha @ self.rows, self.penalty, out=np.zeros(len(self.penalty)), where=self.penalty > 0)

    def judge(self, w: np.ndarray, alpha: np.ndarray, steps: int = 0) -> Fit:
        """Return the values of the primal at w and of the dual at alpha, of the hard margin at multiples of them."""
        alpha = self._balanced(alpha)
        total, scores = float(alpha.sum()), self.rows @ w
        square, pull = (float(self.penalty @ v**2) for v in (w, self.weights(alpha)))
        free = self.penalty == 0
        left = np.abs(alpha @ self.rows[:, free])
        # Where the multipliers could not be balanced they are no point of the dual, which then bounds nothing.
        is_dual = bool((left <= 1e-12 * (alpha @ np.abs(self.rows[:, free]))).all())
        if self.loss != "hard":
            missing = np.maximum(1 - scores, 0)
            primal = square / 2 + float(self.bound @ (missing if self.loss == "hinge" else missing**2))
            dual = total - pull / 2 - float(self.delta @ alpha**2) / 2 - float(left @ np.abs(w[free]))
            return Fit(w, alpha, primal, dual if is_dual else -math.inf, steps)
        least = float(scores.min())
        dual = total**2 / pull / 2 if pull > 0 else math.inf if total > 0 else 0.0
        dual = dual if is_dual else 0.0
        if least <= 0:
            return Fit(w, alpha, math.inf, dual, steps)
        return Fit(w / least, alpha, square / least**2 / 2, dual, steps)

    def _balanced(self, alpha: np.ndarray) -> np.ndarray:
        """Return multipliers that fulfil the equation of a weight without penalty: each gives of the room it has."""
        room = np.minimum(alpha, self.high - alpha)
        for column in self.rows[:, self.penalty == 0].T:
            size = float(room @ column**2)
            if size > 0:
                # At most the whole room: alpha stays within its bounds.
                share = np.clip((alpha @ column) / size * column, -1, 1)
                alpha = alpha - share * room
        return alpha


@dataclass(frozen=True, slots=True)
class Fit:
    """Weights and multipliers, and the values between which the optimum lies."""

    w: np.ndarray
    alpha: np.ndarray
    primal: float
    dual: float
    steps: int
    unfit: str = ""  # why there is no better one

    @property
    def gap(self) -> float:
        """The duality gap; infinite where the primal is."""
        return self.primal - self.dual if math.isfinite(self.primal) else math.inf

    def is_good(self, tol: float) -> bool:
        """Whether the objective is within the part `tol` of its optimum."""
        return self.gap <= tol * self.primal < math.inf
