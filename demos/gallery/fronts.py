"""Reaction and diffusion: fronts with known shapes and speeds."""

from __future__ import annotations

from typing import Any

import numpy as np

import symdiff as sd
from demos.gallery.outcome import Figure, Outcome, error
from symdiff import pde

x, y, t = pde.coordinates("x y t")
u = pde.field("u")
FREE = pde.Neumann(0)
FISHER = pde.Eq(pde.dt(u), pde.laplacian(u) + u * (1 - u))


def travelled(sol: pde.Solution, first: int = 0) -> float:
    """Return the mean speed of a front since a saved state: what the integral of u has gained, by time."""
    (h,) = sol.grid.spacing
    mass = sol.saved[u] @ np.append(np.full(sol.grid.shape[0] - 1, h), h / 2)
    return float((mass[-1] - mass[first]) / (sol.times[-1] - sol.times[first]))


def ablowitz_zeppetella(n: int = 201, **options: Any) -> Outcome:
    """u_t = u_xx + u (1 - u) has the front (1 + exp((x - c t)/sqrt(6)))**-2 with c = 5/sqrt(6) (1979)."""
    c = 5 / np.sqrt(6)
    start = (1 + sd.exp(x / np.sqrt(6))) ** -2
    sol = pde.Problem(FISHER, pde.Box(x=(-25, 45)), {"x": FREE}, {u: start}).discretize(n, order=4).run(10.0, **options)
    exact = (1 + np.exp((sol.grid.x - c * sol.t) / np.sqrt(6))) ** -2
    (h,) = sol.grid.spacing
    # h**4/90 u_6x, at most 0.0053, moves the front, and the source's rate 1 lets an error grow with the time.
    bound = 0.0053 * h**4 / 90 * sol.t**2
    return Outcome("Fisher-KPP: exact front", sol, (error(sol[u], exact, bound, "truncation h^4 u_6x/90, growing"),))


def slowest(n: int = 1001, **options: Any) -> Outcome:
    """From a step: the speed 2 - 3/(2 t) (Bramson 1983) + 3 sqrt(pi)/(2 t**1.5) (Ebert & van Saarloos 2000) + …."""
    begin, end = 30.0, 60.0
    problem = pde.Problem(FISHER, pde.Box(x=(0, 150)), {"x": FREE}, {u: sd.where(x < 10, 1.0, 0.0)})
    sol = problem.discretize(n, order=4).run(end, save_every=begin, **options)
    known = 2 - 1.5 * np.log(end / begin) / (end - begin)
    following = 3 * np.sqrt(np.pi) * (begin**-0.5 - end**-0.5) / (end - begin)
    figure = Figure("speed between t = 30 and 60", travelled(sol, 1), known, following, "next term 2.66/t^1.5")
    return Outcome("Fisher-KPP: slowest front", sol, (figure,))


def nagumo(n: int = 201, **options: Any) -> Outcome:
    """u_t = u_xx + u (1 - u)(u - a): the front 1/(1 + exp((x - c t)/sqrt(2))) with c = (1 - 2 a)/sqrt(2)."""
    a = 0.2
    c = (1 - 2 * a) / np.sqrt(2)
    equation = pde.Eq(pde.dt(u), pde.laplacian(u) + u * (1 - u) * (u - a))
    start = 1 / (1 + sd.exp(x / np.sqrt(2)))
    problem = pde.Problem(equation, pde.Box(x=(-20, 30)), {"x": FREE}, {u: start})
    sol = problem.discretize(n, order=4).run(20.0, save_every=20.0, **options)
    exact = 1 / (1 + np.exp((sol.grid.x - c * sol.t) / np.sqrt(2)))
    (h,) = sol.grid.spacing
    # h**4/90 u_6x, u_6x at most 0.051; the front restores its shape, so the error is a shift that grows with the time.
    bound = 0.051 * h**4 / 90 * sol.t
    figures = (
        error(sol[u], exact, bound, "truncation t h^4 u_6x/90"),
        Figure("speed", travelled(sol), c, bound, "truncation"),
    )
    return Outcome("Allen-Cahn: moving front", sol, figures)


def circle(n: int = 101, **options: Any) -> Outcome:
    """u_t = lap u + (u - u**3)/e**2: the area in a thin front shrinks at the rate 2 pi (Allen & Cahn 1979)."""
    e, r = 0.04, sd.sqrt(x**2 + y**2)
    equation = pde.Eq(pde.dt(u), pde.laplacian(u) + (u - u**3) / e**2)
    start = sd.tanh((0.7 - r) / (np.sqrt(2) * e))
    problem = pde.Problem(equation, pde.Box(x=(0, 1), y=(0, 1)), {"x": FREE, "y": FREE}, {u: start})
    sol = problem.discretize((n, n), order=4).run(0.1, "rk4", save_every=0.02, **options)
    h = sol.grid.spacing[0]
    weights = np.full(n, h)
    weights[[0, -1]] = h / 2
    area = 4 * (1 + sol.saved[u]) @ weights @ weights / 2
    rate = float((area[-1] - area[1]) / (sol.times[-1] - sol.times[1]))
    # The front's width is felt as (e/r)**2 at the smallest radius, sqrt(0.49 - 2 t).
    bound = 2 * np.pi * e**2 / (0.49 - 2 * sol.t)
    return Outcome("Allen-Cahn: circle", sol, (Figure("d(area)/dt", rate, -2 * np.pi, bound, "width (e/r)^2"),))


ALL = (ablowitz_zeppetella, slowest, nagumo, circle)
