"""Terms that are discretised as one piece: what they conserve, and what the discrete equations give exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy

import symdiff as sd
from symdiff import pde
from symdiff.pde import stability
from symdiff.pde.formula import Formula
from tests.pde.dense import jacobian, right_hand_side

x, y, z, t = pde.coordinates("x y z t")
u, v = pde.field("u"), pde.field("v")
k = sd.symbols("k")
EPS = float(np.finfo(float).eps)
LINE = pde.Box(x=(0, 1))
CIRCLE = {"x": pde.Periodic()}


def rates(problem: pde.Problem, shape: Any, state: np.ndarray, order: int = 2) -> np.ndarray:
    """Return the time derivative of the only field."""
    solver = problem.discretize(shape, order)
    return right_hand_side(solver)(state.ravel()).reshape(state.shape)


@pytest.mark.parametrize("order", [2, 4, 6, 8])
def test_a_divergence_conserves_on_a_torus(order: int) -> None:
    box = pde.Box(x=(0, 1), y=(0, 2), z=(-1, 1))
    axes = dict.fromkeys("xyz", pde.Periodic())
    # x*(1 - x) is not smooth across the ends, and conserved all the same.
    flow = pde.div((1 + x * (1 - x) + u**2) * pde.grad(u)) + pde.div(pde.vector(y, 2, -x) * u)
    state = np.random.default_rng(3).normal(size=(17, 18, 19))
    found = rates(pde.Problem(pde.Eq(pde.dt(u), flow), box, axes, {u: 0}), state.shape, state, order)
    assert abs(found.sum()) < 1e3 * EPS * np.abs(found).sum()


def test_a_divergence_conserves_between_insulated_sides() -> None:
    box = pde.Box(x=(0, 1), y=(0, 2))
    flow = pde.div((1 + x**2 + sd.exp(u) * y) * pde.grad(u))
    problem = pde.Problem(pde.Eq(pde.dt(u), flow), box, {"x": pde.Neumann(0), "y": pde.Neumann(0)}, {u: 0})
    state = np.random.default_rng(4).normal(size=(7, 9))
    found = rates(problem, state.shape, state)
    wx, wy = np.ones(7), np.ones(9)
    wx[[0, -1]] = wy[[0, -1]] = 0.5
    assert abs(wx @ found @ wy) < 100 * EPS * np.abs(found).sum()


def test_what_enters_through_a_side_is_what_is_gained() -> None:
    """u_t = div(k grad u) with slopes: the trapezoid rule of u changes by the fluxes k*dn(u) through the sides."""
    problem = pde.Problem(
        pde.Eq(pde.dt(u), pde.div((1 + x) * pde.grad(u))), LINE, {"x": (pde.Neumann(3), pde.Neumann(-2))}, {u: 0}
    )
    state = np.random.default_rng(5).normal(size=11)
    found = rates(problem, 11, state)
    gained = (found.sum() - (found[0] + found[-1]) / 2) / 10
    assert gained == pytest.approx(1 * 3 + 2 * -2, abs=1e3 * EPS)


def test_constant_factors_leave_ordinary_derivatives() -> None:
    problem = pde.Problem(pde.Eq(pde.dt(u), pde.div(k * pde.grad(u))), LINE, CIRCLE, {u: 0})
    assert problem.rhs[u] is k * pde.dx(u, 2)
    cahn = pde.Problem(pde.Eq(pde.dt(u), pde.laplacian(u**3 - u - k * pde.laplacian(u))), LINE, CIRCLE, {u: 0})
    assert str(cahn.rhs[u]) == "-k*u_xxxx + nodal(u**3 - u)_xx"


def test_fluxes_of_linear_profiles_are_exact_in_three_dimensions() -> None:
    """div((1 + x) grad(x + 2*y + 3*z)) = 1 with every kind of side, all orders."""
    box = pde.Box(x=(0, 1), y=(0, 1), z=(0, 2))
    profile = x + 2 * y + 3 * z
    equation = pde.Eq(pde.dt(u), pde.div((1 + x) * pde.grad(u)))
    sides = {"x": (pde.Dirichlet, pde.Neumann), "y": pde.Dirichlet, "z": (pde.Robin(1, 2, 0), pde.Neumann)}
    for order in (2, 4):
        problem = pde.manufactured(equation, {u: profile}, box, sides)
        solver = problem.discretize((8, 9, 10), order)
        sol = solver.run(1e-3, method="euler", dt=1e-3, force=True, target="reference")
        xs, ys, zs = solver.grid.mesh()
        assert np.abs(sol[u] - (xs + 2 * ys + 3 * zs)).max() < 100 * EPS


def test_upwind_of_order_one_amplifies_as_in_the_textbook() -> None:
    n, c, n_steps = 16, 0.6, 7
    equation = pde.Eq(pde.dt(u), -pde.upwind(k, u, order=1))
    problem = pde.Problem(equation, LINE, CIRCLE, {u: sd.cos(6 * sd.pi * x)})
    for sign in (1.0, -1.0):
        sol = problem.discretize(n).run(n_steps * c / n, "euler", c / n, {k: sign}, target="reference")
        theta = 2 * np.pi * 3 / n
        factor = (1 - c * (1 - np.exp(-1j * sign * theta))) ** n_steps
        exact = (factor * np.exp(1j * theta * np.arange(n))).real
        assert np.abs(sol[u] - exact).max() < 20 * EPS


def test_upwind_takes_a_field() -> None:
    with pytest.raises(sd.SymdiffError, match="upwind takes a field, got 'u_x'"):
        pde.upwind(1.0, pde.dx(u))


def test_upwind_of_order_one_makes_no_new_extremes() -> None:
    start = np.where(np.arange(40) < 20, 1.0, -2.0)
    for flow in (pde.upwind(u, u, order=1), pde.upwind(sd.sin(2 * sd.pi * x), u, order=1)):
        problem = pde.Problem(pde.Eq(pde.dt(u), -flow), LINE, CIRCLE, {u: start})
        sol = problem.discretize(40).run(0.2, "euler", 0.005, target="reference")
        assert -2 <= sol[u].min() < sol[u].max() <= 1


@pytest.mark.parametrize("order", [2, 4, 6, 8])
def test_waves_have_the_dispersion_of_the_formula(order: int) -> None:
    """u_tt = u_xx on a circle: rk4 multiplies (u, u_t) of a mode by its polynomial of [[0, 1], [-w**2, 0]]."""
    n, mode, n_steps, dt = 24, 5, 9, 0.01
    problem = pde.Problem(
        pde.Eq(pde.dt(u, 2), pde.laplacian(u)), LINE, CIRCLE, {u: sd.sin(2 * mode * sd.pi * x), pde.dt(u): 0}
    )
    sol = problem.discretize(n, order).run(n_steps * dt, "rk4", dt, target="reference")
    w2 = -float(Formula("central", 2).symbol(order, np.array([2 * np.pi * mode / n]))[0].real)
    z = dt * np.array([[0, 1], [-w2 * n**2, 0]])
    step = np.eye(2) + z + z @ z / 2 + z @ z @ z / 6 + z @ z @ z @ z / 24
    factor = np.linalg.matrix_power(step, n_steps)[:, 0]
    shape = np.sin(2 * np.pi * mode * np.arange(n) / n)
    assert np.abs(sol[u] - factor[0] * shape).max() < 1e-13
    assert np.abs(sol[pde.dt(u)] - factor[1] * shape).max() < 1e-13 * np.sqrt(w2) * n
    np.testing.assert_array_equal(sol["u_t"], sol[pde.dt(u)])


def test_a_wave_between_moving_sides_and_with_damping() -> None:
    equation = pde.Eq(pde.dt(u, 2) + 0.5 * pde.dt(u), pde.laplacian(u))
    exact = sd.sin(2 * x + 0.4) * sd.cos(3 * t)
    errors = []
    for n in (17, 33):
        problem = pde.manufactured(equation, {u: exact}, LINE, {"x": (pde.Dirichlet, pde.Robin(1, 2, 0))})
        sol = problem.discretize(n, 4).run(0.1, "rk4", 0.1 / n, target="reference")
        errors.append(np.abs(sol[u] - np.sin(2 * np.linspace(0, 1, n) + 0.4) * np.cos(0.3)).max())
    assert errors[1] < 1e-7
    assert np.log2(errors[0] / errors[1]) > 3.8


def test_means_and_integrals_are_terms() -> None:
    """u_t = -mean(u) moves all points by the same amount; the mean decays by the exact factor."""
    box = pde.Box(x=(0, 2), y=(0, 1))
    problem = pde.Problem(
        pde.Eq(pde.dt(u), -pde.mean(u)), box, {"x": pde.Periodic(), "y": pde.Neumann(0)}, {u: 2 + sd.sin(sd.pi * x) + y}
    )
    solver = problem.discretize((8, 7))
    sol = solver.run(0.5, "euler", 0.1, target="reference")
    start = solver.whole.assemble(solver._start({}), 0.0, {})[u]
    assert np.abs(sol[u] - start - 2.5 * (0.9**5 - 1)).max() < 20 * EPS
    # The trapezoid rule over given sides too.
    given = pde.Problem(
        pde.Eq(pde.dt(u), pde.integral(u)), LINE, {"x": (pde.Dirichlet(1), pde.Dirichlet(3))}, {u: 2 * x + 1}
    )
    assert right_hand_side(given.discretize(6))(np.linspace(1, 3, 6)[1:-1]) == pytest.approx(2.0, rel=4 * EPS)


@pytest.mark.parametrize("order", [2, 4, 6])
@pytest.mark.parametrize("sides", [pde.Periodic(), pde.Dirichlet(0.3), pde.Neumann(0), pde.Neumann(-0.2 * u)], ids=repr)
def test_a_laplacian_of_an_expression_is_that_of_a_defined_field(sides: Any, order: int) -> None:
    def f(q: Any) -> Any:
        return q**3 - q + sd.exp(q)

    conditions = {u: {"x": sides}, v: {"x": sides}}
    if isinstance(sides, pde.Dirichlet):
        conditions[v] = {"x": pde.Dirichlet(f(sd.symbols("a")).subs({sd.symbols("a"): 0.3}))}
    elif isinstance(sides, pde.Neumann):
        slope = (3 * u**2 - 1 + sd.exp(u)) * sides.slope
        conditions[v] = {"x": pde.Neumann(slope)}
    one = pde.Problem(pde.Eq(pde.dt(u), pde.laplacian(f(u))), LINE, {"x": sides}, {u: 0})
    two = pde.Problem([pde.Eq(pde.dt(u), pde.laplacian(v)), pde.Eq(v, f(u))], LINE, conditions, {u: 0})
    state = np.random.default_rng(6).normal(size=24 - 2 * isinstance(sides, pde.Dirichlet))
    ours, theirs = (right_hand_side(p.discretize(24, order))(state) for p in (one, two))
    assert np.abs(ours - theirs).max() < 100 * EPS * np.abs(theirs).max()


def test_a_laplacian_of_an_expression_conserves() -> None:
    """Between slopes: the trapezoid rule of u changes by the slopes f'(u)*dn(u) of f on the sides."""
    flow = k * pde.laplacian(u**3 + x * u)
    problem = pde.Problem(pde.Eq(pde.dt(u), flow), LINE, {"x": (pde.Neumann(3), pde.Neumann(-2))}, {u: 0})
    assert str(problem.rhs[u]) == "k*nodal(u**3 + x*u)_xx"
    state = np.random.default_rng(7).normal(size=11)
    found = right_hand_side(problem.discretize(11), {k: 0.7})(state)
    gained = (found.sum() - (found[0] + found[-1]) / 2) / 10
    inward = 3 * (3 * state[0] ** 2) - state[0] - 2 * (3 * state[-1] ** 2 + 1) + state[-1]
    assert gained == pytest.approx(0.7 * inward, rel=1e3 * EPS)


