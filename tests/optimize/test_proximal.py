"""ISTA, FISTA and the lasso: textbook loops, optimality conditions, scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

import symdiff as sd
from symdiff.optimize import FISTA, CoordinateDescent, ProximalGradient, Rule
from tests.optimize.problems import EPS, Regression, regression

L1 = 0.35


def soft(x: np.ndarray, by: float) -> np.ndarray:
    return np.sign(x) * np.maximum(np.abs(x) - by, 0)


def lasso_gap(p: Regression, w: np.ndarray) -> float:
    """Duality gap of the lasso (Kim et al. 2007): an upper bound of the distance to the minimum, 0 there."""
    x, y = p.arrays
    r = (y - x @ w) / len(y)
    dual = r * min(1.0, L1 / np.abs(x.T @ r).max())
    return float(p.value(w) + L1 * np.abs(w).sum() - (len(y) * dual @ (2 * y / len(y) - dual)) / 2)


@pytest.mark.parametrize("kind", ["ista", "fista", "restarted"])
def test_the_textbook_iteration(kind: str, target: str) -> None:
    p, a, n = regression(), 0.06, 40
    rule = ProximalGradient(l1=L1, lr=a) if kind == "ista" else FISTA(l1=L1, lr=a, restart=kind == "restarted")
    res = sd.minimize(p.f, p.start, p.data, rule, tol=0.0, max_steps=n, target=target)
    x = y = np.zeros(5)
    s, restarts = 1.0, 0
    losses = [p.value(x)]
    for _ in range(n):
        x1 = soft(y - a * p.gradient(y), a * L1)
        s1 = (1 + np.sqrt(1 + 4 * s * s)) / 2
        factor = (s - 1) / s1 if kind != "ista" else 0.0
        if kind == "restarted" and (y - x1) @ (x1 - x) > 0:
            factor, s1, restarts = 0.0, 1.0, restarts + 1
        y = x1 + factor * (x1 - x)
        x, s = x1, s1
        losses.append(p.value(x) + L1 * np.abs(x).sum())
    assert (restarts > 0) == (kind == "restarted")
    np.testing.assert_allclose(res.x[p.w], x, rtol=0, atol=1e4 * EPS)
    np.testing.assert_allclose(res.history["loss"], losses, rtol=1e4 * EPS)
    residual = np.abs(x - soft(x - p.gradient(x), L1)).max()
    np.testing.assert_allclose(res.history["grad_norm"][-1], residual, rtol=0, atol=1e4 * EPS)


LASSO: list[Rule] = [
    ProximalGradient(L1),
    FISTA(L1),
    CoordinateDescent(L1),
    CoordinateDescent(L1, order="random", seed=7),
]


@pytest.mark.parametrize(
    ("rule", "target"),
    [(rule, "reference") for rule in LASSO] + [(rule, "cpu") for rule in LASSO[2:3]],
    ids=lambda v: str(v).split("(")[0],
)
def test_the_lasso_meets_its_optimality_conditions(rule: Rule, target: str) -> None:
    p = regression()
    res = sd.minimize(p.f, p.start, p.data, rule, tol=1e-10, max_steps=5000, target=target)
    assert res.converged
    assert res.grad_norm <= 1e-10
    w = res.x[p.w]
    g = p.gradient(w)
    zero = w == 0
    assert 0 < zero.sum() < 5
    # Exact zeros, not nearly: the signs of g on the others, and room on these.
    np.testing.assert_allclose(g[~zero], -L1 * np.sign(w[~zero]), rtol=0, atol=1e-9)
    assert np.all(np.abs(g[zero]) <= L1 + 1e-9)
    assert not np.any(np.signbit(w[zero]))
    assert res.fun == pytest.approx(p.value(w) + L1 * np.abs(w).sum(), rel=64 * EPS)
    assert abs(lasso_gap(p, w)) <= 1e-8
    assert "proximal gradient norm" in res.message


def test_the_lasso_of_scikit_learn() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    p = regression(n=60, d=7)
    x, y = p.arrays
    peer = linear_model.Lasso(alpha=L1, fit_intercept=False, tol=1e-14, max_iter=100_000).fit(x, y)
    res = sd.minimize(p.f, p.start, p.data, CoordinateDescent(L1), tol=1e-12, max_steps=5000, target="reference")
    assert res.converged
    np.testing.assert_allclose(res.x[p.w], peer.coef_, rtol=0, atol=1e-9)


def test_an_intercept_is_not_shrunk() -> None:
    p = regression()
    x, y = p.data
    b = sd.symbols("b")
    f = sd.sum((x @ p.w + b - y) ** 2) / (2 * x.shape[0])
    data = {x: p.data[x], y: p.data[y] + 3.0}
    found = []
    for rule in (ProximalGradient(L1, only=(p.w,)), FISTA(L1, only=[p.w]), CoordinateDescent(L1, only=(p.w,))):
        res = sd.minimize(f, {p.w: np.zeros(5), b: 0.0}, data, rule, tol=1e-9, max_steps=5000, target="reference")
        assert res.converged
        r = data[x] @ res.x[p.w] + res.x[b] - data[y]
        assert abs(r.mean()) < 2e-9
        assert np.any(res.x[p.w] == 0)
        found.append(res.x[b])
    np.testing.assert_allclose(found, found[0], rtol=1e-7)


def test_sparse_logistic_regression_against_scipy() -> None:
    from scipy.optimize import minimize as peer

    p = regression()
    x, y = p.data
    labels = np.sign(p.data[y])
    f = sd.sum(sd.softplus(-y * (x @ p.w))) / x.shape[0]
    res = sd.minimize(f, p.start, {x: p.data[x], y: labels}, FISTA(0.02), tol=1e-9, max_steps=20_000)
    assert res.converged

    def split(v: np.ndarray) -> float:
        # w = u - v with u, v >= 0 makes the problem smooth.
        return float(np.logaddexp(0, -labels * (p.data[x] @ (v[:5] - v[5:]))).mean() + 0.02 * v.sum())

    best = peer(split, np.full(10, 0.1), bounds=[(0, None)] * 10, method="L-BFGS-B", options={"ftol": 1e-15})
    # SciPy differentiates by differences: 1e-8 of the gradient.
    assert res.fun <= best.fun + 1e-12
    np.testing.assert_allclose(res.fun, best.fun, rtol=1e-6)


def test_backtracking_finds_steps_below_the_inverse_of_the_curvature() -> None:
    # The step that is found is at most 1/L for the curvature along the step, so the loss never rises (ISTA).
    p = regression(spread=10.0)
    res = sd.minimize(p.f, p.start, p.data, ProximalGradient(L1), tol=1e-11, max_steps=5000, target="reference")
    assert res.converged
    assert np.all(np.diff(res.history["loss"]) <= 4 * EPS * res.history["loss"][1:])


def test_without_a_norm_it_is_gradient_descent() -> None:
    p = regression()
    a, b = (
        sd.minimize(p.f, p.start, p.data, rule, tol=0.0, max_steps=9, target="reference")
        for rule in (ProximalGradient(lr=0.05), sd.optimize.GradientDescent(lr=0.05))
    )
    np.testing.assert_allclose(a.x[p.w], b.x[p.w], rtol=64 * EPS)
    np.testing.assert_allclose(a.history["grad_norm"], b.history["grad_norm"], rtol=0, atol=64 * EPS)


def test_a_large_weight_leaves_nothing() -> None:
    p = regression()
    for rule in (ProximalGradient(1e3), FISTA(1e3), CoordinateDescent(1e3)):
        res = sd.minimize(p.f, {p.w: np.ones(5)}, p.data, rule, target="reference")
        assert res.converged
        np.testing.assert_array_equal(res.x[p.w], 0.0)


def test_float32_stays_float32() -> None:
    w = sd.array("w", (3,), dtype="float32")
    c = np.array([3.0, 0.1, -2.0], dtype=np.float32)
    for rule in (ProximalGradient(0.5), FISTA(0.5), CoordinateDescent(0.5), ProximalGradient(0.5, lr=0.4)):
        res = sd.minimize(sd.sum((w - c) ** 2), {w: np.zeros(3)}, method=rule, tol=1e-5, target="reference")
        assert res.converged
        assert res.x[w].dtype == np.float32
        np.testing.assert_allclose(res.x[w], [2.75, 0.0, -1.75], rtol=0, atol=1e-5)


def test_wrong_settings_are_refused() -> None:
    p = regression()
    for make, error, text in (
        (lambda: ProximalGradient(l1=-1.0), sd.DomainError, r"ProximalGradient: l1 lies in \[0, inf\), got -1.0"),
        (lambda: FISTA(lr=0.0), sd.DomainError, "FISTA: lr is a positive finite number"),
        (lambda: sd.minimize(p.f, p.start, p.data, FISTA(0.1, only=(sd.symbols("b"),))), sd.DomainError, "names 'b'"),
        (lambda: sd.minimize(p.f, p.start, p.data, FISTA(0.1), batch_size=4), sd.DomainError, "FISTA compares them"),
    ):
        with pytest.raises(error, match=text):
            make()
