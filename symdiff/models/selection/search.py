"""Search for settings: a model is fitted with many of them, and the one that does best in cross-validation is kept."""

from __future__ import annotations

import itertools
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from symdiff.ir.errors import DomainError
from symdiff.models.checks import check_count, check_features, check_fitted, check_labels, check_targets, random_numbers
from symdiff.models.estimator import Estimator
from symdiff.models.selection.folds import Folds, Split
from symdiff.models.selection.space import Space
from symdiff.models.selection.table import Trial, table
from symdiff.models.selection.validation import Scoring, clone, cross_validate, is_classifier

Tell = Iterator[Mapping[str, Any]]


def _of_best(name: str) -> Any:
    """A method of the best model, which exists where models of this kind have it."""

    def get(search: Search) -> Callable[[Any], Any]:
        getattr(type(search.estimator), name)  # AttributeError: this kind of model has no such method

        def call(X: Any) -> Any:
            check_fitted(search)
            return getattr(search.best_estimator_, name)(X)

        return call

    return property(get, doc=f"`{name}` of the best model.")


class Search(Estimator):
    """A model whose settings `fit` finds; after that it predicts as the best one, fitted to all samples.

    Results: `best_params_`, `best_score_`, `best_index_`, `best_estimator_`, `n_features_in_`, and `cv_results_` with
    a list "params" and the arrays "mean_test_score", "std_test_score", "rank_test_score", "mean_fit_time" and
    "split<k>_test_score" for each fold k.
    """

    estimator: Any
    cv: Any
    scoring: Scoring | None
    progress: bool
    best_params_: dict[str, Any]
    best_score_: float
    best_index_: int
    best_estimator_: Any
    cv_results_: dict[str, Any]

    @property
    def kind(self) -> str | None:  # type: ignore[override]  # that of the model, not of the class
        return "classifier" if is_classifier(self.estimator) else getattr(self.estimator, "kind", None)

    @property
    def takes_sparse(self) -> bool:  # type: ignore[override]  # likewise
        return bool(getattr(self.estimator, "takes_sparse", False))

    @property
    def is_pairwise(self) -> bool:
        return bool(getattr(self.estimator, "is_pairwise", False))

    predict = _of_best("predict")
    predict_proba = _of_best("predict_proba")
    predict_log_proba = _of_best("predict_log_proba")
    decision_function = _of_best("decision_function")
    transform = _of_best("transform")

    @property
    def classes_(self) -> np.ndarray:
        """The classes of the best model."""
        check_fitted(self)
        return np.asarray(self.best_estimator_.classes_)

    def score(self, X: Any, y: Any = None) -> float:
        """Return the score of the best model, by `scoring` or its own."""
        check_fitted(self)
        if self.scoring is not None:
            return float(self.scoring(self.best_estimator_, X, y))
        return float(self.best_estimator_.score(X, y))

    @abstractmethod
    def _candidates(self) -> Any:
        """A generator of settings, to which the mean score of each is sent."""

    def fit(self, X: Any, y: Any = None) -> Search:
        """Try the settings, and fit the best ones to all samples; returns self.

        Raises: ShapeError, DTypeError, DomainError for bad data; what a fit raises, with a note of its settings.
        """
        x = check_features(X, self)
        if self.kind == "classifier":
            classes, index = check_labels(y, len(x), self)
            y = classes[index]
        elif y is not None or self.kind == "regressor":
            y = check_targets(y, len(x), self)
        trials: list[Trial] = []
        rows: list[np.ndarray] = []
        candidates, score = self._candidates(), None
        title = f"{type(self).__name__} ({type(self.estimator).__name__})"
        with table(title, "score") if self.progress else nullcontext() as live:
            while True:
                try:
                    params = candidates.send(score)
                except StopIteration:
                    break
                trials.append(self._try(params, x, y, rows))
                score = trials[-1].value
                if live:
                    live.show(trials)
            best = int(np.argmax([t.value for t in trials]))
            if live:
                live.close(trials, f"Best score {trials[best].value:.6g}.")
        self.best_index_, self.best_params_, self.best_score_ = best, dict(trials[best].settings), trials[best].value
        self.cv_results_ = _results(trials, np.array(rows))
        self.best_estimator_ = clone(self.estimator).set_params(**self.best_params_)
        self.best_estimator_.fit(x, y)
        self.n_features_in_ = self.best_estimator_.n_features_in_
        return self

    def _try(self, params: Mapping[str, Any], X: Any, y: Any, rows: list[np.ndarray]) -> Trial:
        t0 = time.perf_counter()
        model = clone(self.estimator).set_params(**params)
        try:
            scores = cross_validate(model, X, y, self.cv, self.scoring)["test_score"]
        except Exception as error:
            error.add_note(f"with the settings {dict(params)}")
            raise
        if not np.isfinite(scores).all():
            raise DomainError(f"{type(self).__name__}: the settings {dict(params)} have the scores {scores}.")
        rows.append(scores)
        return Trial(dict(params), float(scores.mean()), float(scores.std()), time.perf_counter() - t0)


