"""Sparse Newton against the dense method, and its factorisation against eigenvalues."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse

import symdiff as sd
from symdiff.optimize.newton import make_definite
from symdiff.optimize.sparse_newton import definite_solver, newton_direction


def chained(n: int) -> tuple[Any, Any]:
    v = sd.vector("v", n)
    return v, sd.sum(100 * (v[1:] - v[:-1] ** 2) ** 2 + (1 - v[:-1]) ** 2)


def test_the_iterates_are_those_of_the_dense_method(target: str) -> None:
    v, f = chained(12)
    start = {v: np.linspace(-1.0, 1.5, 12)}
    sparse, dense = (sd.minimize(f, start, method=m, tol=1e-9, target=target) for m in ("sparse-newton", "newton"))
    assert sparse.converged
    assert sparse.steps == dense.steps
    # The same steps but for rounding, which the shifted systems amplify.
    np.testing.assert_allclose(sparse.history["loss"][:8], dense.history["loss"][:8], rtol=1e-8)
    np.testing.assert_allclose(sparse.x[v], dense.x[v], rtol=1e-7)


def test_ten_thousand_unknowns_on_a_grid() -> None:
    """A minimal surface: the dense Hessian would take 800 MB."""
    n = 102
    edge = np.zeros((n, n))
    edge[0] = np.sin(np.linspace(0, np.pi, n))
    h = 1 / (n - 1)
    inner = sd.matrix("inner", n - 2, n - 2)
    u = sd.pad(inner, 1) + edge
    ux, uy = (u[1:, :-1] - u[:-1, :-1]) / h, (u[:-1, 1:] - u[:-1, :-1]) / h
    area = sd.sum(sd.sqrt(1 + ux**2 + uy**2)) * h**2
    res = sd.minimize(area, {inner: np.zeros((n - 2, n - 2))}, method="sparse-newton", tol=1e-10)
    assert res.converged, res.message
    assert res.steps < 40
    grad = sd.compile(sd.gradient(area, inner), [inner], target="reference")(res.x[inner])
    assert np.abs(grad).max() <= 1e-10


def test_several_unknowns_make_blocks() -> None:
    a, b, c = sd.symbols("a"), sd.matrix("b", 2, 3), sd.vector("c", "n", dtype="float32")
    f = (a**2 - 1) ** 2 + sd.sum((b - a) ** 4) + sd.sum(b**2) + sd.sum(sd.cosh(c - 2))
    start = {a: 0.1, b: np.ones((2, 3)), c: np.zeros(4)}
    res, dense = (sd.minimize(f, start, method=m, tol=1e-6, target="reference") for m in ("sparse-newton", "newton"))
    assert res.converged
    assert res.x[c].dtype == np.float32
    assert res.fun == pytest.approx(dense.fun, rel=1e-6)
    np.testing.assert_allclose(np.abs(res.x[b]), np.abs(dense.x[b]), rtol=1e-4)


@pytest.mark.parametrize("kind", ["definite", "indefinite", "singular", "zero", "zero diagonal"])
def test_the_direction_is_that_of_the_dense_method(kind: str) -> None:
    rng = np.random.default_rng(14)
    root = scipy.sparse.random_array((9, 9), density=0.3, rng=rng).toarray()
    a = root @ root.T + {"definite": 0.5, "singular": 0.0}.get(kind, -0.3) * np.eye(9)
    if kind == "singular":
        a[4] = a[:, 4] = 0.0
    if kind == "zero":
        a = np.zeros((9, 9))
    if kind == "zero diagonal":
        a = np.zeros((9, 9))
        a[0, 8] = a[8, 0] = 2.0
    g = rng.normal(size=9)
    got = newton_direction(scipy.sparse.csc_array(a), g)
    hess = sd.matrix("hess", 9, 9)
    shifted, definite = sd.compile([*make_definite(hess)], [hess], target="reference")(a)
    assert definite
    np.testing.assert_allclose(got, np.linalg.solve(shifted, -g), rtol=1e-6)
    assert got @ g < 0
    assert (definite_solver(scipy.sparse.csc_array(a)) is not None) == (np.linalg.eigvalsh(a).min() > 1e-12)


def test_hessians_that_are_no_numbers_give_the_gradient() -> None:
    a = scipy.sparse.csc_array(np.diag([1.0, np.nan, 2.0]))
    np.testing.assert_array_equal(newton_direction(a, np.array([1.0, -2.0, 3.0])), [-1.0, 2.0, -3.0])


def test_callback_and_interruption() -> None:
    v, f = chained(20)
    seen: list[int] = []

    def stop(now: Any) -> bool:
        seen.append(now.step)
        if now.step == 0:
            return False
        raise KeyboardInterrupt

    res = sd.minimize(f, {v: np.full(20, 0.5)}, method="sparse-newton", callback=stop, tol=0.0, target="reference")
    assert not res.converged
    assert np.isfinite(res.fun)
    few = sd.minimize(f, {v: np.full(20, 0.5)}, method="sparse-newton", max_steps=3, target="reference")
    assert (few.steps, few.converged) == (3, False)
    assert len(few.history["loss"]) == 4
