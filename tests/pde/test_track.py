"""Numbers recorded inside of the loop, against the same numbers of the saved states."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff import pde
from symdiff.pde import run as run_module

k = sd.symbols("k")
x, y, t = pde.coordinates("x y t")
u, v = pde.field("u"), pde.field("v")


def plate() -> pde.Problem:
    """A field with different sides along its axes, beside one that stays."""
    sides = {"x": pde.Periodic(), "y": (pde.Dirichlet(t), pde.Neumann(0))}
    start = {u: sd.sin(2 * sd.pi * x) * y, v: 1 + x * (1 - x)}
    return pde.Problem(
        [pde.Eq(pde.dt(u), k * pde.laplacian(u)), pde.Eq(pde.dt(v), 0)], pde.Box(x=(0, 1), y=(0, 2)), sides, start
    )


@pytest.mark.parametrize(
    ("method", "target"), [("heun", "cpu"), ("heun", "reference"), ("crank-nicolson", "reference")]
)
def test_records_are_the_numbers_of_the_states(method: str, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "PERIOD", 1e-4)
    solver = plate().discretize((8, 7), 2)
    track = {"mass": pde.integral(u * v), "top": pde.largest(u), "low": "smallest(u) + k*t", "mean": "mean(u)"}
    sol = solver.run(0.01, method=method, dt=1e-3, save_every=1e-3, parameters={k: 0.3}, track=track, target=target)
    assert list(sol.tracked) == list(track)
    np.testing.assert_allclose(sol.tracked.times, sol.times, rtol=4e-16)
    states, weights = sol.saved[u], np.ones(7)
    weights[[0, -1]] = 0.5
    cell = solver.grid.spacing[0] * solver.grid.spacing[1]
    values = {
        "mass": (states * sol.saved[v] * weights).sum((1, 2)) * cell,
        "top": states.max((1, 2)),
        "low": states.min((1, 2)) + 0.3 * sol.times,
        "mean": (states * weights).sum((1, 2)) * cell / 2,
    }
    for name, expected in values.items():
        # The corner points of u are means of both sides in a saved state; sums are of 56 terms.
        np.testing.assert_allclose(sol.tracked[name], expected, rtol=0, atol=1e-14, err_msg=name)


def test_steps_that_follow_their_error_are_recorded(target: str, heat: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "PERIOD", 0.0)
    sol = heat.discretize(17).run(
        0.1, method="rk45", tol=1e-5, parameters={k: 1.0}, track={"top": pde.largest(u)}, target=target
    )
    assert len(sol.tracked["top"]) == len(sol.tracked.times) == sol.steps + 1
    assert (np.diff(sol.tracked.times) > 0).all()
    assert sol.tracked.times[-1] == 0.1
    assert sol.tracked["top"][-1] == sol[u].max()
    # The sine mode of 17 points decays with 4 sin(pi/32)**2/h**2.
    rate = 4 * np.sin(np.pi / 32) ** 2 * 16**2
    np.testing.assert_allclose(sol.tracked["top"], np.exp(-rate * sol.tracked.times), rtol=1e-3)


@pytest.mark.parametrize("period", [0.0, 1e9])
def test_records_of_every_third_step(
    heat: Any, period: float, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "PERIOD", period)
    solver = heat.discretize(9)
    options: dict[str, Any] = {"until": 0.1, "dt": 0.0125, "save_every": 0.06, "parameters": {k: 0.7}}
    options["target"] = "reference"
    options["track"] = {"top": pde.largest(u), "late": "mean(u) + t"}
    each = solver.run(**options)
    # Pieces of 5 and 4 steps: every third, and the ends of both.
    chosen = [0, 3, 5, 8, 9]
    for stop in (2, 4, 99):
        sol = solver.run(
            **options, track_every=3, checkpoint=tmp_path / "a", callback=lambda state, stop=stop: state.step >= stop
        )
    assert sol.steps == 9
    for name in options["track"]:
        # Evaluated outside of the loop, sums may add in another order.
        np.testing.assert_allclose(sol.tracked[name], each.tracked[name][chosen], rtol=1e-15)
    np.testing.assert_array_equal(sol.tracked.times, each.tracked.times[chosen])
    np.testing.assert_array_equal(sol[u], each[u])


def test_wrong_intervals_are_named(heat: Any) -> None:
    options = {"parameters": {k: 1.0}, "target": "reference", "track": {"m": pde.mean(u)}}
    for every in (0, 1.5, True):
        with pytest.raises(sd.DomainError, match=f"track_every is the number of steps .* got {every}"):
            heat.discretize(9).run(0.01, **options, track_every=every)
    with pytest.raises(sd.DomainError, match="rk45 records every step"):
        heat.discretize(9).run(0.01, method="rk45", **options, track_every=2)


def test_a_wave_keeps_its_energy(target: str) -> None:
    wave = pde.Problem(
        pde.Eq(pde.dt(u, 2), pde.laplacian(u)),
        pde.Box(x=(0, 1)),
        {"x": pde.Periodic()},
        {u: sd.sin(2 * sd.pi * x), pde.dt(u): 0},
    )
    energy = pde.integral(pde.dt(u) ** 2 + pde.gradient_squared(u)) / 2
    sol = wave.discretize(30, 4).run(1.0, method="rk4", dt=0.005, track={"energy": energy}, target=target)
    found = sol.tracked["energy"]
    assert found[0] == pytest.approx(np.pi**2, rel=1e-3)
    # The central first differences are not those whose square is the Laplacian: energy moves with their difference.
    assert np.ptp(found) < 1e-2


def test_derivatives_reach_beyond_the_sides(target: str, heat: Any) -> None:
    # The equation needs one point beyond the unknowns, which is the side; the slope on the side needs another one.
    sol = heat.discretize(41).run(
        0.01, dt=1e-4, parameters={k: 1.0}, track={"slope": pde.integral(pde.gradient_squared(u))}, target=target
    )
    np.testing.assert_allclose(
        sol.tracked["slope"], np.pi**2 / 2 * np.exp(-2 * np.pi**2 * sol.tracked.times), rtol=5e-3
    )


def test_tracking_changes_nothing(heat: Any) -> None:
    solver, options = heat.discretize(19), {"parameters": {k: 1.0}, "save_every": 0.01}
    plain, tracked = solver.run(0.05, **options), solver.run(0.05, **options, track={"m": pde.mean(u)})
    np.testing.assert_allclose(tracked.saved[u], plain.saved[u], rtol=0, atol=1e-16)
    assert len(plain.tracked) == 0


def test_values_that_run_away_leave_their_record() -> None:
    blow_up = pde.Problem(pde.Eq(pde.dt(u), u**2), pde.Box(x=(0, 1)), {"x": pde.Periodic()}, {u: 2 + 0 * x})
    with pytest.raises(pde.RunError) as caught:
        blow_up.discretize(8).run(1.0, dt=0.005, track={"top": pde.largest(u)}, target="reference")
    sol = caught.value.solution
    assert len(sol.tracked["top"]) == sol.steps + 1
    assert sol.tracked["top"][-1] == sol[u].max()


@pytest.mark.parametrize(
    ("track", "kind", "match"),
    [
        ({"a": pde.integral(pde.field("w"))}, "UnknownSymbolError", "number 'a' contains w, of no field"),
        ({"a": pde.integral(sd.symbols("q") * u)}, "UnknownSymbolError", "contains q, which the problem does not have"),
        ({"a": "integral(w)"}, "ParseError", "'w'"),
        ({"a": u**2}, "ShapeError", "'a' is one number, and .* has a value at every point; take pde.integral"),
        ({"a": x}, "ShapeError", "has a value at every point"),
        ({"a": pde.integral(pde.dt(u))}, "UnknownSymbolError", "is no state"),
        ({"u": pde.mean(u)}, "DomainError", "is no field, axis"),
        ({"a b": pde.mean(u)}, "DomainError", "'a b'"),
        (pde.mean(u), "DTypeError", "track has a name for each number"),
        ({"a": None}, "SymdiffError", "None"),
    ],
)
def test_wrong_numbers_are_named(heat: Any, track: dict[str, Any], kind: str, match: str) -> None:
    with pytest.raises(getattr(sd, kind), match=match):
        heat.discretize(9).run(0.01, parameters={k: 1.0}, target="reference", track=track)


def test_names_that_were_not_tracked(heat: Any) -> None:
    sol = heat.discretize(9).run(0.01, parameters={k: 1.0}, target="reference", track={"mass": pde.mean(u)})
    with pytest.raises(sd.UnknownSymbolError, match="did not track 'mas'; it tracked mass"):
        sol.tracked["mas"]
