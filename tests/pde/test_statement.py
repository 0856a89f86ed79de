"""Stating problems: derivatives of fields, equations, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff import pde
from symdiff.pde.stencils import dirichlet_points

k = sd.symbols("k")
x, y, t = pde.coordinates("x y t")
u = pde.field("u")
v = pde.field("v")
HEAT = pde.Eq(pde.dt(u), k * pde.laplacian(u))
LINE = pde.Box(x=(0, 1))
COLD: dict[Any, Any] = {"x": pde.Dirichlet(0)}


def test_derivatives_follow_the_chain_rule() -> None:
    f = pde.d(sd.sin(x) * u**2, x, 2)
    point = {x: 0.3, u: 0.7, pde.dx(u): -1.1, pde.dx(u, 2): 0.4}
    value = float(f.subs(point))
    s, c = np.sin(0.3), np.cos(0.3)
    exact = -s * 0.7**2 + 2 * c * (2 * 0.7 * -1.1) + s * (2 * 1.1**2 + 2 * 0.7 * 0.4)
    # A dozen roundings of numbers of order 1.
    assert abs(value - exact) < 20 * np.finfo(float).eps


def test_mixed_derivatives_commute() -> None:
    assert pde.d(pde.dx(u), y) is pde.d(pde.dy(u), x)
    assert pde.dx(pde.laplacian(u)) is pde.laplacian(pde.dx(u))


def test_laplacian_sums_over_the_axes_of_the_domain() -> None:
    box = pde.Box(x=(0, 1), y=(0, 2))
    problem = pde.Problem(pde.Eq(pde.dt(u), pde.laplacian(u)), box, {"x": pde.Periodic(), "y": pde.Periodic()}, {u: 0})
    assert problem.rhs[u] is pde.dx(u, 2) + pde.dy(u, 2)


def test_an_equation_is_solved_for_its_time_derivative() -> None:
    problem = pde.Problem(pde.Eq(2 * pde.dt(u) - pde.laplacian(u), k), LINE, COLD, {u: x})
    w = pde.dx(u, 2)
    assert float(problem.rhs[u].subs({w: 3.0, k: 5.0})) == 4.0


def test_parameters_are_the_free_symbols() -> None:
    a, b, c = sd.symbols("a b c")
    problem = pde.Problem(HEAT, LINE, {"x": (pde.Dirichlet(a * t), pde.Robin(1, b, 0))}, {u: c * x})
    assert set(problem.parameters) == {a, b, c, k}


BENDING = pde.Eq(pde.dt(u), -pde.dx(u, 4))
CLAMPED = pde.Dirichlet(0) & pde.Neumann(0)
TWO = [pde.Eq(pde.dt(u), pde.laplacian(u)), pde.Eq(pde.dt(v), pde.laplacian(v))]
POISSON = [HEAT, pde.Eq(pde.laplacian(v), u)]
# What is wrong, and what the error says: equations, boundary, initial.
WRONG: list[tuple[Any, Any, Any, str]] = [
    # Conditions that are missing, that conflict, or that are none.
    (HEAT, {}, {u: x}, "no boundary condition on axis 'x'"),
    (HEAT, {"x": (pde.Periodic(), pde.Dirichlet(0))}, {u: x}, "periodic on one side only"),
    (TWO, {u: {"x": pde.Periodic()}, v: COLD}, {u: x, v: x}, "periodic for some fields only"),
    (HEAT, {"x": 0.0}, {u: x}, "Periodic\\(\\), one condition or a pair"),
    (HEAT, {"x": {"value": 0}}, {u: x}, "one condition or a pair"),
    (HEAT, {"x": pde.Neumann}, {u: x}, "one condition or a pair"),
    (HEAT, {"x": ()}, {u: x}, "one condition or a pair"),
    (HEAT, {"x": "0"}, {u: x}, "'0' is no condition"),
    (HEAT, [pde.Dirichlet(0)], {u: x}, "boundary is a table"),
    (HEAT, {"x": pde.Dirichlet(0), "z": pde.Periodic()}, {u: x}, "names the axis 'z'"),
    (HEAT, {v: {"x": pde.Dirichlet(0)}, **COLD}, {u: x}, "no field of the problem"),
    (POISSON, {u: COLD}, {u: x}, "'v' has no boundary condition on axis 'x'"),
    # Conditions that contain what they cannot.
    (HEAT, {"x": pde.Dirichlet(u)}, {u: x}, "contains u"),
    (HEAT, {"x": pde.Neumann(v)}, {u: x}, "'u' on the lower side of axis 'x' contains v"),
    (HEAT, {"x": "v = 0"}, {u: x}, "contains neither u nor"),
    (HEAT, {"x": pde.Neumann(pde.mean(u))}, {u: x}, "contains integral"),
    (HEAT, {"x": pde.Neumann(pde.dy(u))}, {u: x}, "contains u_y"),
    (HEAT, {"x": pde.Eq(pde.dt(u), -pde.dn(u))}, {u: x}, "contains u_t"),
    (HEAT, {"x": pde.Eq(pde.dn(u) ** 2, 1)}, {u: x}, "not linear in dn"),
    (TWO, {u: {"x": pde.Dirichlet(v)}, v: {"x": pde.Dirichlet(u)}}, {u: 0, v: 0}, "given by each other"),
    # Too few and too many conditions on a side.
    (BENDING, COLD, {u: x}, "needs two conditions on each side"),
    (BENDING, {"x": (CLAMPED, pde.Dirichlet(0))}, {u: x}, "needs two conditions on each side"),
    (BENDING, {"x": ((pde.Dirichlet(0), CLAMPED), CLAMPED)}, {u: x}, "3 conditions on the lower side"),
    (BENDING, {"x": (("u = 0", "u = x"), CLAMPED)}, {u: x}, "two different derivatives"),
    (pde.Eq(pde.dt(u), -pde.dx(u, 3)), COLD, {u: x}, "needs two conditions on one side"),
    (pde.Eq(pde.dt(u), -pde.dx(u, 3)), {"x": CLAMPED}, {u: x}, "two conditions on each side of axis 'x'"),
    (pde.Eq(pde.dt(u), pde.dx(u, 6)), {"x": CLAMPED}, {u: x}, "up to 4 do"),
    (HEAT, {"x": CLAMPED}, {u: x}, "has two conditions on a side"),
    # Where a field starts.
    (HEAT, COLD, {}, "no initial condition"),
    (HEAT, COLD, {u: x, v: x}, "no field of the problem"),
    (HEAT, COLD, {u: pde.dx(u)}, "expression in coordinates"),
    (HEAT, COLD, x, "initial is a table"),
    (pde.Eq(pde.dt(u, 2), pde.laplacian(u)), COLD, {u: x}, "velocity of 'u' has no initial condition"),
    # Equations.
    ([HEAT, HEAT], COLD, {u: x}, "Two equations"),
    ([HEAT, pde.Eq(pde.laplacian(u), 1)], COLD, {u: x}, "no field that no other equation determines"),
    (pde.Eq(pde.dt(u, 3), pde.laplacian(u)), COLD, {u: x}, "first time derivative of one field, got u_ttt"),
    (pde.Eq(pde.dt(u) ** 2, pde.laplacian(u)), COLD, {u: x}, "not linear in u_t"),
    (pde.Eq(pde.dt(u), v), COLD, {u: x}, "'v'.*has no equation"),
    (pde.Eq(pde.dt(u), pde.dy(u)), COLD, {u: x}, "differentiates by 'y'"),
    (pde.Eq(pde.dt(u), pde.dn(u)), COLD, {u: x}, "is for boundary conditions"),
    (pde.Eq(pde.dt(pde.field("x")), 1), COLD, {"x": 0}, "name of a coordinate"),
    ([], COLD, {u: x}, "at least one equation"),
]


@pytest.mark.parametrize(("equations", "boundary", "initial", "match"), WRONG)
def test_wrong_problems_are_named(equations: Any, boundary: Any, initial: Any, match: str) -> None:
    with pytest.raises(sd.SymdiffError, match=match):
        pde.Problem(equations, LINE, boundary, initial)


@pytest.mark.parametrize(
    ("start", "match"),
    [
        (np.zeros(5), "initial array of 'u' has shape \\(5,\\), the grid has \\(9,\\)"),
        ([0.0, 1.0], "has shape \\(2,\\)"),
        (lambda x, y: x, "is called with the arrays of the coordinates x"),
        (lambda x: x[:3], "of shape \\(3,\\)"),
        (lambda x: "warm", "returned <U4"),
        (1 / x, "not finite at x = 0"),
    ],
)
def test_impossible_starts(start: Any, match: str) -> None:
    with pytest.raises(sd.SymdiffError, match=match):
        pde.Problem(HEAT, LINE, {"x": pde.Neumann(0)}, {u: start}).discretize(9).stable_dt("rk4", {k: 1})


def test_starts_from_arrays_and_functions_are_those_of_expressions() -> None:
    grid = np.linspace(0, 1, 9)
    for start in (sd.sin(x), np.sin, np.sin(grid), list(np.sin(grid))):
        problem = pde.Problem(HEAT, LINE, {"x": pde.Neumann(0)}, {u: start})
        sol = problem.discretize(9).run(1e-3, "euler", dt=1e-3, parameters={k: 1}, target="reference")
        # A rounding of sin.
        np.testing.assert_allclose(sol.saved[u][0], np.sin(grid), rtol=2 * np.finfo(float).eps)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: pde.Dirichlet(np.zeros(5)),
        lambda: pde.Neumann(lambda y: y),
        lambda: pde.dn(u, 0),
        lambda: pde.dn(u**2),
        lambda: CLAMPED & pde.Neumann(0),
        lambda: pde.Neumann(0) & pde.Robin(1, 2, 0),
    ],
)
def test_conditions_that_are_none(wrong: Any) -> None:
    with pytest.raises(sd.SymdiffError, match=r"known=|int >= 1|a field or a derivative|two different derivatives"):
        wrong()


@pytest.mark.parametrize("interval", [(1, 0), (0, 0), (0, np.inf), 3, ("a", "b"), (0, 1, 2)])
def test_impossible_intervals(interval: Any) -> None:
    with pytest.raises(sd.SymdiffError, match="interval of axis 'x'"):
        pde.Box(x=interval)


def test_other_statements_that_are_refused() -> None:
    with pytest.raises(sd.SymdiffError, match="Time is not an axis"):
        pde.Box(t=(0, 1))
    with pytest.raises(sd.SymdiffError, match="at least one axis"):
        pde.Box()
    with pytest.raises(sd.DerivativeError, match="by a coordinate"):
        pde.d(u, u)
    with pytest.raises(sd.DerivativeError, match="int >= 0"):
        pde.d(u, x, -1)
    for wrong in (lambda: pde.div(u), lambda: pde.dot(pde.grad(u), x), lambda: pde.div(pde.grad(u) ** 2)):
        with pytest.raises(sd.SymdiffError, match="takes a vector such as"):
            wrong()
    with pytest.raises(sd.SymdiffError, match="Robin"):
        pde.Robin(1, 0, 2)


@pytest.mark.parametrize(
    ("shape", "order", "match"),
    [
        ((8, 8), 2, "one whole number of points for each axis"),
        (8.0, 2, "one whole number"),
        (True, 2, "one whole number"),
        (2, 2, "at least 3 points"),
        (5, 4, f"at least {2 + dirichlet_points(4)} points"),
        (8, 3, "order in space is one of"),
        (0, 2, "at least 3 points"),
    ],
)
def test_impossible_grids(heat: Any, shape: Any, order: int, match: str) -> None:
    with pytest.raises(sd.SymdiffError, match=match):
        heat.discretize(shape, order)


def test_the_smallest_grids_work(heat: Any) -> None:
    for order in (2, 4, 6, 8):
        n = 3 if order == 2 else 2 + dirichlet_points(order)
        heat.discretize(n, order).run(until=1e-3, parameters={k: 1.0}, target="reference")
        with pytest.raises(sd.ShapeError):
            heat.discretize(n - 1, order)


def test_grid() -> None:
    box = pde.Box(x=(0, 1), y=(-1, 3))
    problem = pde.Problem(HEAT, box, {"x": pde.Periodic(), "y": pde.Dirichlet(0)}, {u: 0})
    grid = problem.discretize((4, 5)).grid
    np.testing.assert_array_equal(grid.x, [0, 0.25, 0.5, 0.75])
    np.testing.assert_array_equal(grid.y, [-1, 0, 1, 2, 3])
    assert grid.spacing == (0.25, 1.0)
    with pytest.raises(AttributeError, match="axes x, y"):
        _ = grid.z