def test_a_second_derivative_of_an_expression_in_sympy_takes_its_values() -> None:
    sx, st = sympy.symbols("x t")
    su = sympy.Function("u")(sx, st)
    equation = sympy.Eq(sympy.Derivative(su, st), sympy.Derivative(su**3 - su, (sx, 2)))
    problem = pde.Problem(equation, LINE, CIRCLE, {u: 0})
    assert str(problem.rhs[u]) == "nodal(u**3 - u)_xx"


@pytest.mark.parametrize("order", [2, 4])
def test_a_chemical_potential_may_be_a_field_of_its_own(order: int) -> None:
    """Both ways to write Cahn-Hilliard conserve; they differ by the truncation error."""
    c, mu = pde.field("c"), pde.field("mu")
    start = 0.5 + 0.1 * sd.cos(2 * sd.pi * x)
    two = pde.Problem(
        [pde.Eq(pde.dt(c), pde.laplacian(mu)), pde.Eq(mu, c**3 - c - 1e-3 * pde.laplacian(c))],
        LINE,
        {"x": pde.Neumann(0)},
        {c: start},
    )
    sol = two.discretize(33, order).run(0.002, target="reference")
    weights = np.ones(33)
    weights[[0, -1]] = 0.5
    if order == 2:
        assert weights @ sol[c] == pytest.approx(
            weights @ (0.5 + 0.1 * np.cos(2 * np.pi * np.linspace(0, 1, 33))), rel=1e-13
        )
    one = pde.Problem(pde.Eq(pde.dt(c), pde.laplacian(c**3 - c - 1e-3 * pde.laplacian(c))), LINE, CIRCLE, {c: start})
    other = one.discretize(32, order).run(0.002, target="reference")
    assert np.abs(sol[c][:-1] - other[c]).max() < (2e-4 if order == 2 else 2e-5)


