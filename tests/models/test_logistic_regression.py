"""LogisticRegression: the optimum against SciPy and scikit-learn, the interface, bad data."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import sklearn.linear_model

import symdiff as sd
from symdiff.data import load_breast_cancer
from symdiff.models import LogisticRegression
from symdiff.optimize import GradientDescent
from tests.models.real_data import real_data

EPS = float(np.finfo(np.float64).eps)


def scaled_data() -> tuple[np.ndarray, np.ndarray]:
    features, labels, _ = load_breast_cancer()
    return (features - features.mean(axis=0)) / features.std(axis=0), labels


def blobs(n_classes: int, seed: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping clouds of different sizes."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(n_classes), [15 + 4 * k for k in range(n_classes)])
    return rng.normal(size=(len(y), 3)) + rng.normal(size=(n_classes, 3))[y], y


def sklearn_objective(model: LogisticRegression, x: np.ndarray, y: np.ndarray, s: np.ndarray) -> float:
    """C * sum_i s_i loss_i + |w|^2/2, from the probabilities' logarithms."""
    z = x @ model.coef_.T + model.intercept_
    z = np.concatenate([np.zeros_like(z), z], axis=1) if z.shape[1] == 1 else z
    index = np.searchsorted(model.classes_, y)
    losses = np.logaddexp.reduce(z, axis=1) - z[np.arange(len(y)), index]
    return float(model.C * s @ losses + 0.5 * np.sum(model.coef_**2))


def scipy_optimum(x: np.ndarray, y: np.ndarray, s: np.ndarray, c: float, intercept: bool) -> float:
    from scipy.optimize import minimize

    classes, index = np.unique(y, return_inverse=True)
    k, d = len(classes), x.shape[1]
    m = 1 if k == 2 else k
    hot = np.eye(k)[index]

    def value(p: np.ndarray) -> tuple[float, np.ndarray]:
        w, b = p[: m * d].reshape(m, d), p[m * d :]
        z = x @ w.T + (b if intercept else 0)
        z = np.concatenate([np.zeros_like(z), z], axis=1) if m == 1 else z
        log_p = z - np.logaddexp.reduce(z, axis=1, keepdims=True)
        r = (s[:, None] * (np.exp(log_p) - hot))[:, k - m :]
        grad = np.concatenate([(c * r.T @ x + w).ravel(), c * r.sum(axis=0) * intercept])
        return float(-c * s @ np.sum(hot * log_p, axis=1) + 0.5 * np.sum(w**2)), grad

    res = minimize(value, np.zeros(m * d + m), jac=True, method="BFGS", options={"gtol": 1e-8, "maxiter": 5000})
    return float(res.fun)


@pytest.mark.parametrize(
    ("n_classes", "c", "intercept", "target"),
    [
        (2, 1.0, True, "reference"),
        (2, 0.02, False, "reference"),
        (3, 7.0, True, "reference"),
        (4, 1.0, False, "reference"),
        (3, 7.0, True, "cpu"),  # one, for the compiler's time
    ],
)
def test_optimum_is_scipys(n_classes: int, c: float, intercept: bool, target: str) -> None:
    x, y = blobs(n_classes)
    s = np.random.default_rng(9).uniform(0.2, 2.0, size=len(y))
    model = LogisticRegression(C=c, fit_intercept=intercept, target=target).fit(x, y, sample_weight=s)
    assert model.result_.converged
    best = scipy_optimum(x, y, s, c, intercept)
    np.testing.assert_allclose(sklearn_objective(model, x, y, s), best, rtol=1e-10)
    if not intercept:
        assert not model.intercept_.any()


@pytest.mark.parametrize("solver", ["newton", "gd"])
def test_breast_cancer(solver: str) -> None:
    x, y = scaled_data()
    tol = 1e-8 if solver == "newton" else 1e-4
    model = LogisticRegression(solver=solver, tol=tol, max_iter=3000, target="reference").fit(x, y)
    assert model.result_.converged
    assert model.coef_.shape == (1, 30)
    assert model.intercept_.shape == (1,)
    assert model.n_iter_[0] == model.result_.steps
    assert model.score(x, y) > 0.985
    one = np.ones(len(y))
    np.testing.assert_allclose(
        sklearn_objective(model, x, y, one),
        scipy_optimum(x, y, one, 1.0, True),
        rtol=1e-10 if solver == "newton" else 1e-3,
    )


