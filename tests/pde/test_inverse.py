"""Tests of gradients as users call them, and fits of what observations came from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff import pde

x, y = pde.coordinates("x y")
u, q = pde.field("u"), pde.field("q")
k = sd.symbols("k")
LINE = pde.Box(x=(0, 1))
DIFFUSION = pde.Problem(
    pde.Eq(pde.dt(u), pde.div(sd.exp(q) * pde.grad(u)) - k * u**3),
    LINE, {"x": (pde.Dirichlet(0), pde.Neumann(0.5))}, {u: x}, known=[q],
)  # fmt: skip


def test_remainders_and_dot_products() -> None:
    solver = DIFFUSION.discretize(9)
    options: dict[str, Any] = {"parameters": {k: 0.7, q: 0.3 * x}, "method": "heun", "until": 0.01, "dt": 0.005}
    test = pde.taylor_test(solver, [pde.integral(u**2), pde.over_time(pde.mean(u))], [k, q, u], **options)
    assert test.passed, test
    assert test.slope == pytest.approx(2.0, abs=0.1)
    assert "remainder" in str(test)
    products = pde.dot_test(solver, [k, q, u], **options)
    assert products.passed, products


@pytest.mark.slow
def test_fit_of_a_field_and_initial_values() -> None:
    """From exact values at all points; the problem's own initial values and sides stay what they are."""
    solver = DIFFUSION.discretize(8)
    truth = {k: 0.8, q: 0.4 * np.sin(3 * solver.grid.x)}
    times = [0.01, 0.02, 0.03, 0.04]
    rows = [solver.run(t, "euler", 5e-3, truth, target="reference")[u] for t in times]
    seen = pde.Observations(u, times, rows, sigma=1e-2)
    start = {"q": np.zeros(8), u: solver.grid.x * 1.1}
    found = pde.fit(solver, seen, start, until=0.04, run="euler", dt=5e-3, tol=1e-5, parameters={k: 0.8})
    # L-BFGS makes the misfit of exact values as small as it likes; what diffusion has smoothed comes back slowly.
    before = solver.gradient(seen, [], 0.04, "euler", 5e-3, {k: 0.8, q: 0}, target="reference").value
    assert found.loss < 1e-3 * before, (found, before)
    assert np.abs(found["u"] - solver.grid.x).max() < 0.05
    assert np.abs(found[q] - truth[q]).max() < 0.25
    assert found["u"][0] == 0.0  # held on the side
    assert "loss" in repr(found)


def test_wrong_starts_are_named() -> None:
    solver = DIFFUSION.discretize(8)
    goal = pde.integral(u**2)
    with pytest.raises(sd.ShapeError, match="the grid has"):
        pde.fit(solver, goal, {u: np.zeros(7)}, until=0.01, parameters={k: 1, q: 0})
    with pytest.raises(sd.UnknownSymbolError, match="without a value"):
        pde.fit(solver, goal, {q: 0.0}, until=0.01)
    with pytest.raises(sd.UnknownSymbolError, match="'nu'"):
        pde.fit(solver, goal, {q: 0.0}, until=0.01, parameters={k: 1}, bounds={"nu": (0, 1)})
