"""Advection, diffusion, and both in Burgers' equation."""

from __future__ import annotations

from typing import Any

import numpy as np

import symdiff as sd
from demos.gallery.outcome import Figure, Outcome, error
from symdiff import pde

x, y, t = pde.coordinates("x y t")
u = pde.field("u")
COLD = pde.Dirichlet(0)


def boundary_layer(n: int = 41, **options: Any) -> Outcome:
    """u_x = e u_xx: u = (exp(x/e) - 1)/(exp(1/e) - 1); the grid has r**j for exp(x/e), r = (2 + h/e)/(2 - h/e)."""
    e = 0.05
    problem = pde.Problem(pde.Eq(pde.dx(u), e * pde.dx(u, 2)), pde.Box(x=(0, 1)), {"x": (COLD, pde.Dirichlet(1))})
    sol = problem.discretize(n).steady(**options)
    (h,) = sol.grid.spacing
    r = (2 + h / e) / (2 - h / e)
    discrete = (r ** np.arange(n) - 1) / (r ** (n - 1) - 1)
    exact = np.expm1(sol.grid.x / e) / np.expm1(1 / e)
    # log(r)/h = 1/e + h**2/(12 e**3) + …, so exp(-z) becomes exp(-z - z (h/e)**2/12) with z exp(-z) <= exp(-1).
    figures = (
        error(sol[u], discrete, 1e-13, "rounding: the differences' own solution", "from r^j"),
        error(sol[u], exact, 1.1 * np.exp(-1) * (h / e) ** 2 / 12, "layer thinner by (h/e)^2/12"),
    )
    return Outcome("Advection-diffusion: boundary layer", sol, figures)


def turning(n: int = 97, **options: Any) -> Outcome:
    """A Gaussian carried half around by a turning flow, and widened on the way: s**2 = s0**2 + 2 k t."""
    k, s2 = 5e-4, 0.01
    flow = pde.div(k * pde.grad(u) - pde.vector(-y, x) * u)
    start = sd.exp(-((x - 0.4) ** 2 + y**2) / (2 * s2))
    sides = {"x": COLD, "y": COLD}
    problem = pde.Problem(pde.Eq(pde.dt(u), flow), pde.Box(x=(-1, 1), y=(-1, 1)), sides, {u: start})
    sol = problem.discretize((n, n), order=6).run(np.pi, "rk4", dt=0.8 / n, **options)
    xs, ys = sol.grid.mesh()
    wide = s2 + 2 * k * sol.t
    exact = s2 / wide * np.exp(-((xs + 0.4) ** 2 + ys**2) / (2 * wide))
    h = sol.grid.spacing[0]
    # A path of 0.4 pi with h**6/140 u_7x, of which the largest is 51/s**7, s the mean width of the way.
    bound = 0.4 * np.pi * h**6 / 140 * 51 / (s2 + k * sol.t) ** 3.5
    mass = Figure("mass", float(sol[u].sum()) * h**2, 2 * np.pi * s2, 1e-2 * bound, "fluxes through the walls")
    return Outcome("Advection-diffusion: turning", sol, (error(sol[u], exact, bound, "truncation h^6 u_7x/140"), mass))


def burgers(nu: Any) -> Any:
    """Return Burgers' equation in flux form."""
    return pde.Eq(pde.dt(u), pde.div(pde.vector(-(u**2) / 2)) + nu * pde.dx(u, 2))


def cole_hopf(n: int = 65, **options: Any) -> Outcome:
    """u = -2 nu d/dx log(2 + exp(-pi**2 nu t) cos(pi x)): Cole 1951, Hopf 1950."""
    nu = 0.05

    def exact(points: Any, time: float, np: Any) -> Any:
        decay = np.exp(-(np.pi**2) * nu * time)
        return 2 * nu * np.pi * decay * np.sin(np.pi * points) / (2 + decay * np.cos(np.pi * points))

    problem = pde.Problem(burgers(nu), pde.Box(x=(0, 1)), {"x": COLD}, {u: exact(x, 0.0, sd)})
    sol = problem.discretize(n, order=4).run(1.0, "rk4", **options)
    (h,) = sol.grid.spacing
    # nu h**4/90 u_6x, u_6x about pi**6 times the amplitude 0.18 and 10 for the harmonics of the quotient.
    bound = sol.t * nu * h**4 / 90 * 10 * np.pi**6 * 0.18
    figure = error(sol[u], exact(sol.grid.x, sol.t, np), bound, "truncation t nu h^4 u_6x/90")
    return Outcome("Burgers: Cole-Hopf", sol, (figure,))


def steepest(n: int = 1025, **options: Any) -> Outcome:
    """From -sin(pi x), nu = 0.01/pi: the slope in the middle at its steepest, t = 1.6037/pi, is -152.00516.

    Basdevant et al., Computers & Fluids 14 (1986): the value that spectral methods agree on.
    """
    problem = pde.Problem(burgers(0.01 / np.pi), pde.Box(x=(-1, 1)), {"x": COLD}, {u: -sd.sin(sd.pi * x)})
    sol = problem.discretize(n, order=6).run(1.6037 / np.pi, "rk4", **options)
    (h,) = sol.grid.spacing
    f, m = sol[u], n // 2
    slope = float((45 * (f[m + 1] - f[m - 1]) - 9 * (f[m + 2] - f[m - 2]) + f[m + 3] - f[m - 3]) / (60 * h))
    # A layer -tanh(s x): differences of order 6 miss h**6/140 u_7x = 272/140 (s h)**6 of the slope s, as do the fluxes.
    bound = 2 * 152 * 272 / 140 * (152 * h) ** 6 + 5e-3
    return Outcome("Burgers: steepest slope", sol, (Figure("slope", slope, -152.00516, bound, "truncation of a tanh"),))


ALL = (boundary_layer, turning, cole_hopf, steepest)
