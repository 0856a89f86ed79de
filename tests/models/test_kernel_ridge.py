"""KernelRidge: scikit-learn's objective and predictions by both solvers, bad data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import kernel_ridge
from sklearn.metrics.pairwise import pairwise_kernels

import symdiff as sd
from symdiff.models import KernelRidge
from tests.models.real_data import real_data

SETTINGS: list[dict[str, Any]] = [
    {},
    {"kernel": "rbf", "alpha": 0.1},
    {"kernel": "laplacian", "gamma": 0.3},
    {"kernel": "poly", "alpha": 2.0, "degree": 2, "coef0": 0.5},
]


def objective(a: np.ndarray, k: np.ndarray, y: np.ndarray, s: np.ndarray, alpha: float) -> float:
    return float(s @ (y - k @ a) ** 2 + alpha * a @ k @ a)


CASES = [("cholesky", s) for s in SETTINGS] + [("cg", s) for s in SETTINGS[:2]]


@pytest.mark.parametrize(("solver", "settings"), CASES, ids=str)
def test_optimum_is_scikit_learns(solver: str, settings: dict[str, Any]) -> None:
    x, y = real_data("diabetes")
    s = np.random.default_rng(3).uniform(0.1, 2.0, size=len(y))
    ours = KernelRidge(**settings, solver=solver).fit(x, y, s)
    theirs = kernel_ridge.KernelRidge(**settings).fit(x, y, s)
    options = {key: value for key, value in settings.items() if key not in ("kernel", "alpha")}
    k = pairwise_kernels(x, metric=settings.get("kernel", "linear"), **options)
    values = [objective(m.dual_coef_, k, y, s, ours.alpha) for m in (ours, theirs)]
    np.testing.assert_allclose(*values, rtol=1e-10)
    new = x[:40] + 0.3
    np.testing.assert_allclose(ours.predict(new), theirs.predict(new), rtol=0, atol=1e-7 * np.abs(y).max())
    assert abs(ours.score(x, y) - theirs.score(x, y)) < 1e-9


def test_precomputed_kernel_and_weights_of_zero(target: str) -> None:
    x, y = real_data("diabetes")
    x, y = x[:60], y[:60]
    s = np.where(np.arange(60) % 3 == 0, 0.0, 1.0)
    whole = KernelRidge(kernel="precomputed", target=target).fit(x @ x.T, y, s)
    part = KernelRidge(target=target).fit(x[s > 0], y[s > 0])
    np.testing.assert_allclose(whole.predict(x @ x.T), part.predict(x), rtol=1e-9)


def test_what_has_no_solution_is_said() -> None:
    x, y = np.ones((4, 2)), np.arange(4.0)
    with pytest.raises(sd.DomainError, match="not positive definite for alpha=0"):
        KernelRidge(alpha=0, kernel="rbf", target="reference").fit(x, y)
    x, y = real_data("diabetes")
    with pytest.warns(RuntimeWarning, match="stopped after 3 steps with a residual of"):
        model = KernelRidge(alpha=1e-9, kernel="rbf", solver="cg", max_iter=3).fit(x, y)
    assert model.n_iter_ == 3


def test_bad_data() -> None:
    cases: list[tuple[dict[str, Any], Any, Any, str]] = [
        ({"alpha": -1.0}, [[0.0]], [1.0], "alpha"),
        ({"solver": "qr"}, [[0.0]], [1.0], "solver is one of"),
        ({"kernel": "precomputed"}, [[0.0, 1.0]], [1.0], "square"),
        ({}, [[0.0], [1.0]], [1.0, np.inf], r"y holds inf at \[1\]"),
        ({}, [[0.0], [1.0]], [1.0], "2 samples and y has 1"),
    ]
    for settings, x, y, message in cases:
        with pytest.raises(ValueError, match=message):
            KernelRidge(**settings, target="reference").fit(x, y)
