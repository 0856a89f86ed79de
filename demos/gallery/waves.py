"""Waves: a string, a drum, and Schrödinger's equation as a real system."""

from __future__ import annotations

from typing import Any

import numpy as np

import symdiff as sd
from demos.gallery.outcome import Figure, Outcome, error
from symdiff import pde

x, y, t = pde.coordinates("x y t")
u = pde.field("u")
HELD = pde.Dirichlet(0)


def string(n: int = 101, **options: Any) -> Outcome:
    """A plucked string after three halves of a period is mirrored; with dt = h leapfrog is d'Alembert's solution."""

    def pluck(points: Any, np: Any) -> Any:
        # A bump and its images behind both sides, so that the sides are at rest.
        images = ((0.3, 1), (-0.3, -1), (1.7, -1))
        return sum(sign * np.exp(-200 * (points - centre) ** 2) for centre, sign in images)

    start = {u: pluck(x, sd), pde.dt(u): 0}
    problem = pde.Problem(pde.Eq(pde.dt(u, 2), pde.dx(u, 2)), pde.Box(x=(0, 1)), {"x": HELD}, start)
    sol = problem.discretize(n).run(3.0, "leapfrog", dt=1 / (n - 1), **options)
    # An error of eps in one step grows by at most itself a step: eps n**2/2 after n steps.
    bound = np.finfo(float).eps * sol.steps**2 / 2
    figure = error(sol[u], -pluck(1 - sol.grid.x, np), bound, "rounding: characteristics meet the points")
    return Outcome("Wave: string", sol, (figure,))


def drum(n: int = 41, **options: Any) -> Outcome:
    """A square drum after 5.25 periods sqrt(2) of its lowest tone: through the middle, with the largest speed."""
    mode = sd.sin(sd.pi * x) * sd.sin(sd.pi * y)
    problem = pde.Problem(
        pde.Eq(pde.dt(u, 2), pde.laplacian(u)),
        pde.Box(x=(0, 1), y=(0, 1)), {"x": HELD, "y": HELD}, {u: mode, pde.dt(u): 0},
    )  # fmt: skip
    sol = problem.discretize((n, n), order=4).run(5.25 * np.sqrt(2), "rk4", **options)
    xs, ys = sol.grid.mesh()
    w, h = np.sqrt(2) * np.pi, sol.grid.spacing[0]
    shape = np.sin(np.pi * xs) * np.sin(np.pi * ys)
    # The phase w t is short by w t (pi h)**4/180, and by w t (w dt)**4/120 of rk4; twice that for the sides.
    bound = 2 * w * sol.t * ((np.pi * h) ** 4 / 180 + (w * sol.dt) ** 4 / 120)
    figures = (
        error(sol[u], np.cos(w * sol.t) * shape, bound, "phase error of both"),
        error(sol["u_t"] / w, -np.sin(w * sol.t) * shape, bound, "phase error of both", "largest error of u_t/w"),
    )
    return Outcome("Wave: drum", sol, figures)


def packet(n: int = 400, **options: Any) -> Outcome:
    """A free Gaussian packet, i psi_t = -psi_xx/2, psi = a + i b: it moves with speed 2 and spreads."""
    a, b = pde.field("a"), pde.field("b")
    k, begin, w = 2.0, -5.0, 1.0

    def psi(points: np.ndarray, time: float) -> np.ndarray:
        s = w**2 + 1j * time
        phase = 1j * k * (points - begin) - 0.5j * k**2 * time
        return np.pi**-0.25 * np.sqrt(w / s) * np.exp(-((points - begin - k * time) ** 2) / (2 * s) + phase)

    envelope = np.pi**-0.25 * sd.exp(-((x - begin) ** 2) / 2)
    start = {a: envelope * sd.cos(k * (x - begin)), b: envelope * sd.sin(k * (x - begin))}
    free = [pde.Eq(pde.dt(a), -pde.dx(b, 2) / 2), pde.Eq(pde.dt(b), pde.dx(a, 2) / 2)]
    problem = pde.Problem(free, pde.Box(x=(-15, 15)), {"x": pde.Periodic()}, start)
    sol = problem.discretize(n, order=4).run(2.0, "crank-nicolson", dt=0.01, **options)
    (h,) = sol.grid.spacing
    ours, exact = sol[a] + 1j * sol[b], psi(sol.grid.x, sol.t)
    density = np.abs(ours) ** 2 * h
    mean = float(sol.grid.x @ density)
    # The rate k**2/2 of a plane wave misses k**6 h**4/180 in space and (k**2/2)**3 dt**2/12 in time; the packet has
    # waves around k + 1.
    q = k + 1
    bound = sol.t * (q**6 * h**4 / 180 + (q**2 / 2) ** 3 * sol.dt**2 / 12) * np.abs(exact).max()
    figures = (
        error(ours, exact, bound, "phase error of both at k = 3"),
        Figure("norm", float(density.sum()), 1.0, 1e-9, "Crank-Nicolson is unitary; its systems are solved to 1e-12"),
        Figure("mean position", mean, begin + k * sol.t, bound * sol.t, "group velocity"),
    )
    return Outcome("Schrödinger: packet", sol, figures)


def trap(n: int = 120, **options: Any) -> Outcome:
    """A coherent state in the well x**2/2 (Schrödinger 1926) swings as a whole; after 2 pi psi is -psi."""
    a, b = pde.field("a"), pde.field("b")
    well = x**2 / 2
    swing = [pde.Eq(pde.dt(a), -pde.dx(b, 2) / 2 + well * b), pde.Eq(pde.dt(b), pde.dx(a, 2) / 2 - well * a)]
    start = {a: np.pi**-0.25 * sd.exp(-((x - 1.5) ** 2) / 2), b: 0}
    problem = pde.Problem(swing, pde.Box(x=(-9, 9)), {"x": pde.Periodic()}, start)
    sol = problem.discretize(n, order=6).run(2 * np.pi, "rk4", **options)
    exact = -(np.pi**-0.25) * np.exp(-((sol.grid.x - 1.5) ** 2) / 2)
    (h,) = sol.grid.spacing
    # Truncation h**6/1120 psi_8x, most of it of waves around k = 2.5.
    bound = sol.t * 2.5**8 * h**6 / 1120 * np.abs(exact).max()
    figures = (
        error(sol[a] + 1j * sol[b], exact, bound, "phase error at k = 2.5"),
        Figure("norm", float((sol[a] ** 2 + sol[b] ** 2).sum()) * h, 1.0, 1e-4, "rk4 damps by its step's sixth power"),
    )
    return Outcome("Schrödinger: harmonic trap", sol, figures)


ALL = (string, drum, packet, trap)
