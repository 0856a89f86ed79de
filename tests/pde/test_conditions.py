"""Conditions: two on a side, equations and text, derivatives of other fields, and those that follow from others."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff import pde
from symdiff.ir.interpret import interpret
from symdiff.ir.node import const
from symdiff.pde.conditions import Curvature
from symdiff.pde.fields import Fields
from symdiff.pde.ghosts import ghosts, points
from tests.pde.dense import order_of

x, y, t = pde.coordinates("x y t")
u, v, psi, w = (pde.field(name) for name in ("u", "v", "psi", "w"))
LINE = pde.Box(x=(0, 1))
PAIRS = ((0, 1), (0, 2), (1, 3), (2, 3))
ORDERS = (2, 4, 6, 8)
EPS = np.finfo(float).eps


def normal(n: int) -> pde.Condition:
    """Return a condition of the outward derivative of order n."""
    return pde.Dirichlet(0) if n == 0 else pde.Neumann(0) if n == 1 else Curvature(n, 0)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("given", [*PAIRS, (0,), (1,), (2,), (0, 3), (1, 2)], ids=str)
def test_ghosts_of_polynomials_are_exact(given: tuple[int, ...], order: int) -> None:
    condition = normal(given[0]) if len(given) == 1 else normal(given[0]) & normal(given[1])
    m, first, count = points(condition, order), int(0 in given), 4
    # Fits to more points than their degree needs are exact up to that degree only.
    degree = order - 1 if given == (0,) else m + len(given) - 1
    for p in range(degree + 1):
        # q(s) = (s + 1/3)**p: its n-th outward derivative at 0 is (-1)**n p!/(p - n)! (1/3)**(p - n).
        def derivative(n: int, p: int = p) -> Fraction:
            out = Fraction((-1) ** n) * Fraction(1, 3) ** max(p - n, 0)
            for k in range(n):
                out *= p - k
            return out

        for j, g in enumerate(ghosts(condition, order, count)):
            place = Fraction(first - 1 - j) + Fraction(1, 3)
            total = sum((c * derivative(n) for n, c in zip(given, g.data, strict=True)), Fraction(0))
            total += sum((c * (first + k + Fraction(1, 3)) ** p for k, c in g.weights.items()), Fraction(0))
            assert total == place**p


@pytest.mark.parametrize("order", [2, 4, 6])
@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_order_of_a_fourth_derivative_between_two_conditions(pair: tuple[int, int], order: int) -> None:
    exact = sd.sin(2 * x + 0.3) + sd.exp(x) / 2
    two = normal(pair[0]) & normal(pair[1])
    problem = pde.manufactured(pde.Eq(pde.dt(u), -pde.dx(u, 4) - u), {u: exact}, LINE, {"x": two})
    # On finer grids order 6 is at its rounding errors, eps/h**4.
    shapes = (17, 25) if order == 6 else (25, 37)
    # Clamped ends at order 6 are that near to rounding.
    assert order_of(problem, shapes, order) > order - (0.9 if (pair, order) == ((0, 1), 6) else 0.25)


def test_a_clamped_plate_in_two_dimensions_with_values_that_change_along_the_sides() -> None:
    exact = sd.sin(2 * x + 0.3) * sd.cos(y)
    box = pde.Box(x=(0, 1), y=(0, 1))
    sides = {"x": pde.Dirichlet(0) & pde.Neumann(0), "y": normal(0) & normal(2)}
    problem = pde.manufactured(pde.Eq(pde.dt(u), -pde.laplacian(pde.laplacian(u))), {u: exact}, box, sides)
    assert order_of(problem, ((9, 10), (15, 16)), 2) == pytest.approx(2.2, abs=0.3)


def test_a_clamped_beam_is_its_polynomial() -> None:
    """u_xxxx = 24: x**2 (1 - x)**2, exact at order 4; SciPy's beam has the same formula."""
    clamped = pde.Dirichlet(0) & pde.Neumann(0)
    problem = pde.Problem(pde.Eq(pde.dx(u, 4), 24), LINE, {"x": clamped})
    for order in (4, 6):
        sol = problem.discretize(21, order).steady(target="reference")
        points_ = sol.grid.x
        # The condition number is some 1/h**4.
        assert np.abs(sol[u] - points_**2 * (1 - points_) ** 2).max() < 20**4 * EPS


