"""Steps in time: observed orders, factors of single modes, multistep starts, and steps that follow their error."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff import pde
from symdiff.ir.interpret import interpret
from symdiff.ir.node import const
from symdiff.pde import stability
from symdiff.pde.diagonal_tableaux import IMEX_ARS3, SDIRK3
from symdiff.pde.methods import METHODS
from symdiff.pde.split import parts

k = sd.symbols("k")
x, t = pde.coordinates("x t")
u, q = pde.field("u"), pde.field("q")
LINE = pde.Box(x=(0, 1))
REFERENCE: dict[str, Any] = {"target": "reference"}
IMEX = ["imex-euler", "imex-ars2", "imex-ars3", "imex-sbdf2"]
NEW = ["sdirk2", "sdirk3", "bdf2", *IMEX]


@pytest.mark.parametrize("method", NEW)
def test_order_in_time_with_moving_sides_and_a_nonlinear_source(method: str) -> None:
    reaction = pde.Eq(pde.dt(u), k * pde.laplacian(u) + u * (1 - u))
    problem = pde.manufactured(reaction, {u: sd.exp(-t) * sd.sin(2 * x + 1)}, LINE, {"x": (pde.Dirichlet, pde.Neumann)})
    dts = (
        [1 / 16, 1 / 32, 1 / 64]
        if method == "sdirk3"
        else [1 / 8, 1 / 16, 1 / 32]
        if method == "sdirk2"
        else [1 / 20, 1 / 40, 1 / 80]
    )
    result = pde.convergence(problem, [7], 1.0, method=method, dts=dts, parameters={k: 0.05}, **REFERENCE)
    assert result.order == pytest.approx(METHODS[method].order, abs=0.1)


def test_order_of_leapfrog_in_time() -> None:
    """Advection only: what decays is unstable."""
    problem = pde.Problem(pde.Eq(pde.dt(u), -pde.dx(u)), LINE, {"x": pde.Periodic()}, {u: sd.sin(2 * sd.pi * x)})
    dts = [1 / 40, 1 / 80, 1 / 160]
    assert pde.convergence(problem, [12], 0.5, method="leapfrog", dts=dts, **REFERENCE).order == pytest.approx(
        2, abs=0.1
    )


# -- single modes ---------------------------------------------------------------------------------------------------


def mode(solver: Any) -> tuple[float, np.ndarray]:
    """Return the eigenvalue of the second difference on sin(3 pi x), and the mode."""
    h = solver.grid.spacing[0]
    return -4 / h**2 * np.sin(1.5 * np.pi * h) ** 2, np.sin(3 * np.pi * solver.grid.x)


def heat(n: int) -> Any:
    equation = pde.Eq(pde.dt(u), pde.laplacian(u))
    return pde.Problem(equation, LINE, {"x": pde.Dirichlet(0)}, {u: sd.sin(3 * sd.pi * x)}).discretize(n)


@pytest.mark.parametrize("solver", ["banded", "transform", "bicgstab", "cg"])
def test_crank_nicolson_damps_a_mode_by_its_factor(solver: str) -> None:
    line, n_steps = heat(17), 7
    eigenvalue, wave = mode(line)
    dt = 0.02  # 10 times the explicit limit
    sol = line.run(n_steps * dt, method="crank-nicolson", dt=dt, linear_solver=solver, **REFERENCE)
    factor = (1 + dt * eigenvalue / 2) / (1 - dt * eigenvalue / 2)
    assert np.abs(sol[u] - factor**n_steps * wave).max() < 1e-13


@pytest.mark.parametrize(("method", "gamma"), [("sdirk2", 1 - np.sqrt(0.5)), ("sdirk3", 0.4358665215084590)])
def test_sdirk_damps_a_mode_by_its_factor(method: str, gamma: float) -> None:
    """R(z) = P(z)/(1 - gamma z)**s with the degree of P below s, and R = exp to the order of the method."""
    line, dt, n_steps = heat(17), 0.01, 5
    eigenvalue, wave = mode(line)
    z, s = eigenvalue * dt, 2 if method == "sdirk2" else 3
    exp, power = [1.0, 1.0, 0.5, 1 / 6], [1.0, -s * gamma, gamma**2 * (1 if s == 2 else 3), -(gamma**3)]
    numerator = sum(np.convolve(exp, power)[j] * z**j for j in range(s))
    factor = numerator / (1 - gamma * z) ** s
    sol = line.run(n_steps * dt, method=method, dt=dt, **REFERENCE)
    assert np.abs(sol[u] - factor**n_steps * wave).max() < 1e-13
    assert METHODS[method].amplification(np.array([z]))[0].real == pytest.approx(factor, abs=1e-14)


def test_bdf2_follows_its_recurrence_through_changing_steps() -> None:
    line = heat(17)
    eigenvalue, wave = mode(line)
    sol = line.run(0.1, method="bdf2", dt=0.03, save_every=0.05, **REFERENCE)
    before, now, dt_before = 1.0, 1.0, np.inf
    for dt in (0.025, 0.025, 0.025, 0.025):
        w = dt / dt_before
        now, before = ((1 + w) * now - w**2 / (1 + w) * before) / ((1 + 2 * w) / (1 + w) - dt * eigenvalue), now
        dt_before = dt
    assert np.abs(sol[u] - now * wave).max() < 1e-13
    uneven = line.run(0.1, method="bdf2", dt=0.03, save_every=0.07, **REFERENCE)
    before, now, dt_before = 1.0, 1.0, np.inf
    for dt in (0.07 / 3, 0.07 / 3, 0.07 / 3, 0.03):
        w = dt / dt_before
        now, before = ((1 + w) * now - w**2 / (1 + w) * before) / ((1 + 2 * w) / (1 + w) - dt * eigenvalue), now
        dt_before = dt
    assert uneven.steps == 4
    assert np.abs(uneven[u] - now * wave).max() < 1e-13


def test_leapfrog_has_the_dispersion_of_the_textbooks() -> None:
    """sin(w dt/2)/dt = c sin(q h/2)/h, and stable up to c dt = h (Courant, Friedrichs & Lewy 1928)."""
    wave = pde.Eq(pde.dt(pde.dt(u)), pde.laplacian(u))
    start = {u: sd.sin(3 * sd.pi * x), pde.dt(u): 0}
    solver = pde.Problem(wave, LINE, {"x": pde.Dirichlet(0)}, start).discretize(21)
    h, n_steps = 1 / 20, 30
    assert solver.stable_dt("leapfrog") == pytest.approx(h, rel=1e-8)
    dt = 0.8 * h
    frequency = 2 / dt * np.arcsin(dt / h * np.sin(1.5 * np.pi * h))
    sol = solver.run(n_steps * dt, method="leapfrog", dt=dt, **REFERENCE)
    exact = np.cos(frequency * n_steps * dt) * np.sin(3 * np.pi * solver.grid.x)
    assert np.abs(sol[u] - exact).max() < 1e-13
    with pytest.raises(sd.DomainError, match="unstable for leapfrog"):
        solver.run(1.0, method="leapfrog", dt=1.1 * h)


def test_leapfrog_of_advection_is_the_two_step_recurrence() -> None:
    start = np.random.default_rng(3).normal(size=10)
    problem = pde.Problem(pde.Eq(pde.dt(u), -pde.dx(u)), LINE, {"x": pde.Periodic()}, {u: start})
    solver = problem.discretize(10)
    dt, h = 0.04, 0.1
    before, now = start, start - dt * (np.roll(start, -1) - np.roll(start, 1)) / (2 * h)
    for _ in range(6):
        before, now = now, before - dt * (np.roll(now, -1) - np.roll(now, 1)) / h
    assert np.abs(solver.run(7 * dt, method="leapfrog", dt=dt, **REFERENCE)[u] - now).max() < 1e-14
    assert solver.stable_dt("leapfrog") == pytest.approx(h, rel=1e-6)


@pytest.mark.parametrize("method", IMEX)
def test_imex_steps_take_stiff_diffusion_at_a_hundred_explicit_limits(method: str) -> None:
    """Fisher's equation u_t = u_xx + 3 u (1 - u) from 0.1 everywhere is the logistic one, whatever the diffusion."""
    equation = pde.Eq(pde.dt(u), pde.laplacian(u) + 3 * u * (1 - u))
    solver = pde.Problem(equation, LINE, {"x": pde.Neumann(0)}, {u: 0.1}).discretize(41)
    dt = 100 * solver.stable_dt("euler")
    sol = solver.run(1.0, method=method, dt=dt, **REFERENCE)
    exact = 0.1 * np.exp(3.0) / (0.9 + 0.1 * np.exp(3.0))
    assert np.ptp(sol[u]) < 1e-12
    assert abs(sol[u][0] - exact) < (0.1 if METHODS[method].order == 1 else 0.01)