@pytest.mark.parametrize("n_classes", [2, 3])
def test_agrees_with_scikit_learn(n_classes: int) -> None:
    x, y = blobs(n_classes)
    peer = sklearn.linear_model.LogisticRegression(C=2.0, tol=1e-10, max_iter=10000).fit(x, y)
    ours = LogisticRegression(C=2.0, target="reference").fit(x, y)
    np.testing.assert_allclose(ours.coef_, peer.coef_, rtol=0, atol=1e-5)
    np.testing.assert_allclose(ours.predict_proba(x), peer.predict_proba(x), rtol=0, atol=1e-5)
    np.testing.assert_allclose(ours.decision_function(x).shape, peer.decision_function(x).shape)
    np.testing.assert_array_equal(ours.predict(x), peer.predict(x))
    assert ours.coef_.shape == peer.coef_.shape
    assert ours.intercept_.shape == peer.intercept_.shape
    assert ours.score(x, y) == peer.score(x, y)


@pytest.mark.parametrize("name", ["iris", "breast_cancer", "digits"])
def test_real_data(name: str) -> None:
    x, y = real_data(name)
    ours = LogisticRegression(C=0.5, target="cpu" if name == "digits" else "reference").fit(x, y)
    one = np.ones(len(y))
    if name == "digits":
        best = 81.82108359578177  # of scikit-learn 1.9.1, solver="newton-cholesky", tol=1e-10, which takes seconds
    else:
        peer = sklearn.linear_model.LogisticRegression(C=0.5, tol=1e-8, max_iter=10000).fit(x, y)
        best = sklearn_objective(peer, x, y, one)
    np.testing.assert_allclose(sklearn_objective(ours, x, y, one), best, rtol=1e-8)
    assert ours.result_.converged
    # The gradient of the mean loss, by the textbook and not by the model.
    hot = (y[:, None] == ours.classes_).astype(float)
    r = (ours.predict_proba(x) - hot)[:, hot.shape[1] - len(ours.coef_) :]
    gradient = (0.5 * r.T @ x + ours.coef_) / (0.5 * len(y))
    assert np.abs(gradient).max() < 1e-8
    assert np.abs(r.mean(axis=0)).max() < 1e-8


def test_labels_of_any_kind_and_probabilities() -> None:
    x, y = blobs(3)
    names = np.array(["virginica", "setosa", "other"])[y]
    model = LogisticRegression(target="reference").fit(x, names)
    assert model.classes_.tolist() == ["other", "setosa", "virginica"]
    assert set(model.predict(x)) <= set(names)
    proba = model.predict_proba(x)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=8 * EPS)
    np.testing.assert_array_equal(model.classes_[proba.argmax(axis=1)], model.predict(x))
    flags = LogisticRegression(target="reference").fit(x, y > 0)
    assert flags.predict(x).dtype == bool
    far = flags.predict_log_proba(1e4 * x)
    assert np.isfinite(far).all()  # the probabilities themselves underflow


def test_separable_data_without_a_penalty_is_honest() -> None:
    x, y = np.array([[0.0], [1.0], [2.0], [3.0]]), [0, 0, 1, 1]
    model = LogisticRegression(C=math.inf, max_iter=5, target="reference")
    with pytest.warns(RuntimeWarning, match="Not converged after 5 steps"):
        model.fit(x, y)
    assert not model.result_.converged
    assert model.score(x, y) == 1.0


def test_constant_columns_are_harmless() -> None:
    x, y = blobs(2)
    wide = np.concatenate([x, np.full((len(x), 1), 3.0), np.zeros((len(x), 1))], axis=1)
    model = LogisticRegression(target="reference").fit(wide, y)
    assert model.result_.converged
    assert model.coef_[0, -1] == 0.0
    assert abs(model.coef_[0, -2]) < 1e-6  # the intercept does its work for free


