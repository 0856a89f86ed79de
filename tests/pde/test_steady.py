"""Steady problems against exact solutions, of the differential or of the discrete equations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq

import symdiff as sd
from symdiff import pde
from tests.pde.dense import jacobian, right_hand_side

k = sd.symbols("k")
x, y, t = pde.coordinates("x y t")
u, v = pde.field("u"), pde.field("v")
LINE, SQUARE = pde.Box(x=(0, 1)), pde.Box(x=(0, 1), y=(0, 2))
COLD, FREE, ROUND = pde.Dirichlet(0), pde.Neumann(0), pde.Periodic()
MODE = sd.sin(sd.pi * x) * sd.sin(sd.pi * y)
REFERENCE: dict[str, Any] = {"target": "reference"}


def symbol(solver: Any) -> float:
    """Return the eigenvalue of the 5-point Laplacian on the mode sin(pi x) sin(pi y)."""
    return float(sum(-4 / h**2 * np.sin(np.pi * h / 2) ** 2 for h in solver.grid.spacing))


@pytest.mark.parametrize("shift", [0.0, 15.0, -7.0])
@pytest.mark.parametrize("way", ["auto", "bicgstab"])
def test_poisson_and_helmholtz_have_the_factor_of_the_stencil(shift: float, way: str) -> None:
    equation = pde.Eq(pde.laplacian(u) + k * u, MODE)
    solver = pde.Problem(equation, SQUARE, {"x": COLD, "y": COLD}).discretize((13, 18))
    sol = solver.steady({k: shift}, linear_solver=way, **REFERENCE)
    xs, ys = solver.grid.mesh()
    exact = np.sin(np.pi * xs) * np.sin(np.pi * ys) / (symbol(solver) + shift)
    assert np.abs(sol[u] - exact).max() < 1e-13
    assert sol.finished
    assert "settled after 2 iterations" in sol.message
    assert ("sine transforms" if way == "auto" else "BiCGStab") in sol.message


@pytest.mark.parametrize("way", ["auto", "bicgstab"])
def test_the_sign_of_an_equation_is_the_writers_choice(way: str) -> None:
    """Both sides of each equation times -1: the same numbers in the same way, to the last bit."""
    found = []
    for one, other in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        first = pde.Eq(one * (pde.laplacian(u) + x * v), one * MODE)
        second = pde.Eq(other * (2 * pde.laplacian(v) - u), other * y)
        solver = pde.Problem([first, second], SQUARE, {"x": COLD, "y": (COLD, FREE)}).discretize((9, 12))
        found.append(solver.steady(linear_solver=way, **REFERENCE))
    assert all(np.array_equal(found[0][f], other[f]) for other in found[1:] for f in (u, v))
    assert len({sol.message for sol in found}) == 1


def test_order_in_space_with_a_variable_factor() -> None:
    order = 4
    exact = sd.exp(x / 2) * sd.cos(2 * y) + x * y
    sides = {"x": (pde.Dirichlet, pde.Neumann), "y": pde.Robin(1, 2, 0)}
    problem = pde.manufactured(pde.Eq(pde.div((1 + x * y / 2) * pde.grad(u)) - u, 0), {u: exact}, SQUARE, sides)
    errors = []
    for n in (9, 17):
        solver = problem.discretize((n, n + (n - 1) // 2), order)
        xs, ys = solver.grid.mesh()
        values = np.exp(xs / 2) * np.cos(2 * ys) + xs * ys
        errors.append(np.abs(solver.steady(**REFERENCE)[u] - values).max())
    assert np.log2(errors[0] / errors[1]) > order - 0.5  # still rising to it


def test_slopes_on_all_sides_leave_out_the_mean() -> None:
    source = sd.cos(sd.pi * x) * sd.cos(sd.pi * y)
    problem = pde.Problem(pde.Eq(pde.laplacian(u), source), SQUARE, {"x": FREE, "y": FREE})
    solver = problem.discretize((13, 18))
    xs, ys = solver.grid.mesh()
    exact = np.cos(np.pi * xs) * np.cos(np.pi * ys) / symbol(solver)
    assert np.abs(solver.steady(**REFERENCE)[u] - exact).max() < 1e-13
    impossible = pde.Problem(pde.Eq(pde.laplacian(u), source + 1), SQUARE, {"x": FREE, "y": FREE})
    with pytest.raises(pde.RunError, match="no solution, or one up to a constant"):
        impossible.discretize((13, 18)).steady(**REFERENCE)


@pytest.mark.parametrize(
    ("sides", "way"), [(FREE, "cg"), (FREE, "multigrid"), (ROUND, "cg"), (ROUND, "multigrid"), (ROUND, "bicgstab")]
)
def test_what_is_determined_up_to_a_constant_has_no_mean(sides: Any, way: str) -> None:
    """Variable factors, no side with a value: next to the dense solution of least size and residual."""
    factor = 2 + sd.sin(sd.pi * x) ** 2 * sd.cos(sd.pi * y)
    equation = pde.Eq(pde.div(factor * pde.grad(u)), sd.cos(2 * sd.pi * x) * sd.cos(sd.pi * y))
    solver = pde.Problem(equation, SQUARE, {"x": sides, "y": sides}).discretize((9, 8))
    f = right_hand_side(solver)
    zero = np.zeros(72)
    matrix = jacobian(f, zero, None)
    weights = np.ones(solver.grid.shape)
    if sides is FREE:
        weights[[0, -1], :] /= 2
        weights[:, [0, -1]] /= 2
    exact = np.linalg.lstsq(matrix, -f(zero), rcond=1e-10)[0]
    exact -= exact @ weights.ravel() / weights.sum()
    found = solver.steady(linear_solver=way, **REFERENCE)[u]
    assert np.abs(found.ravel() - exact).max() < 1e-7 * np.abs(exact).max() + 1e-9  # differences make the matrix
    assert abs(np.sum(found * weights)) < 1e-13


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_bratu(target: str) -> None:
    """u'' + 2 exp(u) = 0: u = -2 ln(cosh((x - 1/2) a/2)/cosh(a/4)) with a = sqrt(4) cosh(a/4)."""
    problem = pde.Problem(pde.Eq(pde.dx(u, 2) + k * sd.exp(u), 0), LINE, {"x": COLD})
    solver = problem.discretize(17, order=6)
    a = brentq(lambda a: a - 2 * np.cosh(a / 4), 1, 4)
    exact = -2 * np.log(np.cosh((solver.grid.x - 0.5) * a / 2) / np.cosh(a / 4))
    assert np.abs(solver.steady({k: 2.0}, target=target)[u] - exact).max() < 1e-7
    with pytest.raises(pde.RunError, match=r"has not settled|could not be solved"):
        solver.steady({k: 4.0}, target=target)  # above 3.5138 there is no solution


def test_a_system_from_a_start_that_is_given() -> None:
    """Other starts lead to other solutions of this one."""
    exact = {u: 1 + x**2, v: 2 - x}
    equations = [pde.Eq(pde.dx(u, 2) + u * v**2, 0), pde.Eq(pde.dx(v, 2) - sd.exp(v) + u**3, 0)]
    made = pde.manufactured(equations, exact, LINE, {"x": (pde.Dirichlet, pde.Neumann)})
    sides = {f: {"x": made.boundary[f, "x"]} for f in (u, v)}
    problem = pde.Problem(made.equations, LINE, sides, {u: 1.5, v: 1.5})
    sol = problem.discretize(11).steady(**REFERENCE)
    grid = np.linspace(0, 1, 11)
    # The differences are exact for these polynomials.
    assert np.abs(sol[u] - (1 + grid**2)).max() < 1e-12
    assert np.abs(sol[v] - (2 - grid)).max() < 1e-12


def test_the_steady_state_of_an_evolution() -> None:
    problem = pde.Problem(pde.Eq(pde.dt(u), k * pde.laplacian(u) + 1), LINE, {"x": COLD}, {u: 0})
    solver = problem.discretize(9)
    steady = solver.steady({k: 0.5}, **REFERENCE)
    assert np.abs(steady[u] - solver.grid.x * (1 - solver.grid.x)).max() < 1e-14
    late = solver.run(20.0, method="backward-euler", dt=1.0, parameters={k: 0.5}, **REFERENCE)
    assert np.abs(late[u] - steady[u]).max() < 1e-11


def test_wrong_steady_problems_are_named() -> None:
    moving = pde.Problem(pde.Eq(pde.laplacian(u), sd.sin(t)), LINE, {"x": COLD})
    with pytest.raises(sd.DomainError, match="without the time t"):
        moving.discretize(9).steady(**REFERENCE)
    with pytest.raises(sd.DomainError, match=r"Use solver\.steady\(\)"):
        moving.discretize(9).run(1.0)
    with pytest.raises(sd.UnknownSymbolError, match=r"without a value \(k\)"):
        pde.Problem(pde.Eq(pde.laplacian(u), k), LINE, {"x": COLD}).discretize(9).steady(**REFERENCE)
