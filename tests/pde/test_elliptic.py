"""Fields of elliptic equations beside those that evolve."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import symdiff as sd
from symdiff import pde
from symdiff.pde.stencils import symbol

x, y, t = pde.coordinates("x y t")
w, psi, c, a, phi = (pde.field(name) for name in ("w", "psi", "c", "a", "phi"))
k = sd.symbols("k")
CIRCLE = {"x": pde.Periodic(), "y": pde.Periodic()}
TURN = pde.Box(x=(0, 2 * np.pi), y=(0, 2 * np.pi))
EPS = np.finfo(float).eps


def carried() -> Any:
    """Return u . grad w with u = (psi_y, -psi_x)."""
    return pde.dy(psi) * pde.dx(w) - pde.dx(psi) * pde.dy(w)


def vortices() -> pde.Problem:
    """Return the flow in a periodic square from vortices of two sizes."""
    equations = [pde.Eq(pde.laplacian(psi), -w), pde.Eq(pde.dt(w), k * pde.laplacian(w) - carried())]
    return pde.Problem(equations, TURN, CIRCLE, {w: 2 * sd.sin(x) * sd.sin(y) + sd.cos(2 * x) * sd.cos(y)})


def spectral(n: int, until: float, nu: float) -> np.ndarray:
    """Return the vorticity by Fourier series and SciPy's integrator."""
    s = 2 * np.pi * np.arange(n) / n
    start = 2 * np.outer(np.sin(s), np.sin(s)) + np.outer(np.cos(2 * s), np.cos(s))
    q = np.fft.fftfreq(n, 1 / n)
    p, r = 1j * q[:, None], 1j * q[None, :]
    square = np.where((p**2 + r**2) == 0, 1.0, p**2 + r**2)

    def rate(_: float, flat: np.ndarray) -> np.ndarray:
        f = np.fft.fft2(flat.reshape(n, n))
        g = -f / square
        g[0, 0] = 0.0
        f_x, f_y, g_x, g_y, diffused = (np.fft.ifft2(z).real for z in (p * f, r * f, p * g, r * g, nu * square * f))
        return np.asarray(diffused - g_y * f_x + g_x * f_y).ravel()

    found = solve_ivp(rate, (0, until), start.ravel(), rtol=1e-9, atol=1e-10)
    return np.asarray(found.y[:, -1].reshape(n, n))


@pytest.mark.parametrize(
    ("method", "dt"),
    [
        ("rk45", None),
        pytest.param("rk4", 0.05, marks=pytest.mark.slow),
        pytest.param("imex-ars3", 0.05, marks=pytest.mark.slow),
    ],
)
def test_a_periodic_flow_is_that_of_a_spectral_method(method: str, dt: float | None) -> None:
    solver = vortices().discretize((24, 24), order=8)
    sol = solver.run(0.5, method, dt=dt, parameters={k: 0.1}, save_every=0.2, target="reference", force=True)
    exact = spectral(24, 0.5, 0.1)
    # (q h)**8/630 of the first derivative of the largest wave number, 4.
    assert np.abs(sol[w] - exact).max() < 0.5 * 4 * (4 * 2 * np.pi / 24) ** 8 / 630 * np.abs(exact).max()
    # psi belongs to w at every saved time, with the eigenvalues of the difference formula.
    theta = 2 * np.pi * np.fft.fftfreq(24)
    line = symbol(2, 8, theta).real / solver.grid.spacing[0] ** 2
    for found, spin in zip(sol.saved[psi], sol.saved[w], strict=True):
        modes = (line[:, None] + line[None, :]) * np.fft.fft2(found) + np.fft.fft2(spin)
        assert np.abs(modes).max() < 1e3 * EPS * np.abs(np.fft.fft2(spin)).max()


@pytest.mark.slow
def test_implicit_steps_go_through_the_elliptic_equation() -> None:
    solver = vortices().discretize((10, 12))
    fine = solver.run(0.4, "rk4", dt=0.02, parameters={k: 0.1}, target="reference")
    errors = [
        np.abs(solver.run(0.4, "crank-nicolson", dt=dt, parameters={k: 0.1}, target="reference")[w] - fine[w]).max()
        for dt in (0.2, 0.1)
    ]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.2)


