"""The lid-driven cavity at Re = 100: stream function and vorticity, steady."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from demos.gallery.outcome import Figure, Outcome, error
from symdiff import pde

x, y = pde.coordinates("x y")
psi, w = pde.field("psi"), pde.field("w")
RE = 100.0

# Ghia, Ghia & Shin, J. Comput. Phys. 48 (1982), tables I and II, Re = 100: point in 128ths; u at x = 1/2, v at y = 1/2.
GHIA_U = np.array([
    (7, -0.03717), (8, -0.04192), (9, -0.04775), (13, -0.06434), (22, -0.10150), (36, -0.15662), (58, -0.21090),
    (64, -0.20581), (79, -0.13641), (94, 0.00332), (109, 0.23151), (122, 0.68717), (123, 0.73722), (124, 0.78871),
    (125, 0.84123),
])  # fmt: skip
GHIA_V = np.array([
    (8, 0.09233), (9, 0.10091), (10, 0.10890), (12, 0.12317), (20, 0.16077), (29, 0.17507), (30, 0.17527),
    (64, 0.05454), (103, -0.24533), (110, -0.22445), (116, -0.16914), (121, -0.10313), (122, -0.08864),
    (123, -0.07391), (124, -0.05906),
])  # fmt: skip
# Marchi, Suero & Araki, J. Braz. Soc. Mech. Sci. Eng. 31 (2009), 1024 x 1024 points and Richardson's extrapolation:
# u_min, v_max, v_min on the same lines. Ghia's v_min differs from it by 0.0085, which is how far these tables reach.
MARCHI = (-0.21404, 0.17957, -0.25380)
GHIA_ERROR = 0.0085


def cavity(n: int = 65, **options: Any) -> Outcome:
    """lap psi = -w, lap w/Re = u . grad w with u = (psi_y, -psi_x), and u = (1, 0) on the lid.

    psi has two conditions on each wall and w has none. The slope is psi's; that psi is 0 is asked of w, by the penalty
    w = -psi/e: e w is the error of psi.
    """
    e = 1e-5
    wall, held = pde.Neumann(0), pde.Dirichlet(-psi / e)
    carried = pde.dy(psi) * pde.dx(w) - pde.dx(psi) * pde.dy(w)
    problem = pde.Problem(
        [pde.Eq(pde.laplacian(psi), -w), pde.Eq(pde.laplacian(w) / RE, carried)],
        pde.Box(x=(0, 1), y=(0, 1)),
        {psi: {"x": wall, "y": (wall, pde.Neumann(1))}, w: {"x": held, "y": held}},
    )
    sol = problem.discretize((n, n)).steady(**options)
    h, fine = sol.grid.spacing[0], np.linspace(0.02, 0.98, 961)
    u = CubicSpline(sol.grid.y, np.gradient(sol[psi][n // 2], h))
    v = CubicSpline(sol.grid.x, -np.gradient(sol[psi][:, n // 2], h))
    ours = (u(fine).min(), v(fine).max(), v(fine).min())
    # Layers of the thickness 1/sqrt(Re) = 1/10: about (10 h)**2/5 of the speed.
    bound = (10 * h) ** 2 / 5
    why = "truncation (10 h)^2/5, Ghia's own error"
    figures = (
        error(u(GHIA_U[:, 0] / 128), GHIA_U[:, 1], bound + GHIA_ERROR, why, "u of Ghia's table I"),
        error(v(GHIA_V[:, 0] / 128), GHIA_V[:, 1], bound + GHIA_ERROR, why, "v of Ghia's table II"),
        *(
            Figure(name, float(value), known, bound, "truncation (10 h)^2/5")
            for name, value, known in zip(("u_min (Marchi et al.)", "v_max", "v_min"), ours, MARCHI, strict=True)
        ),
    )
    return Outcome("Lid-driven cavity, Re = 100", sol, figures)


ALL = (cavity,)
