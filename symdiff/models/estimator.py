"""The conventions of scikit-learn's estimators, without scikit-learn: settings, scores, what kind of model it is."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from symdiff.ir.errors import DomainError
from symdiff.models.checks import check_targets, check_weights


class Estimator(ABC):
    """A model with settings given to `__init__` by name and kept there unchanged under that name; `fit` checks them.

    What `fit` finds has names that end in an underscore; `n_features_in_` is always among them. The class variables
    tell scikit-learn (`__sklearn_tags__`) and `check_features` what a model is.
    """

    kind: ClassVar[str | None] = None  # "classifier", "regressor", "transformer"
    takes_sparse: ClassVar[bool] = False  # SciPy's sparse matrices as X

    n_features_in_: int

    @abstractmethod
    def fit(self, X: Any, y: Any) -> Estimator:
        """Fit to the rows of X and the targets y; returns self."""

    @property
    def is_pairwise(self) -> bool:
        """Whether X holds numbers for pairs of samples (a kernel matrix), not features."""
        return False

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the settings by name; `deep` adds those of settings that are estimators, as name__setting."""
        own = {name: getattr(self, name) for name in _settings(self)}
        if not deep:
            return own
        inner = {name: value.get_params() for name, value in own.items() if isinstance(value, Estimator)}
        return own | {f"{name}__{key}": value for name, found in inner.items() for key, value in found.items()}

    def set_params(self, **params: Any) -> Estimator:
        """Change settings; returns self. Raises DomainError for a name that is none, and changes nothing then."""
        known = self.get_params()
        for name in params:
            if name not in known:
                raise DomainError(
                    f"{type(self).__name__} has no setting {name!r}; its settings are {', '.join(known)}."
                )
        # Own settings first: name__setting belongs to the new estimator if both are given.
        for name in sorted(params, key=lambda name: "__" in name):
            owner, _, inner = name.partition("__")
            if inner:
                getattr(self, owner).set_params(**{inner: params[name]})
            else:
                setattr(self, name, params[name])
        return self

    def __repr__(self) -> str:
        """Return the constructor call with the settings that differ from the defaults."""
        changed = [f"{k}={getattr(self, k)!r}" for k, default in _settings(self).items() if getattr(self, k) != default]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_tags__(self) -> Any:
        # Late: only scikit-learn asks, so it is there.
        from symdiff.models.with_sklearn import tags

        return tags(self)


class Classifier(Estimator):
    """A model that gives each sample a label of `classes_`, the one with the highest score."""

    kind: ClassVar[str | None] = "classifier"

    classes_: np.ndarray

    @abstractmethod
    def decision_function(self, X: Any) -> np.ndarray:
        """Return the scores: (n,) for two classes, positive for the second one; else (n, n_classes)."""

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of each sample."""
        z = self.decision_function(X)
        return self.classes_[(z > 0).astype(int) if z.ndim == 1 else z.argmax(axis=1)]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the (weighted) fraction of samples that are predicted right."""
        predicted = self.predict(X)
        labels = check_targets(y, len(predicted), self)
        return float(np.average(predicted == labels, weights=check_weights(sample_weight, len(labels), self)))


class Regressor(Estimator):
    """A model that gives each sample a number."""

    kind: ClassVar[str | None] = "regressor"

    @abstractmethod
    def predict(self, X: Any) -> np.ndarray:
        """Return the number of each sample, (n,)."""

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R² = 1 - sum s (y - prediction)² / sum s (y - mean)², mean and sums by the sample weights s.

        1 is perfect, 0 as good as the mean. Targets that are all equal: 1.0 if predicted exactly, else 0.0, as in
        scikit-learn.
        """
        predicted = self.predict(X)
        targets = check_targets(y, len(predicted), self)
        weights = check_weights(sample_weight, len(targets), self)
        left = weights @ (targets - predicted) ** 2
        total = weights @ (targets - np.average(targets, weights=weights)) ** 2
        if not total:
            return float(not left)
        return float(1 - left / total)


class Transformer(Estimator):
    """A model that turns samples into samples with other features; `y` is taken and ignored where none is needed."""

    kind: ClassVar[str | None] = "transformer"

    @abstractmethod
    def transform(self, X: Any) -> np.ndarray:
        """Return the new features, (n, n_features_out)."""

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Fit to X, then transform it."""
        self.fit(X, y)
        return self.transform(X)


def _settings(estimator: Estimator) -> dict[str, Any]:
    return {p.name: p.default for p in inspect.signature(type(estimator)).parameters.values()}


__all__ = ["Classifier", "Estimator", "Regressor", "Transformer"]