def walled() -> pde.Problem:
    """Return a flow in a closed box whose stream function is sin(pi x)**2 sin(pi y)**2 exp(-t), by a force."""
    exact = sd.sin(sd.pi * x) ** 2 * sd.sin(sd.pi * y) ** 2 * sd.exp(-t)
    spin = -(sd.diff(exact, x, 2) + sd.diff(exact, y, 2))
    moved = sd.diff(exact, y) * sd.diff(spin, x) - sd.diff(exact, x) * sd.diff(spin, y)
    source = sd.diff(spin, t) + moved - (sd.diff(spin, x, 2) + sd.diff(spin, y, 2)) / 10
    equations = [
        pde.Eq(pde.laplacian(psi), -w),
        pde.Eq(pde.dt(w), pde.laplacian(w) / 10 - carried() + source),
    ]
    wall = pde.Dirichlet(0) & pde.Neumann(0)
    sides = {psi: {"x": wall, "y": wall}}
    return pde.Problem(equations, pde.Box(x=(0, 1), y=(0, 1)), sides, {w: spin}, {w: spin, psi: exact})


def test_order_of_a_flow_between_walls() -> None:
    problem, errors = walled(), []
    for n in (9, 17):
        sol = problem.discretize((n, n)).run(0.1, "heun", dt=1.5 / (n - 1) ** 2, target="reference", force=True)
        at = dict(zip("xy", sol.grid.mesh(), strict=True))
        exact = np.sin(np.pi * at["x"]) ** 2 * np.sin(np.pi * at["y"]) ** 2 * np.exp(-sol.t)
        errors.append(np.abs(sol[psi] - exact).max())
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.25)


def ions() -> pde.Problem:
    """Return Poisson, Nernst and Planck's equations between walls that let no ions through."""
    equations = [
        pde.Eq(pde.dt(c), pde.div(pde.grad(c) + c * pde.grad(phi))),
        pde.Eq(pde.dt(a), pde.div(pde.grad(a) - a * pde.grad(phi))),
        pde.Eq(k * pde.laplacian(phi), a - c),
    ]
    sides = {
        phi: {"x": (pde.Dirichlet(0), pde.Dirichlet(1))},
        c: {"x": pde.Eq(pde.dn(c) + c * pde.dn(phi), 0)},
        a: {"x": pde.Eq(pde.dn(a) - a * pde.dn(phi), 0)},
    }
    return pde.Problem(equations, pde.Box(x=(0, 1)), sides, {c: 1, a: 1})


@pytest.mark.slow
def test_ions_come_to_boltzmanns_distribution_and_none_is_lost() -> None:
    errors = []
    for n in (17, 33):
        track = {"ions": pde.integral(c), "largest": pde.largest(phi)}
        sol = ions().discretize(n).run(1.0, "euler", parameters={k: 0.1}, track=track)
        # The conditions make the fluxes through the walls zero: a rounding error for each of a thousand steps.
        assert np.ptp(sol.tracked["ions"]) < 1e3 * EPS
        assert np.abs(sol.tracked["largest"] - 1).max() < 10 * EPS
        for field, sign in ((c, 1), (a, -1)):
            errors.append(np.ptp(sol[field] * np.exp(sign * sol[phi])))
    assert np.log2(max(errors[:2]) / max(errors[2:])) == pytest.approx(2, abs=0.2)


def test_gradients_go_through_elliptic_equations() -> None:
    solver = ions().discretize(5)
    goal = pde.integral(c * phi)
    settings: dict[str, Any] = {"method": "heun", "dt": 0.01, "target": "reference"}
    found = solver.gradient(goal, k, 0.02, parameters={k: 0.3}, **settings)
    h = 1e-4
    values = [solver.gradient(goal, k, 0.02, parameters={k: 0.3 + s}, **settings).value for s in (-h, h)]
    # Central differences: h**2 of the value, and eps/h relative to it.
    assert found[k] == pytest.approx((values[1] - values[0]) / (2 * h), abs=1e-8 * abs(found.value) + 10 * EPS / h)


def test_a_nonlinear_elliptic_equation_is_solved_by_newtons_method() -> None:
    """Poisson and Boltzmann's equation phi_xx = sinh(phi) + c x in which c decays: SciPy's, at the end."""
    from scipy.integrate import solve_bvp

    equations = [pde.Eq(pde.dt(c), -c), pde.Eq(pde.dx(phi, 2), sd.sinh(phi) + 40 * c * x)]
    sides = {phi: {"x": pde.Dirichlet(0)}, c: {"x": pde.Neumann(0)}}
    problem = pde.Problem(equations, pde.Box(x=(0, 1)), sides, {c: 1})
    sol = problem.discretize(41, order=4).run(0.5, "rk4", dt=0.05, target="reference")
    factor = 40 * np.exp(-0.5)

    def rates(s: np.ndarray, f: np.ndarray) -> np.ndarray:
        return np.stack([f[1], np.sinh(f[0]) + factor * s])

    known = solve_bvp(rates, lambda p, q: np.array([p[0], q[0]]), sol.grid.x, np.zeros((2, 41)), tol=1e-8)
    # Order 4 on 40 intervals, and rk4 with dt = 0.05 in exp(-t): dt**4/120.
    assert np.abs(sol[phi] - known.sol(sol.grid.x)[0]).max() < 1e-6


