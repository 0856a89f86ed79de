"""Initialisers: where the parameters of a layer begin, with the names and formulas of `torch.nn.init`.

An initialiser is a function of a random generator and a shape. Fans are PyTorch's: of a weight (out, in, *places)
fan_in = in * places and fan_out = out * places.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from symdiff.ir.errors import DomainError, ShapeError

Initialiser = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def constant(value: float) -> Initialiser:
    """Fill with one number."""
    return lambda random, shape: np.full(shape, float(value))


def uniform(low: float, high: float) -> Initialiser:
    """Draw from the interval [low, high)."""
    return lambda random, shape: random.uniform(low, high, shape)


def normal(std: float = 1.0) -> Initialiser:
    """Draw from the normal distribution of mean 0 and this standard deviation."""
    return lambda random, shape: std * random.standard_normal(shape)


def xavier_uniform(gain: float = 1.0) -> Initialiser:
    """Draw from [-a, a), a = gain sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, equation 16)."""
    return lambda random, shape: _within(random, shape, gain * math.sqrt(6 / sum(fans(shape))))


def xavier_normal(gain: float = 1.0) -> Initialiser:
    """Draw with standard deviation gain sqrt(2 / (fan_in + fan_out)) (Glorot & Bengio 2010, equation 12)."""
    return lambda random, shape: gain * math.sqrt(2 / sum(fans(shape))) * random.standard_normal(shape)


def kaiming_uniform(a: float = 0.0, mode: str = "fan_in") -> Initialiser:
    """Draw from [-b, b), b = sqrt(6 / ((1 + a²) fan)), for ReLU with slope `a` below 0 (He et al. 2015)."""
    return lambda random, shape: _within(random, shape, math.sqrt(6 / ((1 + a * a) * _fan(shape, mode))))


def kaiming_normal(a: float = 0.0, mode: str = "fan_in") -> Initialiser:
    """Draw with standard deviation sqrt(2 / ((1 + a²) fan)) (He et al. 2015, equations 10 and 14).

    >>> draw = kaiming_normal()(np.random.default_rng(5), (400, 50))
    >>> round(float(draw.std()), 2)  # sqrt(2 / 50)
    0.2
    """
    return lambda random, shape: math.sqrt(2 / ((1 + a * a) * _fan(shape, mode))) * random.standard_normal(shape)


def orthogonal(gain: float = 1.0) -> Initialiser:
    """Return a matrix with orthonormal rows or columns, times gain (Saxe, McClelland & Ganguli 2013)."""

    def draw(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        rows, columns = shape[0], math.prod(shape[1:])
        q, r = np.linalg.qr(random.standard_normal((max(rows, columns), min(rows, columns))))
        # QR alone prefers some matrices: with the signs of R's diagonal every orthogonal one is equally likely.
        q = q * np.sign(np.diag(r))
        return gain * (q if rows >= columns else q.T).reshape(shape)

    return draw


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return (fan_in, fan_out) of a weight (out, in, *places). Raises ShapeError for fewer than two axes."""
    if len(shape) < 2 or not math.prod(shape):
        raise ShapeError(f"This initialiser is for a weight (out, in, …) with entries, got shape {shape}.")
    places = math.prod(shape[2:])
    return shape[1] * places, shape[0] * places


def _fan(shape: tuple[int, ...], mode: str) -> int:
    if mode not in ("fan_in", "fan_out"):
        raise DomainError(f"An initialiser's mode is 'fan_in' or 'fan_out', got {mode!r}.")
    return fans(shape)[mode == "fan_out"]


def _within(random: np.random.Generator, shape: tuple[int, ...], bound: float) -> np.ndarray:
    return random.uniform(-bound, bound, shape)
