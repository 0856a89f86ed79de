"""Lasso: scikit-learn's optimum, the conditions of optimality, both solvers, sparse samples."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
import sklearn.linear_model

import symdiff as sd
from symdiff.models import Lasso
from tests.models.real_data import real_data

X, Y = real_data("diabetes")
WEIGHTS = np.random.default_rng(5).uniform(0.2, 2.0, size=len(Y))


def objective(model: Lasso, alpha: float, s: np.ndarray) -> float:
    squares = s @ (Y - X @ model.coef_ - model.intercept_) ** 2
    return float(squares / (2 * s.sum()) + alpha * np.abs(model.coef_).sum())


def violation(model: Lasso, alpha: float, s: np.ndarray) -> float:
    """How far the smooth part's gradient g is from -alpha sign(w), or from [-alpha, alpha] where w = 0."""
    r = s * (X @ model.coef_ + model.intercept_ - Y) / s.sum()
    g, w = X.T @ r, model.coef_
    wrong = np.where(w != 0, np.abs(g + alpha * np.sign(w)), np.maximum(np.abs(g) - alpha, 0))
    return float(max(wrong.max(), abs(r.sum())))


@pytest.mark.parametrize("alpha", [20.0, 0.5])
def test_optimum_is_scikit_learns(alpha: float, target: str) -> None:
    peer = sklearn.linear_model.Lasso(alpha, tol=1e-12, max_iter=100_000).fit(X, Y, sample_weight=WEIGHTS)
    ours = Lasso(alpha, target=target).fit(X, Y, sample_weight=WEIGHTS)
    assert ours.result_.converged
    np.testing.assert_allclose(objective(ours, alpha, WEIGHTS), objective(peer, alpha, WEIGHTS), rtol=1e-10)
    assert violation(ours, alpha, WEIGHTS) < 1e-8
    np.testing.assert_array_equal(ours.coef_ == 0, peer.coef_ == 0)
    np.testing.assert_allclose(ours.coef_, peer.coef_, rtol=0, atol=1e-4)  # scikit-learn's tol is on the duality gap
    np.testing.assert_allclose(ours.score(X, Y), peer.score(X, Y), rtol=1e-6)


@pytest.mark.parametrize(("solver", "target"), [("coordinate", "reference"), ("fista", "cpu")])
def test_sparse_samples(solver: str, target: str) -> None:
    rng = np.random.default_rng(8)
    x = rng.normal(size=(60, 9)) * (rng.uniform(size=(60, 9)) < 0.3) + (np.arange(9) == 2)
    y = x[:, 1] - 2 * x[:, 2] + 0.1 * rng.normal(size=60)
    dense = Lasso(0.05, target="reference").fit(x, y)
    assert np.count_nonzero(dense.coef_) in range(2, 9)
    model = Lasso(0.05, solver=solver, target=target).fit(scipy.sparse.csc_matrix(x), y)
    assert model.result_.converged
    # tol is 1e-10 on a step of length alpha, and the least curvature about 1/10.
    np.testing.assert_allclose(model.coef_, dense.coef_, rtol=0, atol=1e-8)
    np.testing.assert_array_equal(model.coef_ == 0, dense.coef_ == 0)
    np.testing.assert_allclose(model.intercept_, dense.intercept_, rtol=0, atol=1e-8)


def test_too_large_a_penalty_leaves_nothing() -> None:
    most = np.abs(X.T @ (Y - Y.mean())).max() / len(Y)
    assert not Lasso(most * 1.001, target="reference").fit(X, Y).coef_.any()
    assert np.count_nonzero(Lasso(most * 0.999, target="reference").fit(X, Y).coef_) == 1


def test_constant_columns_and_honesty() -> None:
    wide = np.concatenate([X, np.full((len(X), 1), 0.1)], axis=1)
    assert Lasso(1.0, target="reference").fit(wide, Y).coef_[-1] == 0.0
    with pytest.warns(RuntimeWarning, match="Lasso: Not converged after 3 steps"):
        Lasso(0.01, max_iter=3, target="reference").fit(X, Y)
    for settings, text in (
        ({"alpha": 0.0}, "alpha is a number > 0"),
        ({"solver": "lars"}, "'coordinate', 'fista', got 'lars'"),
        ({"alpha": np.nan}, "alpha is a number > 0"),
    ):
        with pytest.raises(sd.DomainError, match=text):
            Lasso(**settings, target="reference").fit(X, Y)
