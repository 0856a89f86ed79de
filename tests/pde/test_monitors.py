"""Monitors: what is conserved and what is not, bounds that values may not leave, and how they are told of."""

from __future__ import annotations

import pathlib
import re
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff import pde
from symdiff.pde import run as run_module

x, y, t = pde.coordinates("x y t")
u, v = pde.field("u"), pde.field("v")
k = sd.symbols("k")
LINE = pde.Box(x=(0, 1))
FAST: dict[str, Any] = {"target": "reference"}


def box(start: Any, sides: Any, rhs: Any = None) -> pde.Problem:
    return pde.Problem(pde.Eq(pde.dt(u), pde.laplacian(u) if rhs is None else rhs), LINE, {"x": sides}, {u: start})


@pytest.mark.parametrize("start", [1 + x**2, sd.sin(2 * sd.pi * x)], ids=["mass 4/3", "mass 0"])
@pytest.mark.parametrize("every", [1, 3])
def test_a_mass_that_is_conserved_is_no_trouble(start: Any, every: int) -> None:
    # Between sides without flux the trapezoidal rule of the discrete field is conserved exactly.
    track = {"mass": pde.conserved(pde.integral(u), tol=1e-13), "mean": "conserved(mean(u))"}
    sol = box(start, pde.Neumann(0)).discretize(21).run(0.05, track=track, track_every=every, **FAST)
    assert list(sol.tracked) == ["mass", "mean"]
    np.testing.assert_allclose(sol.tracked["mass"], sol.tracked["mass"][0], rtol=0, atol=1e-13)


def test_a_mass_that_is_lost_is_named_with_step_value_and_loss() -> None:
    solver = box(1 + 0 * x, pde.Neumann(0), -k * u).discretize(9)
    with pytest.raises(pde.RunError) as caught:
        solver.run(1.0, method="euler", dt=0.1, parameters={k: 0.5}, track={"mass": "conserved(integral(u))"}, **FAST)
    text = str(caught.value)
    assert re.search(r"'mass' is not conserved: after step 1, at t = 0\.1, it is 0\.9\d*, at the start 1:", text)
    assert "changed by -0.05, which is 5.00e-02 of its size, where 1e-09 is allowed" in text
    sol = caught.value.solution
    assert sol.message == f"failed: {text}"
    assert sol.steps >= 1
    assert sol.tracked["mass"][1] == pytest.approx(0.95, rel=1e-14)


def test_the_first_wrong_step_is_named_whatever_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    # 0.001 in the step from 0.6, 0.002 in the next, …: 0.021 after 6 of them, 0.028 after 7.
    for period in (0.0, 1e9):
        monkeypatch.setattr(run_module, "PERIOD", period)
        with pytest.raises(
            pde.RunError, match=r"step 13, at t = 1\.3, .* changed by 0\.028, .* 2\.80e-02 .* 0\.025 is"
        ):
            box(1 + 0 * x, pde.Neumann(0), 0.1 * sd.maximum(t - 0.5, 0)).discretize(9).run(
                2.0, method="euler", dt=0.1, track={"mass": pde.conserved(pde.mean(u), tol=0.025)}, **FAST
            )


def test_a_monitor_may_warn_and_go_on() -> None:
    with pytest.warns(RuntimeWarning, match=r"'mass' is not conserved: after step 1, .*The run goes on"):
        sol = (
            box(1 + 0 * x, pde.Neumann(0), -u)
            .discretize(9)
            .run(1.0, method="euler", dt=0.1, track={"mass": pde.conserved(pde.integral(u), warn=True)}, **FAST)
        )
    assert sol.finished
    assert sol.message.startswith("reached t = 1. 'mass' is not conserved: after step 1")
    assert len(sol.tracked["mass"]) == 11


def test_what_cancels_has_the_size_of_its_parts() -> None:
    # The difference of two masses is 0 up to the rounding errors of both.
    problem = pde.Problem(
        [pde.Eq(pde.dt(u), pde.laplacian(u)), pde.Eq(pde.dt(v), pde.laplacian(v))],
        LINE, {"x": pde.Neumann(0)}, {u: 1e6 * (1 + x), v: 1e6 * (2 - x)},
    )  # fmt: skip
    number = pde.integral(u) - pde.integral(v)
    sol = problem.discretize(21).run(0.05, track={"gap": pde.conserved(number, tol=1e-12)}, **FAST)
    assert np.abs(sol.tracked["gap"]).max() < 1e-6


def test_a_scheme_with_the_maximum_principle_keeps_it() -> None:
    # Euler's method is a mean with positive weights up to dt = h**2/2; the upper side warms up, and that is allowed.
    problem = box(0 * x, (pde.Dirichlet(0), pde.Dirichlet(sd.sin(3 * t))))
    sol = problem.discretize(21).run(0.6, method="euler", track={"r": pde.maximum_principle(u)}, **FAST)
    assert list(sol.tracked) == ["r_smallest", "r_largest"]
    assert sol.tracked["r_largest"][-1] > 0.9
    np.testing.assert_array_equal(sol.tracked["r_smallest"], 0)


