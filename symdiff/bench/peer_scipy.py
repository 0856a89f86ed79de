"""SciPy: the implicit scheme with a sparse factorisation and with sine transforms, and L-BFGS-B."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.fft as sf
import scipy.sparse as sp
from scipy.optimize import minimize
from scipy.sparse.linalg import splu

from symdiff.bench.cases import CN_STEP, PAIRS_KEPT, PAIRS_TOLERANCE, Sizes, pairs_check
from symdiff.bench.measure import Job


def crank_nicolson(p: Sizes, start: np.ndarray) -> Job:
    """(I - K) u+ = (I + K) u, factorised once: u+ = 2 (I - K)^-1 u - u."""
    n = p["n"]

    def build() -> Any:
        k = 0.5 * CN_STEP * (n + 1) ** 2
        line = sp.diags_array([k, -2 * k, k], offsets=[-1, 0, 1], shape=(n, n))
        one = sp.eye_array(n)
        matrix = sp.csc_array(sp.eye_array(n * n) - sp.kron(line, one) - sp.kron(one, line))
        symmetric = {"SymmetricMode": True}
        factors = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0, options=symmetric)

        def run() -> np.ndarray:
            u = start.ravel()
            for _ in range(p["steps"]):
                u = 2 * factors.solve(u) - u
            return u

        return run

    return Job(build, lambda u: (u,))


def crank_nicolson_dst(p: Sizes, start: np.ndarray) -> Job:
    """u+ = 2 (I - K)^-1 u - u, each step exactly in the basis of sines by fast transforms on all cores."""
    n, workers = p["n"], -1

    def build() -> Any:
        half = np.pi * np.arange(1, n + 1) / (2 * (n + 1))
        line = 2 * CN_STEP * ((n + 1) * np.sin(half)) ** 2
        inverse = 1 / (1 + line[:, None] + line)

        def run() -> np.ndarray:
            u = start
            for _ in range(p["steps"]):
                modes = sf.dstn(u, type=1, workers=workers)
                modes *= inverse
                u = 2 * sf.idstn(modes, type=1, workers=workers, overwrite_x=True) - u
            return u

        return run

    return Job(build, lambda u: (u,))


def lbfgs(p: Sizes, start: np.ndarray) -> Job:
    """L-BFGS-B without bounds, value and gradient in NumPy."""

    def value_and_gradient(x: np.ndarray) -> tuple[float, np.ndarray]:
        a, b = x[0::2], x[1::2]
        r, s, out = b - a**2, 1 - a, np.empty_like(x)
        out[0::2], out[1::2] = -400 * a * r - 2 * s, 200 * r
        return float(np.sum(100 * r * r + s * s)), out

    options = {"maxcor": PAIRS_KEPT, "gtol": PAIRS_TOLERANCE, "ftol": 0.0, "maxiter": 10_000}

    def build() -> Any:
        return lambda: minimize(value_and_gradient, start, jac=True, method="L-BFGS-B", options=options).x

    return Job(build, pairs_check)


CASES = {"lbfgs": lbfgs, "crank_nicolson": crank_nicolson, "crank_nicolson:dst": crank_nicolson_dst}
