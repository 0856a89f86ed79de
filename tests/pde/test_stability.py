"""The limit of dt against the eigenvalues of the whole discretised equations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff import pde
from symdiff.ir.interpret import interpret
from symdiff.ir.node import const
from symdiff.pde.methods import METHODS

k = sd.symbols("k")
x, y, t = pde.coordinates("x y t")
u = pde.field("u")
LINE = pde.Box(x=(0, 1))


def dense(solver: Any) -> np.ndarray:
    """Return the matrix of the discretised right-hand side, column by column."""
    state = solver._start({})
    rates = list(solver.semi.rates(solver.semi.blocks, const(0.0)).values())

    def f(vector: np.ndarray) -> np.ndarray:
        parts = np.split(vector, np.cumsum([a.size for a in state])[:-1])
        blocks = [p.reshape(a.shape) for p, a in zip(parts, state, strict=True)]
        return np.concatenate([r.ravel() for r in interpret(rates, solver._inputs({}, blocks))])

    n, small = sum(a.size for a in state), 2.0**-10
    return np.stack([f(small * e) - f(np.zeros(n)) for e in np.eye(n)], axis=1) / small


@pytest.mark.parametrize("order", [2, 4, 6])
@pytest.mark.parametrize(
    "sides",
    [
        pde.Dirichlet(0),
        pde.Neumann(0),
        pde.Robin(3, 1, 0),
        pde.Robin(100, 1, 0),
        (pde.Dirichlet(0), pde.Neumann(-30 * u)),
        pde.Periodic(),
    ],
)
def test_limit_is_that_of_the_matrix(sides: Any, order: int) -> None:
    rhs = (1 + 0.5 * sd.sin(x)) * pde.laplacian(u) - 7 * u + 3 * pde.dx(u)
    problem = pde.Problem(pde.Eq(pde.dt(u), rhs), LINE, {"x": sides}, {u: x})
    solver = problem.discretize(40, order)
    values = np.linalg.eigvals(dense(solver))
    exact = np.min(-2 * values.real / np.abs(values) ** 2)
    # Frozen coefficients: the largest factor sits at the side, where the stiffest mode is smaller.
    assert 0.9 * exact < solver.stable_dt("euler") < 1.01 * exact


def test_limit_in_two_dimensions_and_of_a_system() -> None:
    v = pde.field("v")
    box = pde.Box(x=(0, 1), y=(0, 2))
    sides = {"x": pde.Neumann(0), "y": pde.Dirichlet(0)}
    equations = [
        pde.Eq(pde.dt(u), pde.laplacian(u) + 0.5 * pde.laplacian(v) - v),
        pde.Eq(pde.dt(v), 0.2 * pde.laplacian(v) - 3 * v + u),
    ]
    solver = pde.Problem(equations, box, sides, {u: x, v: y}).discretize((9, 10))
    values = np.linalg.eigvals(dense(solver))
    exact = np.min(-2 * values.real / np.abs(values) ** 2)
    assert 0.9 * exact < solver.stable_dt("euler") < 1.01 * exact


# -- against all eigenvalues ----------------------------------------------------------------------------------------

v, w = pde.field("v"), pde.field("w")
SIDES: dict[str, Any] = {
    "values": (pde.Dirichlet(0), pde.Dirichlet(0)),
    "slopes": (pde.Neumann(0), pde.Neumann(0)),
    "mixed": (pde.Dirichlet(0), pde.Neumann(0)),
    "robin": (pde.Robin(3, 1, 0), pde.Robin(100, 1, 0)),
}
EQUATIONS: dict[str, list[Any]] = {
    "heat": [pde.Eq(pde.dt(u), pde.laplacian(u))],
    "advection and diffusion": [pde.Eq(pde.dt(u), -3 * pde.dx(u) + 0.2 * pde.laplacian(u) - 7 * u)],
    "wave": [pde.Eq(pde.dt(u, 2), pde.laplacian(u))],
    "damped wave": [pde.Eq(pde.dt(u, 2) + pde.dt(u), pde.laplacian(u))],
    "Schroedinger": [pde.Eq(pde.dt(u), -pde.laplacian(v)), pde.Eq(pde.dt(v), pde.laplacian(u))],
    "plate": [pde.Eq(pde.dt(u), -pde.laplacian(w)), pde.Eq(w, pde.laplacian(u))],
    "nonlinear": [pde.Eq(pde.dt(u), pde.laplacian(u + u**3))],
}


def exact_limit(method: Any, values: np.ndarray, guess: float) -> float:
    """Return the largest multiple of 0.002*guess up to which no mode that does not grow by itself grows."""
    size = np.abs(values).max()
    kept = values[(values.real < 1e-9 * size) & (np.abs(values) > 1e-6 * size)]
    kept = np.where(np.abs(kept.real) < 1e-9 * size, 1j * kept.imag, kept)
    steps = guess * np.arange(1, 1001) / 500
    stable = (np.abs(method.amplification(steps[:, None] * kept)) <= 1 + 1e-8).all(axis=1)
    return float(steps[stable.argmin() - 1]) if stable[0] else 0.0


def check(problem: pde.Problem, shape: Any, order: int, methods: tuple[str, ...]) -> None:
    solver = problem.discretize(shape, order)
    values = np.linalg.eigvals(dense(solver))
    for name in methods:
        limit = solver.stable_dt(name)
        exact = exact_limit(METHODS[name].adapted(problem), values, limit)
        # 0.002: the distance of the steps that are tried.
        assert 0.8 * exact <= limit <= exact * (1 + 1e-3 + 2e-3)


@pytest.mark.parametrize("order", [6, *(pytest.param(order, marks=pytest.mark.slow) for order in (2, 4, 8))])
@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize("name", EQUATIONS)
def test_limits_are_the_spectral_ones(name: str, sides: str, order: int) -> None:
    start = {u: 0 * x, v: x} if name == "Schroedinger" else {u: 0 * x, pde.dt(u): 0} if "wave" in name else {u: 0 * x}
    problem = pde.Problem(EQUATIONS[name], LINE, {"x": SIDES[sides]}, start)
    oscillates = name in ("wave", "Schroedinger")
    check(problem, 21, order, ("rk4", "leapfrog") if oscillates and sides != "robin" else ("rk4",))


@pytest.mark.parametrize("sides", ["slopes", "mixed"])
def test_limits_with_a_mixed_derivative_are_those_of_the_corner(sides: str) -> None:
    equation = pde.Eq(pde.dt(u), pde.laplacian(u) + 0.9 * pde.d(pde.dx(u), y))
    box = pde.Box(x=(0, 1), y=(0, 1.3))
    check(pde.Problem(equation, box, dict.fromkeys("xy", SIDES[sides]), {u: x}), (11, 12), 4, ("euler",))


def test_fields_with_different_sides_have_one_limit() -> None:
    """First-order sound: the factors vary, and the fields are unknown at different points."""
    equations = [pde.Eq(pde.dt(u), (1 + x) * pde.dx(v)), pde.Eq(pde.dt(v), pde.dx(u))]
    sides = {u: {"x": pde.Dirichlet(0)}, v: {"x": pde.Neumann(0)}}
    check(pde.Problem(equations, LINE, sides, {u: x, v: x}), 24, 2, ("rk4",))


@pytest.mark.parametrize("order", [6, 8])
def test_waves_between_given_values_stay_bounded(order: int) -> None:
    wave = pde.Eq(pde.dt(u, 2), pde.laplacian(u))
    rough = np.random.default_rng(5).normal(size=30)
    rough[[0, -1]] = 0
    solver = pde.Problem(wave, LINE, {"x": pde.Dirichlet(0)}, {u: rough, pde.dt(u): 0}).discretize(30, order)
    sol = solver.run(30.0, "leapfrog")
    assert sol.steps > 1000
    assert np.abs(sol[u]).max() < 10 * np.abs(rough).max()


def test_modes_that_only_a_side_makes_grow_are_refused() -> None:
    sides = (pde.Dirichlet(0), pde.Neumann(0))
    problem = pde.Problem(pde.Eq(pde.dt(u), -pde.dx(u)), LINE, {"x": sides}, {u: sd.sin(sd.pi * x)})
    solver = problem.discretize(40, 4)
    assert np.linalg.eigvals(dense(solver)).real.max() > 1
    for method in ("rk4", "crank-nicolson"):
        with pytest.raises(sd.DomainError, match="formulas of order 4 make a mode at a side grow"):
            solver.run(1.0, method, target="reference")
    assert problem.discretize(40).stable_dt("rk4") > 0
    # What grows by itself sets no limit, on a side neither: du/dn = 20 u makes exp(400 t).
    growing = pde.Problem(pde.Eq(pde.dt(u), pde.laplacian(u) + 50 * u), LINE, {"x": pde.Neumann(20 * u)}, {u: x})
    assert growing.discretize(40, 4).stable_dt("rk4") > 1e-4


def test_implicit_steps_of_waves_are_chosen_by_their_fastest_mode() -> None:
    problem = pde.Problem(pde.Eq(pde.dt(u), pde.dx(u)), LINE, {"x": pde.Periodic()}, {u: sd.sin(2 * sd.pi * x)})
    sol = problem.discretize(20).run(2.0, "crank-nicolson", target="reference")
    assert sol.dt == pytest.approx(10 * 2 / 20, rel=1e-3)


# -- a stiff part and the rest --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["imex-euler", "imex-ars2", "imex-ars3", "imex-sbdf2"])
def test_limits_of_two_parts_are_those_of_all_modes(method: str) -> None:
    """u_t = -50 u_x + u_xx/10: every mode has one eigenvalue of either part, and a step one factor."""
    n, speed, k0 = 64, 50.0, 0.1
    equation = pde.Eq(pde.dt(u), -speed * pde.dx(u) + k0 * pde.laplacian(u))
    solver = pde.Problem(equation, LINE, {"x": pde.Periodic()}, {u: sd.sin(2 * sd.pi * x)}).discretize(n)
    theta = 2 * np.pi * np.arange(n) / n
    stiff, rest = k0 * n**2 * (2 * np.cos(theta) - 2), -1j * speed * n * np.sin(theta)

    def largest(dt: float) -> float:
        if method == "imex-sbdf2":
            pairs = zip(dt * stiff, dt * rest, strict=True)
            return max(np.abs(np.roots([1.5 - z, -2 - 2 * e, 0.5 + e])).max() for z, e in pairs)
        return float(np.abs(METHODS[method].tableau.amplification(dt * stiff, dt * rest)).max())  # type: ignore[attr-defined]  # the tableau's

    limit = solver.stable_dt(method)
    # A thousandth of the fastest rate may grow.
    allowed = np.exp(1e-3 * limit * speed * n)
    assert largest(0.98 * limit) < allowed
    assert largest(1.3 * limit) > allowed**1.3
    with pytest.raises(sd.DomainError, match=f"unstable for {method} .* 1.5 times smaller"):
        solver.run(1.0, method, dt=1.5 * limit, target="reference")
    assert solver.run(20 * limit, method, target="reference").dt <= 0.9 * limit


def test_textbook_limits(heat: Any) -> None:
    solver = heat.discretize(21)
    h, real_axis = 1 / 20, {"euler": 2.0, "heun": 2.0, "ssprk3": 2.5127453266, "rk4": 2.7852935634}
    for name, reach in real_axis.items():
        assert solver.stable_dt(name, {k: 0.7}) == pytest.approx(reach / 4 * h**2 / 0.7, rel=1e-8)
    assert solver.stable_dt("crank-nicolson", {"k": 0.7}) == np.inf


def test_nonlinear_coefficients_count_where_they_are_largest() -> None:
    porous = pde.Eq(pde.dt(u), pde.d(u**2 * pde.dx(u), x))
    problem = pde.Problem(porous, LINE, {"x": pde.Periodic()}, {u: 1 + sd.sin(2 * sd.pi * x)})
    solver = problem.discretize(40)
    assert solver.stable_dt("euler") == pytest.approx(0.5 / 40**2 / 4, rel=0.1)


def test_coefficients_that_change_in_time_count_where_they_are_largest() -> None:
    problem = pde.Problem(pde.Eq(pde.dt(u), (1 + t) * pde.laplacian(u)), LINE, {"x": pde.Periodic()}, {u: x})
    solver = problem.discretize(16)
    assert solver.stable_dt("euler", until=3.0) == pytest.approx(solver.stable_dt("euler") / 4)


def test_unstable_steps_are_refused_and_forced_runs_are_unstable(heat: Any) -> None:
    solver = heat.discretize(17)
    limit = solver.stable_dt("rk4", {k: 1.0})
    options: dict[str, Any] = {"parameters": {k: 1.0}, "target": "reference"}
    with pytest.raises(sd.DomainError, match=f"limit is {limit:.6g}, 1.2 times smaller"):
        solver.run(60 * limit, dt=1.2 * limit, **options)
    rough = pde.Problem(heat.equations, LINE, {"x": pde.Dirichlet(0)}, {u: np.cos(np.pi * np.arange(17))})
    assert np.abs(rough.discretize(17).run(60 * limit, dt=limit, **options)[u]).max() <= 1
    wild = rough.discretize(17).run(60 * limit, dt=1.2 * limit, force=True, **options)
    assert np.abs(wild[u]).max() > 1e3


def test_automatic_steps_are_stable(heat: Any) -> None:
    solver = heat.discretize(17)
    sol = solver.run(0.05, method="euler", parameters={k: 1.0}, target="reference")
    limit = solver.stable_dt("euler", {k: 1.0})
    assert 0.8 * limit < sol.dt <= 0.9 * limit * (1 + 1e-12)
    assert sol.t == 0.05


def test_pure_advection_has_no_step_for_euler() -> None:
    problem = pde.Problem(pde.Eq(pde.dt(u), pde.dx(u)), LINE, {"x": pde.Periodic()}, {u: sd.sin(2 * sd.pi * x)})
    solver = problem.discretize(16)
    assert solver.stable_dt("euler") == 0
    with pytest.raises(sd.DomainError, match="no stable step here \\(every dt is unstable\\)"):
        solver.run(0.1, "euler", target="reference")
    assert solver.stable_dt("rk4") == pytest.approx(2 * np.sqrt(2) / 16, rel=1e-3)


def test_a_side_that_feeds_back_without_end_has_no_limit() -> None:
    """The slope of sqrt(u) at u = 0 is infinite."""
    problem = pde.Problem(
        pde.Eq(pde.dt(u), pde.laplacian(u)), pde.Box(x=(0, 1)), {"x": pde.Neumann(-sd.sqrt(u))}, {u: 0}
    )
    solver = problem.discretize(21)
    assert np.isnan(solver.stable_dt("euler"))
    with pytest.raises(sd.DomainError, match="not finite at the initial state"):
        solver.run(0.1, "euler", target="reference")
