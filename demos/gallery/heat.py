"""The heat equation u_t = u_xx against its classical solutions (Carslaw & Jaeger 1959)."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import erfc

import symdiff as sd
from demos.gallery.outcome import Outcome, error
from symdiff import pde

x, y, t = pde.coordinates("x y t")
u = pde.field("u")
COLD = pde.Dirichlet(0)
HEAT = pde.Eq(pde.dt(u), pde.laplacian(u))


def sine_modes(n: int = 65, **options: Any) -> Outcome:
    """Each sine mode decays by itself: sin(m pi x) by exp(-m**2 pi**2 t)."""
    start = sd.sin(sd.pi * x) + sd.sin(3 * sd.pi * x) / 2
    problem = pde.Problem(HEAT, pde.Box(x=(0, 1)), {"x": COLD}, {u: start})
    sol = problem.discretize(n, order=4).run(0.05, "rk4", **options)
    modes = [a * np.exp(-((m * np.pi) ** 2) * sol.t) * np.sin(m * np.pi * sol.grid.x) for m, a in ((1, 1), (3, 0.5))]
    # A mode q decays too slowly by q**6 h**4/90 a unit of time.
    bound = sum(a * (m * np.pi) ** 6 * np.exp(-((m * np.pi) ** 2) * sol.t) for m, a in ((1, 1), (3, 0.5))) * sol.t / 90
    why = "truncation q^6 h^4/90 a unit of time, doubled for the sides"
    return Outcome("Heat: two sine modes", sol, (error(sol[u], sum(modes), 2 * bound * sol.grid.spacing[0] ** 4, why),))


def step(n: int = 129, **options: Any) -> Outcome:
    """Half of a long rod is warm: u = erfc(x/sqrt(4 t))/2."""
    half = sd.where(x < 0, 1.0, sd.where(x > 0, 0.0, 0.5))
    problem = pde.Problem(HEAT, pde.Box(x=(-3, 3)), {"x": (pde.Dirichlet(1), COLD)}, {u: half})
    sol = problem.discretize(n).run(0.1, "rk4", **options)
    exact = erfc(sol.grid.x / np.sqrt(4 * sol.t)) / 2
    (h,) = sol.grid.spacing
    # h**2/12 (t u_tt + u_t), the equation's truncation and the step's, is 0.0068 h**2/t at most, at x = 2.7 sqrt(t).
    figure = error(sol[u], exact, 0.007 * h**2 / sol.t, "truncation h^2/12 (t u_tt + u_t)")
    return Outcome("Heat: a step", sol, (figure,))


def fundamental(n: int = 81, **options: Any) -> Outcome:
    """A point of heat in a large plate, from the time 0.05 on: exp(-r**2/(4 t))/(4 pi t)."""
    begin, r2 = 0.05, x**2 + y**2
    start = sd.exp(-r2 / (4 * begin)) / (4 * sd.pi * begin)
    problem = pde.Problem(HEAT, pde.Box(x=(-3, 3), y=(-3, 3)), {"x": COLD, "y": COLD}, {u: start})
    sol = problem.discretize((n, n), order=4).run(0.15, "rk4", **options)
    end = begin + sol.t
    xs, ys = sol.grid.mesh()
    exact = np.exp(-(xs**2 + ys**2) / (4 * end)) / (4 * np.pi * end)
    h = sol.grid.spacing[0]
    # t h**4/90 (u_6x + u_6y), which is 2 * 15/(2 end)**3 u in the centre; a fifth more for the terms of higher order.
    bound = 1.2 * sol.t * h**4 / 90 * 30 / (2 * end) ** 3 * exact.max()
    figure = error(sol[u], exact, bound, "truncation t h^4/90 (u_6x + u_6y)")
    return Outcome("Heat: fundamental solution", sol, (figure,))


def duhamel(n: int = 33, **options: Any) -> Outcome:
    """A source sin(pi x) sin(w t): the integral of exp(-pi**2 (t - s)) sin(w s) over s, by Duhamel's principle."""
    w, q = 7.0, np.pi**2
    source = sd.sin(sd.pi * x) * sd.sin(w * t)
    problem = pde.Problem(pde.Eq(pde.dt(u), pde.laplacian(u) + source), pde.Box(x=(0, 1)), {"x": COLD}, {u: 0})
    sol = problem.discretize(n, order=4).run(1.0, "crank-nicolson", dt=5e-3, **options)
    factor = (q * np.sin(w * sol.t) - w * np.cos(w * sol.t) + w * np.exp(-q * sol.t)) / (q**2 + w**2)
    exact = factor * np.sin(np.pi * sol.grid.x)
    (h,) = sol.grid.spacing
    # Crank-Nicolson sees w (1 + (w dt)**2/12) for w, the differences q - pi**6 h**4/90 for q; twice that for the sides.
    bound = (w * (w * sol.dt) ** 2 / 12 + 2 * np.pi**6 * h**4 / 90) / (q**2 + w**2)
    return Outcome("Heat: Duhamel", sol, (error(sol[u], exact, bound, "truncation in time and space"),))


ALL = (sine_modes, step, fundamental, duhamel)