class GridSearchCV(Search):
    """Try all combinations of settings, in scikit-learn's interface; see `Search` for what `fit` finds.

    `param_grid` is a dict of lists, or a list of such dicts. `cv`, `scoring` are those of `cross_validate`;
    `progress=True` shows a table of the trials while they run.

    >>> from symdiff.models import SVC
    >>> X, y = np.array([[k % 2, k // 2 % 2] for k in range(24)], float), [(k % 4) in (1, 2) for k in range(24)]
    >>> search = GridSearchCV(SVC(target="reference"), {"kernel": ["linear", "rbf"]}, cv=3).fit(X, y)
    >>> search.best_params_, search.best_score_
    ({'kernel': 'rbf'}, 1.0)
    """

    def __init__(
        self,
        estimator: Any,
        param_grid: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Sequence[Any]]],
        cv: int | Folds | Sequence[Split] = 5,
        scoring: Scoring | None = None,
        progress: bool = False,
    ) -> None:
        self.estimator = estimator
        self.param_grid = param_grid
        self.cv = cv
        self.scoring = scoring
        self.progress = progress

    def _candidates(self) -> Tell:
        grids = [self.param_grid] if isinstance(self.param_grid, Mapping) else self.param_grid
        if not grids or not all(isinstance(grid, Mapping) for grid in grids):
            raise DomainError(
                f"GridSearchCV: param_grid is a dict of lists or a list of them, got {self.param_grid!r}."
            )
        for grid in grids:
            for name, values in grid.items():
                if isinstance(values, str) or not hasattr(values, "__len__") or not len(values):
                    raise DomainError(
                        f"GridSearchCV: the values of {name} are a list with at least one, got {values!r}."
                    )
        for grid in grids:
            for values in itertools.product(*grid.values()):
                yield dict(zip(grid, values, strict=True))


class RandomizedSearchCV(Search):
    """Try `n_iter` random combinations of settings, in scikit-learn's interface; see `Search` for what `fit` finds.

    `param_distributions` is a dict of `Real`, `Integer`, `Choice` or lists.
    """

    def __init__(
        self,
        estimator: Any,
        param_distributions: Mapping[str, Any],
        n_iter: int = 10,
        cv: int | Folds | Sequence[Split] = 5,
        scoring: Scoring | None = None,
        random_state: int = 0,
        progress: bool = False,
    ) -> None:
        self.estimator = estimator
        self.param_distributions = param_distributions
        self.n_iter = n_iter
        self.cv = cv
        self.scoring = scoring
        self.random_state = random_state
        self.progress = progress

    def _candidates(self) -> Tell:
        check_count(self, n_iter=self.n_iter)
        space = Space.read(self.param_distributions, type(self).__name__)
        rng = random_numbers(self, self.random_state)
        for _ in range(self.n_iter):
            yield space.at(rng.random(len(space.ranges)))


def _results(trials: Sequence[Trial], scores: np.ndarray) -> dict[str, Any]:
    means = np.array([t.value for t in trials])
    return {
        "params": [dict(t.settings) for t in trials],
        "mean_test_score": means,
        "std_test_score": np.array([t.spread for t in trials]),
        # Equal scores share the smallest rank, as in scikit-learn.
        "rank_test_score": np.array([1 + int((means > m).sum()) for m in means]),
        "mean_fit_time": np.array([t.seconds for t in trials]) / scores.shape[1],
        **{f"split{k}_test_score": scores[:, k] for k in range(scores.shape[1])},
    }


__all__ = ["GridSearchCV", "RandomizedSearchCV", "Search"]
