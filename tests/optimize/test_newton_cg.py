"""Newton-CG against SciPy and the dense Hessian."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize

import symdiff as sd
from symdiff.optimize import NewtonCG, Objective


def test_products_are_those_of_the_hessian(target: str) -> None:
    a, b = sd.symbols("a"), sd.matrix("b", 2, 3)
    f = sd.sum(sd.sin(a * b) * b**2) + a**4
    u, v = sd.symbols("u"), sd.matrix("v", 2, 3)
    objective = Objective(f, (a, b))
    products = objective.product([a, b], [u, v])
    rng = np.random.default_rng(2)
    b0, v0 = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    got = sd.compile([*products, objective.hessian([a, b])], [a, b, u, v], target=target)(0.7, b0, -1.3, v0)
    want = got[2] @ np.r_[-1.3, v0.ravel()]
    np.testing.assert_allclose(np.r_[got[0], got[1].ravel()], want, rtol=1e-13)


def test_chained_rosenbrock(target: str) -> None:
    v = sd.vector("v", 10)
    f = sd.sum(100 * (v[1:] - v[:-1] ** 2) ** 2 + (1 - v[:-1]) ** 2)
    start = np.full(10, 0.5)
    res = sd.minimize(f, {v: start}, method="newton-cg", tol=1e-9, target=target)
    theirs = scipy.optimize.minimize(
        scipy.optimize.rosen,
        start,
        jac=scipy.optimize.rosen_der,
        hessp=scipy.optimize.rosen_hess_prod,
        method="Newton-CG",
    )
    assert res.converged
    np.testing.assert_allclose(res.x[v], 1.0, rtol=1e-8)
    assert res.steps < 2 * theirs.nit


def test_a_quadratic_takes_few_steps_and_a_saddle_is_left(target: str) -> None:
    rng = np.random.default_rng(6)
    m = rng.normal(size=(5, 5))
    a, b = m @ m.T + np.eye(5), rng.normal(size=5)
    x = sd.vector("x", 5)
    res = sd.minimize(0.5 * (x @ (a @ x)) - b @ x, {x: np.zeros(5)}, method=NewtonCG(), target=target)
    assert res.converged
    assert res.steps <= 8
    np.testing.assert_allclose(res.x[x], np.linalg.solve(a, b), rtol=1e-7)
    p, q = sd.symbols("p q")
    saddle = sd.minimize((p**2 - 1) ** 2 + q**2, {p: 1e-3, q: 1.0}, method="newton-cg", target=target)
    assert saddle.converged
    assert abs(float(saddle.x[p])) == pytest.approx(1.0, rel=1e-8)
