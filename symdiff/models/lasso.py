"""Least squares with an L1 penalty, which makes coefficients exactly zero."""

from __future__ import annotations

from typing import Any

import numpy as np

from symdiff.front.symbols import array
from symdiff.models.checks import check_choice, check_positive
from symdiff.models.design import Design
from symdiff.models.linear import SHARE, LinearRegressor, T, W, half_squares, minimised
from symdiff.optimize import FISTA, CoordinateDescent, OptimizeResult

_SCALE, _GRAM, _RIGHT, _AT_ZERO = array("c", ()), array("gram", ("d", "d")), array("right", "d"), array("f0", ())
_MANY = 2000  # features, whose X'X takes 32 MB


class Lasso(LinearRegressor):
    """Least squares with an L1 penalty, sum_i s_i (y_i - x_i'w - b)²/(2 S) + alpha |w|_1, S = sum_i s_i.

    In scikit-learn's interface and scaling; the intercept is not penalised. `solver` is "coordinate", coordinate
    descent on X'X, which has n_features² numbers however sparse X is, or "fista", the accelerated proximal gradient,
    with products X v and X'r only; "auto" is "coordinate" for up to 2000 features.

    What is minimised is the objective divided by alpha. `tol` is on the largest entry of w - prox(w - g), g the
    gradient of its smooth part: where a coefficient is not 0, alpha * tol bounds the gradient of the objective.

    After `fit`: `coef_` (n_features,), `intercept_`, `n_iter_`, `n_features_in_` and `result_`, the `OptimizeResult`.

    >>> model = Lasso(alpha=1.0, target="reference").fit([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0]], [1.0, 3.0, 5.0])
    >>> model.coef_.round(9)
    array([0.5, 0. ])
    """

    result_: OptimizeResult

    def __init__(
        self,
        alpha: float = 1.0,
        fit_intercept: bool = True,
        solver: str = "auto",
        tol: float = 1e-10,
        max_iter: int = 100_000,
        target: str = "cpu",
    ) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.target = target

    def _weights(self, samples: Design, y: np.ndarray, share: np.ndarray, total: float) -> np.ndarray:
        check_positive(self, alpha=self.alpha)
        check_choice(self, ("auto", "coordinate", "fista"), solver=self.solver)
        by_coordinates = self.solver == "coordinate" or (self.solver == "auto" and samples.x.shape[1] <= _MANY)
        # 1/alpha times the objective: alpha is data, so that another alpha needs no other code.
        data: dict[Any, Any] = {_SCALE: 1 / self.alpha}
        if by_coordinates:
            gram, right = samples.products(share, y)
            loss = _SCALE * (0.5 * (W @ (_GRAM @ W)) - _RIGHT @ W + _AT_ZERO)
            data |= {_GRAM: gram, _RIGHT: right, _AT_ZERO: 0.5 * (share @ y**2)}
        else:
            loss = _SCALE * half_squares(samples)
            data |= {**samples.data, T: y, SHARE: share}
        rule = CoordinateDescent(l1=1.0) if by_coordinates else FISTA(l1=1.0)
        run = {"method": rule, "tol": self.tol, "max_steps": self.max_iter, "target": self.target}
        self.result_ = minimised(self, loss, {W: np.zeros(samples.x.shape[1])}, data, **run)
        self.n_iter_ = max(1, self.result_.steps)  # scikit-learn's counts start at 1
        return self.result_.x[W]


__all__ = ["Lasso"]