@pytest.mark.parametrize("order", [2, 4])
@pytest.mark.parametrize(
    ("rhs", "sides"),
    [
        (pde.div((1 + x) * pde.grad(u)), pde.Dirichlet(0)),
        (pde.div((1 + x) * pde.grad(u)), pde.Neumann(0)),
        (pde.laplacian(-u - 1e-3 * pde.laplacian(u)), pde.Periodic()),
        (-pde.upwind(1.5, u, order=1) + 1e-3 * pde.laplacian(u), pde.Periodic()),
        (pde.laplacian(u) / 10 - 300 * pde.mean(u), pde.Periodic()),
    ],
)
def test_limits_are_those_of_the_matrix(rhs: Any, sides: Any, order: int) -> None:
    solver = pde.Problem(pde.Eq(pde.dt(u), rhs), LINE, {"x": sides}, {u: x}).discretize(40, order)
    n = solver._start({})[0].size
    values = np.linalg.eigvals(jacobian(right_hand_side(solver), np.zeros(n), None))
    values = values[(values.real < 0) & (np.abs(values) > 1e-6 * np.abs(values).max())]
    exact = np.min(-2 * values.real / np.abs(values) ** 2)
    # Frozen coefficients: the largest factor sits at a side, where the stiffest mode is smaller.
    assert 0.85 * exact < solver.stable_dt("euler") < 1.01 * exact


