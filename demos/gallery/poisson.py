"""Poisson's equation on the unit square: the membrane under its weight, and Green's function."""

from __future__ import annotations

from typing import Any

import numpy as np

import symdiff as sd
from demos.gallery.outcome import Figure, Outcome, error
from symdiff import pde

x, y = pde.coordinates("x y")
u = pde.field("u")
SQUARE = pde.Box(x=(0, 1), y=(0, 1))
COLD = {"x": pde.Dirichlet(0), "y": pde.Dirichlet(0)}


def membrane(n: int = 129, **options: Any) -> Outcome:
    """-lap u = 1: the deflection in the middle, and 4 times the volume, the torsional stiffness of a square bar."""
    sol = pde.Problem(pde.Eq(-pde.laplacian(u), 1), SQUARE, COLD).discretize((n, n)).steady(**options)
    h = sol.grid.spacing[0]
    # Trapezoids lose h**2/12 times the flux through the sides, which is 1; u itself is low by 0.06 h**2 in the middle.
    why = "trapezoids h^2/12, truncation 0.06 h^2"
    middle = Figure("largest deflection", float(sol[u].max()), 0.0736713532814, 0.06 * h**2, why)
    stiffness = Figure(
        "torsional stiffness", 4 * float(sol[u].sum()) * h**2, 0.1405770149, 4 * (h**2 / 12 + 0.06 * h**2), why
    )
    return Outcome("Poisson: membrane (Timoshenko & Goodier)", sol, (middle, stiffness))


def green(n: int = 129, **options: Any) -> Outcome:
    """A unit source at (0.4, 0.55), of width s = 0.06, against the eigenfunction series of Green's function.

    sum over p, q = pi, 2 pi, … of 4 sin(p a) sin(q b) sin(p x) sin(q y) exp(-(p**2 + q**2) s**2/2)/(p**2 + q**2)
    """
    a, b, s = 0.4, 0.55, 0.06
    source = sd.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * s**2)) / (2 * sd.pi * s**2)
    sol = pde.Problem(pde.Eq(-pde.laplacian(u), source), SQUARE, COLD).discretize((n, n)).steady(**options)
    q = np.pi * np.arange(1, 40)  # the last factor is exp(-27)
    q2 = q[:, None] ** 2 + q**2
    weights = 4 * np.outer(np.sin(q * a), np.sin(q * b)) * np.exp(-q2 * s**2 / 2) / q2
    exact = np.sin(np.outer(sol.grid.x, q)) @ weights @ np.sin(np.outer(q, sol.grid.y))
    h = sol.grid.spacing[0]
    # -lap e = h**2/12 (u_4x + u_4y) = -h**2/12 (lap f + 2 u_xxyy): about 3/4 of h**2/12 f, the largest f in the middle.
    bound = h**2 / 16 / (2 * np.pi * s**2)
    return Outcome("Poisson: Green's function", sol, (error(sol[u], exact, bound, "truncation, about f h^2/16"),))


ALL = (membrane, green)
