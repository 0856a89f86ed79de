"""BFGS and L-BFGS against SciPy's minima, theory and each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize

import symdiff as sd
from symdiff.optimize import BFGS, LBFGS, Objective
from symdiff.optimize.wolfe import CURVATURE, search

EPS = float(np.finfo(np.float64).eps)


def chained(n: int) -> tuple[Any, Any, np.ndarray]:
    """The extended Rosenbrock function and its standard start."""
    v = sd.vector("v", n)
    a, b = v[0::2], v[1::2]
    return v, sd.sum(100 * (b - a**2) ** 2 + (1 - a) ** 2), np.tile([-1.2, 1.0], n // 2)


@pytest.mark.parametrize("method", ["bfgs", "lbfgs"])
@pytest.mark.parametrize("n", [2, 50])
def test_rosenbrock_takes_about_as_many_steps_as_scipy(method: str, n: int, target: str) -> None:
    v, f, start = chained(n)
    res = sd.minimize(f, {v: start}, method=method, tol=1e-8, target=target)
    assert res.converged
    np.testing.assert_allclose(res.x[v], np.ones(n), atol=1e-7)
    theirs = scipy.optimize.minimize(
        scipy.optimize.rosen, start[:2], jac=scipy.optimize.rosen_der, method="L-BFGS-B", tol=1e-12
    )
    assert res.steps < 2 * theirs.nit


def test_a_quadratic_is_minimised_in_as_many_steps_as_unknowns() -> None:
    """With an exact search BFGS makes conjugate directions (Nocedal & Wright 2006, theorem 6.4); ours is not exact."""
    rng = np.random.default_rng(5)
    m = rng.normal(size=(6, 6))
    a, b = m @ m.T + np.eye(6), rng.normal(size=6)
    x = sd.vector("x", 6)
    f = 0.5 * (x @ (a @ x)) - b @ x
    for method in (BFGS(), LBFGS(), LBFGS(memory=3)):
        res = sd.minimize(f, {x: np.zeros(6)}, method=method, tol=1e-10, target="reference")
        assert res.converged
        assert res.steps <= 40
        np.testing.assert_allclose(res.x[x], np.linalg.solve(a, b), rtol=1e-9)


def test_with_memory_for_all_steps_both_are_one_method() -> None:
    """The same first scale, the same pairs: the iterates differ by rounding only."""
    v, f, start = chained(4)
    a, b = (
        sd.minimize(f, {v: start}, method=m, tol=0.0, max_steps=6, target="reference").history["loss"]
        for m in (BFGS(), LBFGS(memory=1))
    )
    np.testing.assert_allclose(a[:3], b[:3], rtol=1e-12)
    assert abs(a[6] - b[6]) > 1e-9


def test_several_unknowns_of_several_shapes_and_precisions(target: str) -> None:
    p, q, r = sd.symbols("p"), sd.matrix("q", 2, 3), sd.vector("r", 2, dtype="float32")
    f = (p - 2) ** 2 * (1 + p**2) + sd.sum((q - p) ** 2) + sd.sum(sd.cosh(r - 1))
    start = {p: 0.5, q: np.zeros((2, 3)), r: np.zeros(2, dtype=np.float32)}
    for method in ("bfgs", "lbfgs"):
        res = sd.minimize(f, start, method=method, tol=1e-5, target=target)
        assert res.converged, res.message
        assert float(res.x[p]) == pytest.approx(2.0, abs=1e-5)
        np.testing.assert_allclose(res.x[q], 2.0, atol=1e-5)
        assert res.x[r].dtype == np.float32
        np.testing.assert_allclose(res.x[r], 1.0, atol=1e-4)


@pytest.mark.parametrize("first", [1e-3, 0.2, 1.0, 50.0])
def test_the_search_ends_at_wolfe_points(first: float) -> None:
    x, a = sd.vector("x", 2), sd.symbols("a")
    f = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    objective = Objective(f, (x,))
    point = objective.at([x])
    new, moved = search(objective, point, [-point.grad[0]], a)
    here = np.array([-1.2, 1.0])
    run = sd.compile([point.loss, point.grad[0], new.loss, new.grad[0], moved], [x, a])
    f0, g0, f1, g1, ok = run(here, first)
    slope = -g0 @ g0
    length = np.linalg.norm(sd.compile(new.x[0], [x, a])(here, first) - here) / np.linalg.norm(g0)
    assert ok
    assert f1 <= f0 + 1e-4 * length * slope
    assert -(g1 @ g0) >= CURVATURE * slope


def test_ends_are_said_honestly() -> None:
    x = sd.symbols("x")
    falling = sd.minimize(-sd.exp(x), {x: 0.0}, method="lbfgs", max_steps=500, target="reference")
    assert not falling.converged
    nan = sd.minimize(sd.log(x), {x: -1.0}, method="bfgs", target="reference")
    assert not nan.converged
    assert "finite" in nan.message
    kink = sd.minimize(sd.absolute(x - 1 / 3), {x: 2.0}, method="lbfgs", target="reference")
    assert float(kink.x[x]) == pytest.approx(1 / 3, abs=1e-3)
    with pytest.raises(sd.DomainError, match="memory is a positive int, got 0"):
        LBFGS(memory=0)
