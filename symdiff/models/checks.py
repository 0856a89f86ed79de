"""Checks of the data that estimators are given, with messages that scikit-learn's own tests recognise."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff.ir.errors import DomainError, DTypeError, NotFittedError, ShapeError

if TYPE_CHECKING:
    from symdiff.models.estimator import Estimator


class DataConversionWarning(UserWarning):
    """Data are read in another form than they were given in."""


def check_features(X: Any, who: Estimator, n_features: int | None = None) -> Any:
    """Return X as a float64 matrix of finite numbers, a sparse one as a canonical `csr_array` if `who` takes it.

    `n_features` is what the model was fitted with. Raises ShapeError, DTypeError, DomainError.
    """
    name = type(who).__name__
    x = _sparse(X, who) if hasattr(X, "tocsr") else _as_floats(X, f"{name}: X")
    if x.ndim != 2:
        raise ShapeError(
            f"{name}: X has shape (samples, features), got shape {x.shape}. Reshape your data: "
            "X.reshape(-1, 1) for one feature, X.reshape(1, -1) for one sample."
        )
    if not x.shape[0] or not x.shape[1]:
        # scikit-learn's words.
        what, axis = ("sample", 0) if not x.shape[0] else ("feature", 1)
        raise ShapeError(
            f"{name}: X needs at least one sample and one feature: found array with {x.shape[axis]} {what}(s) "
            f"(shape={x.shape}) while a minimum of 1 is required."
        )
    if n_features is not None and x.shape[1] != n_features:
        raise ShapeError(
            f"X has {x.shape[1]} features, but {name} is expecting {n_features} features as input: "
            f"the model was fitted with {n_features}."
        )
    _check_finite(x, f"{name}: X")
    return x


def check_targets(y: Any, n_samples: int, who: Estimator) -> np.ndarray:
    """Return y as a vector of one target a sample, of any kind but complex. Raises ShapeError, DomainError.

    A column is read as a vector, with a DataConversionWarning.
    """
    name = type(who).__name__
    if y is None:
        raise DomainError(f"{name} requires y to be passed, but the target y is None.")
    try:
        targets = np.asarray(_unmasked(y, f"{name}: y"))
    except ValueError as error:
        raise ShapeError(f"{name}: y has shape (samples,): {error}.") from None
    if targets.dtype.kind == "c":
        raise DomainError(f"{name}: y holds complex numbers. Complex data not supported.")
    if targets.dtype.kind in "US" and not isinstance(y, np.ndarray):
        # NumPy has turned the others among them into strings, NaN into "nan".
        other = next((v for v in np.asarray(y, dtype=object).flat if not isinstance(v, (str, bytes))), None)
        if other is not None:
            raise DomainError(f"{name}: y mixes strings and {other!r}. Unknown label type: give labels of one kind.")
    if targets.ndim == 2 and targets.shape[1] == 1:
        text = "A column-vector y was passed when a 1d array was expected; use y.ravel() to silence this."
        warnings.warn(_sklearns("DataConversionWarning", DataConversionWarning)(text), stacklevel=4)
        targets = targets[:, 0]
    if targets.ndim != 1:
        raise ShapeError(f"{name}: y has shape (samples,), got shape {targets.shape}.")
    if len(targets) != n_samples:
        raise ShapeError(f"{name}: X has {n_samples} samples and y has {len(targets)}; each sample needs one target.")
    if targets.dtype.kind == "f":
        _check_finite(targets, f"{name}: y")
    return targets


def check_numbers(y: Any, n_samples: int, who: Estimator) -> np.ndarray:
    """Return y as a float64 vector of finite numbers, one a sample. Raises ShapeError, DTypeError, DomainError."""
    what = f"{type(who).__name__}: y"
    targets = check_targets(y, n_samples, who)
    if targets.dtype.kind in "US":  # NumPy would read the digits in a string
        raise DTypeError(f"{what} holds real numbers, got the string {str(targets[0])!r}.")
    numbers = _as_floats(targets, what)
    _check_finite(numbers, what)
    return numbers


def check_labels(y: Any, n_samples: int, who: Estimator, weights: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
    """Return (classes, index): the labels in order, and which of them each sample has, y = classes[index].

    Raises ShapeError; DomainError for labels that are not ordered among each other (numbers and strings), NaN,
    fractions, and fewer than two classes (among the samples with positive weight, if weights are given).
    """
    name, labels = type(who).__name__, check_targets(y, n_samples, who)
    if labels.dtype.kind == "f" and (labels != np.round(labels)).any():
        first = float(labels[labels != np.round(labels)][0])
        raise DomainError(f"{name}: y holds class labels, got {first!r}. Unknown label type: continuous.")
    if labels.dtype.kind in "OMm" and any(label is None or label != label for label in labels):
        raise DomainError(f"{name}: y holds None or NaN; leave out samples without a label.")
    try:
        classes, index = np.unique(labels, return_inverse=True)
    except TypeError as error:
        raise DomainError(f"{name}: y holds labels of one kind. Unknown label type: {error}.") from None
    present = classes if weights is None else classes[np.unique(index[weights > 0])]
    if len(present) < 2:
        of = "" if len(classes) == len(present) else " among the samples with positive weight"
        raise DomainError(f"{name}: y holds only one class{of}, {present.tolist()[0]!r}; two classes are needed.")
    return classes, index


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
        raise DomainError(f"{name}: sample_weight holds numbers >= 0, not all of them zero.")
    return w


def check_fitted(who: Estimator) -> None:
    """Raise NotFittedError unless `fit` has run."""
    if not hasattr(who, "n_features_in_"):
        error = _sklearns("NotFittedError", NotFittedError)
        raise error(f"This {type(who).__name__} is not fitted yet; call fit first.")


def check_positive(who: Estimator | str, **settings: Any) -> None:
    """Raise DomainError for a setting that is not a number > 0; infinity is one."""
    for name, value in settings.items():
        if not _is_number(value) or not value > 0:
            raise DomainError(f"{_name(who)}: {name} is a number > 0, got {value!r}.")


def check_not_negative(who: Estimator | str, **settings: Any) -> None:
    """Raise DomainError for a setting that is not a finite number >= 0."""
    for name, value in settings.items():
        if not _is_number(value) or not 0 <= value < np.inf:
            raise DomainError(f"{_name(who)}: {name} is a finite number >= 0, got {value!r}.")


def check_count(who: Estimator | str, least: int = 1, **settings: Any) -> None:
    """Raise DomainError for a setting that is not an int >= `least`."""
    for name, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise DomainError(f"{_name(who)}: {name} is an int >= {least}, got {value!r}.")


def random_numbers(who: Estimator | str, random_state: Any) -> np.random.Generator:
    """Return the generator that belongs to a seed: counter-based (Philox), the same on every machine."""
    check_count(who, least=0, random_state=random_state)
    return np.random.Generator(np.random.Philox(int(random_state)))


def check_choice(who: Estimator | str, choices: tuple[Any, ...], **settings: Any) -> None:
    """Raise DomainError for a setting that is none of the choices."""
    for name, value in settings.items():
        if not any(value is c or value == c for c in choices):
            listed = ", ".join(map(repr, choices))
            raise DomainError(f"{_name(who)}: {name} is one of {listed}, got {value!r}.")


def _name(who: Estimator | str) -> str:
    return who if isinstance(who, str) else type(who).__name__


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _sparse(X: Any, who: Estimator) -> Any:
    """Return X as a `csr_array` of float64 with sorted columns and no entry twice."""
    from scipy.sparse import csr_array

    name = type(who).__name__
    if not who.takes_sparse:
        raise DTypeError(f"{name}: X is a sparse matrix, which this model does not take; pass X.toarray().")
    if X.dtype.kind == "c":
        raise DomainError(f"{name}: X holds complex numbers. Complex data not supported.")
    if X.ndim != 2:
        return X  # a sparse vector: `check_features` says what is wrong
    x = csr_array(X, dtype=np.float64, copy=False)
    if not x.has_canonical_format:
        x = x.copy()  # it may share memory with the caller's
        x.sum_duplicates()
    return x


def _sklearns(name: str, ours: type[Any]) -> type[Any]:
    """Return scikit-learn's class of that name, which is ours too, if scikit-learn is in use."""
    if not sys.modules.get("sklearn"):
        return ours
    from symdiff.models import with_sklearn

    return getattr(with_sklearn, name)


