"""Principal component analysis."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from symdiff.front.arrays import concatenate, transpose
from symdiff.front.linalg import eigh, qr
from symdiff.front.literals import eye
from symdiff.front.symbols import matrix
from symdiff.ir.errors import DomainError, ShapeError
from symdiff.ir.node import Node
from symdiff.models.checks import check_choice, check_features, check_fitted
from symdiff.models.estimator import Transformer
from symdiff.ops.elementwise import maximum, sqrt


class PCA(Transformer):
    """Linear projection to the directions of largest variance, in scikit-learn's interface.

    The components are the right singular vectors of the centred samples, largest first; the entry of largest magnitude
    of each is positive, as in scikit-learn. `n_components` is their number, a part of the variance in (0, 1) that they
    exceed together, or None for all min(n, n_features). `whiten` divides each new feature by its standard deviation;
    one without variance stays 0. `svd_solver` "full" takes the singular vectors themselves, "covariance_eigh" the
    eigenvectors of the covariance: eight times less work, and half the digits of small variances; "auto" is the
    latter for at least ten samples a feature.

    After `fit`: `components_` (n_components_, n_features), `mean_`, `explained_variance_`,
    `explained_variance_ratio_`, `singular_values_`, `noise_variance_`, `n_components_`, `n_samples_`,
    `n_features_in_`.

    >>> import numpy as np
    >>> X = np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]])
    >>> model = PCA(n_components=1, target="reference").fit(X)
    >>> np.round(model.explained_variance_, 6).tolist(), np.round(model.components_[0] ** 2, 6).tolist()
    ([5.0], [0.2, 0.8])
    """

    components_: np.ndarray
    mean_: np.ndarray
    explained_variance_: np.ndarray
    explained_variance_ratio_: np.ndarray
    singular_values_: np.ndarray
    noise_variance_: float
    n_components_: int
    n_samples_: int

    def __init__(
        self,
        n_components: int | float | None = None,
        whiten: bool = False,
        svd_solver: str = "auto",
        target: str = "cpu",
    ) -> None:
        self.n_components = n_components
        self.whiten = whiten
        self.svd_solver = svd_solver
        self.target = target

    def fit(self, X: Any, y: Any = None) -> PCA:
        """Fit to samples X of shape (n, n_features), at least two; returns self.

        Raises: ShapeError, DTypeError, DomainError, naming what is wrong with the data or the settings.
        """
        check_choice(self, ("auto", "full", "covariance_eigh"), svd_solver=self.svd_solver)
        x = check_features(X, self)
        n, d = x.shape
        if n < 2:
            raise ShapeError("PCA: a variance needs at least two samples, got 1 sample (n_samples = 1).")
        self._check_number(min(n, d))
        mean = x.mean(axis=0)
        by_covariance = self.svd_solver == "covariance_eigh" or (self.svd_solver == "auto" and n >= 10 * d)
        kind = "covariance" if by_covariance else "tall" if n >= d else "wide"
        s, v = _axes(kind, self.target)(x - mean)
        k = min(n, d)
        # In ascending order, and rounding may leave a zero below 0.
        s, v = np.maximum(s[::-1][:k], 0.0), v[:, ::-1][:, :k]
        largest = v[np.abs(v).argmax(axis=0), np.arange(k)]
        v = v * np.where(largest < 0, -1.0, 1.0)
        variance = s**2 / (n - 1)
        ratio = variance / variance.sum() if variance.any() else np.zeros(k)
        m = self._number(ratio)
        self.n_features_in_, self.n_samples_, self.n_components_, self.mean_ = d, n, m, mean
        self.components_, self.singular_values_ = np.ascontiguousarray(v[:, :m].T), s[:m]
        self.explained_variance_, self.explained_variance_ratio_ = variance[:m], ratio[:m]
        self.noise_variance_ = float(variance[m:].mean()) if m < k else 0.0
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the samples' coordinates along the components, (n, n_components_)."""
        check_fitted(self)
        z = (check_features(X, self, self.n_features_in_) - self.mean_) @ self.components_.T
        spread = self._spread()
        return np.divide(z, spread, out=np.zeros_like(z), where=spread > 0) if self.whiten else z

    def inverse_transform(self, Z: Any) -> np.ndarray:
        """Return the samples that have the coordinates Z and lie in the span of the components."""
        check_fitted(self)
        z = np.asarray(Z, dtype=np.float64)
        if z.ndim != 2 or z.shape[1] != self.n_components_:
            raise ShapeError(f"PCA: Z has shape (samples, {self.n_components_}), got {z.shape}.")
        return (z * self._spread() if self.whiten else z) @ self.components_ + self.mean_

    def _spread(self) -> np.ndarray:
        """Return the standard deviations, 0 where they are rounding errors of zero."""
        s = self.singular_values_
        least = np.finfo(float).eps * max(self.n_samples_, self.n_features_in_) * s.max(initial=0.0)
        return np.where(s > least, np.sqrt(self.explained_variance_), 0.0)

    def _check_number(self, most: int) -> None:
        m = self.n_components
        whole = isinstance(m, (int, np.integer)) and not isinstance(m, bool) and 1 <= m <= most
        part = isinstance(m, (float, np.floating)) and 0 < m < 1
        if m is not None and not whole and not part:
            raise DomainError(
                f"PCA: n_components is an int from 1 to min(n_samples, n_features) = {most}, a float between 0 and 1 "
                f"or None, got {m!r}."
            )

    def _number(self, ratio: np.ndarray) -> int:
        m = self.n_components
        if m is None:
            return len(ratio)
        if isinstance(m, (int, np.integer)):
            return int(m)
        return min(int(np.searchsorted(np.cumsum(ratio), m, side="right")) + 1, len(ratio))


@functools.lru_cache(maxsize=8)
def _axes(kind: str, target: str) -> Any:
    """Compile X -> (singular values, right singular vectors as columns), both in ascending order."""
    from symdiff.compile import compile  # late: the compiler loads LLVM

    x = matrix("X", "n", "d")
    if kind == "covariance":
        squares, v = eigh(transpose(x) @ x)
        return compile([sqrt(maximum(squares, 0.0)), v], [x], target=target)
    if kind == "tall":
        _, r = qr(x)
        return compile(list(singular(r)), [x], target=target)
    q, r = qr(transpose(x))
    s, v = singular(transpose(r))
    return compile([s, q @ v], [x], target=target)


def singular(a: Node) -> tuple[Node, Node]:
    """Return the singular values of a square matrix, ascending, and orthonormal right singular vectors as columns.

    The symmetric matrix [0 a; a' 0] has the eigenvalues s and -s for vectors (u, v)/sqrt(2) and (u, -v)/sqrt(2), so no
    digits are lost as by the squares in a'a. For s = 0 the halves mix; the orthogonalisation, from the
    largest down, replaces those that are no vectors of their own.
    Method: Golub & Van Loan 2013, section 8.6.1.
    """
    d = a.shape[0]
    nothing = 0.0 * eye(d)
    both = concatenate([concatenate([nothing, a], 1), concatenate([transpose(a), nothing], 1)], 0)
    s, vectors = eigh(both)
    q, _ = qr(vectors[d:, d:][:, ::-1])
    return s[d:], q[:, ::-1]
