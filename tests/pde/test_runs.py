"""Runs: saves, chunks, callbacks, interruption, values that are not finite, wrong input."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff import pde
from symdiff.pde import run as run_module
from symdiff.pde.schedule import plan

k = sd.symbols("k")
x, y, t = pde.coordinates("x y t")
u = pde.field("u")
LINE = pde.Box(x=(0, 1))
ONE: dict[str, Any] = {"parameters": {k: 1.0}, "target": "reference"}


def source() -> Any:
    """The example of the public contract."""
    equation = pde.Eq(pde.dt(u), k * pde.laplacian(u) + sd.sin(x) * sd.exp(-t))
    sides = {"x": pde.Periodic(), "y": (pde.Dirichlet(0), pde.Neumann(sd.cos(t)))}
    return pde.Problem([equation], pde.Box(x=(0, 1), y=(0, 1)), sides, {u: sd.sin(sd.pi * y)})


@pytest.mark.parametrize("method", ["euler", "rk4", "crank-nicolson"])
@pytest.mark.parametrize("order", [2, 4])
def test_compiled_runs_are_the_interpreted_ones(method: str, order: int) -> None:
    solver = source().discretize((9, 11), order)
    dt = 0.5 * solver.stable_dt("euler", {k: 0.1})
    runs = [solver.run(8 * dt, method=method, dt=dt, parameters={k: 0.1}, target=name) for name in ("cpu", "reference")]
    # The order of additions may differ; an implicit step is solved to 1e-12.
    assert np.abs(runs[0][u] - runs[1][u]).max() < (1e-11 if method == "crank-nicolson" else 1e-14)
    assert runs[0].steps == runs[1].steps == 8


def test_save_points_are_exact(heat: Any) -> None:
    sol = heat.discretize(9).run(0.1, dt=0.003, save_every=0.03, **ONE)
    np.testing.assert_array_equal(sol.times, [0, 0.03, 0.06, 0.09, 0.1])
    assert sol.saved[u].shape == (5, 9)
    np.testing.assert_array_equal(sol.saved[u][-1], sol[u])
    np.testing.assert_array_equal(sol["u"], sol[u])
    assert sol.steps == 34
    assert sol.dt == pytest.approx(0.003)
    assert sol.finished
    assert "reached t = 0.1" in sol.message
    assert "34 steps of rk4" in repr(sol)
    assert sol.throughput > 0


def test_saving_does_not_change_what_is_computed(heat: Any) -> None:
    solver = heat.discretize(9)
    plain = solver.run(0.125, dt=2.0**-9, **ONE)
    saved = solver.run(0.125, dt=2.0**-9, save_every=2.0**-6, **ONE)
    np.testing.assert_array_equal(plain[u], saved[u])
    assert plain.times.tolist() == [0, 0.125]


def test_plan_hits_every_point_with_equal_steps() -> None:
    pieces = plan(1.0, 0.1, 0.25)
    assert [p.stop for p in pieces] == [0.25, 0.5, 0.75, 1.0]
    assert {p.n for p in pieces} == {3}
    # 0.1/0.001 is 100.00000000000001 in floating point, and 100 steps are meant.
    assert plan(0.1, 0.001, None)[0].n == 100
    assert plan(0.3, 1.0, 7.0)[0].n == 1


@pytest.mark.parametrize("period", [0.0, 1e-3, 1e9])
def test_the_length_of_a_chunk_changes_nothing(period: float, monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    solver = source().discretize((7, 8))
    options: dict[str, Any] = {"until": 0.05, "dt": 1e-3, "parameters": {k: 0.3}, "target": target}
    usual = solver.run(**options)[u]
    monkeypatch.setattr(run_module, "PERIOD", period)
    np.testing.assert_array_equal(solver.run(**options)[u], usual)


def test_the_callback_sees_and_stops(heat: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "PERIOD", 0.0)
    seen: list[Any] = []

    def look(state: pde.Progress) -> bool:
        seen.append((state.step, state.t, state[u].max()))
        return state.step >= 5

    sol = heat.discretize(9).run(0.1, dt=0.002, callback=look, **ONE)
    assert [s[0] for s in seen] == [0, 1, 2, 3, 4, 5]
    assert seen[0][2] == 1.0
    assert sol.steps == 5
    assert not sol.finished
    assert sol.t == pytest.approx(0.01)
    assert sol.times.tolist() == [0.0, sol.t]
    assert "stopped by the callback" in sol.message


def test_the_callback_sees_the_end(heat: Any) -> None:
    seen: list[float] = []
    heat.discretize(9).run(0.1, callback=lambda state: seen.append(state.t), **ONE)
    assert seen[0] == 0.0
    assert seen[-1] == 0.1


def test_ctrl_c_returns_what_was_reached(heat: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "PERIOD", 0.0)

    def look(state: pde.Progress) -> None:
        if state.step == 3:
            raise KeyboardInterrupt

    solver = heat.discretize(9)
    sol = solver.run(0.1, dt=0.002, callback=look, **ONE)
    assert sol.steps == 3
    assert "interrupted" in sol.message
    same = solver.run(3 * 0.002, dt=0.002, **ONE)
    np.testing.assert_allclose(sol[u], same[u], rtol=1e-14)


def test_values_that_run_away_stop_the_run_and_keep_the_last_good_state(target: str) -> None:
    blow_up = pde.Eq(pde.dt(u), u**2)
    problem = pde.Problem(blow_up, LINE, {"x": pde.Periodic()}, {u: 2 + sd.cos(2 * sd.pi * x)})
    solver = problem.discretize(8)
    with pytest.raises(pde.RunError, match=r"made 'u' infinite or NaN at x = 0;") as caught:
        solver.run(1.0, dt=0.005, save_every=0.1, target=target)
    sol = caught.value.solution
    assert np.isfinite(sol[u]).all()
    # The exact solution 3/(1 - 3 t) ends at t = 1/3; the discrete one overflows some steps later.
    assert 1 / 3 < sol.t < 0.42
    assert sol.steps == round(sol.t / 0.005)
    assert sol.times.tolist() == pytest.approx([0, 0.1, 0.2, 0.3, sol.t])


def test_an_implicit_step_that_has_no_solution_is_an_error() -> None:
    # v = u + dt*(v**2 + 1) has no real solution for a large dt.
    problem = pde.Problem(pde.Eq(pde.dt(u), u**2 + 1), LINE, {"x": pde.Periodic()}, {u: 0})
    with pytest.raises(pde.RunError, match="could not be solved") as caught:
        problem.discretize(4).run(4.0, method="backward-euler", dt=1.0, target="reference")
    assert caught.value.solution.steps == 0
    np.testing.assert_array_equal(caught.value.solution[u], np.zeros(4))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"until": 0.0}, "until is a positive finite number, got 0.0"),
        ({"until": -1}, "until is a positive"),
        ({"until": np.nan}, "until is a positive"),
        ({"until": "soon"}, "until is a positive"),
        ({"dt": 0.0}, "dt is a positive"),
        ({"dt": -1e-3}, "dt is a positive"),
        ({"save_every": 0}, "save_every is a positive"),
        ({"method": "rk5"}, "'rk5' is not known; use one of 'euler'"),
        ({"parameters": {}}, "without a value \\(k\\)"),
        ({"parameters": {k: 1.0, sd.symbols("q"): 2.0}}, "q is no parameter"),
        ({"parameters": {k: np.nan}}, "'k' is a finite number"),
        ({"parameters": {k: "fast"}}, "'k' is a finite number"),
        ({"target": "tpu"}, "target"),
    ],
)
def test_wrong_runs_are_named(heat: Any, options: dict[str, Any], match: str) -> None:
    with pytest.raises(sd.SymdiffError, match=match):
        heat.discretize(9).run(**{"until": 0.01, **ONE, **options})


def test_wrong_initial_states_are_named() -> None:
    equation = pde.Eq(pde.dt(u), pde.laplacian(u))
    with pytest.raises(sd.ShapeError, match=r"has shape \(4,\), the grid has \(5,\)"):
        pde.Problem(equation, LINE, {"x": pde.Periodic()}, {u: np.ones(4)}).discretize(5).run(0.1)
    with pytest.raises(sd.DomainError, match=r"'u' is not finite at x = 0\.5"):
        pde.Problem(equation, LINE, {"x": pde.Dirichlet(0)}, {u: 1 / (x - 0.5)}).discretize(5).run(0.1)


def test_unknown_fields_of_a_solution(heat: Any) -> None:
    sol = heat.discretize(5).run(0.01, **ONE)
    with pytest.raises(sd.UnknownSymbolError, match="no field v; the solution has u"):
        sol[pde.field("v")]


def test_progress_prints_lines_where_there_is_no_terminal(heat: Any) -> None:
    out = io.StringIO()
    with redirect_stdout(out):
        heat.discretize(9).run(0.05, progress=True, **ONE)
    last = out.getvalue().splitlines()[-1]
    assert "rk4 on 9 points" in last
    assert "100.0 %" in last
    assert last.endswith("reached t = 0.05")


def test_one_compilation_serves_every_parameter_and_step(heat: Any) -> None:
    solver = heat.discretize(9)
    solver.run(0.01, **ONE)
    functions = dict(solver.compiled)
    solver.run(0.02, dt=1e-4, parameters={k: 0.3}, target="reference")
    assert solver.compiled == functions
