"""Many starts: each run as by itself, the best of them, and what stops them all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.optimize import Adam, Progress
from symdiff.optimize.solver import solver
from symdiff.optimize.starts import MultiResult


def camel() -> tuple[Any, Any, Any]:
    """The six-hump camel function: six minima, two of them global with -1.0316284535 (Dixon & Szegö 1978)."""
    x, y = sd.symbols("x y")
    return x, y, (4 - 2.1 * x**2 + x**4 / 3) * x**2 + x * y + (4 * y**2 - 4) * y**2


STARTS = np.random.default_rng(11).uniform(-1.5, 1.5, (5, 2))


@pytest.mark.parametrize("method", ["bfgs", "newton", Adam(lr=0.05)], ids=["bfgs", "newton", "adam"])
def test_each_start_runs_as_by_itself(method: Any, target: str) -> None:
    x, y, f = camel()
    res = sd.minimize(f, {x: STARTS[:, 0], y: STARTS[:, 1]}, method=method, tol=1e-7, target=target)
    assert isinstance(res, MultiResult)
    assert res.converged.shape == res.fun.shape == res.x[x].shape == (len(STARTS),)
    for k, (a, b) in enumerate(STARTS):
        one = sd.minimize(f, {x: a, y: b}, method=method, tol=1e-7, target=target)
        assert (res.x[x][k], res.x[y][k], res.fun[k], res.steps[k]) == (one.x[x], one.x[y], one.fun, one.steps)
        assert (res.converged[k], res.results[k].message) == (one.converged, one.message)
    assert res.best.converged
    assert res.best.fun == res.fun[res.converged].min()
    np.testing.assert_allclose(res.best.fun, -1.0316284535, atol=1e-9)
    assert f"{res.converged.sum()} of 5 runs converged" in repr(res)


def test_arrays_data_and_solvers() -> None:
    w, c = sd.vector("w", 3), sd.vector("c", 3)
    f = sd.sum((w - c) ** 2 * np.array([1.0, 2.0, 3.0]))
    start, data = {w: np.arange(12.0).reshape(4, 3)}, {c: [1.0, 2.0, 3.0]}
    for res in (
        sd.minimize(f, start, data, "lbfgs", target="reference"),
        solver(f, w, "lbfgs", target="reference")(start, data),
    ):
        assert res.x[w].shape == (4, 3)
        np.testing.assert_allclose(res.x[w], [[1.0, 2.0, 3.0]] * 4, atol=1e-8)
        assert np.all(res.converged)


def test_runs_that_fail_are_not_the_best(target: str) -> None:
    x = sd.symbols("x")
    res = sd.minimize(x - sd.log(x), {x: [-1.0, 0.5, np.nan, 3.0]}, method="newton", target=target)
    assert isinstance(res, MultiResult)
    np.testing.assert_array_equal(res.converged, [False, True, False, True])
    assert res.best.converged
    assert res.results[0].message.startswith("Not started")
    assert "nan" in res.results[2].message
    none = sd.minimize(sd.log(x), {x: [-1.0, -2.0]}, target=target)
    assert not np.any(none.converged)
    assert repr(none).startswith("0 of 2 runs converged, losses nan")


@pytest.mark.parametrize("how", ["callback", "Ctrl-C"])
def test_what_stops_a_run_stops_those_after_it(how: str) -> None:
    x = sd.symbols("x")

    def stop(state: Progress) -> bool:
        if state.x[x] == 7.0:
            if how == "Ctrl-C":
                raise KeyboardInterrupt
            return True
        return False

    res = sd.minimize((x - 1) ** 2, {x: [5.0, 7.0, 9.0]}, callback=stop, target="reference")
    assert isinstance(res, MultiResult)
    np.testing.assert_array_equal(res.converged, [True, False, False])
    assert res.results[2].message == "Not begun: a run before was stopped."
    np.testing.assert_array_equal(res.x[x], [1.0, 7.0, 9.0])
    assert np.isnan(res.fun[2])


def test_starts_that_do_not_fit_are_refused() -> None:
    x, y, f = camel()
    for start, text in (
        ({x: [1.0, 2.0], y: 0.0}, "start gives 2 values of 'x' and one of 'y'"),
        ({x: [1.0, 2.0], y: [1.0, 2.0, 3.0]}, "2 values of 'x' and 3 of 'y'"),
        ({x: [], y: []}, "no value of 'x'"),
        ({x: [[1.0]], y: [[1.0]]}, "'x' has shape"),
    ):
        with pytest.raises(sd.ShapeError, match=text):
            sd.minimize(f, start, target="reference")
    with pytest.raises(sd.DomainError, match="a checkpoint holds one run"):
        sd.minimize(f, {x: [1.0, 2.0], y: [1.0, 2.0]}, checkpoint="a.npz", target="reference")
