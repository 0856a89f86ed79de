"""Coordinate descent against loops over the entries in NumPy."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

import symdiff as sd
from symdiff.optimize import CoordinateDescent
from tests.optimize.problems import EPS, quadratic, regression


def test_a_sweep_is_gauss_seidel(target: str) -> None:
    p = regression()
    res = sd.minimize(p.f, p.start, p.data, CoordinateDescent(), tol=0.0, max_steps=6, target=target)
    x, hess = np.zeros(5), p.hessian()
    for _ in range(6):
        for j in range(5):
            x[j] -= p.gradient(x)[j] / hess[j, j]
    np.testing.assert_allclose(res.x[p.w], x, rtol=0, atol=1e4 * EPS)


def test_random_orders_are_permutations_and_seeded(target: str) -> None:
    p = regression()

    def run(seed: int, **given: str) -> np.ndarray:
        rule = CoordinateDescent(order="random", seed=seed)
        return sd.minimize(p.f, p.start, p.data, rule, tol=0.0, max_steps=3, **given).x[p.w]

    first = run(5, target=target)
    np.testing.assert_allclose(first, run(5, target="reference"), rtol=0, atol=1e3 * EPS)
    assert not np.allclose(first, run(6, target="reference"))
    # Some order of the entries explains one sweep.
    rule = CoordinateDescent(order="random", seed=5)
    got = sd.minimize(p.f, p.start, p.data, rule, tol=0.0, max_steps=1, target=target).x[p.w]
    hess, sweeps = p.hessian(), []
    for order in permutations(range(5)):
        x = np.zeros(5)
        for j in order:
            x[j] -= p.gradient(x)[j] / hess[j, j]
        sweeps.append(np.abs(x - got).max())
    assert min(sweeps) < 1e3 * EPS


def test_several_unknowns_of_several_shapes() -> None:
    s, v, m = sd.symbols("s"), sd.vector("v", 3), sd.matrix("m", 2, 2)
    f = (s - 1) ** 2 + sd.sum((v - s) ** 2) + sd.sum((m - v[0]) ** 2) * 2
    start = {s: 0.0, v: np.zeros(3), m: np.ones((2, 2))}
    res = sd.minimize(f, start, method=CoordinateDescent(), tol=1e-7, target="reference")
    assert res.converged
    for u in (s, v, m):
        np.testing.assert_allclose(res.x[u], 1.0, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("order", "target"), [("cyclic", "reference"), ("random", "cpu")])
def test_functions_that_are_no_quadratics(order: str, target: str) -> None:
    p = regression()
    x, y = p.data
    f = sd.sum(sd.softplus(-y * (x @ p.w))) / x.shape[0] + 0.05 * sd.sum(p.w**2)
    data = {x: p.data[x], y: np.sign(p.data[y])}
    best = sd.minimize(f, p.start, data, "newton", target="reference")
    res = sd.minimize(f, p.start, data, CoordinateDescent(order=order), max_steps=200, target=target)
    assert res.converged
    assert np.all(np.diff(res.history["loss"]) <= 8 * EPS * res.history["loss"][1:])
    np.testing.assert_allclose(res.x[p.w], best.x[p.w], rtol=0, atol=1e-6)


def test_no_curvature_and_negative_curvature() -> None:
    x, y = sd.symbols("x y")
    # A column of zeros: y has nothing to go to, and stays.
    res = sd.minimize((x - 2) ** 2 + 0 * y, {x: 0.0, y: 5.0}, method=CoordinateDescent(), target="reference")
    assert res.converged
    assert float(res.x[y]) == 5.0
    for f in (x**2 - y**2 + x * y, x**2 - y):
        res = sd.minimize(f, {x: 1.0, y: 0.5}, method=CoordinateDescent(), max_steps=99, target="reference")
        assert not res.converged
    # cos has a maximum at 0: its curvature is not followed there.
    res = sd.minimize(sd.cos(x), {x: 0.1}, method=CoordinateDescent(), target="reference")
    assert res.converged
    np.testing.assert_allclose(res.x[x], np.pi, rtol=0, atol=1e-7)


def test_it_converges_at_the_rate_of_gauss_seidel() -> None:
    f, w, data, hess = quadratic(np.array([1.0, 50.0, 60.0, 80.0]))
    res = sd.minimize(f, {w: np.ones(4)}, data, CoordinateDescent(), tol=1e-12, target="reference")
    lower = np.tril(hess)
    radius = np.abs(np.linalg.eigvals(np.eye(4) - np.linalg.solve(lower, hess))).max()
    norms = res.history["grad_norm"]
    rate = (norms[-1] / norms[-21]) ** 0.05
    assert rate == pytest.approx(radius, rel=0.01)


def test_wrong_settings_are_refused() -> None:
    x = sd.symbols("x")
    with pytest.raises(sd.DomainError, match="order is one of 'cyclic', 'random', got 'greedy'"):
        CoordinateDescent(order="greedy")
    with pytest.raises(sd.DomainError, match="CoordinateDescent: seed is an int from 0"):
        CoordinateDescent(seed=-3)
    with pytest.raises(sd.DomainError, match=r"l1 needs a quadratic; .* Use ProximalGradient or FISTA"):
        sd.minimize(sd.cosh(x), {x: 1.0}, method=CoordinateDescent(l1=0.5), target="reference")
