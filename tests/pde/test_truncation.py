"""The predicted error term against what the formulas do to a smooth function."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff import pde
from symdiff.pde.evaluate import on_points
from symdiff.pde.truncation import truncation_error
from symdiff.pde.verify import _exact
from tests.pde.dense import exact, right_hand_side

x, y = pde.coordinates("x y")
u, w = pde.field("u"), pde.field("w")
WIND = 2 + sd.sin(2 * sd.pi * x)


@pytest.mark.parametrize("order", [2, 4])
@pytest.mark.parametrize(
    "rhs",
    [
        pde.laplacian(u),
        u * pde.dx(u, 3),
        pde.div((1 + u**2) * pde.grad(u)),
        pde.upwind(WIND, u),
        pde.upwind(-WIND, u, order=1),
    ],
)
def test_the_leading_term_is_that_of_the_formulas(rhs: Any, order: int) -> None:
    wave = sd.exp(sd.sin(2 * sd.pi * x + 0.3) / 2)
    problem = pde.manufactured(pde.Eq(pde.dt(u), rhs), {u: wave}, pde.Box(x=(0, 1)), {"x": pde.Periodic})
    solver = problem.discretize(192, order)
    made = right_hand_side(solver)(exact(solver))
    predicted = _exact(truncation_error(problem, order)[u], {u: wave})
    values = on_points(predicted, {"x": solver.grid.x}, 0.0, {sd.symbols("hx"): solver.grid.spacing[0]})
    # The next term is smaller by h or h**2 times derivatives of order (2*pi)**2.
    assert np.abs(made - values).max() < (0.15 if "upwind" in str(rhs) else 0.02) * np.abs(values).max()


def test_axes_and_definitions_add_up() -> None:
    box = pde.Box(x=(0, 1), y=(0, 1))
    axes = {"x": pde.Periodic(), "y": pde.Periodic()}
    one = pde.Problem(pde.Eq(pde.dt(u), pde.laplacian(pde.laplacian(u))), box, axes, {u: 0})
    two = pde.Problem([pde.Eq(pde.dt(u), pde.laplacian(w)), pde.Eq(w, pde.laplacian(u))], box, axes, {u: 0})
    numbers: dict[Any, float] = {sd.symbols("hx"): 0.1, sd.symbols("hy"): 0.3}
    hx2, hy2 = 0.01, 0.09
    # Both: (hx**2 u_xxxx + hy**2 u_yyyy)/12 twice, under one more Laplacian.
    exactly = {pde.d(pde.dx(u, a), y, b): float(a + 2 * b) for a, b in ((6, 0), (4, 2), (2, 4), (0, 6))}
    numbers |= exactly
    six, four, two_, none = exactly.values()
    expected = 2 * (hx2 * (six + four) + hy2 * (two_ + none)) / 12
    assert float(truncation_error(one)[u].subs(numbers)) == pytest.approx(expected)
    inside = pde.laplacian(u, x, y)
    potentials = {pde.dx(w, 4): pde.d(inside, x, 4), pde.dy(w, 4): pde.d(inside, y, 4)}
    substituted = truncation_error(two)[u].subs(potentials)
    assert float(substituted.subs(numbers)) == pytest.approx(expected)


def test_wrong_order() -> None:
    problem = pde.Problem(pde.Eq(pde.dt(u), pde.dx(u)), pde.Box(x=(0, 1)), {"x": pde.Periodic()}, {u: 0})
    with pytest.raises(sd.DomainError, match="one of 2, 4, 6, 8"):
        truncation_error(problem, 3)
