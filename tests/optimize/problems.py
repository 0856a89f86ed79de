"""Small problems that several tests of optimisers share, with their NumPy side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import symdiff as sd

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Regression:
    """A least-squares loss |X w - y|² / (2 n) as an expression, and its data."""

    f: Any
    w: Any
    data: dict[Any, np.ndarray]

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """The matrix and the right-hand side."""
        x, y = self.data.values()
        return x, y

    @property
    def start(self) -> dict[Any, np.ndarray]:
        """Zeros."""
        return {self.w: np.zeros(self.w.shape[0])}

    def hessian(self) -> np.ndarray:
        """The second derivatives."""
        x, y = self.arrays
        return x.T @ x / len(y)

    def gradient(self, w: np.ndarray) -> np.ndarray:
        """The gradient."""
        x, y = self.arrays
        return x.T @ (x @ w - y) / len(y)

    def value(self, w: np.ndarray) -> float:
        """The loss."""
        x, y = self.arrays
        return float(np.sum((x @ w - y) ** 2) / (2 * len(y)))


def regression(n: int = 31, d: int = 5, spread: float = 4.0, seed: int = 11) -> Regression:
    """Return a problem of full rank whose columns differ in scale by `spread`."""
    rng = np.random.default_rng(seed)
    x0 = rng.normal(size=(n, d)) * np.geomspace(1, spread, d)
    y0 = x0 @ np.resize([2.0, 0.0, -1.0, 0.0, 0.3], d) + 0.1 * rng.normal(size=n)
    w, x, y = sd.vector("w", d), sd.matrix("X", "n", d), sd.vector("y", "n")
    return Regression(sd.sum((x @ w - y) ** 2) / (2 * x.shape[0]), w, {x: x0, y: y0})


def quadratic(eigenvalues: np.ndarray, seed: int = 12) -> tuple[Any, Any, dict[Any, np.ndarray], np.ndarray]:
    """Return (f, w, data, H) of 0.5 w'Hw, H with given eigenvalues."""
    n = len(eigenvalues)
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))
    w, h = sd.vector("w", n), sd.matrix("H", n, n)
    matrix = q * eigenvalues @ q.T
    return 0.5 * (w @ (h @ w)), w, {h: matrix}, matrix
