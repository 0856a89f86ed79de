"""Phases that separate (Cahn-Hilliard) and patterns that react (Gray-Scott)."""

from __future__ import annotations

from typing import Any

import numpy as np

import symdiff as sd
from demos.gallery.outcome import Figure, Outcome, error
from symdiff import pde

x, y, t = pde.coordinates("x y t")
c, u, v = pde.field("c"), pde.field("u"), pde.field("v")
FREE = pde.Neumann(0)


def kink(n: int = 65, **options: Any) -> Outcome:
    """c_t = lap(c**3 - c - g lap c) settles to tanh(x/sqrt(2 g)), of energy 2 sqrt(2 g)/3 (Cahn & Hilliard 1958)."""
    g, w = 0.01, pde.field("w")
    equations = [pde.Eq(pde.dt(c), pde.laplacian(w)), pde.Eq(w, c**3 - c - g * pde.laplacian(c))]
    problem = pde.Problem(equations, pde.Box(x=(-1, 1)), {"x": FREE}, {c: sd.sin(sd.pi * x / 2)})
    sol = problem.discretize(n).run(3.0, "backward-euler", dt=0.03, save_every=0.3, **options)
    (h,) = sol.grid.spacing
    states = sol.saved[c]
    wells = (states**2 - 1) ** 2 / 4
    energies = h * (wells.sum(1) - (wells[:, 0] + wells[:, -1]) / 2 + g / 2 * (np.diff(states) ** 2).sum(1) / h**2)
    exact = np.tanh(sol.grid.x / np.sqrt(2 * g))
    # A steady front of spacing h is wider by (h**2/12)(c_4x/c_xx), about h**2/(12 g); far away exp(-sqrt(2/g)) is left.
    bound = h**2 / (12 * g) + np.exp(-np.sqrt(2 / g))
    drops = float(np.diff(energies).max())
    mass = float(h * (states.sum(1) - (states[:, 0] + states[:, -1]) / 2)[-1])
    figures = (
        error(sol[c], exact, bound, "a front wider by h^2/(12 g)"),
        Figure("energy", float(energies[-1]), 2 * np.sqrt(2 * g) / 3, bound * 2 * np.sqrt(2 * g) / 3, "same, relative"),
        Figure("largest rise of the energy", max(drops, 0.0), 0.0, 1e-12, "it falls"),
        Figure("mass", mass, 0.0, 1e-12, "a divergence is conserved"),
    )
    return Outcome("Cahn-Hilliard: kink", sol, figures)


def spinodal(n: int = 64, **options: Any) -> Outcome:
    """A small wave of number q on c = 0.1 grows by the rate q**2 (1 - 3 c**2 - g q**2) (Cahn 1961)."""
    g, q, mean, small = 0.01, 2 * np.pi, 0.1, 1e-6
    equation = pde.Eq(pde.dt(c), pde.laplacian(c**3 - c - g * pde.laplacian(c)))
    start = mean + small * sd.cos(q * x)
    problem = pde.Problem(equation, pde.Box(x=(0, 1)), {"x": pde.Periodic()}, {c: start})
    sol = problem.discretize(n, order=4).run(0.1, "imex-ars3", dt=1e-3, **options)
    found = float(np.log(2 * np.mean(sol[c] * np.cos(q * sol.grid.x)) / small) / sol.t)
    rate = q**2 * (1 - 3 * mean**2 - g * q**2)
    (h,) = sol.grid.spacing
    # The rate q**2 is missed by (q h)**4/90 and (q h)**4/45 in u_xx and u_4x, each step by (q**2 dt)**3/12 or less, and
    # the wave's own harmonic is small/2 of it.
    bound = q**2 * ((q * h) ** 4 / 20 + (q**2 * sol.dt) ** 3 / 12 + small)
    figures = (
        Figure("rate of growth", found, rate, bound, "truncation (q h)^4/20, (q^2 dt)^3/12"),
        Figure("mass", float(sol[c].mean()), mean, 1e-10, "conserved, by systems solved to 1e-12"),
    )
    return Outcome("Cahn-Hilliard: spinodal", sol, figures)