c, w = pde.field("c"), pde.field("w")
SPLIT_SIDES: dict[str, Any] = {
    "circle": {"x": pde.Periodic()},
    "insulated": {"x": pde.Neumann(0)},
    "given": {c: {"x": pde.Neumann(0)}, w: {"x": (pde.Dirichlet(sd.sin(3 * t)), pde.Robin(2, 1, t))}},
}
SPLIT: dict[str, list[Any]] = {
    "Cahn-Hilliard": [pde.Eq(pde.dt(c), pde.laplacian(w)), pde.Eq(w, c**3 - c - k * pde.laplacian(c))],
    "order in a definition": [pde.Eq(pde.dt(c), -w), pde.Eq(w, c**2 - pde.laplacian(c))],
    "fluxes": [pde.Eq(pde.dt(c), pde.div(x * pde.grad(w)) + c * pde.dx(w)), pde.Eq(w, c**3 + k * pde.dx(c, 2))],
}


@pytest.mark.parametrize("sides", SPLIT_SIDES)
@pytest.mark.parametrize("name", SPLIT)
def test_the_two_parts_of_imex_methods_add_up(name: str, sides: str) -> None:
    solver = pde.Problem(SPLIT[name], LINE, SPLIT_SIDES[sides], {c: x}).discretize(16)
    state = [np.random.default_rng(9).normal(size=solver._start({})[0].shape)]
    stiff, rest = parts(solver.semi)

    def rates(semi: Any, at: float, values: Any) -> np.ndarray:
        (rate,) = interpret(list(semi.rates(semi.blocks, const(at)).values()), solver._inputs({k: 0.3}, values))
        return np.asarray(rate)

    whole = rates(solver.semi, 0.4, state)
    assert np.abs(rates(stiff, 0.4, state) + rates(rest, 0.4, state) - whole).max() < 1e-14 * np.abs(whole).max()
    # The stiff part is linear, whatever is given on the sides, and of second order at least.
    linear = rates(stiff, 0.4, state)
    assert np.abs(rates(stiff, 0.9, [2 * state[0]]) - 2 * linear).max() < 1e-14 * np.abs(linear).max()
    assert np.abs(linear).max() > 10


