"""The modified Cholesky factorisation against its definition, and Newton's method with it."""

from __future__ import annotations

import numpy as np
import pytest

import symdiff as sd
from symdiff.optimize import Newton
from symdiff.optimize.modified_cholesky import modified_cholesky, modified_solve

EPS = float(np.finfo(np.float64).eps)


def with_eigenvalues(eigenvalues: list[float], seed: int) -> np.ndarray:
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(eigenvalues),) * 2))
    return q * np.array(eigenvalues) @ q.T


CASES = {
    "definite": [1.0, 2.0, 3.0, 50.0, 1e4],
    "indefinite": [-3.0, 1.0, 2.0, 5.0, 8.0],
    "negative": [-1.0, -2.0, -3.0, -4.0, -5.0],
    "singular": [0.0, 0.0, 1.0, 2.0, 3.0],
    "zero": [0.0, 0.0, 0.0, 0.0, 0.0],
}


@pytest.mark.parametrize("case", CASES)
def test_the_factors_are_those_of_a_matrix_with_a_larger_diagonal(case: str, target: str) -> None:
    a = with_eigenvalues(CASES[case], 11)
    hess, b = sd.matrix("hess", "n", "n"), sd.vector("b", "n")
    b0 = np.random.default_rng(12).normal(size=5)
    upper, d, x = sd.compile([*modified_cholesky(hess), modified_solve(hess, b)], [hess, b], target=target)(a, b0)
    np.testing.assert_array_equal(np.tril(upper, -1), 0.0)
    np.testing.assert_array_equal(np.diag(upper), 1.0)
    e = upper.T * d @ upper - a
    scale = max(np.abs(a).max(), 1.0)
    np.testing.assert_allclose(e - np.diag(np.diag(e)), 0.0, atol=50 * EPS * scale)
    assert np.diag(e).min() >= -50 * EPS * scale
    assert np.all(d > 0)
    if case == "definite":
        np.testing.assert_allclose(np.diag(e), 0.0, atol=50 * EPS * scale)
    beta2 = max(np.abs(np.diag(a)).max(), np.abs(a - np.diag(np.diag(a))).max() / 24**0.5, EPS)
    assert np.all(np.abs(np.triu(upper, 1)).T ** 2 * d <= beta2 * (1 + 1e-12))
    if d.min() > 1e-8:  # delta, the least pivot, makes a singular matrix definite on paper only
        np.testing.assert_allclose((a + e) @ x, b0, rtol=1e-8)


def test_newton_with_it_leaves_saddles_and_finds_minima(target: str) -> None:
    v = sd.vector("v", 6)
    f = sd.sum(100 * (v[1:] - v[:-1] ** 2) ** 2 + (1 - v[:-1]) ** 2)
    rule = Newton(hessian="modified-cholesky")
    res = sd.minimize(f, {v: np.tile([-1.2, 1.0], 3)}, method=rule, target=target)
    assert res.converged
    assert res.steps < 60
    p, q = sd.symbols("p q")
    saddle = sd.minimize((p**2 - 1) ** 2 + q**2, {p: 1e-3, q: 1.0}, method=rule, target="reference")
    assert saddle.converged
    assert abs(float(saddle.x[p])) == pytest.approx(1.0, rel=1e-8)


def test_where_the_hessian_is_definite_both_treatments_make_one_step() -> None:
    rng = np.random.default_rng(17)
    x, a, b = sd.vector("x", 4), sd.matrix("a", 4, 4), sd.vector("b", 4)
    data = {a: with_eigenvalues([1.0, 2.0, 30.0, 400.0], 3), b: rng.normal(size=4)}
    for hessian in ("shift", "modified-cholesky"):
        res = sd.minimize(0.5 * (x @ (a @ x)) - b @ x, {x: np.zeros(4)}, data, Newton(hessian), target="reference")
        assert (res.converged, res.steps) == (True, 1)
        np.testing.assert_allclose(res.x[x], np.linalg.solve(data[a], data[b]), rtol=1e-10)
    with pytest.raises(sd.DomainError, match="hessian is 'shift' or 'modified-cholesky', got 'exact'"):
        Newton("exact")
