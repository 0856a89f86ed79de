"""The conventions of scikit-learn's estimators, without scikit-learn: settings, input checks."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from symdiff.ir.errors import DomainError, DTypeError, ShapeError, SymdiffError


class Estimator(ABC):
    """A model with settings given to `__init__` by name and kept under that name.

    What `fit` finds has names that end in an underscore.
    """

    n_features_in_: int

    @abstractmethod
    def fit(self, X: Any, y: Any) -> Estimator:
        """Fit to the rows of X and the targets y; returns self."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the settings by name."""
        return {name: getattr(self, name) for name in _settings(self)}

    def set_params(self, **params: Any) -> Estimator:
        """Change settings; returns self. Raises DomainError for a name that is none."""
        known = _settings(self)
        for name in params:
            if name not in known:
                raise DomainError(
                    f"{type(self).__name__} has no setting {name!r}; its settings are {', '.join(known)}."
                )
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """Return the constructor call with the settings that differ from the defaults."""
        changed = [f"{k}={getattr(self, k)!r}" for k, default in _settings(self).items() if getattr(self, k) != default]
        return f"{type(self).__name__}({', '.join(changed)})"


def _settings(estimator: Estimator) -> dict[str, Any]:
    return {p.name: p.default for p in inspect.signature(type(estimator)).parameters.values()}


def check_features(X: Any, who: Estimator, n_features: int | None = None) -> np.ndarray:
    """Return X as a float64 matrix of finite numbers. Raises ShapeError, DTypeError, DomainError."""
    name = type(who).__name__
    if hasattr(X, "toarray"):
        raise DTypeError(f"{name}: X is a sparse matrix, which is not supported yet; pass X.toarray().")
    x = _as_floats(X, f"{name}: X")
    if x.ndim != 2:
        raise ShapeError(
            f"{name}: X has shape (samples, features), got shape {x.shape}. "
            "Use X.reshape(-1, 1) for one feature, X.reshape(1, -1) for one sample."
        )
    if not x.shape[0] or not x.shape[1]:
        raise ShapeError(f"{name}: X needs at least one sample and one feature, got shape {x.shape}.")
    if n_features is not None and x.shape[1] != n_features:
        raise ShapeError(f"{name}: X has {x.shape[1]} features, but the model was fitted with {n_features}.")
    _check_finite(x, f"{name}: X")
    return x


def check_labels(y: Any, n_samples: int, who: Estimator) -> np.ndarray:
    """Return y as a vector with one label a sample. Raises ShapeError, DomainError."""
    name, labels = type(who).__name__, np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ShapeError(f"{name}: y has shape (samples,), got shape {labels.shape}.")
    if len(labels) != n_samples:
        raise ShapeError(f"{name}: X has {n_samples} samples and y has {len(labels)}; each sample needs one label.")
    if labels.dtype.kind == "f":
        _check_finite(labels, f"{name}: y")
        if (labels != np.round(labels)).any():
            raise DomainError(f"{name}: y holds class labels, got the fractional value {labels[labels % 1 != 0][0]}.")
    return labels


def check_weights(weights: Any, n_samples: int, who: Estimator) -> np.ndarray:
    """Return sample weights (ones for None), non-negative and not all zero. Raises ShapeError, DomainError."""
    if weights is None:
        return np.ones(n_samples)
    name = type(who).__name__
    w = _as_floats(weights, f"{name}: sample_weight")
    if w.shape != (n_samples,):
        raise ShapeError(f"{name}: sample_weight has shape ({n_samples},), one for each sample, got {w.shape}.")
    _check_finite(w, f"{name}: sample_weight")
    if (w < 0).any() or not w.any():
        raise DomainError(f"{name}: sample_weight holds numbers >= 0, not all of them 0.")
    return w


def check_fitted(who: Estimator) -> None:
    """Raise SymdiffError unless `fit` has run."""
    if not hasattr(who, "n_features_in_"):
        raise SymdiffError(f"This {type(who).__name__} is not fitted yet; call fit(X, y) first.")


def _as_floats(value: Any, what: str) -> np.ndarray:
    try:
        array = np.asarray(value)
        if array.dtype.kind == "c":
            raise TypeError("complex numbers")
        return np.ascontiguousarray(array, dtype=np.float64) if array.ndim else np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DTypeError(f"{what} holds real numbers of equal rows: {error}.") from None


def _check_finite(array: np.ndarray, what: str) -> None:
    bad = ~np.isfinite(array)
    if bad.any():
        index = tuple(int(k) for k in np.argwhere(bad)[0])
        raise DomainError(f"{what} holds {array[index]} at {list(index)}; remove or fill in such entries.")