def test_imex_methods_solve_cahn_hilliard_by_transforms() -> None:
    """Of w only the linear part is implicit: its factors are constant, so one transform solves each system."""
    box, start = pde.Box(x=(0, 1), y=(0, 1)), 0.1 + 0.1 * sd.cos(2 * sd.pi * x)
    for sides in (pde.Periodic(), pde.Neumann(0)):
        problem = pde.Problem(SPLIT["Cahn-Hilliard"], box, dict.fromkeys("xy", sides), {c: start})
        solver = problem.discretize((16, 9))
        assert "transforms, in which it is diagonal" in solver.explain("imex-ars2")
        runs = (
            solver.run(5e-4, "imex-ars2", dt=1e-4, parameters={k: 0.002}, linear_solver=name, **REFERENCE)
            for name in ("transform", "bicgstab")
        )
        ours, exact = (sol[c] for sol in runs)
        # Iterations end at 1e-12 of what changes.
        assert np.abs(ours - exact).max() < 1e-11
        assert np.ptp(ours) > 0.1


def test_imex_needs_a_stiff_linear_part() -> None:
    problem = pde.Problem(pde.Eq(pde.dt(u), -u * pde.dx(u)), LINE, {"x": pde.Periodic()}, {u: x})
    with pytest.raises(sd.DomainError, match="have none; use an explicit method"):
        problem.discretize(8).run(0.1, method="imex-euler", dt=0.01, **REFERENCE)


def test_wrong_tables_of_implicit_methods_are_refused() -> None:
    with pytest.raises(AssertionError, match="an order condition"):
        replace(SDIRK3, a=(*SDIRK3.a[:2], (0.4, 0.6 - SDIRK3.a[0][0], SDIRK3.a[0][0])))
    with pytest.raises(AssertionError, match="an order condition"):
        replace(IMEX_ARS3, explicit=(*IMEX_ARS3.explicit[:-1], (0.25, 1.75, -1.75, 0.75)))


@pytest.mark.parametrize("name", ["sdirk2", "sdirk3", "bdf2"])
def test_implicit_methods_are_stable_and_damp_stiff_modes(name: str) -> None:
    stiff = METHODS[name].amplification(np.array([-1e8, -1e8j]))
    assert (np.abs(stiff) < 1e-3).all()
    left = -np.logspace(-3, 3, 40)[:, None] * np.exp(1j * np.linspace(-np.pi / 2, np.pi / 2, 31))
    assert np.abs(METHODS[name].amplification(left)).max() <= 1 + 1e-12