@pytest.mark.slow
def test_a_steady_state_beside_an_elliptic_equation() -> None:
    """It is the end of a run of implicit steps."""
    equations = [pde.Eq(pde.dt(c), pde.laplacian(c) + phi), pde.Eq(pde.laplacian(phi), 1 - x - c)]
    sides = {c: {"x": pde.Dirichlet(0)}, phi: {"x": pde.Dirichlet(1)}}
    solver = pde.Problem(equations, pde.Box(x=(0, 1)), sides, {c: 0}).discretize(17)
    sol = solver.steady(target="reference")
    run = solver.run(4.0, "backward-euler", dt=0.5, target="reference")
    # It decays by 1 + pi**2 dt in every step, and systems are solved to 1e-12.
    for field in (c, phi):
        assert np.abs(sol[field] - run[field]).max() < 1e-5


def test_an_equation_without_a_solution_stops_the_run() -> None:
    """The mean of w is not 0, and lap(psi) has the mean 0 on a circle."""
    problem = pde.Problem([pde.Eq(pde.laplacian(psi), -w), pde.Eq(pde.dt(w), psi)], TURN, CIRCLE, {w: 1 + sd.sin(x)})
    with pytest.raises(sd.SymdiffError, match=r"At the start 'psi' cannot be found.*no solution"):
        problem.discretize((8, 8)).run(0.1, "euler", dt=0.05, target="reference")


def test_pressure_keeps_a_flow_free_of_sources() -> None:
    """Taylor and Green's vortices in velocities and pressure, which the divergence of the momentum determines."""
    u, v, p = pde.field("u"), pde.field("v"), pde.field("p")

    def momentum(f: Any, push: Any) -> Any:
        return pde.Eq(pde.dt(f), k * pde.laplacian(f) - u * pde.dx(f) - v * pde.dy(f) - push)

    source = pde.dx(u) ** 2 + 2 * pde.dy(u) * pde.dx(v) + pde.dy(v) ** 2
    equations = [momentum(u, pde.dx(p)), momentum(v, pde.dy(p)), pde.Eq(pde.laplacian(p), pde.mean(source) - source)]
    start = {u: sd.cos(x) * sd.sin(y), v: -sd.sin(x) * sd.cos(y)}
    problem, errors = pde.Problem(equations, TURN, CIRCLE, start), []
    track = {"sources": pde.largest(abs(pde.dx(u) + pde.dy(v)))}
    for n in (12, 24):
        solver = problem.discretize((n, n + 2))
        sol = solver.run(0.2, "rk4", dt=0.1, parameters={k: 0.1}, track=track, target="reference", force=True)
        r, s = solver.grid.mesh()
        exact = -(np.cos(2 * r) + np.cos(2 * s)) / 4 * np.exp(-4 * 0.1 * sol.t)
        errors.append((np.abs(sol[p] - exact).max(), sol.tracked["sources"].max()))
    assert solver.semi.elliptic is not None
    assert "Fourier" in solver.semi.elliptic.linear.describe()
    for coarse, fine in zip(*errors, strict=True):
        # On 12 points the next power of h is a tenth of the error.
        assert np.log2(coarse / fine) == pytest.approx(2, abs=0.5)


def test_manufactured_solutions_have_elliptic_fields_too() -> None:
    exact = {c: sd.exp(-t) * sd.sin(2 * x), phi: sd.cos(x) * (1 + t)}
    equations = [
        pde.Eq(pde.dt(c), pde.laplacian(c) + pde.dx(phi) * pde.dx(c)),
        pde.Eq(pde.laplacian(phi) - phi, c**2),
    ]
    problem = pde.manufactured(equations, exact, pde.Box(x=(0, 1)), {"x": (pde.Dirichlet, pde.Neumann)})
    pde.convergence(problem, [9, 17], 0.03, order=2, expect=2, dts=[3e-3, 8e-4], target="reference")
    with pytest.raises(sd.UnknownSymbolError, match="'phi' has no exact solution"):
        pde.manufactured(equations, {c: exact[c]}, pde.Box(x=(0, 1)))