def test_parameters() -> None:
    model = LogisticRegression(C=3.0)
    assert model.get_params() == {
        "C": 3.0, "fit_intercept": True, "tol": 1e-10, "max_iter": 1000, "solver": "newton-cg", "target": "cpu",
    }  # fmt: skip
    assert model.set_params(C=2.0, solver=GradientDescent(lr=0.1)) is model
    assert repr(model) == f"LogisticRegression(C=2.0, solver={GradientDescent(lr=0.1)!r})"
    assert LogisticRegression(**model.get_params()).C == 2.0
    with pytest.raises(sd.DomainError, match=r"no setting 'c'.*C, fit_intercept"):
        model.set_params(c=1.0)


X, Y = blobs(2)
NAN = X.copy()
NAN[3, 1] = np.nan


@pytest.mark.parametrize(
    ("x", "y", "settings", "error", "text"),
    [
        (NAN, Y, {}, sd.DomainError, r"X holds NaN at \[3, 1\]"),
        (X, np.where(Y == 0, np.nan, 1.0), {}, sd.DomainError, r"y holds NaN at \[0\]"),
        (X, Y + 0.5, {}, sd.DomainError, r"got 0\.5\. Unknown label type: continuous"),
        (X, Y[:-1], {}, sd.ShapeError, f"{len(Y)} samples and y has {len(Y) - 1}"),
        (X, np.zeros(len(Y)), {}, sd.DomainError, r"only one class, 0\.0; two"),
        (X[:, 0], Y, {}, sd.ShapeError, r"reshape\(-1, 1\)"),
        (X[:0], Y[:0], {}, sd.ShapeError, "at least one sample"),
        (X[:, :0], Y, {}, sd.ShapeError, "one feature"),
        (X, np.stack([Y, Y], axis=1), {}, sd.ShapeError, r"y has shape \(samples,\)"),
        (X + 1j, Y, {}, sd.DomainError, "Complex"),
        ([["a"], ["b"]], [0, 1], {}, sd.DTypeError, "X holds real numbers"),
        ([[1.0], [2.0, 3.0]], [0, 1], {}, sd.DTypeError, "equal rows"),
        (np.ma.masked_greater(X, 1.0), Y, {}, sd.DomainError, "X is an array with masked entries"),
        (X[:2], ["a", 1], {}, sd.DomainError, "y mixes strings and 1"),
        (X[:2], ["a", np.nan], {}, sd.DomainError, "y mixes strings and nan"),
        (X[:2], np.array(["a", 1], dtype=object), {}, sd.DomainError, "Unknown label type"),
        (X[:2], np.array(["2020-01-01", "NaT"], dtype="datetime64[D]"), {}, sd.DomainError, "None or NaN"),
        (X, Y, {"C": 0.0}, sd.DomainError, "C is a number > 0"),
        (X, Y, {"C": math.nan}, sd.DomainError, "C is a number > 0"),
        (X, Y, {"solver": "saga"}, sd.DomainError, "'newton'"),
    ],
)  # fmt: skip
def test_bad_data_is_named(x: Any, y: Any, settings: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        LogisticRegression(**settings, target="reference").fit(x, y)


def test_weights_and_order_of_calls() -> None:
    model = LogisticRegression(target="reference")
    with pytest.raises(sd.SymdiffError, match="not fitted yet"):
        model.predict(X)
    for weights, error in ((np.ones(3), sd.ShapeError), (-np.ones(len(Y)), sd.DomainError), (0 * Y, sd.DomainError)):
        with pytest.raises(error, match="sample_weight"):
            model.fit(X, Y, sample_weight=weights)
    with pytest.warns(UserWarning, match="column-vector"):
        model.fit(X, Y[:, None])
    with pytest.raises(sd.ShapeError, match=r"2 features.*fitted with 3"):
        model.predict(X[:, :2])
    with pytest.raises(sd.ShapeError, match="samples"):
        model.score(X, Y[:-1])


def test_weight_two_is_a_sample_twice() -> None:
    weights = np.where(np.arange(len(Y)) % 3 == 0, 2.0, 1.0)
    twice = np.repeat(np.arange(len(Y)), weights.astype(int))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        a = LogisticRegression(target="reference").fit(X, Y, sample_weight=weights)
        b = LogisticRegression(target="reference").fit(X[twice], Y[twice])
    np.testing.assert_allclose(a.coef_, b.coef_, rtol=0, atol=1e-7)
    np.testing.assert_allclose(a.intercept_, b.intercept_, rtol=0, atol=1e-7)
