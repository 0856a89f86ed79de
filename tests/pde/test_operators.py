"""Observed orders in space of every operator, order and kind of side, without any error in time."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff import pde
from tests.pde.dense import error, order_of, right_hand_side

x, y, t = pde.coordinates("x y t")
u, v = pde.field("u"), pde.field("v")
LINE = pde.Box(x=(0, 1))
ORDERS = (2, 4, 6, 8)
# Formulas of order 8 reach less than half of this far.
APART = 24

WIND = 2 + sd.sin(2 * sd.pi * x)
ON_A_CIRCLE = {
    "laplacian": pde.laplacian(u) - u,
    "flux": pde.div((1 + u**2 + WIND / 2) * pde.grad(u)) - u,
    "advection": pde.div(pde.vector(WIND * u)) + 5 * u,
    "upwind": pde.upwind(WIND, u) + 9 * u,
    "third": pde.dx(u, 3) + 20 * u,
    "Cahn-Hilliard": pde.laplacian(u**3 - u - 0.02 * pde.laplacian(u)) - 30 * u,
}
BETWEEN_SIDES = {
    "laplacian": pde.laplacian(u) - u,
    "flux": pde.div((1 + u**2 + x) * pde.grad(u)) - u,
    "advection": pde.div(pde.vector((1 + x) * u)) / 10 + pde.laplacian(u) - 3 * u,
}
SIDES: dict[str, Any] = {
    "dirichlet": pde.Dirichlet,
    "neumann": pde.Neumann,
    "robin": (pde.Robin(2, 1, 0), pde.Robin(1, 3, 0)),
    "mixed": (pde.Dirichlet, pde.Neumann),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", ON_A_CIRCLE)
def test_order_on_a_circle(name: str, order: int) -> None:
    exact = sd.exp(sd.sin(2 * sd.pi * x + 0.3) / 2)
    problem = pde.manufactured(pde.Eq(pde.dt(u), ON_A_CIRCLE[name]), {u: exact}, LINE, {"x": pde.Periodic})
    shapes = (72, 120) if order in (4, 8) and name not in ("laplacian", "Cahn-Hilliard") else (48, 72)
    # Order 8 of a fourth derivative is at its rounding errors, eps/h**4, on finer grids.
    assert order_of(problem, shapes, order, APART) == pytest.approx(order, abs=0.2 if order == 8 else 0.1)


@pytest.mark.parametrize("accuracy", [1, 3, 5, 7])
def test_order_of_odd_upwind_formulas(accuracy: int) -> None:
    exact = sd.exp(sd.sin(2 * sd.pi * x + 0.3) / 2)
    equation = pde.Eq(pde.dt(u), pde.upwind(-WIND, u, order=accuracy) - 9 * u)
    problem = pde.manufactured(equation, {u: exact}, LINE, {"x": pde.Periodic})
    assert order_of(problem, (72, 120), 2, APART) == pytest.approx(accuracy, abs=0.1)


@pytest.mark.parametrize("order", [2, 4])
@pytest.mark.parametrize("accuracy", [1, 3, 5, 6])
def test_order_of_upwind_formulas_from_an_inflow_to_an_outflow(accuracy: int, order: int) -> None:
    equation = pde.Eq(pde.dt(u), -pde.upwind(1.0, u, order=accuracy) - u)
    problem = pde.manufactured(equation, {u: sd.sin(3 * x + 0.4)}, LINE, {"x": (pde.Dirichlet, pde.Neumann)})
    assert accuracy - 0.1 < order_of(problem, (49, 97) if accuracy < 6 else (41, 65), order, APART) < accuracy + 0.5


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("name", "sides"), [*itertools.product(["laplacian", "flux"], SIDES), ("advection", "mixed")])
def test_order_between_sides(name: str, sides: str, order: int) -> None:
    problem = pde.manufactured(
        pde.Eq(pde.dt(u), BETWEEN_SIDES[name]), {u: sd.sin(3 * x + 0.4)}, LINE, {"x": SIDES[sides]}
    )
    shapes = {2: (49, 97), 4: (49, 97), 6: (41, 65), 8: (45, 61) if name == "flux" else (37, 49)}[order]
    # One-sided closures converge up to two orders faster before the interior dominates.
    assert order - 0.1 < order_of(problem, shapes, order, APART) < order + 2.7


def test_order_of_mixed_derivatives_and_fluxes_in_two_dimensions() -> None:
    order = 4
    box = pde.Box(x=(0, 1), y=(0, 1.2))
    rhs = pde.div((1 + x * y + u**2) * pde.grad(u)) + pde.d(pde.dx(u), y) / 2 + pde.dot(pde.vector(y, x), pde.grad(u))
    sides = {"x": (pde.Dirichlet, pde.Neumann), "y": (pde.Robin(2, 1, 0), pde.Dirichlet)}
    problem = pde.manufactured(pde.Eq(pde.dt(u), rhs - u), {u: sd.sin(x + 2 * y)}, box, sides)
    # Grids of a few hundred points: 0.2 from the order.
    assert order - 0.2 < order_of(problem, ((8, 9), (12, 13)), order) < order + 0.9


def test_order_of_conditions_that_couple_fields() -> None:
    """A nonlinear value, a slope with another field, and sides on which one field is given and the other is not."""
    equations = [
        pde.Eq(pde.dt(u), pde.laplacian(u) - u + 0.3 * v),
        pde.Eq(pde.dt(v), 0.5 * pde.laplacian(v) - v),
    ]
    eu, ev = sd.sin(2 * x + 0.3), sd.cos(3 * x)
    given = pde.manufactured(equations, {u: eu, v: ev}, LINE)
    du, dv = sd.diff(eu, x), sd.diff(ev, x)
    sides = {
        u: {
            "x": (
                pde.Eq(u, v**2 + (eu - ev**2).subs({x: 0.0})),
                pde.Eq(pde.dn(u) + u, 2 * v + (du + eu - 2 * ev).subs({x: 1.0})),
            )
        },
        v: {"x": (pde.Neumann(-dv.subs({x: 0.0})), pde.Dirichlet(ev.subs({x: 1.0})))},
    }
    problem = pde.Problem(given.equations, LINE, sides, given.initial, given.exact)
    for order, shapes in ((2, (49, 97)), (4, (49, 73))):
        assert order - 0.3 < order_of(problem, shapes, order) < order + 0.9
    # What a run returns has the coupled value on the side.
    sol = problem.discretize(11).run(0.02, target="reference")
    shift = float((eu - ev**2).subs({x: 0.0}))
    assert sol[u][0] == pytest.approx(sol[v][0] ** 2 + shift, rel=1e-14)


def test_order_of_a_plate_as_two_equations() -> None:
    """u_t = -laplacian(laplacian(u)) with u and its curvature given on the sides."""
    w = pde.field("w")
    equations = [pde.Eq(pde.dt(u), -pde.laplacian(w) - u), pde.Eq(w, pde.laplacian(u))]
    for order in (2, 4):
        problem = pde.manufactured(equations, {u: sd.sin(3 * x + 0.4)}, LINE)
        assert order - 0.1 < order_of(problem, (37, 49), order) < order + 0.9


def test_quadrature_of_integrals() -> None:
    """The integral of e**x * e**x over (0, 1)."""
    for order in ORDERS:
        problem = pde.Problem(
            pde.Eq(pde.dt(u), pde.integral(sd.exp(x) * u)), LINE, {"x": pde.Neumann(0)}, {u: sd.exp(x)}
        )
        errors = []
        for n in (2 * order + 9, 3 * order + 13):
            solver = problem.discretize(n, order)
            (integral, *_) = right_hand_side(solver)(np.exp(solver.grid.x))
            errors.append((abs(integral - (np.exp(2) - 1) / 2), solver.grid.spacing[0]))
        observed = np.log(errors[0][0] / errors[1][0]) / np.log(errors[0][1] / errors[1][1])
        assert order - 0.3 < observed < order + 1.2


def test_errors_are_small_on_small_grids() -> None:
    """The constant matters too: order 8 on 25 points has eight digits, and seven between given values."""
    equation = pde.Eq(pde.dt(u), pde.laplacian(u) - u)
    for sides, digits in ((pde.Neumann, 8), (pde.Dirichlet, 7)):
        problem = pde.manufactured(equation, {u: sd.sin(3 * x + 0.4)}, LINE, {"x": sides})
        assert error(problem, 25, 8)[1] < 2 * 10.0**-digits
