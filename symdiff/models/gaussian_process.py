"""Regression by a Gaussian process."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.front.arrays import expand_dims, sum, transpose
from symdiff.front.diagonals import diagonal
from symdiff.front.linalg import cholesky, triangular_solve
from symdiff.front.literals import eye
from symdiff.front.symbols import matrix, vector
from symdiff.ir.errors import DomainError
from symdiff.ir.node import Node, as_node
from symdiff.models.checks import (
    check_choice,
    check_count,
    check_features,
    check_fitted,
    check_numbers,
    check_positive,
    random_numbers,
)
from symdiff.models.estimator import Regressor
from symdiff.ops.elementwise import exp, log, maximum, sqrt, where
from symdiff.optimize import minimize

_TOL, _STEPS = 1e-6, 500  # of the search, on the gradient by the logarithms of the settings
_JITTER = 1e-10  # of the variance: keeps covariances of near points positive definite
# Where the settings are looked for: length scales in standard deviations of their feature, variances in that of y.
_LENGTHS, _VARIANCES, _NOISES = (1e-2, 1e2), (1e-3, 1e3), (1e-8, 1.0)


class GaussianProcessRegressor(Regressor):
    """Regression by a Gaussian process, whose settings maximise the marginal likelihood, found with exact gradients.

    y is its mean plus a process of covariance  a² k(r),  r² = sum_j ((x_j - z_j)/l_j)²,  plus independent noise of
    variance s². `kernel` is "matern52", (1 + t + t²/3) exp(-t) with t = sqrt(5) r, "matern32", (1 + t) exp(-t) with
    t = sqrt(3) r, or "rbf", exp(-r²/2). `noise` is the variance s², None to find it as well. The search begins at
    length scales of one standard deviation of each feature and, `n_restarts` times, at random.

    After `fit`: `length_scale_` (n_features,), `variance_` = a², `noise_` = s², `log_marginal_likelihood_` of y,
    `X_train_`, `n_features_in_`.
    Cost: n³ operations for a likelihood and its gradient. Method: Rasmussen & Williams 2006, algorithm 2.1 and (5.8).

    >>> X = np.linspace(0, 6, 9).reshape(-1, 1)
    >>> model = GaussianProcessRegressor(noise=1e-8, target="reference").fit(X, np.sin(X[:, 0]))
    >>> mean, std = model.predict([[1.6], [30.0]], return_std=True)
    >>> bool(abs(mean[0] - np.sin(1.6)) < 0.02), bool(std[0] < 0.02), bool(std[1] > 0.5)
    (True, True, True)
    """

    length_scale_: np.ndarray
    variance_: float
    noise_: float
    log_marginal_likelihood_: float
    X_train_: np.ndarray

    def __init__(
        self,
        kernel: str = "matern52",
        noise: float | None = None,
        n_restarts: int = 2,
        random_state: int = 0,
        target: str = "cpu",
    ) -> None:
        self.kernel = kernel
        self.noise = noise
        self.n_restarts = n_restarts
        self.random_state = random_state
        self.target = target

    def fit(self, X: Any, y: Any) -> GaussianProcessRegressor:
        """Fit to samples X of shape (n, n_features) and targets y of shape (n,); returns self.

        Raises: ShapeError, DTypeError, DomainError, naming what is wrong with the data.
        """
        check_choice(self, tuple(_KERNELS), kernel=self.kernel)
        check_count(self, least=0, n_restarts=self.n_restarts)
        if self.noise is not None:
            check_positive(self, noise=self.noise)
        x = check_features(X, self)
        targets = check_numbers(y, len(x), self)
        rng = random_numbers(self, self.random_state)
        mean, unit = float(targets.mean()), float(targets.std()) or 1.0
        z = (targets - mean) / unit
        low, high = self._limits(x, unit)
        starts = [(low + high) / 2, *rng.uniform(low, high, (self.n_restarts, len(low)))]
        found = [self._maximise(start, x, z, low, high) for start in starts]
        best = min(found, key=lambda res: res.fun if np.isfinite(res.fun) else math.inf)
        if not np.isfinite(best.fun):
            raise DomainError(
                f"GaussianProcessRegressor: no covariance of these samples is positive definite: {best.message}"
            )
        theta = np.exp(best.x[_THETA])
        self.length_scale_, self.variance_, self.noise_ = theta[:-2], theta[-2] * unit**2, theta[-1] * unit**2
        # y has the density of z, divided by the unit for each sample.
        self.log_marginal_likelihood_ = -best.fun - len(z) * math.log(unit)
        self._fitted = (x, z, best.x[_THETA])
        self._mean, self._unit, self.X_train_, self.n_features_in_ = mean, unit, x, x.shape[1]
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Return the means of the process at samples, (n,), with their standard deviations if asked for.

        The deviations are those of the process, without the noise of a measurement.
        """
        check_fitted(self)
        x = check_features(X, self, self.n_features_in_)
        mean, variance = _compiled_posterior(self.kernel, self.target)(x, *self._fitted)
        mean = self._mean + self._unit * mean
        return (mean, self._unit * np.sqrt(variance)) if return_std else mean

    def _limits(self, x: np.ndarray, unit: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of the logarithms of length scales, variance and noise, for targets of deviation 1."""
        # A constant feature has no spread to measure by.
        spread = np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0)
        noise = _NOISES if self.noise is None else (self.noise / unit**2,) * 2
        ends = [np.append(spread * _LENGTHS[k], [_VARIANCES[k], noise[k]]) for k in (0, 1)]
        return np.log(ends[0]), np.log(ends[1])

    def _maximise(self, start: np.ndarray, x: np.ndarray, z: np.ndarray, low: np.ndarray, high: np.ndarray) -> Any:
        loss = negative_log_likelihood(self.kernel, _X, _Z, _THETA)
        return minimize(
            loss,
            {_THETA: start},
            {_X: x, _Z: z},
            "lbfgs-b",
            tol=_TOL,
            max_steps=_STEPS,
            bounds={_THETA: (low, high)},
            target=self.target,
        )


_X, _Z, _NEW = matrix("X", "n", "d"), vector("z", "n"), matrix("new", "m", "d")
_THETA = vector("theta", _X.shape[1] + 2)


def covariance(kernel: str, X: Node, Z: Node, theta: Node) -> Node:
    """Return the covariances of the process at the rows of X and of Z, for theta = log(l_1, …, l_d, a², s²)."""
    d = X.shape[1]
    scale = exp(theta[:d])
    apart = (expand_dims(X, 1) - expand_dims(Z, 0)) / scale
    squares = sum(apart**2, axis=2)
    return exp(theta[d]) * _KERNELS[kernel](squares)


def _matern(nu: float, squares: Node) -> Node:
    t = sqrt(2 * nu) * where(squares > 0, sqrt(squares), 0.0)
    return (1 + t + (t**2 / 3 if nu == 2.5 else 0.0)) * exp(-t)


_KERNELS: dict[str, Callable[[Node], Node]] = {
    "matern52": functools.partial(_matern, 2.5),
    "matern32": functools.partial(_matern, 1.5),
    "rbf": lambda squares: exp(-squares / 2),
}


def _factor(kernel: str, X: Node, theta: Node) -> Node:
    d = X.shape[1]
    noise = exp(theta[d + 1]) + _JITTER * exp(theta[d])
    return cholesky(covariance(kernel, X, X, theta) + noise * eye(X.shape[0]))


def negative_log_likelihood(kernel: str, X: Node, z: Node, theta: Node) -> Node:
    """Return -log p(z) for targets z of mean 0 (Rasmussen & Williams 2006, 5.8)."""
    factor = _factor(kernel, X, theta)
    half = triangular_solve(factor, z)
    n = as_node(X.shape[0])
    return sum(half**2) / 2 + sum(log(diagonal(factor))) + n * (math.log(2 * math.pi) / 2)


def posterior(kernel: str, new: Node, X: Node, z: Node, theta: Node) -> tuple[Node, Node]:
    """Return means and variances of the process at the rows of `new` (Rasmussen & Williams 2006, algorithm 2.1)."""
    factor = _factor(kernel, X, theta)
    across = triangular_solve(factor, covariance(kernel, X, new, theta))
    mean = transpose(across) @ triangular_solve(factor, z)
    # What remains of the variance is a difference: rounding may take it below 0.
    return mean, maximum(exp(theta[X.shape[1]]) - sum(across**2, axis=0), 0.0)


@functools.lru_cache(maxsize=8)
def _compiled_posterior(kernel: str, target: str) -> Any:
    from symdiff.compile import compile  # late: the compiler loads LLVM

    return compile(list(posterior(kernel, _NEW, _X, _Z, _THETA)), [_NEW, _X, _Z, _THETA], target=target)
