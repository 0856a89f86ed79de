"""Cross-validation: how well models do on samples that they have not seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from symdiff.ir.errors import DomainError, DTypeError, ShapeError
from symdiff.models.selection.folds import Folds, KFold, Split, StratifiedKFold
from symdiff.models.selection.table import Trial, table

Scoring = Callable[[Any, Any, Any], float]


def clone(estimator: Any) -> Any:
    """Return a new estimator with the same settings, not fitted; estimators among the settings are cloned as well.

    >>> from symdiff.models import SVC
    >>> clone(SVC(C=3.0))
    SVC(C=3.0)
    """
    if isinstance(estimator, type) or not hasattr(estimator, "get_params"):
        raise DTypeError(f"An estimator has settings and get_params, got {estimator!r}.")
    own = estimator.get_params(deep=False)
    return type(estimator)(**{k: clone(v) if _is_estimator(v) else v for k, v in own.items()})


def cross_validate(
    estimator: Any,
    X: Any,
    y: Any = None,
    cv: int | Folds | Sequence[Split] = 5,
    scoring: Scoring | None = None,
    return_train_score: bool = False,
    progress: bool = False,
) -> dict[str, np.ndarray]:
    """Fit clones of a model to all folds but one, and score them on the one that is left out.

    `cv` is a number of folds (stratified for a classifier), an object with `split`, or a list of (train, test).
    `scoring(model, X, y)` is larger for better models; by default it is the model's `score`.

    Returns: "test_score", "fit_time" and "score_time" for each fold, and "train_score" if asked for.
    Raises: ShapeError, DomainError for data that are too few; what a fit raises, with a note of the fold.

    >>> from symdiff.models import SVC
    >>> X, y = np.repeat([[0.0], [1.0]], 6, axis=0), [0] * 6 + [1] * 6
    >>> cross_validate(SVC(target="reference"), X, y, cv=3)["test_score"].tolist()
    [1.0, 1.0, 1.0]
    """
    x = X if hasattr(X, "shape") else np.asarray(X)
    if len(np.shape(x)) == 0:
        raise ShapeError(f"cross_validate: X has shape (samples, features), got shape {np.shape(x)}.")
    if scoring is not None and not callable(scoring):
        raise DTypeError(f"cross_validate: scoring is a function (model, X, y) that returns a number, got {scoring!r}.")
    targets = None if y is None else np.asarray(y)
    if targets is not None and len(targets) != x.shape[0]:
        raise ShapeError(f"cross_validate: X has {x.shape[0]} samples and y has {len(targets)}.")
    splits = _splits(cv, estimator, x, targets)
    rows = []
    with table(f"cross_validate ({type(estimator).__name__})", "score") if progress else nullcontext() as live:
        trials: list[Trial] = []
        for k, (train, test) in enumerate(splits):
            try:
                rows.append(_one(clone(estimator), x, targets, train, test, scoring, return_train_score))
            except Exception as error:
                error.add_note(f"in fold {k + 1} of {len(splits)} of {estimator!r}")
                raise
            trials.append(Trial({"fold": k + 1}, rows[-1]["test_score"], None, rows[-1]["fit_time"]))
            if live:
                live.show(trials)
        if live:
            scores = np.array([row["test_score"] for row in rows])
            live.close(trials, f"Mean score {scores.mean():.6g} ± {scores.std():.2g}.")
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def cross_val_score(
    estimator: Any,
    X: Any,
    y: Any = None,
    cv: int | Folds | Sequence[Split] = 5,
    scoring: Scoring | None = None,
    progress: bool = False,
) -> np.ndarray:
    """Return the scores of a model on the folds that it was not fitted to; see `cross_validate`."""
    return cross_validate(estimator, X, y, cv, scoring, progress=progress)["test_score"]


def is_classifier(estimator: Any) -> bool:
    """Whether the targets of an estimator, ours or scikit-learn's, are classes."""
    kind = getattr(estimator, "kind", None) or getattr(estimator, "_estimator_type", None)
    if kind is None and hasattr(estimator, "__sklearn_tags__"):
        kind = estimator.__sklearn_tags__().estimator_type
    return bool(kind == "classifier")


def _one(
    model: Any, x: Any, y: np.ndarray | None, train: np.ndarray, test: np.ndarray, scoring: Any, with_train: bool
) -> dict[str, float]:
    t0 = time.perf_counter()
    model.fit(_rows(model, x, train, train), None if y is None else y[train])
    t1 = time.perf_counter()
    score = scoring or (lambda model, x, y: model.score(x, y))

    def value(part: np.ndarray) -> float:
        return float(score(model, _rows(model, x, part, train), None if y is None else y[part]))

    row = {"test_score": value(test), "fit_time": t1 - t0, "score_time": time.perf_counter() - t1}
    return row | {"train_score": value(train)} if with_train else row


def _rows(model: Any, x: Any, rows: np.ndarray, train: np.ndarray) -> Any:
    """Return the samples of a part: for kernel matrices their columns are those of the training data."""
    return x[np.ix_(rows, train)] if getattr(model, "is_pairwise", False) else x[rows]


def _is_estimator(value: Any) -> bool:
    return hasattr(value, "get_params") and not isinstance(value, type)


def _splits(cv: Any, estimator: Any, x: Any, y: np.ndarray | None) -> list[Split]:
    """Return the indices (train, test) that `cv` means. Raises DomainError."""
    if isinstance(cv, (int, np.integer)) and not isinstance(cv, bool):
        cv = (StratifiedKFold if is_classifier(estimator) else KFold)(int(cv))
    if hasattr(cv, "split") and not isinstance(cv, str):
        return list(cv.split(x, y))
    pairs = isinstance(cv, (list, tuple)) and all(isinstance(p, (list, tuple)) and len(p) == 2 for p in cv)
    if not pairs or not cv:
        raise DomainError(f"cv is a number of folds, an object with split, or a list of (train, test), got {cv!r}.")
    return [(np.asarray(train), np.asarray(test)) for train, test in cv]


__all__ = ["clone", "cross_val_score", "cross_validate"]