# -- steps that follow their error ----------------------------------------------------------------------------------


def test_rk45_keeps_its_tolerance_at_saves_between_steps() -> None:
    reaction = pde.Eq(pde.dt(u), k * pde.laplacian(u) + u * (1 - u))
    problem = pde.manufactured(reaction, {u: sd.exp(-t) * sd.sin(2 * x + 1)}, LINE, {"x": (pde.Dirichlet, pde.Neumann)})
    solver, options = problem.discretize(9), {"parameters": {k: 0.05}, "save_every": 0.13, **REFERENCE}
    exact = solver.run(1.0, dt=2e-3, **options)  # rk4: an error of some 1e-13
    steps, errors = [], []
    for tol in (1e-4, 1e-6, 1e-8):
        sol = solver.run(1.0, method="rk45", tol=tol, **options)
        np.testing.assert_array_equal(sol.times, exact.times)
        steps.append(sol.steps)
        errors.append(np.abs(sol.saved[u] - exact.saved[u]).max())
        assert errors[-1] < 10 * tol  # errors of steps add up, and shrink as the solution does
    # Order 5: a hundredth of the tolerance takes 100**(1/5) times as many steps.
    assert 1.5 < steps[2] / steps[1] < 4
    assert errors[2] < errors[1] / 20


def test_rk45_says_where_a_solution_ends(target: str) -> None:
    """u' = u**2 from 3 ends at t = 1/3."""
    problem = pde.Problem(pde.Eq(pde.dt(u), u**2), LINE, {"x": pde.Periodic()}, {u: 2 + sd.cos(2 * sd.pi * x)})
    with pytest.raises(pde.RunError, match=r"Step \d+ of rk45, from t = 0\.333333, .* that of 'u' at x = 0;") as caught:
        problem.discretize(8).run(1.0, method="rk45", save_every=0.1, target=target)
    sol = caught.value.solution
    assert sol.t == pytest.approx(1 / 3, abs=1e-5)
    assert np.isfinite(sol[u]).all()
    assert sol.times[:4].tolist() == pytest.approx([0, 0.1, 0.2, 0.3])


def test_rk45_stays_at_its_stability_limit() -> None:
    """A mode that has decayed needs no accuracy, but the steps must stay stable."""
    solver = heat(17)
    sol = solver.run(0.3, method="rk45", tol=1e-4, **REFERENCE)
    assert np.abs(sol[u]).max() < 1e-9
    limit = solver.stable_dt("rk45")
    assert limit == pytest.approx(3.306 / 4 * solver.grid.spacing[0] ** 2, rel=1e-3)  # Hairer & Wanner, IV.2
    assert 0.6 < 0.3 / sol.steps / limit < 1.1
    with pytest.raises(sd.DomainError, match="tol is a positive"):
        solver.run(0.5, method="rk45", tol=0.0)


def test_reach_of_the_pair() -> None:
    assert stability.reach(METHODS["rk45"], np.array([np.pi]))[0] == pytest.approx(3.3066, abs=1e-3)


def test_imex_methods_refuse_conditions_with_a_nonlinear_defined_field() -> None:
    equations = [pde.Eq(pde.dt(u), pde.laplacian(u)), pde.Eq(q, u**4)]
    sides = {u: {"x": pde.Neumann(-q)}, q: {"x": pde.Neumann(0)}}
    solver = pde.Problem(equations, pde.Box(x=(0, 1)), sides, {u: 1.0}).discretize(21)
    with pytest.raises(sd.DomainError, match=r"condition of u on axis 'x' contains q.*not linear"):
        solver.run(1e-3, "imex-euler", dt=1e-4, **REFERENCE)


def test_limit_of_imex_methods_with_a_nonlinear_defined_field_and_advection() -> None:
    """Below the limit random states stay bounded."""
    equations = [pde.Eq(pde.dt(u), pde.laplacian(q) - 20 * pde.dx(u)), pde.Eq(q, u**3 - 0.01 * pde.laplacian(u))]
    sides = {"x": pde.Neumann(0)}
    start = 0.1 * np.cos(np.pi * np.arange(33) / 32)
    solver = pde.Problem(equations, pde.Box(x=(0, 1)), sides, {u: start}).discretize(33)
    limit = solver.stable_dt("imex-ars2")
    assert 0 < limit < 0.1
    sol = solver.run(50 * limit, "imex-ars2", dt=0.9 * limit, **REFERENCE)
    assert np.abs(sol[u]).max() < 0.2