def _as_floats(value: Any, what: str) -> np.ndarray:
    try:
        array = np.asarray(_unmasked(value, what))
        if array.dtype.kind == "c":
            raise DomainError(f"{what} holds real numbers. Complex data not supported.")
        return np.ascontiguousarray(array, dtype=np.float64) if array.ndim else np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        if isinstance(error, DomainError):
            raise
        raise DTypeError(f"{what} holds real numbers of equal rows: {error}.") from None


def _unmasked(value: Any, what: str) -> Any:
    """Return the value. Raises DomainError for masked entries, which NumPy would hand over as numbers."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise DomainError(f"{what} is an array with masked entries; remove them, or fill them in with .filled(…).")
    return value


def _check_finite(array: Any, what: str) -> None:
    numbers = array if isinstance(array, np.ndarray) else array.data
    bad = ~np.isfinite(numbers)
    if bad.any():
        place = np.argwhere(bad)[0]
        if numbers is not array:
            place = np.array([c[place[0]] for c in array.tocoo().coords])
        value = "NaN" if np.isnan(numbers[bad][0]) else numbers[bad][0]
        raise DomainError(f"{what} holds {value} at {[int(k) for k in place]}; remove or fill in such entries.")


__all__ = [
    "DataConversionWarning",
    "check_choice",
    "check_count",
    "check_features",
    "check_fitted",
    "check_labels",
    "check_not_negative",
    "check_numbers",
    "check_positive",
    "check_targets",
    "check_weights",
    "random_numbers",
]
