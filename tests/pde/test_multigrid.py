"""Multigrid: its operators against dense matrices, and how many iterations it leaves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff import pde
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node, as_node, const
from symdiff.pde import multigrid
from symdiff.pde.choose import choose
from symdiff.pde.linear import System
from symdiff.pde.multigrid import plan
from symdiff.pde.stencil_arrays import Axes, coarsened
from symdiff.pde.structure import jacobian
from tests.pde.counted import count_iterations
from tests.pde.dense import right_hand_side

x, y, z = pde.coordinates("x y z")
u, v = pde.field("u"), pde.field("v")
SQUARE = pde.Box(x=(0, 1), y=(0, 2))
COLD, FREE, ROUND = pde.Dirichlet(0), pde.Neumann(0), pde.Periodic()
DISC = sd.where((x - 0.5) ** 2 + (y - 1) ** 2 < 0.1, 1e4, 1.0)
SIDES: dict[str, dict[str, Any]] = {
    "sides": {"x": COLD, "y": (COLD, FREE)},
    "a tube": {"x": pde.Robin(1, 2, 0), "y": ROUND},
    "a torus": {"x": ROUND, "y": ROUND},
}


def operator(sides: dict[str, Any], shape: tuple[int, ...]) -> tuple[Axes, np.ndarray, np.ndarray]:
    """Return the axes, the matrix of 2 - 0.3*J and its coefficients."""
    rhs = pde.div((1 + x * y) * pde.grad(u)) + 0.3 * pde.d(pde.dx(u), y) - pde.dx(u)
    solver = pde.Problem(pde.Eq(pde.dt(u), rhs), SQUARE, sides, {u: x}).discretize(shape)
    semi, now = solver.semi, const(0.0)
    matrix, _ = jacobian(solver, semi, shape, 2)
    axes = Axes(tuple(semi.problem.is_periodic(axis) for axis in semi.axes))
    system = System(semi, list(semi.blocks.values()), now, semi.given(now), const(0.3), shift=2.0)
    (a,) = interpret([multigrid._coefficients(axes, system, 0)], solver._inputs({}, solver._start({})))
    return axes, 2 * np.eye(len(matrix)) - 0.3 * matrix, np.asarray(a)


def dense(function: Any, shape: Any) -> np.ndarray:
    """Return the matrix of a linear function of arrays of a shape."""
    units = np.eye(int(np.prod(shape))).reshape(-1, *shape)
    return np.stack([np.ravel(c) for c in interpret([function(as_node(e)) for e in units], {})], axis=1)


@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize("shape", [(10, 7), (11, 10)])
def test_coefficients_and_coarse_operators_are_those_of_the_matrix(sides: str, shape: tuple[int, int]) -> None:
    axes, matrix, a = operator(SIDES[sides], shape)
    size = np.abs(matrix).max()
    held = as_node(a)
    assert np.abs(dense(lambda e: axes.product(held, e), a.shape[2:]) - matrix).max() < 1e-14 * size
    for axis in (0, 1, 0):
        stage, held = coarsened(axes, held, axis)
        (values,) = interpret([held], {})
        held = as_node(np.asarray(values))
        p = dense(stage.prolonged, held.shape[2:])
        assert np.abs(dense(stage.restricted, stage_shape(stage, held)) - p.T).max() < 1e-15
        matrix = p.T @ matrix @ p
        assert np.abs(dense(lambda e: axes.product(held, e), held.shape[2:]) - matrix).max() < 1e-13 * size  # noqa: B023  # called at once
    found = np.asarray(interpret([multigrid._matrix(axes, held)], {})[0])
    assert np.abs(found - matrix).max() < 1e-5 * size  # the diagonal is larger by 1e-6


def stage_shape(stage: Any, coarse: Node) -> Any:
    """Return the shape of the arrays that a stage coarsens."""
    return tuple(stage.n if k == stage.axis else n for k, n in enumerate(coarse.shape[2:]))


def iterations(rhs: Any, sides: Any, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch, box: Any = SQUARE) -> int:
    """Return how many iterations a steady problem takes, and check what they give."""
    counts = count_iterations(monkeypatch)
    solver = pde.Problem(pde.Eq(rhs, -1), box, sides).discretize(shape)
    linear, now = choose(solver, solver.semi, "multigrid", is_steady=True), const(0.0)
    system = System(solver.semi, list(solver.semi.blocks.values()), now, solver.semi.given(now), const(1.0), shift=0.0)
    linear.solve(system, system.rates)
    monkeypatch.undo()
    (count,) = interpret(counts, solver._inputs({}, solver._start({})))
    return int(count)


def test_iterations_depend_neither_on_the_grid_nor_on_jumps(monkeypatch: pytest.MonkeyPatch) -> None:
    sides = SIDES["sides"]
    smooth = [iterations(pde.laplacian(u), sides, (n, n + 3), monkeypatch) for n in (17, 66)]
    jumping = [iterations(pde.div(DISC * pde.grad(u)), sides, (n, n + 3), monkeypatch) for n in (17, 66)]
    assert max(smooth) <= 12
    assert max(jumping) <= 16


def test_long_cells_are_coarsened_along_their_short_side(monkeypatch: pytest.MonkeyPatch) -> None:
    assert plan((129, 17), (1 / 128, 1 / 16)) == ((0,), (0,), (0,), (0, 1))
    assert iterations(pde.laplacian(u), SIDES["sides"], (129, 17), monkeypatch) <= 12


@pytest.mark.slow
def test_in_three_dimensions(monkeypatch: pytest.MonkeyPatch) -> None:
    box = pde.Box(x=(0, 1), y=(0, 1), z=(0, 1))
    rhs = pde.div(sd.where(x + y + z < 1.3, 1e4, 1.0) * pde.grad(u))
    assert iterations(rhs, {"x": COLD, "y": FREE, "z": ROUND}, (10, 11, 12), monkeypatch, box) <= 16


@pytest.mark.parametrize("order", [2, 4])
def test_systems_are_solved(order: int) -> None:
    """Each field has its own cycle; formulas of order 4 are preconditioned by those of order 2."""
    varying = 1 + 100 * sd.sin(3 * x * y) ** 2
    equations = [pde.Eq(pde.div(varying * pde.grad(u)) + v, 1), pde.Eq(pde.laplacian(v) - pde.dx(v) - u, x)]
    solver = pde.Problem(equations, SQUARE, SIDES["sides"]).discretize((20, 23), order)
    found = solver.steady(linear_solver="multigrid", target="reference")
    assert "multigrid on 2 levels" in found.message
    f = right_hand_side(solver)
    state = np.concatenate([found[w][solver.block(w)].ravel() for w in (u, v)])
    assert np.abs(f(state)).max() < 1e-8 * np.abs(f(0 * state)).max()


def test_compiled_cycles_are_the_interpreted_ones() -> None:
    problem = pde.Problem(pde.Eq(pde.dt(u), pde.div(DISC * pde.grad(u))), SQUARE, SIDES["a tube"], {u: x})
    solver = problem.discretize((18, 21))
    options: dict[str, Any] = {"until": 0.02, "method": "backward-euler", "dt": 0.01, "linear_solver": "multigrid"}
    one, other = (solver.run(**options, target=target)[u] for target in ("cpu", "reference"))
    assert np.abs(one - other).max() < 1e-9  # 1e-12 of the right-hand side, times the condition number


def test_higher_derivatives_are_refused() -> None:
    rhs = -pde.laplacian(pde.laplacian(u))
    solver = pde.Problem(pde.Eq(pde.dt(u), rhs), SQUARE, SIDES["a torus"], {u: x}).discretize((9, 10))
    with pytest.raises(sd.DomainError, match="no derivatives above the second order"):
        solver.run(1.0, method="bdf2", dt=0.1, linear_solver="multigrid")


@pytest.mark.slow
def test_iterations_on_large_grids(monkeypatch: pytest.MonkeyPatch) -> None:
    """A contrast of 1e4: 8 to 10 for smooth factors; for one that jumps 12 on 32 x 32 points, 20 on 512 x 512."""
    sides, grids = SIDES["sides"], [(n, n) for n in (32, 64, 128, 256, 512)]
    smooth = 1 + 9999 * sd.sin(3 * sd.pi * x) ** 2 * sd.sin(2 * sd.pi * y) ** 2
    for factor, most in ((smooth, 12), (DISC, 22)):
        found = [iterations(pde.div(factor * pde.grad(u)), sides, shape, monkeypatch) for shape in grids]
        assert max(found) <= most