def test_cahn_hilliard_with_two_neumann_conditions_is_the_system_of_two_fields() -> None:
    g, start = 0.02, sd.cos(sd.pi * x) / 3 + sd.cos(2 * sd.pi * x) / 5
    potential = u**3 - u - g * pde.laplacian(u)
    whole = pde.Eq(pde.dt(u), pde.laplacian(potential))
    free = pde.Neumann(0) & Curvature(3, 0)
    single = pde.Problem(whole, LINE, {"x": (free, ("dn(u) = 0", "dn(laplacian(u)) = 0"))}, {u: start})
    assert [side.orders for side in single.boundary[u, "x"]] == [(1, 3), (1, 3)]
    parts = [pde.Eq(pde.dt(u), pde.laplacian(w)), pde.Eq(w, potential)]
    double = pde.Problem(parts, LINE, {"x": pde.Neumann(0)}, {u: start})
    a, b = (
        p.discretize(21).run(2e-3, "rk4", target="reference", track={"mass": pde.integral(u)}) for p in (single, double)
    )
    # The polynomial of order 2 is even: both mirror the field. A rounding error for each of some hundred steps.
    assert np.abs(a[u] - b[u]).max() < 1e3 * EPS
    assert np.ptp(a.tracked["mass"]) < 1e3 * EPS


def test_equations_and_text_become_conditions() -> None:
    box, k = pde.Box(x=(0, 1), y=(0, 1)), sd.symbols("k")
    g = sd.sin(y) * t
    plate = pde.Eq(pde.dt(u), -pde.laplacian(pde.laplacian(u)))
    other = {"y": pde.Periodic()}

    def lower(side: Any) -> Any:
        return pde.Problem(plate, box, {"x": (side, pde.Dirichlet(0) & pde.Neumann(0)), **other}, {u: 0}).boundary[
            u, "x"
        ][0]

    # Free of bending moments on a side of x: u_xx + k u_yy = 0, with u = g there u_yy is g_yy.
    moment = lower((pde.Eq(u, g), pde.Eq(pde.dx(u, 2) + k * pde.dy(u, 2), 0)))
    assert moment.orders == (0, 2)
    at = {y: 0.7, t: 2.0, k: 0.3}
    assert float(moment.data(u)[1].subs(at)) == pytest.approx(0.3 * 2.0 * np.sin(0.7), rel=4 * EPS)
    # The outward derivative of the Laplacian, where the slope is g: -u_xxx = 1 - g_yy.
    shear = lower(("dn(u) = t*sin(y)", "dn(laplacian(u)) = 1"))
    assert shear.orders == (1, 3)
    assert float(shear.data(u)[1].subs(at)) == pytest.approx(1 + 2.0 * np.sin(0.7), rel=4 * EPS)
    robin = lower((pde.Robin(2, 1, 3), pde.Dirichlet(g)))
    assert float(robin.data(u)[1].subs(at)) == pytest.approx(3 - 2 * 2.0 * np.sin(0.7), rel=4 * EPS)


def test_sympys_equations_are_conditions() -> None:
    import sympy

    r, s = sympy.symbols("x t")
    f = sympy.Function("u")(r, s)
    sides = {"x": (sympy.Eq(f, s), sympy.Eq(f.diff(r) + f**4, 1))}
    lower, upper = pde.Problem(sympy.Eq(f.diff(s), f.diff(r, 2)), LINE, sides, {u: 0}).boundary[u, "x"]
    assert str(lower.data(u)[0]) == "t"
    assert float(upper.data(u)[0].subs({u: 2.0})) == -15.0


