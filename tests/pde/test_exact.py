"""Runs against what the discrete equations give exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff import pde

k = sd.symbols("k")
x, y, t = pde.coordinates("x y t")
u = pde.field("u")
EPS = float(np.finfo(float).eps)


def factor(name: str, z: float) -> float:
    """Return R(z), written out independently of the tableaux."""
    return {
        "euler": 1 + z,
        "heun": 1 + z + z**2 / 2,
        "ssprk3": 1 + z + z**2 / 2 + z**3 / 6,
        "rk4": 1 + z + z**2 / 2 + z**3 / 6 + z**4 / 24,
        "backward-euler": 1 / (1 - z),
        "crank-nicolson": (1 + z / 2) / (1 - z / 2),
    }[name]


@pytest.mark.parametrize("name", ["euler", "heun", "ssprk3", "rk4", "backward-euler", "crank-nicolson"])
@pytest.mark.parametrize("mode", [1, 3])
def test_sine_modes_decay_by_the_amplification_factor(name: str, mode: int) -> None:
    n, n_steps = 21, 6
    equation = pde.Eq(pde.dt(u), k * pde.laplacian(u))
    problem = pde.Problem(equation, pde.Box(x=(0, 1)), {"x": pde.Dirichlet(0)}, {u: sd.sin(mode * sd.pi * x)})
    solver = problem.discretize(n)
    h, diffusivity = 1 / (n - 1), 0.7
    dt = 0.4 * h**2 / diffusivity
    sol = solver.run(n_steps * dt, method=name, dt=dt, parameters={k: diffusivity}, target="reference")
    eigenvalue = -diffusivity * 4 / h**2 * np.sin(mode * np.pi * h / 2) ** 2
    exact = factor(name, dt * eigenvalue) ** n_steps * np.sin(mode * np.pi * solver.grid.x)
    # 1e-13 per step, of which the linear solver's tolerance 1e-12 times the change of a step is the most.
    assert np.abs(sol[u] - exact).max() < n_steps * 1e-13


def test_a_cosine_mode_between_insulated_sides_and_a_periodic_one() -> None:
    box = pde.Box(x=(0, 1), y=(0, 1))
    start = sd.cos(sd.pi * x) * sd.sin(2 * sd.pi * y + 0.3)
    problem = pde.Problem(
        pde.Eq(pde.dt(u), pde.laplacian(u)), box, {"x": pde.Neumann(0), "y": pde.Periodic()}, {u: start}
    )
    solver = problem.discretize((9, 8))
    hx, hy = solver.grid.spacing
    dt, n_steps = 1e-3, 5
    sol = solver.run(n_steps * dt, method="euler", dt=dt, target="reference")
    z = -dt * (4 / hx**2 * np.sin(np.pi * hx / 2) ** 2 + 4 / hy**2 * np.sin(np.pi * hy) ** 2)
    xs, ys = solver.grid.mesh()
    exact = (1 + z) ** n_steps * np.cos(np.pi * xs) * np.sin(2 * np.pi * ys + 0.3)
    # Rounding of the differences: eps times dt/h**2 (0.1) a step.
    assert np.abs(sol[u] - exact).max() < 20 * EPS


@pytest.mark.parametrize("name", ["backward-euler", "crank-nicolson"])
def test_a_thousand_explicit_limits_are_stable_and_right(heat: Any, name: str, target: str) -> None:
    rng = np.random.default_rng(5)
    n, n_steps = 24, 3
    start = rng.normal(size=n)
    equation = pde.Eq(pde.dt(u), k * pde.laplacian(u))
    sides = {"x": (pde.Dirichlet(0), pde.Neumann(0))}
    solver = pde.Problem(equation, pde.Box(x=(0, 1)), sides, {u: start}).discretize(n)
    dt = 1000 * solver.stable_dt("euler", {k: 0.3})
    sol = solver.run(n_steps * dt, method=name, dt=dt, parameters={k: 0.3}, target=target)
    # The same linear system, dense: Dirichlet at the first point, a mirrored point behind the last one.
    h = 1 / (n - 1)
    a = (np.diag(np.full(n - 1, -2.0)) + np.eye(n - 1, k=1) + np.eye(n - 1, k=-1)) * 0.3 / h**2
    a[-1, -2] *= 2
    theta, one, v = (1.0 if name == "backward-euler" else 0.5), np.eye(n - 1), start[1:]
    for _ in range(n_steps):
        v = np.linalg.solve(one - theta * dt * a, (one + (1 - theta) * dt * a) @ v)
    assert sol[u][0] == 0.0
    # A condition of some 1e4 times the solver's 1e-12, and Crank-Nicolson adds three steps up.
    assert np.abs(sol[u][1:] - v).max() < 1e-7 * np.abs(start).max()
    weights = np.append(np.ones(n - 2), 0.5)  # in which the matrix is symmetric
    assert weights @ sol[u][1:] ** 2 <= weights @ start[1:] ** 2


def test_mean_is_conserved_on_a_torus() -> None:
    box = pde.Box(x=(0, 1), y=(0, 1))
    start = np.random.default_rng(2).normal(size=(7, 6))
    problem = pde.Problem(
        pde.Eq(pde.dt(u), pde.laplacian(u)), box, {"x": pde.Periodic(), "y": pde.Periodic()}, {u: start}
    )
    for order in (2, 4):
        sol = problem.discretize((7, 6), order).run(0.05, target="reference")
        assert abs(sol[u].mean() - start.mean()) < 200 * EPS  # a few roundings for each of some 40 steps


@pytest.mark.parametrize("order", [2, 4])
@pytest.mark.parametrize("condition", [pde.Dirichlet(0), pde.Neumann(0.5), pde.Robin(2, 1, t)])
def test_x_and_y_are_alike(order: int, condition: Any) -> None:
    """A symmetric problem keeps its symmetry, corners included; mixed derivatives use them."""
    box = pde.Box(x=(0, 1), y=(0, 1))
    equation = pde.Eq(pde.dt(u), pde.laplacian(u) + 0.5 * pde.d(pde.dx(u), y) + x * y)
    problem = pde.Problem(equation, box, {"x": condition, "y": condition}, {u: sd.cos(x + y) * (x - y) ** 2})
    sol = problem.discretize((9, 9), order).run(0.02, target="reference")
    assert np.abs(sol[u] - sol[u].T).max() < 1e3 * EPS * np.abs(sol[u]).max()


@pytest.mark.parametrize("order", [2, 4])
def test_mirrored_states_stay_mirrored_to_the_last_bit(order: int) -> None:
    n = 14
    start = np.random.default_rng(3).normal(size=n)
    start = start + start[::-1]
    for sides in (pde.Dirichlet(1), pde.Neumann(1)):
        equation = pde.Eq(pde.dt(u), pde.laplacian(u))
        problem = pde.Problem(equation, pde.Box(x=(0, 1)), {"x": sides}, {u: start})
        sol = problem.discretize(n, order).run(0.01, target="reference")
        np.testing.assert_array_equal(sol[u], sol[u][::-1])


def test_given_values_are_held_exactly() -> None:
    g = sd.sin(3 * t) + y
    box = pde.Box(x=(0, 1), y=(0, 1))
    problem = pde.Problem(
        pde.Eq(pde.dt(u), pde.laplacian(u)), box, {"x": (pde.Dirichlet(g), pde.Neumann(0)), "y": pde.Neumann(0)}, {u: 0}
    )
    sol = problem.discretize((5, 6)).run(0.05, save_every=0.01, target="reference")
    for time, state in zip(sol.times, sol.saved[u], strict=True):
        np.testing.assert_array_equal(state[0], np.sin(3 * time) + np.linspace(0, 1, 6))


def test_a_corner_of_two_given_sides_has_their_mean() -> None:
    box = pde.Box(x=(0, 1), y=(0, 1))
    sides = {"x": pde.Dirichlet(1), "y": pde.Dirichlet(3)}
    problem = pde.Problem(pde.Eq(pde.dt(u), pde.laplacian(u)), box, sides, {u: 2})
    state = problem.discretize((4, 5)).run(0.01, target="reference")[u]
    assert state[0, 0] == state[-1, 0] == state[0, -1] == state[-1, -1] == 2.0
    assert (state[0, 1:-1] == 1).all()
    assert (state[1:-1, -1] == 3).all()


def test_steady_profiles_are_fixed_points() -> None:
    """Linear and quadratic profiles solve the discrete equations exactly, with every kind of side."""
    # u = 1 + x + x**2: at 0 outward slope -1, 2*1 + 1*(-1) = 1; at 1 slope 3.
    sides = {"x": (pde.Robin(2, 1, 1), pde.Neumann(3))}
    for order in (2, 4):
        problem = pde.Problem(pde.Eq(pde.dt(u), pde.laplacian(u) - 2), pde.Box(x=(0, 1)), sides, {u: 1 + x + x**2})
        solver = problem.discretize(9, order)
        sol = solver.run(0.05, target="reference")
        exact = 1 + solver.grid.x + solver.grid.x**2
        # The order-2 Neumann formula is exact for quadratics; rounding is eps/h**2 a unit of time.
        assert np.abs(sol[u] - exact).max() < 100 * EPS
