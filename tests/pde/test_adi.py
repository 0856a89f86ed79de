"""Alternating directions: the factor of modes, the order in time, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.linalg import expm

import symdiff as sd
from symdiff import pde
from symdiff.pde.fourier import angles
from tests.pde.dense import jacobian, right_hand_side

k = sd.symbols("k")
x, y, z, t = pde.coordinates("x y z t")
u, v = pde.field("u"), pde.field("v")
SQUARE, CUBE = pde.Box(x=(0, 1), y=(0, 2)), pde.Box(x=(0, 1), y=(0, 2), z=(0, 1.5))
COLD, FREE, ROUND = pde.Dirichlet(0), pde.Neumann(0), pde.Periodic()
REFERENCE: dict[str, Any] = {"target": "reference"}


@pytest.mark.parametrize(
    ("sides", "mode", "places", "dt"),
    [
        ((COLD, COLD), sd.sin(3 * sd.pi * x) * sd.sin(sd.pi * y / 2), (2, 0), 0.01),
        ((COLD, FREE), sd.sin(sd.pi * x) * sd.cos(sd.pi * y), (0, 2), 1.0),
        ((ROUND, FREE), sd.sin(4 * sd.pi * x) * sd.cos(sd.pi * y / 2), (2, 1), 0.03),
        ((ROUND, FREE, COLD), sd.cos(2 * sd.pi * x) * sd.cos(sd.pi * y) * sd.sin(2 * sd.pi * z), (1, 2, 2), 0.05),
    ],
)  # fmt: skip
def test_modes_have_the_exact_factor(sides: tuple[Any, ...], mode: Any, places: tuple[int, ...], dt: float) -> None:
    """1 + z/prod(1 - z_k/2) with the eigenvalues of the second difference."""
    box, names = (SQUARE, "xy") if len(sides) == 2 else (CUBE, "xyz")
    problem = pde.Problem(pde.Eq(pde.dt(u), k * pde.laplacian(u)), box, dict(zip(names, sides, strict=True)), {u: mode})
    shape = (13, 10, 11)[: len(sides)]
    solver = problem.discretize(shape)
    steps, diffusivity = 3, 0.7
    sol = solver.run(steps * dt, method="adi", dt=dt, parameters={k: diffusivity}, **REFERENCE)
    zs = []
    for axis, (side, place) in enumerate(zip(sides, places, strict=True)):
        kind = {"value": ("value",) * 2, "slope": ("slope",) * 2, "periodic": ("periodic",) * 2}[side.kind]
        block = solver.block(u)[axis]
        theta = angles(kind, block.stop - block.start)[place]
        zs.append(dt * diffusivity * (2 * np.cos(theta) - 2) / solver.grid.spacing[axis] ** 2)
    factor = 1 + sum(zs) / np.prod([1 - value / 2 for value in zs])
    start = solver.run(dt, method="adi", dt=dt, parameters={k: 0.0}, **REFERENCE)[u]
    assert abs(factor) < 1
    assert np.abs(sol[u] - factor**steps * start).max() < 1e-13


def test_order_in_time_with_variable_factors_and_a_source() -> None:
    """Against the exponential of the matrix; the time of the source is one more unknown."""
    rhs = pde.dx((1 + x * y) * pde.dx(u)) + k * pde.dy(u, 2) - (1 + y) * pde.dy(u) + x * t - 3 * u
    sides = {"x": (COLD, pde.Robin(1, 2, 0)), "y": FREE}
    start = sd.sin(sd.pi * x / 2) * (1 + sd.cos(sd.pi * y / 2))
    solver = pde.Problem(pde.Eq(pde.dt(u), rhs), SQUARE, sides, {u: start}).discretize((7, 8))
    f = right_hand_side(solver, {k: 0.6})
    first = solver.run(1.0, method="adi", dt=1.0, parameters={k: 0.6}, save_every=1.0, **REFERENCE).saved[u][0]
    block = solver.block(u)
    u0 = first[block].ravel()
    matrix = jacobian(f, u0, None)
    source = np.broadcast_to(solver.grid.mesh()[0], solver.grid.shape)[block].ravel()
    n = len(u0)
    whole = np.zeros((n + 2, n + 2))
    whole[:n, :n], whole[:n, n], whole[n, n + 1] = matrix, source, 1.0
    exact = (expm(0.5 * whole) @ np.array([*u0, 0.0, 1.0]))[:n]
    errors = []
    for dt in (0.02, 0.01):
        found = solver.run(0.5, method="adi", dt=dt, parameters={k: 0.6}, **REFERENCE)[u][block].ravel()
        errors.append(np.abs(found - exact).max())
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.1)


def test_a_nonlinear_reaction_and_moving_sides() -> None:
    """A manufactured solution whose differences in space are exact: what is left is the error in time."""
    exact = {u: (x + 2 * y) * sd.exp(-t)}
    made = pde.manufactured(
        pde.Eq(pde.dt(u), pde.laplacian(u) - u**3), exact, SQUARE, {"x": pde.Dirichlet, "y": pde.Neumann}
    )
    errors = []
    for dt in (0.1, 0.05):
        solver = made.discretize((6, 7))
        xs, ys = solver.grid.mesh()
        sol = solver.run(1.0, method="adi", dt=dt, **REFERENCE)
        errors.append(np.abs(sol[u] - (xs + 2 * ys) * np.exp(-1)).max())
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.2)


def test_two_fields_a_long_step_and_gradients() -> None:
    equations = [pde.Eq(pde.dt(u), k * pde.laplacian(u) - u), pde.Eq(pde.dt(v), pde.laplacian(v) + x)]
    sides = {"x": ROUND, "y": (COLD, FREE)}
    solver = pde.Problem(equations, SQUARE, sides, {u: sd.sin(sd.pi * y / 4), v: y * 0}).discretize((8, 9))
    options: dict[str, Any] = {"method": "adi", "dt": 0.1, **REFERENCE}
    sol = solver.run(30.0, parameters={k: 0.5}, **{**options, "dt": 0.5})
    steady = solver.steady({k: 0.5}, **REFERENCE)
    assert max(np.abs(sol[w] - steady[w]).max() for w in (u, v)) < 1e-6  # exp(-0.6*30)
    number, step = pde.integral(u**2), 1e-4
    found = solver.gradient(number, wrt=k, until=0.1, parameters={k: 0.5}, **options)
    around = [
        solver.gradient(number, wrt=k, until=0.1, parameters={k: 0.5 + s}, **options).value for s in (step, -step)
    ]
    assert found[k] == pytest.approx((around[0] - around[1]) / (2 * step), rel=1e-6)  # step**2 and eps/step


@pytest.mark.slow
def test_compiled_sweeps_are_the_interpreted_ones() -> None:
    problem = pde.Problem(pde.Eq(pde.dt(u), pde.laplacian(u)), SQUARE, {"x": ROUND, "y": COLD}, {u: y * (2 - y) * x})
    solver = problem.discretize((9, 12))
    one, other = (solver.run(0.3, method="adi", dt=0.1, target=target)[u] for target in ("cpu", "reference"))
    assert np.abs(one - other).max() < 1e-13


@pytest.mark.parametrize(
    ("rhs", "order", "match"),
    [
        (pde.d(pde.dx(u), y), 2, "derivatives along x and y"),
        (pde.div((1 + pde.dx(u) ** 2) * pde.grad(u)), 2, "'adi'"),
        (pde.laplacian(u) - pde.integral(u), 2, "of the whole domain"),
        (pde.dx(u) * pde.dy(u), 2, "as a factor"),
        (pde.laplacian(u), 4, "reach one point"),
    ],
)
def test_what_has_no_directions_is_refused(rhs: Any, order: int, match: str) -> None:
    problem = pde.Problem(pde.Eq(pde.dt(u), rhs), SQUARE, {"x": COLD, "y": COLD}, {u: x * y})
    with pytest.raises(sd.DomainError, match=match):
        problem.discretize((9, 10), order).run(0.1, method="adi", dt=0.1, **REFERENCE)


def test_coupled_fields_and_linear_solvers_are_refused() -> None:
    coupled = [pde.Eq(pde.dt(u), pde.laplacian(u) + v), pde.Eq(pde.dt(v), pde.laplacian(v) - u)]
    solver = pde.Problem(coupled, SQUARE, {"x": COLD, "y": COLD}, {u: x, v: y}).discretize((9, 10))
    with pytest.raises(sd.DomainError, match="do not couple fields"):
        solver.run(0.1, method="adi", dt=0.1)
    with pytest.raises(sd.DomainError, match="leave out linear_solver"):
        solver.run(0.1, method="adi", dt=0.1, linear_solver="cg")
