"""What the linear models of regression share: centring, the intercept, and running `minimize`."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from symdiff.front.symbols import array
from symdiff.ir.node import Node
from symdiff.models.checks import check_features, check_fitted, check_numbers, check_weights
from symdiff.models.design import Design, centred
from symdiff.models.estimator import Estimator, Regressor
from symdiff.ops.reduce import sum_
from symdiff.optimize import OptimizeResult, minimize

W, T, SHARE = array("w", "d"), array("t", "n"), array("share", "n")


class LinearRegressor(Regressor):
    """Predicts X w + b.

    The intercept b is not penalised, so the best one for any w makes the (weighted) mean of the residuals 0: it is
    gone when X and y are centred, and follows from w.
    """

    takes_sparse: ClassVar[bool] = True

    coef_: np.ndarray
    intercept_: float
    n_iter_: int
    fit_intercept: bool

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LinearRegressor:
        """Fit to samples X of shape (n, n_features), dense or sparse, and numbers y of shape (n,); returns self.

        Raises: ShapeError, DTypeError, DomainError, naming what is wrong with the data.
        """
        x = check_features(X, self)
        n = x.shape[0]
        y = check_numbers(y, n, self)
        share = check_weights(sample_weight, n, self)
        total = share.sum()
        share = share / total
        x_mean, y_mean = (x.T @ share, share @ y) if self.fit_intercept else (np.zeros(x.shape[1]), 0.0)
        samples = centred(x, x_mean) if self.fit_intercept else Design(x)
        self.coef_ = self._weights(samples, y - y_mean, share, total)
        self.intercept_ = float(y_mean - x_mean @ self.coef_)
        self.n_features_in_ = x.shape[1]
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return X w + b, (n,)."""
        check_fitted(self)
        return check_features(X, self, self.n_features_in_) @ self.coef_ + self.intercept_

    @abstractmethod
    def _weights(self, samples: Design, y: np.ndarray, share: np.ndarray, total: float) -> np.ndarray:
        """Return w for centred samples and targets; the sample weights are total * share, and share adds up to 1."""


def half_squares(samples: Design) -> Node:
    """Return sum_i share_i (t_i - x_i'w)**2 / 2, an expression of `W`, `T`, `SHARE` and the samples' data."""
    return 0.5 * sum_(SHARE * (T - samples.times(W)) ** 2, axes=(0,))


def minimised(who: Estimator, loss: Node, start: dict[Node, Any], data: dict[Node, Any], **run: Any) -> OptimizeResult:
    """Run `minimize` and warn where it does not converge, as scikit-learn's estimators do."""
    res = minimize(loss, start, data, **run)
    if not res.converged:
        warnings.warn(f"{type(who).__name__}: {res.message}", RuntimeWarning, stacklevel=4)
    return res


__all__ = ["SHARE", "LinearRegressor", "T", "W", "half_squares", "minimised"]
