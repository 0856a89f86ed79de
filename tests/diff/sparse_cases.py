"""Functions with sparse derivatives, by name, with what they are differentiated by, and a point."""

from __future__ import annotations

from typing import Any

import numpy as np

import symdiff as sd

EPS = np.finfo(float).eps
# Two orders of the same few operations on numbers near 1, in matrices of at most 36 columns.
CLOSE = {"rtol": 256 * EPS, "atol": 256 * EPS}

x, X, A = sd.vector("x", 6), sd.matrix("X", 4, 5), sd.matrix("A", 3, 6)
p, L = sd.vector("p", 5), sd.array("L", (7,), dtype="int64")
SYMBOLS = [x, X, A, p, L]
INDEX = np.array([0, 2, 2, 5, -1, 3, 0])
MASK = np.where(np.arange(18).reshape(3, 6) % 4 == 0, 1.5, 0.0)
_rng = np.random.default_rng(20)
POINT = [_rng.standard_normal(6), _rng.standard_normal((4, 5)), _rng.standard_normal((3, 6)), _rng.random(5), INDEX]


def laplacian(u: Any) -> Any:
    return u[1:-1, 2:] + u[1:-1, :-2] + u[2:, 1:-1] + u[:-2, 1:-1] - 4 * u[1:-1, 1:-1]


def padded(u: Any) -> Any:
    y = sd.concatenate([np.zeros(1), u, np.ones(1)])
    return y[2:] - 2 * y[1:-1] + y[:-2]


PATTERNS: dict[str, tuple[Any, Any]] = {
    "square": (x**2, x),
    "shift": (x[1:] * x[:-1], x),
    "reversed": (x[::-1] * x, x),
    "steps": (sd.sin(x[::2]) * x[1::2], x),
    "periodic": (sd.concatenate([x[-1:], x[:-1]]) * x, x),
    "padded": (padded(x) * x, x),
    "gather": (sd.exp(x[L]) * x[L[::-1]], x),
    "literal gather": (x[INDEX] ** 2, x),
    "stencil": (laplacian(X * X) * X[1:-1, 1:-1], X),
    "transpose": ((X.T * 2 + 1) ** 2, X),
    "reshape": (X.reshape(20)[3:] ** 2 * X.T.reshape(20)[:-3], X),
    "row sums": (sd.sum(X * p, axis=1) ** 2, X),
    "mean": (sd.mean(x**2) * x, x),
    "mask": (sd.where(sd.arange(6) < 3, x**2, 0 * x), x),
    "zeros in data": (MASK * x, x),
    "where": (sd.where(x > 0, x**2, sd.sin(x)), x),
    "outer": (x[:3, None] * x[None, 3:], x),
    "product": (sd.prod(X, axis=1), X),
    "softmax": (sd.softmax(x), x),
    "scalar": (sd.sum(x * x), x),
    "constant": (A[:, 0], x),
    "entries": (sd.stack([x[0] * x[1], x[2], sd.sin(x[5])]), x),
    "kinks": (sd.abs(x) * sd.maximum(x, 0.3), x),
    "twice": ((lambda d: d[1:] * d[:-1])(x[1:] - x[:-1]), x),
    "cut": ((lambda y: y[2:] * y[:-2])(sd.concatenate([x, x[:2] ** 2])), x),
}
OTHERS: dict[str, tuple[Any, Any]] = {
    "product with data": (MASK @ x, x),
    "product": (sd.tanh(A @ x) * x[:3], x),
    "matrix product": ((A[:, :4] @ X) ** 2, X),
    "data from the left": (MASK[:, :4] @ X, X),
    "data from the right": (X @ MASK.T[:5], X),
    "vector product": (p @ X.T * x[:4], X),
}
SUMS: dict[str, Any] = {
    "chain": (sd.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2), x),
    "grid": (sd.sum((X[1:] - X[:-1]) ** 4) + sd.sum((X[:, 1:] - X[:, :-1]) ** 4), X),
    "linear": (sd.sum(3 * x), x),
    "bilinear": (sd.sum(x[:3] * x[3:]), x),
    "product of sums": (sd.sum(x**2) * sd.sum(sd.sin(x)), x),
    "graph": (sd.sum((x[L[1:]] - x[L[:-1]]) ** 4), x),
    "masked": (sd.sum(MASK * x**3), x),
    "two spaces": (sd.sum(sd.exp(x)) * 2 + sd.sum(x[1:] * x[:-1]) * p[0], x),
    "bending": (sd.sum((x[2:] - 2 * x[1:-1] + x[:-2]) ** 4), x),
    "ends": (sd.sum((x[1:] - x[:-1]) ** 4) + (x[0] - 1) ** 4 + x[5] ** 4, x),
    "row sums": (sd.sum(sd.sum(X * p, axis=1) ** 2), X),
    "periodic": (sd.sum((sd.concatenate([x[1:], x[:1]]) - x) ** 4), x),
    "guarded": (sd.sum(sd.where(x > 0.2, sd.log(sd.where(x > 0.2, x, 1.0)), x**2)), x),
    "windows": (sd.sum(sd.sum(x[np.array([[0, 1, 2], [1, 2, 3], [3, 4, 5]])], axis=1) ** 3), x),
    "product": (sd.sum(sd.log(1 + (A @ x) ** 2)), x),
    "product with data": (sd.sum((MASK @ x) ** 4), x),
}