def pfhub(n: int = 100, **options: Any) -> Outcome:
    """PFHub's benchmark 1a (Jokisaari et al. 2017): spinodal decomposition in a periodic square, and its free energy.

    The start is not periodic, and its seam makes the submitted energies part: MEUMAPPS (S. DeWitt 2021), which is
    spectral, has 319.07 at t = 0, 166.9 at 50 and 136.5 at 100; FEniCS (I. Yashchuk 2018) 319.08, 177 and 143.
    """
    lower, upper, height, stiffness, mobility = 0.3, 0.7, 5.0, 2.0, 5.0
    slope = 2 * height * (c - lower) * (c - upper) * (2 * c - lower - upper)
    equation = pde.Eq(pde.dt(c), mobility * pde.laplacian(slope - stiffness * pde.laplacian(c)))
    noise = sd.cos(0.105 * x) * sd.cos(0.11 * y) + (sd.cos(0.13 * x) * sd.cos(0.087 * y)) ** 2
    noise += sd.cos(0.025 * x - 0.15 * y) * sd.cos(0.07 * x - 0.02 * y)
    periodic = {"x": pde.Periodic(), "y": pde.Periodic()}
    problem = pde.Problem(equation, pde.Box(x=(0, 200), y=(0, 200)), periodic, {c: 0.5 + 0.01 * noise})
    # The wells are stiffer than the start, where f'' < 0: the largest q**2 is 8/h**2, and f'' is 1.6 in them.
    q2 = 8 * (n / 200) ** 2
    dt = 1.8 / (mobility * q2 * (1.6 + stiffness * q2))
    sol = problem.discretize((n, n)).run(100.0, "heun", dt, save_every=5.0, **options)
    h, states = sol.grid.spacing[0], sol.saved[c]
    slopes = sum(((np.roll(states, -1, axis) - states) / h) ** 2 for axis in (1, 2))
    wells = height * (states - lower) ** 2 * (states - upper) ** 2
    energies = h**2 * (wells + stiffness / 2 * slopes).sum((1, 2))
    means = states.mean((1, 2))
    figures = (
        Figure("energy at t = 0", float(energies[0]), 319.07, 0.1, "the seam's slopes"),
        Figure("energy at t = 50", float(energies[10]), 166.9, 5.0, "half of what the submitted ones differ by"),
        Figure("energy at t = 100", float(energies[-1]), 136.5, 3.25, "half of what the submitted ones differ by"),
        Figure("largest rise of the energy", max(float(np.diff(energies).max()), 0.0), 0.0, 1e-10, "it falls"),
        Figure("change of the mean", float(np.abs(means - means[0]).max()), 0.0, 1e-10, "a divergence is conserved"),
    )
    return Outcome("Cahn-Hilliard: PFHub 1a", sol, figures)


def gray_scott(f: Any, k: Any, du: Any, dv: Any) -> list[Any]:
    """Return u_t = du lap u - u v**2 + f (1 - u), v_t = dv lap v + u v**2 - (f + k) v."""
    return [
        pde.Eq(pde.dt(u), du * pde.laplacian(u) - u * v**2 + f * (1 - u)),
        pde.Eq(pde.dt(v), dv * pde.laplacian(v) + u * v**2 - (f + k) * v),
    ]


def pulse(n: int = 161, **options: Any) -> Outcome:
    """With du = 1, dv = 1/f = g and k = 1 - f, steady: v = 3/(1 + q cosh(x/sqrt(g))), u = 1 - g v, q = sqrt(1 - 9 g/2).

    Hale, Peletier & Troy, SIAM J. Appl. Math. 61 (2000).
    """
    g = 0.1
    f = 1 / g
    q = np.sqrt(1 - 4.5 * g)
    equations = [pde.Eq(eq.rhs, 0) for eq in gray_scott(f, 1 - f, 1.0, g)]
    guess = 3.2 / (1 + q * sd.cosh(1.05 * x / np.sqrt(g)))
    problem = pde.Problem(equations, pde.Box(x=(0, 5)), {"x": FREE}, {u: 1 - g * guess, v: guess})
    sol = problem.discretize(n, order=4).steady(**options)
    exact = 3 / (1 + q * np.cosh(sol.grid.x / np.sqrt(g)))
    (h,) = sol.grid.spacing
    # h**4/90 v_6x, v_6x about v/g**3, and lap - 1/g undone: v (h**2/g)**2/90, twice for the flanks.
    bound = 2 * exact.max() * (h**2 / g) ** 2 / 90
    figures = (
        error(sol[v], exact, bound, "truncation (h^2/g)^2/45", "largest error of v"),
        error(sol[u], 1 - g * exact, g * bound, "g times that of v", "largest error of u"),
    )
    return Outcome("Gray-Scott: pulse", sol, figures)


def front(n: int = 201, **options: Any) -> Outcome:
    """With k = 0 and du = dv = 1, u = 1 - v stays, and v has Nagumo's front b/(1 + exp(b (x - s t)/sqrt(2))).

    v_t = v_xx + v (v - a)(b - v), a and b = (1 -+ sqrt(1 - 4 f))/2, of speed s = (b - 2 a)/sqrt(2).
    """
    f = 0.1
    b = (1 + np.sqrt(1 - 4 * f)) / 2
    s = (3 * b - 2) / np.sqrt(2)
    start = b / (1 + sd.exp(b * x / np.sqrt(2)))
    problem = pde.Problem(gray_scott(f, 0, 1, 1), pde.Box(x=(-20, 30)), {"x": FREE}, {u: 1 - start, v: start})
    sol = problem.discretize(n, order=4).run(20.0, "rk4", **options)
    exact = b / (1 + np.exp(b * (sol.grid.x - s * sol.t) / np.sqrt(2)))
    (h,) = sol.grid.spacing
    figures = (
        error(sol[v], exact, 0.05 * h**4 / 90 * sol.t, "truncation t h^4 v_6x/90", "largest error of v"),
        error(sol[u] + sol[v], np.ones(n), 1e-12, "rounding", "u + v - 1"),
    )
    return Outcome("Gray-Scott: front", sol, figures)


ALL = (kink, spinodal, pfhub, pulse, front)