def test_a_wave_leaves_through_a_side_given_by_its_rate() -> None:
    """u_t = -dn(u) takes out waves that run towards a side (Sommerfeld): nothing comes back."""
    start = sd.exp(-200 * (x - 0.5) ** 2)
    problem = pde.Problem(
        pde.Eq(pde.dt(u, 2), pde.dx(u, 2)), LINE, {"x": pde.Eq(pde.dt(u), -pde.dn(u))}, {u: start, pde.dt(u): 0}
    )
    sol = problem.discretize(201, 4).run(1.5, "rk4", target="reference")
    # The pulse of width 0.07 has 20 points across it: (q h)**4 of its largest wave number.
    assert np.abs(sol[u]).max() < 1e-3


def test_a_clamped_beam_swings_with_its_period() -> None:
    """The lowest frequency is b**2, b = 4.730040744862704 the first root of cos(b) cosh(b) = 1."""
    b = 4.730040744862704
    ratio = (np.cosh(b) - np.cos(b)) / (np.sinh(b) - np.sin(b))
    mode = sd.cosh(b * x) - sd.cos(b * x) - ratio * (sd.sinh(b * x) - sd.sin(b * x))
    clamped = pde.Dirichlet(0) & pde.Neumann(0)
    problem = pde.Problem(pde.Eq(pde.dt(u, 2), -pde.dx(u, 4)), LINE, {"x": clamped}, {u: mode, pde.dt(u): 0})
    sol = problem.discretize(21, 4).run(2 * np.pi / b**2, "rk4", target="reference")
    # Order 4: (b h)**4/60 of the frequency, for 2 pi of them.
    assert np.abs(sol[u] - sol.saved[u][0]).max() < 2 * np.pi * (b / 20) ** 4 / 60 * sol.saved[u].max()


def test_values_on_a_side_come_from_an_array() -> None:
    g, box = pde.field("g"), pde.Box(x=(0, 1), y=(0, 2))
    heat = pde.Eq(pde.dt(u), pde.laplacian(u))
    ends = []
    for side, known, more in ((sd.sin(y), [], {}), (g, [g], {g: np.tile(np.sin(np.linspace(0, 2, 8)), (7, 1))})):
        sides = {"x": (pde.Dirichlet(side), pde.Neumann(side)), "y": pde.Neumann(0)}
        problem = pde.Problem(heat, box, sides, {u: 0}, known=known)
        ends.append(problem.discretize((7, 8)).run(0.05, "rk4", parameters=more, target="reference")[u])
    assert np.abs(ends[0] - ends[1]).max() < 10 * EPS


