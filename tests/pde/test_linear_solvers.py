"""How linear systems of implicit steps are solved: every way gives the same, and the one that fits is taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.fft import dstn, idstn

import symdiff as sd
from symdiff import pde
from symdiff.ir.interpret import interpret
from symdiff.ir.node import as_node, const
from symdiff.pde.choose import choose
from symdiff.pde.fourier import Basis, angles
from symdiff.pde.linear import System
from symdiff.pde.modes import Modes
from symdiff.pde.structure import jacobian
from tests.pde.counted import count_iterations

k = sd.symbols("k")
x, y, t = pde.coordinates("x y t")
u, v = pde.field("u"), pde.field("v")
LINE, SQUARE = pde.Box(x=(0, 1)), pde.Box(x=(0, 1), y=(0, 2))
CUBE = pde.Box(x=(0, 1), y=(0, 2), z=(0, 1))
COLD, FREE, ROUND = pde.Dirichlet(0), pde.Neumann(0), pde.Periodic()
REFERENCE: dict[str, Any] = {"target": "reference"}


@pytest.mark.parametrize("n", [6, 7])
@pytest.mark.parametrize(
    ("kind", "sides"),
    [
        (("periodic", "periodic"), ROUND),
        (("value", "value"), COLD),
        (("slope", "slope"), FREE),
        (("value", "slope"), (COLD, FREE)),
        (("slope", "value"), (FREE, COLD)),
    ],
)
def test_bases_diagonalise_the_second_difference(kind: tuple[str, str], sides: Any, n: int) -> None:
    problem = pde.Problem(pde.Eq(pde.dt(u), pde.laplacian(u)), LINE, {"x": sides}, {u: x})
    solver = problem.discretize(n)
    matrix, _ = jacobian(solver, solver.semi, (n,), 2)
    basis, count = Basis([kind]), len(matrix)
    (theta,) = basis.angles((count,))
    values = (2 * np.cos(theta) - 2) / solver.grid.spacing[0] ** 2
    p = np.random.default_rng(4).normal(size=count)
    by_basis = basis.backward(values * basis.forward(p), (count,))
    assert np.abs(by_basis - matrix @ p).max() < 1e-12  # eps/h**2, some of them
    assert sorted(-np.abs((2 * np.cos(angles(kind, count)) - 2) / solver.grid.spacing[0] ** 2)) == pytest.approx(
        sorted(np.linalg.eigvals(matrix).real), abs=1e-10
    )


KINDS_OF_ENDS = ["periodic periodic", "value value", "slope slope", "value slope", "slope value"]


# Two sides of given slope need two points.
@pytest.mark.parametrize(
    ("kind", "n"),
    [(k, n) for k in KINDS_OF_ENDS for n in (1, 2, 6, 7) if (k, n) != ("slope slope", 1)],
)
def test_modes_are_those_of_the_second_difference(kind: str, n: int) -> None:
    """Their matrix is inverted by `inverse`, and products by halves are products with it."""
    lower, upper = kind.split()
    modes = Modes((lower, upper), n)
    values = np.random.default_rng(8).normal(size=(3, n, 2))
    given = as_node(values)
    nodes = [modes.matrix, modes.inverse, modes.difference, modes.forward(given, 1), modes.backward(given, 1)]
    v, inverse, difference, forward, backward = (np.asarray(x) for x in interpret(nodes, {}))
    assert np.abs(inverse @ v - np.eye(n)).max() < 1e-14
    assert sorted(difference) == pytest.approx(sorted(2 * np.cos(angles((lower, upper), n)) - 2), abs=1e-14)
    assert np.abs(forward - np.einsum("kj,ajb->akb", inverse, values)).max() < 1e-14
    assert np.abs(backward - np.einsum("jk,akb->ajb", v, values)).max() < 1e-13


PROBLEMS: dict[str, tuple[Any, pde.Box, dict[str, Any], str]] = {
    "heat on a line": (k * pde.dx(u, 2), LINE, {"x": COLD}, "elimination along 3 diagonals"),
    "a ring": (k * pde.dx(u, 2) - pde.dx(u) * 3, LINE, {"x": ROUND}, "elimination along 5 diagonals"),
    "Robin": (k * pde.dx(u, 2), LINE, {"x": pde.Robin(1, 2, t)}, "elimination along 3 diagonals"),
    "a mean": (k * pde.dx(u, 2) - pde.integral(u), LINE, {"x": COLD}, "conjugate gradients"),
    "heat": (k * pde.laplacian(u), SQUARE, {"x": COLD, "y": (FREE, pde.Dirichlet(t))}, "one axis and elimination"),
    "a cube": (k * pde.laplacian(u), CUBE, {"x": COLD, "y": FREE, "z": COLD}, "two axes and elimination"),
    "layers across": (pde.div((1 + k * y) * pde.grad(u)) - y * u, SQUARE, {"x": ROUND, "y": (pde.Robin(1, 2, t), COLD)},
                      "one axis and elimination"),
    "a torus": (k * pde.laplacian(u) - pde.dx(u) + 0.3 * pde.d(pde.dx(u), y), SQUARE, dict.fromkeys("xy", ROUND),
                "Fourier transforms"),
    "a layered body": (pde.div((1 + k * x * y) * pde.grad(u)), SQUARE, {"x": COLD, "y": FREE}, "conjugate gradients"),
    "layers of all kinds": (pde.div((1 + k * (6 * x * y) ** 2) * pde.grad(u)), SQUARE, {"x": COLD, "y": FREE},
                            "conjugate gradients, preconditioned by multigrid on 1 level"),
    "advection": (k * pde.laplacian(u) - x * pde.dy(u), SQUARE, {"x": COLD, "y": FREE}, "BiCGStab"),
    "a nonlinear one": (k * pde.laplacian(u) - u**3, SQUARE, {"x": COLD, "y": FREE}, "conjugate gradients"),
}  # fmt: skip


def stated(name: str) -> Any:
    rhs, box, sides, _ = PROBLEMS[name]
    start = sd.sin(sd.pi * x) * (1.0 if box is LINE else sd.cos(sd.pi * y))
    return pde.Problem(pde.Eq(pde.dt(u), rhs), box, sides, {u: start})


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_way_that_fits_is_taken_and_all_ways_agree(name: str) -> None:
    shape = {LINE: 12, SQUARE: (9, 10), CUBE: (7, 5, 6)}[PROBLEMS[name][1]]
    solver = stated(name).discretize(shape)
    assert PROBLEMS[name][3] in solver.explain("crank-nicolson")
    options: dict[str, Any] = {"until": 0.06, "method": "crank-nicolson", "dt": 0.03, "parameters": {k: 0.7}}
    sol = solver.run(**options, **REFERENCE)
    assert PROBLEMS[name][3] in sol.message
    chosen = sol[u]
    plain = solver.run(linear_solver="bicgstab", **options, **REFERENCE)[u]
    assert np.abs(chosen - plain).max() < 1e-10  # BiCGStab ends at 1e-12 of the right-hand side


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("a ring", "auto"),
        ("a torus", "auto"),
        ("heat on a line", "cg"),
        pytest.param("layers across", "auto", marks=pytest.mark.slow),
    ],
)
def test_compiled_solvers_are_the_interpreted_ones(name: str, way: str) -> None:
    solver = stated(name).discretize(13 if PROBLEMS[name][1] is LINE else (9, 10))
    options: dict[str, Any] = {"until": 0.06, "method": "backward-euler", "dt": 0.03, "parameters": {k: 0.7}}
    options["linear_solver"] = way
    assert np.abs(solver.run(**options)[u] - solver.run(**options, **REFERENCE)[u]).max() < 1e-12


@pytest.mark.parametrize("sides", [ROUND, FREE])
def test_systems_are_solved_as_a_whole(sides: Any) -> None:
    equations = [
        pde.Eq(pde.dt(u), pde.laplacian(u) + 0.5 * pde.laplacian(v) - v),
        pde.Eq(pde.dt(v), 0.2 * pde.laplacian(v) - 3 * v + u),
    ]
    for box, shape, way in ((LINE, 11, "diagonals"), (SQUARE, (8, 9), "transforms, in which")):
        sided = dict.fromkeys(box.axes, sides)
        solver = pde.Problem(equations, box, sided, {u: sd.cos(2 * sd.pi * x), v: x}).discretize(shape)
        assert way in solver.explain("sdirk2")
        options: dict[str, Any] = {"until": 0.02, "method": "sdirk2", "dt": 0.01, **REFERENCE}
        one, other = (solver.run(linear_solver=s, **options) for s in ("auto", "bicgstab"))
        assert max(np.abs(one[f] - other[f]).max() for f in (u, v)) < 1e-10


def test_a_wave_with_different_sides_and_many_diagonals() -> None:
    """Order 6 between unlike sides: closures reach further than the formula."""
    wave = pde.Eq(pde.dt(pde.dt(u)), pde.laplacian(u))
    start = {u: sd.sin(sd.pi * x / 2), pde.dt(u): 0}
    solver = pde.Problem(wave, LINE, {"x": (COLD, FREE)}, start).discretize(21, order=6)
    sol = solver.run(1.0, method="crank-nicolson", dt=0.02, **REFERENCE)
    frequency = 2 / 0.02 * np.arctan(0.01 * np.pi / 2)
    assert np.abs(sol[u] - np.cos(frequency) * np.sin(np.pi * solver.grid.x / 2)).max() < 1e-7


def test_crank_nicolson_in_the_sine_basis_is_scipys() -> None:
    n, n_steps, dt = (14, 17), 5, 1e-2
    start = np.zeros(n)
    start[1:-1, 1:-1] = np.random.default_rng(6).normal(size=(12, 15))
    problem = pde.Problem(pde.Eq(pde.dt(u), pde.laplacian(u)), SQUARE, {"x": COLD, "y": COLD}, {u: start})
    solver = problem.discretize(n)
    sol = solver.run(n_steps * dt, method="crank-nicolson", dt=dt)
    (a, b), (hx, hy) = (angles(("value", "value"), m - 2) for m in n), solver.grid.spacing
    z = dt / 2 * ((2 * np.cos(a)[:, None] - 2) / hx**2 + (2 * np.cos(b) - 2) / hy**2)
    exact = idstn(((1 + z) / (1 - z)) ** n_steps * dstn(start[1:-1, 1:-1], type=1), type=1)
    assert np.abs(sol[u][1:-1, 1:-1] - exact).max() < 1e-13


@pytest.mark.parametrize("way", ["cg", "bicgstab"])
def test_the_preconditioner_spares_iterations(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it their number doubles with the points along an axis."""
    counts = count_iterations(monkeypatch)
    rhs = pde.div((2 + sd.sin(3 * x) * sd.cos(y)) * pde.grad(u))
    solver = pde.Problem(pde.Eq(rhs, -1), SQUARE, {"x": COLD, "y": COLD}).discretize((33, 36))
    linear, now = choose(solver, solver.semi, way), const(0.0)
    system = System(solver.semi, list(solver.semi.blocks.values()), now, solver.semi.given(now), const(1.0), shift=0.0)
    for each in (linear, type(linear)()):
        each.solve(system, system.rates)
    with_it, without = interpret(counts, solver._inputs({}, solver._start({})))
    assert 5 < with_it < 40
    assert without > 4 * with_it / (2 if way == "cg" else 1)


@pytest.mark.parametrize(
    ("name", "solver", "match"),
    [
        ("heat", "banded", "needs one dimension"),
        ("a layered body", "transform", "needs constant factors"),
        ("Robin", "transform", "needs constant factors"),
        ("advection", "cg", "needs a symmetric Jacobian"),
        ("heat", "magic", "'magic' is not known; use one of 'auto', 'banded'"),
    ],
)
def test_solvers_that_do_not_fit_are_refused(name: str, solver: str, match: str) -> None:
    shape = 12 if PROBLEMS[name][1] is LINE else (9, 10)
    options: dict[str, Any] = {"dt": 0.01, "parameters": {k: 1.0}, "linear_solver": solver}
    with pytest.raises(sd.DomainError, match=match):
        stated(name).discretize(shape).run(0.1, method="bdf2", **options, **REFERENCE)
    with pytest.raises(sd.DomainError, match="explicit and solves no linear systems"):
        stated(name).discretize(shape).run(0.1, method="rk4", **{**options, "linear_solver": "cg"}, **REFERENCE)
