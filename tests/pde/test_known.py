"""Known fields, given as parameters, and gradients by them: against expressions and the complex step in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff import pde

x, y = pde.coordinates("x y")
u, m, s, g = (pde.field(name) for name in "umsg")
REFERENCE: dict[str, Any] = {"target": "reference"}


def heated(factor: Any, source: Any, side: Any, known: Any = ()) -> Any:
    """u_t = div(factor*grad u) + source on a rectangle, with `side` in three conditions."""
    equation = pde.Eq(pde.dt(u), pde.div(factor * pde.grad(u)) + source)
    sides = {"x": (pde.Dirichlet(side), pde.Neumann(0)), "y": (pde.Robin(1, 1, side), pde.Neumann(0))}
    return pde.Problem(equation, pde.Box(x=(0, 1), y=(0, 2)), sides, {u: x * (1 - x) * y}, known=known)


@pytest.mark.parametrize(("method", "order"), [("rk4", 2), ("rk4", 4), ("crank-nicolson", 2)])
def test_like_the_expression_of_its_values(method: str, order: int) -> None:
    """A bilinear factor has the same values between the points by interpolation."""
    options: dict[str, Any] = {"until": 0.01, "method": method, "dt": 0.002, "force": True, **REFERENCE}
    values = {m: 1 + x * y, "s": sd.sin(x), g: x + y}
    plain = heated(*values.values()).discretize((8, 9), order).run(**options)
    found = heated(m, s, g, known=[m, s, g]).discretize((8, 9), order).run(parameters=values, **options)
    # Conjugate gradients stop at 1e-10.
    np.testing.assert_allclose(found[u], plain[u], rtol=0, atol=1e-14 if method == "rk4" else 1e-9)


def test_a_constant_factor_keeps_its_solver() -> None:
    """A known source does not vary the operator; the stability limit sees a known factor."""
    sides = dict.fromkeys("xy", pde.Dirichlet(0))
    box = pde.Box(x=(0, 1), y=(0, 2))
    source = pde.Problem(pde.Eq(pde.dt(u), pde.laplacian(u) + s), box, sides, {u: 0}, known=[s]).discretize((8, 9))
    plain = pde.Problem(pde.Eq(pde.dt(u), pde.laplacian(u)), box, sides, {u: 0}).discretize((8, 9))
    assert source.explain("crank-nicolson") == plain.explain("crank-nicolson")
    factor = pde.Problem(pde.Eq(pde.dt(u), m * pde.laplacian(u)), box, sides, {u: 0}, known=[m]).discretize((8, 9))
    limits = [factor.stable_dt("euler", {m: value}) for value in (1.0, 2.5)]
    assert limits[0] == pytest.approx(2.5 * limits[1], rel=1e-12)


N, STEPS, DT, AT = 9, 6, 2e-3, 0.3
TIMES = (3 * DT, STEPS * DT)
OBSERVED, SIGMA = np.array([[0.3], [0.7]]), 0.25


def goal(factor: np.ndarray, source: np.ndarray, side: np.ndarray, start: np.ndarray) -> Any:
    """Explicit Euler for u_t = (factor*u_x)_x + source, u = side at the ends; three goals added, of complex numbers."""
    h = 1 / (N - 1)
    w = start.astype(complex)
    w[[0, -1]] = side[[0, -1]]
    middles = (factor[1:] + factor[:-1]) / 2
    square = [integrated(w)]
    misfit: Any = 0.0
    for k in range(1, STEPS + 1):
        w = w.copy()
        w[1:-1] = w[1:-1] + DT * (np.diff(middles * np.diff(w)) / h**2 + source[1:-1])
        square.append(integrated(w))
        if k * DT in TIMES:
            cell = int(AT / h)
            share = AT / h - cell
            here = (1 - share) * w[cell] + share * w[cell + 1]
            misfit = misfit + ((here - OBSERVED[TIMES.index(k * DT), 0]) / SIGMA) ** 2 / 2
    over_time = DT * (sum(square) - (square[0] + square[-1]) / 2)
    return square[-1] + over_time + misfit


def integrated(w: np.ndarray) -> Any:
    """The trapezoidal rule for w**2."""
    return (np.sum(w**2) - (w[0] ** 2 + w[-1] ** 2) / 2) / (N - 1)


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_against_the_complex_step(target: str) -> None:
    """By a factor, a source, values on the sides and initial values; goals at the end, over time and at points."""
    rng = np.random.default_rng(11)
    arrays = [1 + rng.random(N), *rng.normal(size=(3, N))]
    arrays[3][[0, -1]] = 0.0
    problem = pde.Problem(
        pde.Eq(pde.dt(u), pde.div(m * pde.grad(u)) + s), pde.Box(x=(0, 1)), {"x": pde.Dirichlet(g)}, {u: arrays[3]},
        known=[m, s, g],
    )  # fmt: skip
    square = pde.integral(u**2)
    several = [square, pde.over_time(square), pde.Observations(u, TIMES, OBSERVED, at={"x": [AT]}, sigma=SIGMA)]
    options: dict[str, Any] = {"until": STEPS * DT, "method": "euler", "dt": DT * (1 + 1e-9), "force": True}
    values = dict(zip((m, s, g), arrays, strict=False))
    found = problem.discretize(N).gradient(several, [m, s, g, u], parameters=values, target=target, **options)
    assert found.steps == STEPS
    assert found.value == pytest.approx(goal(*arrays).real, rel=1e-12)
    for k, key in enumerate((m, s, g, u)):
        exact = []
        for e in np.eye(N):
            moved = [a + 1e-30j * e if j == k else a for j, a in enumerate(arrays)]
            exact.append(goal(*moved).imag / 1e-30)
        if key is u:
            exact[0] = exact[-1] = 0.0  # these points are not unknowns
        np.testing.assert_allclose(found[key], exact, rtol=1e-10, atol=1e-12)


def test_wrong_values_are_named() -> None:
    solver = heated(m, s, g, known=[m, s, g]).discretize((8, 9))
    run: dict[str, Any] = {"until": 0.01, **REFERENCE}
    with pytest.raises(sd.ShapeError, match=r"'m' have shape \(9, 8\), the grid has \(8, 9\)"):
        solver.run(parameters={m: np.ones((9, 8)), s: 0, g: 0}, **run)
    with pytest.raises(sd.UnknownSymbolError, match=r"without a value \(s\)"):
        solver.run(parameters={m: 1, g: 0}, **run)
    with pytest.raises(sd.DomainError, match="'s' are finite numbers"):
        solver.run(parameters={m: 1, s: np.full((8, 9), np.nan), g: 0}, **run)
    with pytest.raises(sd.SymdiffError, match=r"known=\[s\] to give its values"):
        heated(m, s, g, known=[m, g])
    with pytest.raises(sd.SymdiffError, match="'u' is known and has an equation"):
        heated(m, s, g, known=[m, s, g, u])
    late = pde.Observations(u, [0.02], [[1.0]], at={"x": [0.5], "y": [0.5]})
    with pytest.raises(sd.DomainError, match="after the end of the run"):
        solver.gradient(late, m, parameters={m: 1, s: 0, g: 0}, **run)
    outside = pde.Observations(u, [0.01], [[1.0]], at={"x": [1.5], "y": [0.5]})
    with pytest.raises(sd.DomainError, match="lie in the domain, 0 to 1 along 'x'"):
        solver.gradient(outside, m, parameters={m: 1, s: 0, g: 0}, **run)
    with pytest.raises(sd.DomainError, match="increase from above 0"):
        pde.Observations(u, [0.2, 0.1], [[1.0], [2.0]])
    with pytest.raises(sd.ShapeError, match="2 rows of values"):
        pde.Observations(u, [0.1, 0.2], [[1.0]])
