"""Random Fourier features: samples whose inner products are nearly those of a kernel."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from symdiff.front.symbols import matrix, vector
from symdiff.ir.node import Node, as_node
from symdiff.models.checks import (
    check_choice,
    check_count,
    check_features,
    check_fitted,
    random_numbers,
)
from symdiff.models.estimator import Transformer
from symdiff.models.gram import read_gamma
from symdiff.ops.elementwise import cos, sqrt


class RandomFourierFeatures(Transformer):
    """Map samples to features phi(x) with phi(x)·phi(z) close to a kernel of x - z.

    A linear model of these features is a kernel method whose cost grows with the number of samples, not its square.
    phi(x) = sqrt(2/D) cos(W'x + b) with D = `n_components` frequencies W drawn from the kernel's Fourier transform
    and phases b from [0, 2 pi): normal ones for kernel="rbf" ("gaussian"), which is exp(-gamma |x - z|²), Cauchy's
    for "laplacian", exp(-gamma |x - z|₁). The error of a kernel value is of the order 1/sqrt(D). `gamma` is a number,
    "scale" for 1 / (n_features var(X)) or "auto" for 1 / n_features. Scikit-learn's RBFSampler is the first of these.

    After `fit`: `random_weights_` (n_features, D), `random_offset_` (D,), `n_features_in_`.
    Method: Rahimi & Recht 2007, algorithm 1.

    >>> X = [[0.0, 1.0], [0.5, 0.5]]
    >>> phi = RandomFourierFeatures(gamma=1.0, n_components=20_000, target="reference").fit_transform(X)
    >>> bool(abs(phi[0] @ phi[1] - np.exp(-0.5)) < 0.02)
    True
    """

    random_weights_: np.ndarray
    random_offset_: np.ndarray

    def __init__(
        self,
        kernel: str = "rbf",
        gamma: float | str = 1.0,
        n_components: int = 100,
        random_state: int = 0,
        target: str = "cpu",
    ) -> None:
        self.kernel = kernel
        self.gamma = gamma
        self.n_components = n_components
        self.random_state = random_state
        self.target = target

    def fit(self, X: Any, y: Any = None) -> RandomFourierFeatures:
        """Draw the frequencies for samples of shape (n, n_features); returns self.

        Raises: ShapeError, DTypeError, DomainError, naming what is wrong with the data or the settings.
        """
        check_choice(self, ("rbf", "gaussian", "laplacian"), kernel=self.kernel)
        check_count(self, n_components=self.n_components)
        x = check_features(X, self)
        gamma = read_gamma(self, x, np.ones(len(x)))
        rng = random_numbers(self, self.random_state)
        shape = (x.shape[1], self.n_components)
        if self.kernel == "laplacian":
            self.random_weights_ = gamma * rng.standard_cauchy(shape)
        else:
            self.random_weights_ = math.sqrt(2 * gamma) * rng.standard_normal(shape)
        self.random_offset_ = rng.uniform(0, 2 * math.pi, self.n_components)
        self.n_features_in_ = x.shape[1]
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the features of samples, (n, n_components)."""
        check_fitted(self)
        x = check_features(X, self, self.n_features_in_)
        return np.asarray(_compiled(self.target)(x, self.random_weights_, self.random_offset_))


def fourier_features(X: Any, W: Any, b: Any) -> Node:
    """Return sqrt(2/D) cos(X W + b) for samples X (n, d), frequencies W (d, D) and phases b (D,)."""
    w = as_node(W)
    return sqrt(2.0 / as_node(w.shape[1])) * cos(as_node(X) @ w + b)


@functools.lru_cache(maxsize=4)
def _compiled(target: str) -> Any:
    from symdiff.compile import compile  # late: the compiler loads LLVM

    x, w, b = matrix("X", "n", "d"), matrix("W", "d", "D"), vector("b", "D")
    return compile(fourier_features(x, w, b), [x, w, b], target=target)