def test_conditions_are_coupled_nonlinear_and_contain_derivatives_of_other_fields() -> None:
    """A side of u depends on v's value, slope and second derivative."""
    exact = {u: sd.sin(2 * x + 1), v: sd.cos(x)}
    free = pde.manufactured(
        [pde.Eq(pde.dt(u), pde.laplacian(u) - u + v), pde.Eq(pde.dt(v), pde.laplacian(v) - v * u)], exact, LINE
    )
    f, g = exact[u], exact[v]
    slopes = [s * sd.diff(f, x) - (g**2 + sd.diff(g, x, 2) * f) for s in (-1, 1)]
    values = [f + s * sd.diff(g, x) for s in (-1, 1)]
    robin = pde.Eq(pde.dn(u), v**2 + pde.dx(v, 2) * u + slopes[0].subs({x: 0.0}))
    held = pde.Eq(u, -pde.dn(v) + values[1].subs({x: 1.0}))
    sides = {u: {"x": (robin, held)}, v: {"x": free.boundary[v, "x"]}}
    problem = pde.Problem(free.equations, LINE, sides, free.initial, free.exact)
    for order in (2, 4):
        assert order_of(problem, (21, 33), order) > order - 0.3


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kinds", [("value", "value"), ("slope", "slope"), ("value", "slope"), ("slope", "value")])
def test_mixed_derivatives_are_right_in_the_corners(kinds: tuple[str, str], order: int) -> None:
    """u_xy in the cell next to each corner takes the corner and points beyond both sides."""
    exact, box = sd.sin(x + 0.3) * sd.exp(y / 2) + x * y**2, pde.Box(x=(0, 1), y=(0, 1))
    table = {"value": pde.Dirichlet, "slope": pde.Neumann}
    sides = {axis: table[kind] for axis, kind in zip("xy", kinds, strict=True)}
    errors = []
    for n in (order + 14, 2 * order + 26):
        problem = pde.manufactured(pde.Eq(pde.dt(u), pde.d(pde.dx(u), y)), {u: exact}, box, sides)
        solver = problem.discretize((n, n + 1), order)
        blocks = [np.asarray(b) for b in solver._start({})]
        rate = np.asarray(
            interpret([solver.semi.rates(solver.semi.blocks, const(0.0))[u]], solver._inputs({}, blocks))[0]
        )
        # The solution does not change in time: what is left is the truncation error.
        corners = rate[:: rate.shape[0] - 1, :: rate.shape[1] - 1]
        errors.append((solver.grid.spacing[0], np.abs(corners).max()))
    (h0, e0), (h1, e1) = errors
    # Beside sides two powers of h less than inside keep the solution's order; rounding ends at eps/h**2.
    least = order - (1.1 if order < 6 else 2.2)
    assert np.log(e0 / e1) / np.log(h0 / h1) > least or e1 < 1e3 * EPS / h1**2


def test_vorticity_on_a_wall_follows_from_the_stream_function() -> None:
    """Order 2 and psi of degree 3 in the distance from the wall: Briley's and Woods's formulas are exact."""
    box = pde.Box(x=(0, 1), y=(0, 1))
    equations = [pde.Eq(pde.laplacian(psi), -w), pde.Eq(pde.dt(w), pde.laplacian(w))]
    sides = {psi: {"x": pde.Dirichlet(0) & pde.Neumann(3), "y": pde.Periodic()}, w: {"y": pde.Periodic()}}
    problem = pde.Problem(equations, box, sides, {w: 0})
    assert str(problem.boundary[w, "x"][0].data(w)[0]) == "-(psi_xx + psi_yy)"
    solver = problem.discretize((9, 4))
    h, blocks = solver.grid.spacing[0], {**solver.semi.blocks, **solver.semi.solved}
    # Slopes 3 out of both sides of the cubic -3 s + a s**2 + b s**3, s the distance from the lower one.
    a, b = 9.0, -6.0
    s = solver.grid.x[1:-1, None] + np.zeros((7, 4))
    fields = Fields(solver.semi, blocks, const(0.0))
    (found,) = interpret(
        [fields.given((w, 0, 0))], solver._inputs({}, [np.zeros((7, 4)), -3 * s + a * s**2 + b * s**3])
    )
    np.testing.assert_allclose(found, -2 * a, rtol=20 * EPS / h**2)


def test_a_side_may_be_held_at_a_defined_field() -> None:
    equations = [pde.Eq(pde.dt(u), pde.laplacian(u)), pde.Eq(pde.dt(v), pde.laplacian(v)), pde.Eq(w, v**2)]
    free = {"x": pde.Neumann(0)}
    problem = pde.Problem(equations, pde.Box(x=(0, 1)), {u: {"x": pde.Dirichlet(w)}, v: free, w: free}, {u: 0.3, v: x})
    sol = problem.discretize(21).run(0.01, "rk4", target="reference")
    np.testing.assert_allclose(sol[u][[0, -1]], sol[v][[0, -1]] ** 2, rtol=8 * EPS)
