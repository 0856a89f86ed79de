"""Observed orders of convergence, with manufactured solutions."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff import pde
from symdiff.pde.observed_orders import error

k = sd.symbols("k")
x, y, t = pde.coordinates("x y t")
u = pde.field("u")
HEAT = pde.Eq(pde.dt(u), k * pde.laplacian(u))
LINE = pde.Box(x=(0, 1))
WAVE = sd.exp(-t) * sd.sin(2 * sd.pi * x + 0.3)
SLANTED = WAVE + t * x**2
SIDES = {
    "dirichlet": pde.Dirichlet,
    "neumann": pde.Neumann,
    "mixed": (pde.Dirichlet, pde.Neumann),
    "robin": (pde.Robin(2, 1, 0), pde.Dirichlet),
    "periodic": pde.Periodic,
}


@pytest.mark.parametrize("order", [2, 4])
@pytest.mark.parametrize("sides", SIDES)
def test_order_in_space(sides: str, order: int) -> None:
    exact = WAVE if sides == "periodic" else SLANTED
    problem = pde.manufactured(HEAT, {u: exact}, LINE, {"x": SIDES[sides]})
    # Steps of rk4 so small that only the error in space is left.
    shapes, dts = [17, 33, 65], [2e-3, 5e-4, 1.2e-4]
    result = pde.convergence(
        problem, shapes, 0.02, order, dts=dts, expect=order, parameters={k: 0.2}, target="reference"
    )
    # One-sided closures converge a little faster than the interior before it dominates.
    assert order - 0.2 < result.order < order + 1.4


@pytest.mark.parametrize("order", [2, 4])
@pytest.mark.parametrize("sides", [None, {"x": pde.Neumann, "y": (pde.Dirichlet, pde.Robin(1, 2, 0))}])
def test_order_in_two_dimensions_with_variable_coefficients_and_mixed_derivatives(sides: Any, order: int) -> None:
    box = pde.Box(x=(0, 1), y=(0, 2))
    rhs = (1 + x * y / 4) * pde.laplacian(u) + 0.5 * pde.d(pde.dx(u), y) + y * pde.dx(u)
    exact = sd.exp(-t) * sd.sin(2 * x + 0.3) * sd.cos(y) + t * x * y**2
    problem = pde.manufactured(pde.Eq(pde.dt(u), k * rhs), {u: exact}, box, sides)
    result = pde.convergence(
        problem, [(13, 14), (25, 27)], 0.2, order, dts=[6e-3, 2e-3], parameters={k: 0.1}, target="reference"
    )
    assert order - 0.3 < result.order < order + 1.2


@pytest.mark.parametrize(
    ("method", "order"),
    [("euler", 1), ("heun", 2), ("ssprk3", 3), ("rk4", 4), ("backward-euler", 1), ("crank-nicolson", 2)],
)
def test_order_in_time_with_moving_sides_and_a_nonlinear_source(method: str, order: int) -> None:
    """The sides move in time: stages that used g(t + c*dt) would show order 2 at most."""
    reaction = pde.Eq(pde.dt(u), k * pde.laplacian(u) + u * (1 - u))
    exact = sd.exp(-t) * sd.sin(2 * x + 1)
    problem = pde.manufactured(reaction, {u: exact}, LINE, {"x": (pde.Dirichlet, pde.Neumann)})
    result = pde.convergence(
        problem, [7], 1.0, method=method, dts=[1 / 20, 1 / 40, 1 / 80], parameters={k: 0.05}, target="reference"
    )
    assert result.order == pytest.approx(order, abs=0.2)


@pytest.mark.parametrize(("method", "order"), [("heun", 2), ("ssprk3", 3), ("rk4", 3)])
def test_moving_sides_do_not_reduce_the_order_to_two(method: str, order: int) -> None:
    """Grid and dt refined together, error in time only: g(t + c*dt) in the stages would show order 2 always."""
    problem = pde.manufactured(pde.Eq(pde.dt(u), pde.laplacian(u)), {u: sd.sin(9 * t + x)}, LINE)
    errors = []
    for n in (5, 9, 17):
        solver = problem.discretize(n)
        dt = 0.5 * solver.grid.spacing[0] ** 2
        coarse, fine = (solver.run(0.25, name, h, target="cpu") for name, h in ((method, dt), ("rk4", dt / 16)))
        errors.append(np.abs(coarse[u] - fine[u]).max())
    # dt goes down by 4 from one grid to the next.
    assert np.log(errors[1] / errors[2]) / np.log(4) == pytest.approx(order, abs=0.2)


def test_a_system_whose_fields_have_different_sides() -> None:
    v = pde.field("v")
    equations = [
        pde.Eq(pde.dt(u), 0.1 * pde.laplacian(u) + v * pde.dx(v)),
        pde.Eq(pde.dt(v), 0.1 * pde.laplacian(v) - u + 0.05 * pde.dx(u, 2)),
    ]
    exact = {u: sd.exp(-t) * sd.sin(2 * x), v: sd.cos(3 * x + t)}
    given = pde.manufactured(equations, exact, LINE)
    free = pde.manufactured(equations, exact, LINE, {"x": pde.Neumann})
    for ends in ((0, 1), (0,), (1,)):
        mixed = tuple((free if e in ends else given).boundary[v, "x"][e] for e in (0, 1))
        sides = {u: {"x": given.boundary[u, "x"]}, v: {"x": mixed}}
        problem = pde.Problem(given.equations, LINE, sides, given.initial, given.exact)
        for order in (2, 4):
            result = pde.convergence(problem, [13, 25], 0.02, order, dts=[1e-3, 3e-4], target="reference")
            assert order - 0.2 < result.order < order + 1.3


@pytest.mark.parametrize(
    ("is_wave", "order", "shapes"),
    [
        (True, 6, (21, 33)),
        pytest.param(True, 8, (29, 41), marks=pytest.mark.slow),
        pytest.param(False, 6, (21, 33), marks=pytest.mark.slow),
        pytest.param(False, 8, (29, 41), marks=pytest.mark.slow),
    ],
)
def test_order_between_given_values(is_wave: bool, order: int, shapes: tuple[int, int]) -> None:
    """The fits beyond such sides are less exact than the formulas, by what two derivatives make good in u."""
    exact = sd.sin(3 * x + 0.4) * sd.cos(2 * t)
    equation = pde.Eq(pde.dt(u, 2 if is_wave else 1), pde.laplacian(u))
    problem = pde.manufactured(equation, {u: exact}, LINE)
    errors = []
    for n in shapes:
        solver = problem.discretize(n, order)
        # Small enough for the error in space to be left alone, and stable for the heat equation.
        sol = solver.run(0.1, dt=0.4 / (n - 1) ** 2)
        errors.append(np.abs(sol[u] - np.sin(3 * solver.grid.x + 0.4) * np.cos(0.2)).max())
    observed = np.log(errors[0] / errors[1]) / np.log((shapes[1] - 1) / (shapes[0] - 1))
    assert order - 0.1 < observed < order + 0.6


def test_burgers_front() -> None:
    """Against the travelling wave of u_t + u*u_x = nu*u_xx (Cole-Hopf)."""
    nu = 0.1
    exact = 1 - sd.tanh((x - 0.5 - t) / (2 * nu))
    equation = pde.Eq(pde.dt(u) + u * pde.dx(u), nu * pde.laplacian(u))
    sides = {"x": (pde.Dirichlet(exact.subs({x: -1.0})), pde.Dirichlet(exact.subs({x: 2.0})))}
    problem = pde.Problem(equation, pde.Box(x=(-1, 2)), sides, {u: exact}, {u: exact})
    result = pde.convergence(problem, [46, 91], 0.2, order=4, target="reference")
    assert result.order > 3.8


def test_manufactured_leaves_no_source_where_the_solution_is_exact() -> None:
    exact = sd.exp(-k * sd.pi**2 * t) * sd.sin(sd.pi * x)
    problem = pde.manufactured(HEAT, {u: exact}, LINE)
    rest = problem.rhs[u].subs({pde.dx(u, 2): 0.0, x: 0.3, t: 0.2, k: 0.7})
    assert abs(float(rest)) < 1e-14
    sol = problem.discretize(33, 4).run(0.1, parameters={k: 0.7}, target="reference")
    assert error(problem, sol, {k: 0.7}) < 1e-6


def test_convergence_fails_loudly() -> None:
    problem = pde.manufactured(HEAT, {u: SLANTED}, LINE)
    options: dict[str, Any] = {"parameters": {k: 0.2}, "target": "reference"}
    with pytest.raises(sd.ConvergenceError, match="Expected order 4"):
        pde.convergence(problem, [9, 17], 0.01, order=2, expect=4, **options)
    with pytest.raises(sd.DomainError, match="at least two shapes"):
        pde.convergence(problem, [9], 0.01, **options)
    with pytest.raises(sd.ConvergenceError, match="smaller dts, where the error in time"):
        pde.convergence(problem, [9, 17], 0.6, method="backward-euler", dts=[0.2, 0.2], **options)
    with pytest.raises(sd.DTypeError, match=r"a list of shapes, such as \[16, 32, 64\], got 9"):
        pde.convergence(problem, 9, 0.01, **options)
    with pytest.raises(sd.DomainError, match="needs until"):
        pde.convergence(problem, [9, 17], **options)
    result = pde.convergence(problem, [9, 17], 0.01, **options)
    assert repr(result).splitlines()[0].split() == ["h", "error", "order"]
    assert len(repr(result).splitlines()) == 3


def test_what_is_exact_has_no_order() -> None:
    problem = pde.manufactured(HEAT, {u: x * t + 1}, LINE)
    result = pde.convergence(problem, [5, 9], 0.1, parameters={"k": 0.2}, target="reference")
    assert np.isnan(result.order)
    assert repr(result).endswith("exact")


def test_text_and_steady_problems() -> None:
    box = pde.Box(x=(0, 1), y=(0, 1))
    problem = pde.manufactured("laplace(u) = u", {"u": "cos(2*x)*exp(y)"}, box, {"x": pde.Neumann})
    assert pde.convergence(problem, [9, 17], target="reference").order == pytest.approx(2, abs=0.2)


def test_wrong_kinds_of_sides_are_named() -> None:
    with pytest.raises(sd.UnknownSymbolError, match="no axis 'w'; its axes are x"):
        pde.manufactured(HEAT, {u: x}, LINE, {"w": pde.Dirichlet})
    with pytest.raises(sd.DomainError, match="does not repeat along 'x'"):
        pde.manufactured(HEAT, {u: sd.sin(x)}, LINE, {"x": pde.Periodic})


def test_a_convergence_has_a_plot(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("matplotlib")
    problem = pde.manufactured(HEAT, {u: SLANTED}, LINE)
    result = pde.convergence(problem, [9, 17], 0.01, parameters={k: 0.2}, target="reference")
    (ax,) = result.plot(tmp_path / "a.png").axes
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), result.errors)
    # The line beside it has the slope that is stated.
    assert ax.lines[1].get_ydata()[1] == pytest.approx(result.errors[0] / 4)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_manufactured_refuses() -> None:
    with pytest.raises(sd.UnknownSymbolError, match="has no exact solution"):
        pde.manufactured(HEAT, {pde.field("w"): x}, LINE)
    with pytest.raises(sd.UnknownSymbolError, match="maps fields to expressions"):
        pde.manufactured(HEAT, {x: x}, LINE)
    with pytest.raises(sd.DTypeError, match="kind of condition"):
        pde.manufactured(HEAT, {u: x}, LINE, {"x": pde.Dirichlet(0)})
    assert np.isfinite(pde.manufactured(HEAT, {u: x * t}, LINE).discretize(5).stable_dt("rk4", {k: 1}))
