"""The limit of dt against the eigenvalues of the whole discretised equations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff import pde
from symdiff.ir.interpret import interpret
from symdiff.ir.node import const

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

    n = sum(a.size for a in state)
    return np.stack([f(e) - f(np.zeros(n)) for e in np.eye(n)], axis=1)


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