def test_bounds_count_what_sides_give_between_records() -> None:
    """Sides that are 0 whenever it is recorded, and 1 between."""
    problem = box(0 * x, pde.Dirichlet(sd.sin(100 * sd.pi * t) ** 2))
    options = {"dt": 0.00125, "method": "euler", "track_every": 8, "track": {"r": pde.maximum_principle(u)}, **FAST}
    sol = problem.discretize(21).run(0.1, **options)
    assert sol.tracked["r_largest"][1:].min() > 0.25
    assert len(sol.tracked.times) == 11


def test_a_scheme_without_it_is_told_of() -> None:
    # Crank-Nicolson turns a spike over where dt is far above h**2.
    problem = box(sd.where(abs(x - 0.5) < 0.01, 1.0, 0.0), pde.Neumann(0))
    options = {"method": "crank-nicolson", "dt": 0.05, "track": {"u_range": "maximum_principle(u)"}, **FAST}
    with pytest.raises(
        pde.RunError,
        match=r"'u_range' violates the maximum principle: after step 1, at t = 0\.05, "
        r"its smallest value is -0\.\d+, \S+ below the smallest one that it was given, 0, where 1e-09",
    ):
        problem.discretize(41).run(0.5, **options)


def test_a_field_beside_moving_sides_is_bounded_by_them() -> None:
    # A source makes it warmer than the sides, which are 1 + t.
    problem = box(1 + 0 * x, pde.Dirichlet(1 + t), pde.laplacian(u) + 9.0)
    plate = pde.Problem(
        pde.Eq(pde.dt(u), -2 * u),
        pde.Box(x=(0, 1), y=(0, 1)),
        {"x": pde.Dirichlet(1 - t * y), "y": pde.Neumann(0)},
        {u: 1},
    )
    with pytest.raises(pde.RunError, match="above the largest one that it was given, 1"):
        problem.discretize(21).run(0.1, track={"r": pde.maximum_principle(u)}, **FAST)
    with pytest.raises(pde.RunError, match=r"after step 1, .* below the smallest one that it was given, 0\.99,"):
        plate.discretize((5, 6)).run(0.1, method="euler", dt=0.01, track={"r": pde.maximum_principle(u)}, **FAST)


def test_monitors_go_on_with_their_run(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "PERIOD", 0.0)
    solver = box(1 + x, pde.Neumann(0), 0.1 * sd.maximum(t - 0.5, 0)).discretize(9)
    options = {"until": 1.0, "dt": 0.1, "track": {"mass": pde.conserved(pde.mean(u))}, "checkpoint": tmp_path / "a"}
    options |= FAST
    found = []
    for step in (3, 99, 99):

        def look(state: pde.Progress, step: int = step) -> bool:
            return state.step == step

        try:
            found.append(solver.run(**options, callback=look).steps)
        except pde.RunError as error:
            found.append(str(error)[:45])
    assert found == [3, *["'mass' is not conserved: after step 6, at t ="] * 2]


@pytest.mark.parametrize(
    ("track", "kind", "match"),
    [
        (lambda: pde.conserved(pde.integral(u), tol=0), "DomainError", "tol is a positive finite number, got 0"),
        (lambda: pde.conserved(u), "ShapeError", "'m' is one number, and u has a value at every point"),
        (lambda: pde.conserved("integral(w)"), "ParseError", "'w'"),
        (lambda: pde.maximum_principle(u**2), "DTypeError", "maximum_principle takes a field, got"),
        (lambda: pde.maximum_principle(v), "UnknownSymbolError", "contains v, of no field"),
        (lambda: "maximum_principle(u + 1)", "SymdiffError", "maximum_principle takes a field"),
        (lambda: "conserved(w)", "ParseError", "'w'"),
    ],
)
def test_wrong_monitors_are_named(track: Any, kind: str, match: str) -> None:
    with pytest.raises(getattr(sd, kind), match=match):
        box(x, pde.Neumann(0)).discretize(9).run(0.01, track={"m": track()}, **FAST)


def test_sides_that_other_fields_give_are_no_bounds() -> None:
    problem = pde.Problem(
        [pde.Eq(pde.dt(u), pde.laplacian(u)), pde.Eq(pde.dt(v), pde.laplacian(v))],
        LINE, {u: {"x": pde.Dirichlet(v)}, v: {"x": pde.Neumann(0)}}, {u: x, v: x},
    )  # fmt: skip
    with pytest.raises(sd.DomainError, match=r"'r' knows the values of u on its sides .* along 'x' they are v"):
        problem.discretize(9).run(0.01, track={"r": pde.maximum_principle(u)}, **FAST)


def test_values_given_beside_a_slope_are_bounds_too() -> None:
    """Two conditions on a side: the first one gives the value, here one that rises with the time."""
    bending = pde.Eq(pde.dt(u), -1e-6 * pde.dx(u, 4))
    side = pde.Dirichlet(t) & pde.Neumann(0)
    solver = pde.Problem(bending, LINE, {"x": side}, {u: 0}).discretize(21)
    # Bending swings below what it was given, by little here.
    track = {"u": pde.maximum_principle(u, tol=0.05)}
    sol = solver.run(0.1, "euler", dt=0.01, track=track, force=True, **FAST)
    assert sol.tracked["u_largest"][-1] == pytest.approx(0.1)
