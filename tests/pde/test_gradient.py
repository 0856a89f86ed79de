"""The discrete adjoint against the complex step of the same scheme in NumPy, and against differences of runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff import pde

k, a = sd.symbols("k a")
x, y, t = pde.coordinates("x y t")
u, v = pde.field("u"), pde.field("v")
LINE, SQUARE = pde.Box(x=(0, 1)), pde.Box(x=(0, 1), y=(0, 2))
REFERENCE: dict[str, Any] = {"target": "reference"}
N, STEPS, DT = 9, 6, 2e-3


def scheme(method: str, diffusivity: Any, start: np.ndarray) -> Any:
    """Return the integral of u**2 after some steps of u_t = k*(u_xx + x) between cold sides, for complex k too."""
    h, grid = 1 / (N - 1), np.linspace(0, 1, N)[1:-1]
    line = (np.diag(np.full(N - 2, -2.0)) + np.eye(N - 2, k=1) + np.eye(N - 2, k=-1)) / h**2
    one = np.eye(N - 2)

    def f(w: np.ndarray) -> np.ndarray:
        return diffusivity * (line @ w + grid)

    w = start[1:-1].astype(complex)
    for _ in range(STEPS):
        if method == "rk4":
            k1 = f(w)
            k2 = f(w + DT / 2 * k1)
            k3 = f(w + DT / 2 * k2)
            w = w + DT / 6 * (k1 + 2 * k2 + 2 * k3 + f(w + DT * k3))
        else:
            right = w + DT / 2 * f(w) + DT / 2 * diffusivity * grid
            w = np.linalg.solve(one - DT / 2 * diffusivity * line, right)
    return h * np.sum(w**2)  # the trapezoidal rule, u = 0 on the sides


@pytest.mark.parametrize("linear_solver", ["banded", "transform", "cg", "bicgstab", None])
def test_against_the_complex_step(linear_solver: str | None) -> None:
    start = np.random.default_rng(7).normal(size=N)
    start[[0, -1]] = 0.0
    method = "crank-nicolson" if linear_solver else "rk4"
    options = {"linear_solver": linear_solver} if linear_solver else {}
    equation = pde.Eq(pde.dt(u), k * (pde.dx(u, 2) + x))
    solver = pde.Problem(equation, LINE, {"x": pde.Dirichlet(0)}, {u: start}).discretize(N)
    found = solver.gradient(
        pde.integral(u**2), [k, u], STEPS * DT, method, DT, {k: 0.7}, force=True, **options, **REFERENCE
    )
    tiny = 1e-30
    assert found.value == pytest.approx(scheme(method, 0.7, start).real, rel=1e-11)
    assert found[k] == pytest.approx(scheme(method, 0.7 + tiny * 1j, start).imag / tiny, rel=1e-10)
    exact = [scheme(method, 0.7, start + tiny * 1j * e).imag / tiny for e in np.eye(N)]
    exact[0] = exact[-1] = 0.0  # these points are not unknowns
    np.testing.assert_allclose(found["u"], exact, rtol=1e-10, atol=1e-12)


HEAT = pde.Problem(
    pde.Eq(pde.dt(u), k * pde.laplacian(u) - u**3),
    LINE, {"x": (pde.Dirichlet(a * t), pde.Neumann(0.3))}, {u: sd.sin(a * x)},
)  # fmt: skip
BODY = pde.Problem(
    pde.Eq(pde.dt(u), pde.div((1 + k * x) * pde.grad(u)) - u**3),
    SQUARE, {"x": (pde.Dirichlet(0), pde.Neumann(0.3)), "y": pde.Neumann(a)}, {u: sd.sin(a * x)},
)  # fmt: skip
TORUS = pde.Problem(
    [pde.Eq(pde.dt(u), k * pde.laplacian(u) - v - pde.dx(u)), pde.Eq(pde.dt(v), pde.laplacian(v) + a * u)],
    SQUARE, dict.fromkeys("xy", pde.Periodic()), {u: sd.sin(2 * sd.pi * x) ** 2, v: sd.cos(sd.pi * y) * a},
)  # fmt: skip


@pytest.mark.parametrize(
    ("problem", "shape", "method"),
    [
        *((HEAT, 9, m) for m in ("heun", "leapfrog", "bdf2", "imex-sbdf2", "imex-ars2")),
        (BODY, (4, 5), "crank-nicolson"),
        (TORUS, (6, 7), "sdirk2"),
    ],
    ids=lambda p: p if isinstance(p, str) else "",
)
def test_against_differences_of_runs(problem: Any, shape: Any, method: str) -> None:
    """Parameters in the equation, on a side that moves, and in the initial values."""
    solver = problem.discretize(shape)
    functional = pde.integral(u**2 * (1 + x))
    options: dict[str, Any] = {"until": 0.02, "method": method, "dt": 0.005, "force": True, **REFERENCE}

    def value(at: dict[Any, float]) -> float:
        return float(solver.gradient(functional, [], parameters=at, **options).value)

    base, h = {k: 0.3, a: 1.3}, 1e-3
    found = solver.gradient(functional, [k, a], parameters=base, **options)
    for p in (k, a):
        steps = [value({**base, p: base[p] + j * h}) for j in (-2, -1, 1, 2)]
        # The error of the formula is h**4 and rounding is eps/h: both 1e-12 or so.
        assert found[p] == pytest.approx((steps[0] - 8 * steps[1] + 8 * steps[2] - steps[3]) / (12 * h), rel=1e-8)


def test_compiled_and_with_little_memory() -> None:
    solver = HEAT.discretize(33)
    options: dict[str, Any] = {"until": 0.01, "method": "euler", "parameters": {k: 0.3, a: 1.3}}
    plain = solver.gradient(pde.mean(u**2), [k, u], **options)
    spare = solver.gradient(pde.mean(u**2), [k, u], max_bytes=1, **options)
    assert spare[k] == pytest.approx(plain[k], rel=1e-13)
    assert np.abs(spare[u] - plain[u]).max() < 1e-14
    assert plain.value == pytest.approx(solver.gradient(pde.mean(u**2), k, **options, **REFERENCE).value, rel=1e-13)


def test_wrong_gradients_are_named() -> None:
    solver = HEAT.discretize(9)
    options: dict[str, Any] = {"until": 0.01, "parameters": {k: 0.3, a: 1.3}, **REFERENCE}
    with pytest.raises(sd.ShapeError, match="is one number"):
        solver.gradient(u**2, k, **options)
    with pytest.raises(sd.UnknownSymbolError, match="no parameter and no field"):
        solver.gradient(pde.integral(u), sd.symbols("q"), **options)
    with pytest.raises(sd.UnknownSymbolError, match="of no field of the problem"):
        solver.gradient(pde.integral(v), k, **options)
    with pytest.raises(sd.DomainError, match="rk45 follow their error"):
        solver.gradient(pde.integral(u), k, method="rk45", **options)
    with pytest.raises(sd.DomainError, match="unstable for euler"):
        solver.gradient(pde.integral(u), k, method="euler", dt=1.0, **options)
