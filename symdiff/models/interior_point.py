"""A primal-dual interior point method for linear support vector machines.

The slacks s of a_i·w + xi_i + delta_i alpha_i - s_i = 1 and the multipliers alpha stay positive, so do xi and
beta = c - alpha where the hinge is not squared. Newton's equations of the optimality conditions

    r w = A' alpha,   A w + xi + delta alpha - s = 1,   alpha s = mu,   beta xi = mu

reduce to one system of the size of w,  (diag(r) + A' D⁻¹ A) dw = …,  D = s/alpha + delta + xi/beta.
Method: Mehrotra's predictor and corrector (1992); Ferris & Munson (2002) for this reduction.
Cost: n d² operations a step, and 10 to 40 steps, however the features are scaled.
"""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from typing import Any

import numpy as np

from symdiff.front.arrays import expand_dims, min, sum, transpose
from symdiff.front.linalg import cholesky, triangular_solve
from symdiff.front.literals import eye
from symdiff.front.symbols import array, matrix, vector
from symdiff.ir.node import Node, const
from symdiff.models.margin import Fit, Machine
from symdiff.ops.elementwise import isfinite, minimum, where

_PATIENCE = 8  # steps without a smaller gap
_HOPELESS = 1e24  # a dual this large allows no margin above 1e-12 of the data's radius
NO_SOLUTION = "has no solution"
_INSIDE = 0.995  # of the way to the boundary


@np.errstate(over="ignore", invalid="ignore")  # bounds near the largest number end in infinite gaps
def solve(machine: Machine, tol: float, max_steps: int, target: str) -> Fit:
    """Return the best point found; it is good to `tol` unless `unfit` tells why not."""
    step = _step(target)
    n, d = machine.rows.shape
    capped = float(machine.loss == "hinge")
    c = machine.bound if machine.loss != "hard" else np.ones(n)
    half = c / 2 if capped else c
    state = [np.zeros(d), half, half if capped else np.ones(n), np.full(n, 2.0 * capped), np.ones(n)]
    best, since, k = machine.judge(state[0], state[1]), 0, 0
    while not best.is_good(tol):
        if k == max_steps or since == _PATIENCE:
            why = f"has not converged after {k} steps" if k == max_steps else "can be improved no further in float64"
            return replace(best, unfit=why, steps=k)
        *state, finite = step(machine.rows, machine.penalty, machine.delta, capped, *state)
        k += 1
        since += math.isfinite(best.gap)
        if not finite:
            return replace(best, unfit="can be improved no further in float64", steps=k)
        now = machine.judge(state[0], state[1], k)
        if math.isinf(best.primal) and math.isinf(now.primal) and now.dual * machine.radius**2 > _HOPELESS:
            return replace(now, unfit=NO_SOLUTION)
        if now.gap < best.gap or (math.isinf(best.gap) and now.dual > best.dual):
            best, since = now, 0
    return best


@functools.lru_cache(maxsize=4)
def _step(target: str) -> Any:
    """Compile one step: (A, r, delta, capped, w, alpha, beta, xi, s) -> the last five, and whether they are finite."""
    from symdiff.compile import compile  # late: the compiler loads LLVM

    rows, penalty, delta, capped = matrix("A", "n", "d"), vector("r", "d"), vector("delta", "n"), array("capped")
    w, (alpha, beta, xi, s) = vector("w", "d"), (vector(name, "n") for name in ("alpha", "beta", "xi", "s"))
    rest_w = penalty * w - alpha @ rows
    rest_s = 1 - (rows @ w + xi + delta * alpha - s)
    spread = s / alpha + delta + xi / beta
    factor = cholesky(expand_dims(penalty, 0) * eye(w.shape[0]) + transpose(rows) @ (rows / expand_dims(spread, 1)))

    def direction(of_s: Node, of_xi: Node) -> tuple[Node, ...]:
        """Solve for changes of alpha s by `of_s` and of beta xi by `of_xi`."""
        h = rest_s - of_xi / beta + of_s / alpha
        half = triangular_solve(factor, (h / spread) @ rows - rest_w)
        dw = triangular_solve(transpose(factor), half, lower=False)
        da = (h - rows @ dw) / spread
        return dw, da, -capped * da, (of_xi + xi * da) / beta, (of_s - s * da) / alpha

    def room(*changes: Node) -> Node:
        """Return the largest step in [0, 1] that keeps everything at least 0."""
        largest = const(1.0)
        for v, dv in zip((alpha, beta, xi, s), changes, strict=True):
            largest = minimum(largest, min(where(dv < 0, -v / dv, np.inf)))
        return largest

    products = sum(alpha * s) + sum(beta * xi)
    count = (1 + capped) * alpha.shape[0]
    _, da, db, dx, ds = direction(-alpha * s, -beta * xi)
    far = room(da, db, dx, ds)
    after = sum((alpha + far * da) * (s + far * ds)) + sum((beta + far * db) * (xi + far * dx))
    mu = (after / products) ** 3 * products / count
    change = direction(mu - alpha * s - da * ds, capped * (mu - beta * xi - db * dx))
    length = _INSIDE * room(*change[1:])
    new = [v + length * dv for v, dv in zip((w, alpha, beta, xi, s), change, strict=True)]
    finite = sum(new[0]) + sum(new[1]) + sum(new[4])
    return compile([*new, isfinite(finite)], [rows, penalty, delta, capped, w, alpha, beta, xi, s], target=target)
