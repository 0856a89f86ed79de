"""Random projections, which keep the distances between samples by the lemma of Johnson & Lindenstrauss."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from symdiff.ir.errors import DomainError
from symdiff.models.checks import check_count, check_features, check_fitted, random_numbers
from symdiff.models.estimator import Transformer


def johnson_lindenstrauss_min_dim(n_samples: int, eps: float = 0.1) -> int:
    """Return a dimension 4 log(n) / (eps²/2 - eps³/3) to which n points can be projected with distances kept.

    Every squared distance then changes by a factor between 1 - eps and 1 + eps, whatever the dimension of the points.
    Raises: DomainError. Method: Dasgupta & Gupta 2003, theorem 2.1.

    >>> johnson_lindenstrauss_min_dim(1000, eps=0.5)
    331
    """
    if isinstance(n_samples, bool) or not isinstance(n_samples, (int, np.integer)) or n_samples < 1:
        raise DomainError(f"johnson_lindenstrauss_min_dim: n_samples is an int >= 1, got {n_samples!r}.")
    if not isinstance(eps, (float, np.floating)) or not 0 < eps < 1:
        raise DomainError(f"johnson_lindenstrauss_min_dim: eps lies between 0 and 1, got {eps!r}.")
    return int(4 * math.log(n_samples) / (eps**2 / 2 - eps**3 / 3))


class GaussianRandomProjection(Transformer):
    """Project samples to `n_components` dimensions by a matrix of normal random numbers of variance 1/n_components.

    "auto" takes `johnson_lindenstrauss_min_dim(n_samples, eps)`. The interface is scikit-learn's.
    After `fit`: `components_` (n_components_, n_features), `n_components_`, `n_features_in_`.

    >>> X = np.random.default_rng(2).normal(size=(20, 1000))
    >>> Z = GaussianRandomProjection(eps=0.5).fit_transform(X)
    >>> Z.shape, bool(0.5 < np.sum((Z[0] - Z[1]) ** 2) / np.sum((X[0] - X[1]) ** 2) < 1.5)
    ((20, 143), True)
    """

    components_: np.ndarray
    n_components_: int

    def __init__(self, n_components: int | str = "auto", eps: float = 0.1, random_state: int = 0) -> None:
        self.n_components = n_components
        self.eps = eps
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> GaussianRandomProjection:
        """Draw the matrix for samples of shape (n, n_features); returns self.

        Raises: ShapeError, DTypeError, DomainError: "auto" may ask for more dimensions than there are.
        """
        x = check_features(X, self)
        if self.n_components == "auto":
            m = johnson_lindenstrauss_min_dim(len(x), self.eps)
            if not 1 <= m <= x.shape[1]:
                raise DomainError(
                    f"GaussianRandomProjection: eps={self.eps} and {len(x)} samples ask for {m} dimensions, the "
                    f"samples have {x.shape[1]}. Use a larger eps, or give n_components."
                )
        else:
            check_count(self, n_components=self.n_components)
            m = int(self.n_components)
        rng = random_numbers(self, self.random_state)
        self.components_ = rng.standard_normal((m, x.shape[1])) / math.sqrt(m)
        self.n_components_, self.n_features_in_ = m, x.shape[1]
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the projected samples, (n, n_components_)."""
        check_fitted(self)
        return np.asarray(check_features(X, self, self.n_features_in_) @ self.components_.T)
