"""Linear regression and ridge: scikit-learn's optimum, every solver, dependent columns, bad data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.linear_model

import symdiff as sd
from symdiff.models import LinearRegression, Ridge
from tests.models.real_data import real_data

EPS = float(np.finfo(np.float64).eps)
X, Y = real_data("diabetes")
RNG = np.random.default_rng(5)
WEIGHTS = RNG.uniform(0.2, 2.0, size=len(Y))


def objective(model: Any, x: np.ndarray, y: np.ndarray, s: np.ndarray, alpha: float) -> float:
    return float(s @ (y - x @ model.coef_ - model.intercept_) ** 2 + alpha * model.coef_ @ model.coef_)


def gradient(model: Any, x: np.ndarray, y: np.ndarray, s: np.ndarray, alpha: float) -> np.ndarray:
    """Of half the objective over the sum of the weights."""
    r = s * (x @ model.coef_ + model.intercept_ - y)
    return np.concatenate([x.T @ r + alpha * model.coef_, [r.sum()]]) / s.sum()


@pytest.mark.parametrize(
    ("solver", "target"),
    [("auto", "cpu"), ("normal", "cpu"), *((s, "reference") for s in ("auto", "normal", "svd", "newton-cg"))],
)
@pytest.mark.parametrize("alpha", [0.0, 3.0])
def test_optimum_is_scikit_learns(solver: str, alpha: float, target: str) -> None:
    peer = sklearn.linear_model.Ridge(alpha, solver="svd") if alpha else sklearn.linear_model.LinearRegression()
    peer.fit(X, Y, sample_weight=WEIGHTS)
    ours: Any = Ridge(alpha, solver=solver, target=target) if alpha else LinearRegression(solver=solver, target=target)
    ours.fit(X, Y, sample_weight=WEIGHTS)
    # The condition of X is 22, so that X'X keeps 13 digits; newton-cg ends at a gradient of 1e-10.
    np.testing.assert_allclose(ours.coef_, peer.coef_, rtol=0, atol=1e-8)
    np.testing.assert_allclose(ours.intercept_, peer.intercept_, rtol=1e-12)
    best = objective(peer, X, Y, WEIGHTS, alpha)
    np.testing.assert_allclose(objective(ours, X, Y, WEIGHTS, alpha), best, rtol=64 * EPS)
    assert np.abs(gradient(ours, X, Y, WEIGHTS, alpha)).max() < 1e-8
    np.testing.assert_allclose(ours.score(X, Y, WEIGHTS), peer.score(X, Y, WEIGHTS), rtol=1e-12)
    np.testing.assert_allclose(ours.predict(X[:7]), peer.predict(X[:7]), rtol=1e-10)


@pytest.mark.parametrize("intercept", [True, False])
def test_gradient_descent_reaches_it_too(intercept: bool) -> None:
    x, y = RNG.normal(size=(30, 3)), RNG.normal(size=30)
    ours = Ridge(2.0, fit_intercept=intercept, solver="gd", tol=1e-9, max_iter=5000, target="reference").fit(x, y)
    peer = sklearn.linear_model.Ridge(2.0, fit_intercept=intercept).fit(x, y)
    np.testing.assert_allclose(ours.coef_, peer.coef_, rtol=0, atol=1e-8)
    assert ours.result_.converged
    assert ours.n_iter_ == ours.result_.steps > 1


@pytest.mark.parametrize("kind", ["copies", "wide", "constant", "zeros"])
def test_dependent_columns_get_the_shortest_solution(kind: str) -> None:
    x, y = RNG.normal(size=(20, 6)) * np.array([1e4, 1, 1, 1e-3, 1, 1]), RNG.normal(size=20)
    match kind:
        case "copies":
            x = np.concatenate([x, x[:, 1:2] - 3 * x[:, 2:3], x[:, :1]], axis=1)
        case "wide":
            x, y = x[:4], y[:4]
        case "constant":
            x[:, 4] = 0.1
        case "zeros":
            x[:, 4] = 0.0
    want = np.linalg.lstsq(x - x.mean(axis=0), y - y.mean(), rcond=len(y) * EPS)[0]
    for target in ("reference", "cpu"):
        ours = LinearRegression(target=target).fit(x, y)
        # Columns differ by 1e7 in length.
        np.testing.assert_allclose(ours.coef_, want, rtol=0, atol=1e7 * 64 * EPS * np.abs(want).max())
    if kind in ("constant", "zeros"):
        assert ours.coef_[4] == 0.0
    for solver in ("qr", "normal"):
        text = r"column 4 of X is constant" if kind in ("constant", "zeros") else r"column .*of X is a combination"
        with pytest.raises(sd.DomainError, match=text):
            LinearRegression(solver=solver, target="reference").fit(x, y)
    assert Ridge(1.0, target="reference").fit(x, y).predict(x).shape == y.shape


def test_one_sample_and_equal_targets() -> None:
    one = LinearRegression(target="reference").fit([[1.0, 2.0]], [5.0])
    assert one.predict([[7.0, 8.0]]) == [5.0]
    assert one.score([[0.0, 0.0]], [5.0]) == 1.0
    assert one.score([[0.0, 0.0]], [4.0]) == 0.0


NAN = X[:9].copy()
NAN[3, 1] = np.nan


@pytest.mark.parametrize(
    ("x", "y", "settings", "error", "text"),
    [
        (NAN, Y[:9], {}, sd.DomainError, r"Ridge: X holds NaN at \[3, 1\]"),
        (X[:9], np.where(Y[:9] > 100, np.inf, 1.0), {}, sd.DomainError, r"y holds inf at \[0\]"),
        (X[:9], Y[:8], {}, sd.ShapeError, "9 samples and y has 8"),
        (X[:0], Y[:0], {}, sd.ShapeError, "at least one sample"),
        (X[:9], None, {}, sd.DomainError, "y is None"),
        (X[:9], ["1"] * 9, {}, sd.DTypeError, "y holds real numbers, got the string '1'"),
        (X[:9], [{}] * 9, {}, sd.DTypeError, "y holds real numbers"),
        (X[:9], Y[:9], {"alpha": -1.0}, sd.DomainError, "alpha is a finite number >= 0, got -1.0"),
        (X[:9], Y[:9], {"alpha": "1"}, sd.DomainError, "alpha is a finite number"),
        (X[:9], Y[:9], {"solver": "cholesky"}, sd.DomainError, "'cholesky'"),
        (X[:9], np.stack([Y[:9], Y[:9]], axis=1), {}, sd.ShapeError, r"y has shape \(samples,\)"),
    ],
)  # fmt: skip
def test_bad_data_is_named(x: Any, y: Any, settings: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        Ridge(**settings, target="reference").fit(x, y)
