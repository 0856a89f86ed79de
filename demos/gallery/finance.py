"""Black & Scholes (1973): a European call and its Greeks, those by parameters from the adjoint of the run."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtr

import symdiff as sd
from demos.gallery.outcome import Figure, Outcome, error
from symdiff import pde

S, t = pde.coordinates("S t")
V = pde.field("V")
r, sigma = sd.symbols("r sigma")
STRIKE, RATE, VOLATILITY = 100.0, 0.05, 0.2


def closed_form(price: np.ndarray, time: float) -> tuple[np.ndarray, ...]:
    """Return value, delta, gamma, vega and rho of a call at a time before it ends."""
    root = VOLATILITY * np.sqrt(time)
    d1 = (np.log(price / STRIKE) + (RATE + VOLATILITY**2 / 2) * time) / root
    discounted, density = STRIKE * np.exp(-RATE * time), np.exp(-(d1**2) / 2) / np.sqrt(2 * np.pi)
    value = price * ndtr(d1) - discounted * ndtr(d1 - root)
    vega = price * density * np.sqrt(time)
    return value, ndtr(d1), density / (price * root), vega, time * discounted * ndtr(d1 - root)


def call(n: int = 401, **options: Any) -> Outcome:
    """t is the time that is left; the strike is a point of the grid."""
    equation = pde.Eq(pde.dt(V), sigma**2 * S**2 / 2 * pde.d(V, S, 2) + r * S * pde.d(V, S) - r * V)
    far = 4 * STRIKE
    sides = {"S": (pde.Dirichlet(0), pde.Dirichlet(far - STRIKE * sd.exp(-r * t)))}
    problem = pde.Problem(equation, pde.Box(S=(0, far)), sides, {V: sd.maximum(S - STRIKE, 0)})
    solver = problem.discretize(n)
    run = {"until": 1.0, "method": "sdirk2", "dt": 0.01, "parameters": {r: RATE, sigma: VOLATILITY}, **options}
    sol = solver.run(**run)
    (h,), at = sol.grid.spacing, n // 4
    value, delta, gamma, vega, rho = closed_form(sol.grid.S[1:], sol.t)
    here = sd.where(sd.abs(S - STRIKE) < h / 2, 1 / h, 0)
    slope = solver.gradient(pde.integral(here * V), [sigma, r], **run)
    by_price = np.gradient(sol[V], h)[1:]
    curvature = float(np.diff(sol[V], 2)[at - 1] / h**2)
    # Differences spread the payoff's kink over h, time has spread it over w = K sigma sqrt(t): the value is missed by
    # about (h/w)**2/6 of itself, second derivatives and those by parameters by three times that.
    w = (h / (STRIKE * VOLATILITY)) ** 2 / 6
    known = [float(g[at - 1]) for g in (gamma, vega, rho)]
    why = "(h/w)^2/6 of itself, w = K sigma sqrt(t)"
    figures = (
        Figure("value at the strike", float(sol[V][at]), float(value[at - 1]), w * float(value[at - 1]), why),
        error(sol[V][1:], value, w * float(value[at - 1]), why),
        Figure("delta", float(by_price[at - 1]), float(delta[at - 1]), w, "(h/w)^2/6"),
        *(
            Figure(name, ours, g, 3 * w * g, "(h/w)^2/2 of itself")
            for name, ours, g in zip(
                ("gamma", "vega", "rho"), (curvature, float(slope[sigma]), float(slope[r])), known, strict=True
            )
        ),
    )
    return Outcome("Black-Scholes: call", sol, figures)


ALL = (call,)
