"""Finite-difference weights, derived in exact rational arithmetic.

Interior weights are central. At a side, the points beyond it (ghosts) are values of the polynomial through the
nearest points that also satisfies the condition there; the polynomial's degree keeps the interior order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

ORDERS = (2, 4, 6, 8)
Closure = tuple[str, float]


def fornberg(z: Fraction, nodes: Sequence[Fraction], m: int) -> tuple[Fraction, ...]:
    """Return the weights of the `m`-th derivative at `z` of the polynomial through values at `nodes`.

    Method: Fornberg 1988, Math. Comp. 51, 699-706.

    >>> [str(w) for w in fornberg(Fraction(0), [Fraction(k) for k in (-1, 0, 1)], 2)]
    ['1', '-2', '1']
    """
    n = len(nodes)
    c = [[Fraction(0)] * (m + 1) for _ in range(n)]
    c[0][0] = Fraction(1)
    c1, c4 = Fraction(1), nodes[0] - z
    for i in range(1, n):
        c2, c5, c4 = Fraction(1), c4, nodes[i] - z
        for j in range(i):
            c3 = nodes[i] - nodes[j]
            c2 *= c3
            if j == i - 1:
                for k in range(min(i, m), -1, -1):
                    lower = k * c[j][k - 1] if k else Fraction(0)
                    c[i][k] = c1 * (lower - c5 * c[j][k]) / c2
            for k in range(min(i, m), -1, -1):
                lower = k * c[j][k - 1] if k else Fraction(0)
                c[j][k] = (c4 * c[j][k] - lower) / c3
        c1 = c2
    return tuple(row[m] for row in c)


def radius(n: int, order: int) -> int:
    """Return how many points on each side the central formula of the `n`-th derivative reaches."""
    return (n + 1) // 2 + order // 2 - 1 if n else 0


@cache
def central(n: int, order: int) -> dict[int, Fraction]:
    """Return {offset: weight} of the central formula for the `n`-th derivative on points of distance 1.

    >>> {k: str(w) for k, w in central(1, 2).items()}
    {-1: '-1/2', 1: '1/2'}
    """
    r = radius(n, order)
    weights = fornberg(Fraction(0), [Fraction(k) for k in range(-r, r + 1)], n)
    return {k: w for k, w in zip(range(-r, r + 1), weights, strict=True) if w}


@dataclass(frozen=True, slots=True)
class Ghost:
    """One point beyond a side: `data` times the given value or slope plus `weights` times the unknowns inwards."""

    data: Fraction
    weights: dict[int, Fraction]


@cache
def dirichlet_ghosts(order: int, count: int) -> tuple[Ghost, ...]:
    """Return the `count` points from the side outwards when the value on the side is given; the first is that value.

    Derivation: the polynomial of degree order + 1 through the value at 0 and the unknowns at 1, 2, …, evaluated
    at -1, -2, …: the error h**(order + 2) leaves a truncation error h**order in second derivatives.
    """
    nodes = [Fraction(k) for k in range(order + 2)]
    out = [Ghost(Fraction(1), {})]
    for j in range(1, count):
        w = fornberg(Fraction(-j), nodes, 0)
        out.append(Ghost(w[0], {k - 1: w[k] for k in range(1, len(w)) if w[k]}))
    return tuple(out[:count])


@cache
def slope_ghosts(order: int, count: int) -> tuple[Ghost, ...]:
    """Return the `count` points outwards when the outward derivative on the side is given; `data` multiplies h * slope.

    Derivation: with the unknowns at 0, 1, …, order - 1 and one ghost at -1, the derivative weights w at 0 give
    sum_k w_k u_k = -h * slope (outwards is towards negative k), solved for u_-1; the further ghosts lie on the
    same polynomial. Order 2 is the classical u_-1 = u_1 + 2*h*slope. The truncation error h**(order - 1) of second
    derivatives on the side itself keeps the solution's order (Gustafsson 1975).
    """
    ks = list(range(-1, order))
    w = fornberg(Fraction(0), [Fraction(k) for k in ks], 1)
    first = Ghost(-1 / w[0], {k: -w[k + 1] / w[0] for k in range(order) if w[k + 1]})
    out = [first]
    for j in range(2, count + 1):
        v = fornberg(Fraction(-j), [Fraction(k) for k in ks], 0)
        total = {k: v[k + 1] + v[0] * first.weights.get(k, Fraction(0)) for k in range(order)}
        out.append(Ghost(v[0] * first.data, {k: c for k, c in total.items() if c}))
    return tuple(out[:count])


def symbol(n: int, order: int, theta: np.ndarray) -> np.ndarray:
    """Return the Fourier symbol of the central `n`-th derivative on points of distance 1: sum_k w_k exp(i k theta)."""
    total = np.zeros_like(theta, dtype=complex)
    for k, w in central(n, order).items():
        total += float(w) * np.exp(1j * k * theta)
    return total


def closed_matrix(n: int, order: int, sides: tuple[Closure, Closure], size: int) -> np.ndarray:
    """Return the matrix of the `n`-th derivative on `size` unknowns between two sides, points of distance 1.

    A side is ("value", 0), whose unknowns start one point inside, or ("slope", a), the condition du/dn = a*u.
    """
    pad = radius(n, order)
    ext = np.zeros((size + 2 * pad, size))
    ext[pad : pad + size] = np.eye(size)
    for side, (kind, a) in enumerate(sides):
        ghosts = dirichlet_ghosts(order, pad) if kind == "value" else slope_ghosts(order, pad)
        for j, ghost in enumerate(ghosts):
            row = pad - 1 - j if side == 0 else pad + size + j
            for k, w in ghost.weights.items():
                ext[row, k if side == 0 else size - 1 - k] += float(w)
            if kind == "slope":
                ext[row, 0 if side == 0 else size - 1] += float(ghost.data) * a
    out = np.zeros((size, size))
    for k, w in central(n, order).items():
        out += float(w) * ext[pad + k : pad + k + size]
    return out
