"""SciPy: the implicit scheme with a sparse factorisation."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from symdiff.bench.cases import CN_STEP, Sizes
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


CASES = {"crank_nicolson": crank_nicolson}
