"""Cross-validation and searches: scikit-learn's scores, any estimator, kernel matrices, progress tables, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import kernel_ridge, model_selection, svm

import symdiff as sd
from symdiff.models import SVC, KernelRidge
from symdiff.models.selection import (
    BayesSearchCV,
    Choice,
    GridSearchCV,
    Integer,
    KFold,
    RandomizedSearchCV,
    Real,
    clone,
    cross_val_score,
    cross_validate,
)
from tests.models.real_data import real_data


def test_scores_are_scikit_learns() -> None:
    x, y = real_data("iris")
    ours = cross_validate(SVC(), x, y, cv=4, return_train_score=True)
    theirs = model_selection.cross_validate(svm.SVC(), x, y, cv=4, return_train_score=True)
    for name in ("test_score", "train_score"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-12)
    assert (ours["fit_time"] > 0).all()
    x, y = real_data("diabetes")
    scores = cross_val_score(KernelRidge(), x, y, KFold(3))
    np.testing.assert_allclose(scores, model_selection.cross_val_score(kernel_ridge.KernelRidge(), x, y, cv=3))
    # Scikit-learn's models as well, a list of splits, and a score of one's own.
    halves = [(np.arange(200), np.arange(200, 442))]

    def worst(model: Any, x: Any, y: Any) -> float:
        return -float(np.abs(model.predict(x) - y).max())

    both = [cross_val_score(m, x, y, halves, worst) for m in (KernelRidge(), kernel_ridge.KernelRidge())]
    np.testing.assert_allclose(*both, rtol=1e-9)


def test_kernel_matrices_lose_rows_and_columns() -> None:
    x, y = real_data("iris")
    np.testing.assert_allclose(
        cross_val_score(SVC(kernel="precomputed"), x @ x.T, y), cross_val_score(SVC(kernel="linear"), x, y)
    )


def test_grid_search_is_scikit_learns() -> None:
    x, y = real_data("iris")
    grid = [{"C": [0.1, 1.0, 10.0], "gamma": [0.1, 0.3]}, {"kernel": ["linear"]}]
    ours = GridSearchCV(SVC(), grid).fit(x, y)
    theirs = model_selection.GridSearchCV(svm.SVC(), grid).fit(x, y)
    assert ours.best_params_ == theirs.best_params_
    for name in ("mean_test_score", "std_test_score", "rank_test_score", "split3_test_score"):
        np.testing.assert_allclose(ours.cv_results_[name], theirs.cv_results_[name], rtol=1e-12)
    assert ours.cv_results_["params"] == theirs.cv_results_["params"]
    np.testing.assert_array_equal(ours.predict(x), theirs.predict(x))
    assert ours.score(x, y) == ours.best_estimator_.score(x, y) == theirs.score(x, y)
    assert ours.decision_function(x).shape == (150, 3)
    assert ours.classes_.tolist() == [0, 1, 2]
    with pytest.raises(AttributeError, match="predict_proba"):
        _ = ours.predict_proba


def test_random_search() -> None:
    x, y = real_data("iris")
    space = {"C": Real(1e-2, 1e2, log=True), "degree": Integer(2, 4), "kernel": ["poly", "rbf"]}
    searches = [RandomizedSearchCV(SVC(), space, n_iter=6, cv=2, random_state=s).fit(x, y) for s in (4, 4, 5)]
    tried = [s.cv_results_["params"] for s in searches]
    assert tried[0] == tried[1] != tried[2]
    for params in tried[0]:
        assert 1e-2 <= params["C"] <= 1e2
        assert params["degree"] in (2, 3, 4)
        assert params["kernel"] in ("poly", "rbf")
    assert searches[0].best_score_ == max(searches[0].cv_results_["mean_test_score"])


def test_bayesian_search_finds_what_the_grid_finds() -> None:
    x, y = real_data("iris")
    space = {"C": Real(1e-2, 1e3, log=True), "gamma": Real(1e-3, 10, log=True)}
    search = BayesSearchCV(SVC(), space, n_iter=10, cv=3, random_state=2).fit(x, y)
    grid = {"C": np.logspace(-2, 3, 6), "gamma": np.logspace(-3, 1, 5)}
    assert search.best_score_ >= model_selection.GridSearchCV(svm.SVC(), grid, cv=3).fit(x, y).best_score_ - 0.015
    assert len(search.cv_results_["params"]) == 10


def test_progress_tables(capsys: pytest.CaptureFixture[str]) -> None:
    x, y = real_data("iris")
    GridSearchCV(SVC(), {"C": [0.5, 2.0]}, cv=2, progress=True).fit(x, y)
    cross_validate(SVC(), x, y, cv=2, progress=True)
    out = capsys.readouterr().out
    assert "GridSearchCV (SVC): 1  C=0.5  score 0.9" in out
    assert "GridSearchCV (SVC): Best score 0.9" in out
    assert "cross_validate (SVC): Mean score 0.9" in out


def test_the_table_in_a_terminal() -> None:
    from rich.console import Console

    from symdiff.models.selection.table import Trial, table

    trials = [Trial({"C": 0.1 * k, "kernel": "rbf"}, 1.0 - abs(k - 3), 0.25, 0.5) for k in range(40)]
    console = Console(width=100)
    with console.capture() as capture:
        console.print(table("Search", "score")._picture(trials, "Done."))
    text = capture.get()
    rows = [line for line in text.splitlines() if "rbf" in line]
    assert len(rows) == 15
    assert "4" in rows[0].split()  # the best one, then the last fourteen
    assert "1 ± 0.25" in rows[0]
    assert "Done." in text


def test_what_a_fit_raises_names_the_settings() -> None:
    x, y = real_data("iris")
    with pytest.raises(sd.DomainError, match="C is a number > 0, got -1") as caught:
        GridSearchCV(SVC(), {"C": [1.0, -1.0]}, cv=2).fit(x, y)
    assert caught.value.__notes__ == ["in fold 1 of 2 of SVC(C=-1.0)", "with the settings {'C': -1.0}"]
    with pytest.raises(sd.DomainError, match=r"the settings {'C': 2.0} have the scores \[nan nan\]"):
        GridSearchCV(SVC(), {"C": [2.0]}, cv=2, scoring=lambda *_: float("nan")).fit(x, y)


def test_bad_input() -> None:
    x, y = real_data("iris")
    cases: list[tuple[Any, str]] = [
        (lambda: cross_val_score(SVC(), x, y[:-1]), "150 samples and y has 149"),
        (lambda: cross_val_score(SVC(), x, y, cv=51), "the largest class has 50"),
        (lambda: cross_val_score(KernelRidge(), x, y, cv=151), "151 folds of fewer samples: n_samples = 150"),
        (lambda: cross_val_score(SVC(), x, y, cv="five"), "cv is a number of folds"),
        (lambda: cross_val_score(SVC(), x, y, scoring=3), r"scoring is a function.*got 3"),  # type: ignore[arg-type]  # on purpose
        (lambda: cross_val_score(SVC, x, y), "An estimator has settings"),
        (lambda: GridSearchCV(SVC(), {"C": 1.0}).fit(x, y), "the values of C are a list with at least one, got 1.0"),
        (lambda: GridSearchCV(SVC(), []).fit(x, y), r"param_grid is a dict of lists or a list of them, got \[\]"),
        (lambda: GridSearchCV(SVC(), {"width": [1.0]}, cv=2).fit(x, y), "SVC has no setting 'width'"),
        (lambda: RandomizedSearchCV(SVC(), {"C": (1, 2)}).fit(x, y), "C is a Real, an Integer, a Choice or a list"),
        (lambda: RandomizedSearchCV(SVC(), {}).fit(x, y), "the space is a dict"),
        (lambda: RandomizedSearchCV(SVC(), {"C": [1.0]}, n_iter=0).fit(x, y), "n_iter is an int >= 1, got 0"),
        (lambda: BayesSearchCV(SVC(), {"C": [1.0]}, acquisition="ucb").fit(x, y), "acquisition is one of"),
        (lambda: Real(2.0, 1.0), "low < high are finite numbers"),
        (lambda: Real(0.0, 1.0, log=True), "above 0 for log=True"),
        (lambda: Integer(1, 2.5), "low and high are ints"),  # type: ignore[arg-type]  # on purpose
        (lambda: Choice([]), "a list with at least one value"),
    ]
    for call, message in cases:
        with pytest.raises(sd.SymdiffError, match=message):
            call()


def test_ranges_cover_their_values_evenly() -> None:
    u = (np.arange(6000) + 0.5) / 6000
    for values, expected in (
        ([Integer(2, 7).at(v) for v in u], range(2, 8)),
        ([Choice(["x", "y", "z"]).at(v) for v in u], ["x", "y", "z"]),
    ):
        counts = [values.count(e) for e in expected]
        assert set(values) == set(expected)
        assert max(counts) - min(counts) <= 2
    logs = np.log10([Integer(1, 1000, log=True).at(v) for v in u])
    assert 0.3 < np.mean(logs < 1.5) < 0.7
    assert [Real(1e-3, 10.0, log=True).at(v) for v in (0.0, 1.0)] == [1e-3, 10.0]


def test_clones_are_new_and_not_fitted() -> None:
    x, y = real_data("iris")
    search = GridSearchCV(SVC(C=3.0), {"gamma": [0.1]}, cv=2).fit(x, y)
    copy = clone(search)
    assert repr(copy) == repr(search)
    assert copy.estimator is not search.estimator
    with pytest.raises(sd.NotFittedError):
        copy.predict(x)
