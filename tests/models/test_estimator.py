"""The conventions: scikit-learn's own checks of every estimator, nested settings, errors that both sides catch."""

from __future__ import annotations

from typing import Any

import pytest
import sklearn.exceptions
from sklearn.base import clone, is_classifier
from sklearn.utils.estimator_checks import check_estimator

import symdiff as sd
from symdiff.models import (
    PCA,
    SVC,
    Classifier,
    Estimator,
    GaussianProcessRegressor,
    GaussianRandomProjection,
    KernelRidge,
    Lasso,
    LinearRegression,
    LinearSVC,
    LogisticRegression,
    Perceptron,
    RandomFourierFeatures,
    Ridge,
)
from symdiff.models.selection import GridSearchCV, RandomizedSearchCV, Real

ESTIMATORS = [
    LogisticRegression(target="reference"),
    LinearRegression(target="reference"),
    Ridge(target="reference"),
    Lasso(target="reference"),
    Perceptron(max_iter=20),
    Perceptron(multi_class="ovo", max_iter=20),
    KernelRidge(),
    KernelRidge(kernel="rbf", solver="cg"),
    SVC(),
    LinearSVC(),
    PCA(),
    PCA(whiten=True, svd_solver="covariance_eigh"),
    RandomFourierFeatures(n_components=5),
    GaussianRandomProjection(n_components=2),
    GaussianProcessRegressor(n_restarts=0),
    GridSearchCV(SVC(), {"C": [0.5, 2.0]}, cv=2),
    RandomizedSearchCV(KernelRidge(), {"alpha": Real(0.1, 10.0)}, n_iter=2, cv=2),
]


@pytest.mark.filterwarnings("ignore:Estimator .* does not inherit from `sklearn:UserWarning")
@pytest.mark.filterwarnings("ignore:.*wrong side:RuntimeWarning", "ignore:A column-vector:UserWarning")
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_passes_scikit_learns_checks(estimator: Estimator) -> None:
    results = check_estimator(estimator, on_skip=None)
    assert len(results) > 40


class Ensemble(Classifier):
    """A model with models as settings."""

    def __init__(self, first: Any = None, second: Any = None) -> None:
        self.first, self.second = first, second

    def fit(self, X: Any, y: Any) -> Ensemble:
        return self

    def decision_function(self, X: Any) -> Any:
        return X


def test_settings_of_settings() -> None:
    model = Ensemble(LogisticRegression(C=3.0))
    assert model.get_params()["first__C"] == 3.0
    assert model.get_params(deep=False) == {"first": model.first, "second": None}
    model.set_params(first__C=4.0)
    assert model.first.C == 4.0
    model.set_params(first__C=5.0, first=LogisticRegression(tol=0.5))  # in any order
    assert repr(model) == "Ensemble(first=LogisticRegression(C=5.0, tol=0.5))"
    with pytest.raises(sd.DomainError, match="no setting 'second__C'"):
        model.set_params(second__C=1.0, first=None)
    assert model.first is not None  # nothing is changed


def test_scikit_learn_sees_one_of_its_own() -> None:
    model = LogisticRegression(C=2.0, target="reference")
    assert is_classifier(model)
    assert clone(model).get_params() == model.get_params()
    for error in (sklearn.exceptions.NotFittedError, sd.NotFittedError, sd.SymdiffError, ValueError, AttributeError):
        with pytest.raises(error, match="not fitted yet"):
            model.predict([[1.0]])