def test_the_limit_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = pde.Problem(pde.Eq(pde.dt(u), k * pde.laplacian(u)), LINE, CIRCLE, {u: x})
    solver = problem.discretize(16)
    calls, limit = [], stability.limit
    monkeypatch.setattr(stability, "limit", lambda *args: calls.append(args) or limit(*args))
    first = solver.stable_dt("euler", {k: 1.0})
    assert solver.stable_dt("euler", {k: 2.0}) == first / 2
    for _ in range(2):
        solver.run(2 * first, "euler", first, {k: 1.0}, target="reference")
    # Once for each parameter, and once for the time that the run covers.
    assert len(calls) <= 3


def test_steps_in_a_factor_are_no_constants() -> None:
    """Their derivative is 0, and yet the field decides them: against the difference of fluxes by hand."""
    state = np.array([0.2, 0.9, 1.3, 1.1, 0.4, 2.5, 0.1])
    flux = pde.div(sd.where(u > 1, 2.0, 1.0) * pde.grad(u))
    found = rates(pde.Problem(pde.Eq(pde.dt(u), flux), LINE, CIRCLE, {u: 0}), 7, state)
    middle, slope = 0.5 * (state + np.roll(state, -1)), 7 * (np.roll(state, -1) - state)
    through = np.where(middle > 1, 2.0, 1.0) * slope
    np.testing.assert_allclose(found, 7 * (through - np.roll(through, 1)), rtol=0, atol=1e3 * EPS)


@pytest.mark.parametrize("kind", ["laplacian", "div"])
def test_terms_inside_of_fluxes(kind: str) -> None:
    """Against derivatives by SymPy; order 4: 16 times less on twice the points."""
    s = sympy.symbols("x")
    wave = sympy.sin(s) + 2
    inner = pde.laplacian(u**2) if kind == "laplacian" else pde.div(u * pde.grad(u))
    inside = sympy.diff(wave**2 if kind == "laplacian" else wave**2 / 2, s, 2)
    exact = sympy.lambdify(s, sympy.diff(wave * inside, s))
    errors = []
    for n in (48, 96):
        at = 2 * np.pi * np.arange(n) / n
        problem = pde.Problem(
            pde.Eq(pde.dt(u), pde.div(pde.vector(u * inner))), pde.Box(x=(0, 2 * np.pi)), CIRCLE, {u: 0}
        )
        errors.append(np.abs(rates(problem, n, np.sin(at) + 2, 4) - exact(at)).max())
    assert 13 < errors[0] / errors[1] < 19
