"""Finite-difference weights, derived in exact rational arithmetic.

Interior weights are central. At a side, the points beyond it (ghosts) are values of a polynomial through or near the
closest points that also satisfies the condition there; its degree keeps the order of the solution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import comb

import numpy as np

ORDERS = (2, 4, 6, 8)


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


def half_radius(n: int, order: int) -> int:
    """Return how many points on each side of the middle between two the formula of the `n`-th derivative takes."""
    return n // 2 + order // 2


@cache
def half(n: int, order: int) -> dict[int, Fraction]:
    """Return {offset: weight} of the `n`-th derivative in the middle of the points 0 and 1.

    >>> {k: str(w) for k, w in half(1, 4).items()}
    {-1: '1/24', 0: '-9/8', 1: '9/8', 2: '-1/24'}
    """
    r = half_radius(n, order)
    weights = fornberg(Fraction(1, 2), [Fraction(k) for k in range(1 - r, r + 1)], n)
    return {k: w for k, w in zip(range(1 - r, r + 1), weights, strict=True) if w}


@cache
def biased(order: int, direction: int) -> dict[int, Fraction]:
    """Return {offset: weight} of the first derivative with more points on one side: -1 the lower, +1 the upper one.

    Of the points one (odd orders) or two (even orders) more lie on that side than on the other.

    >>> {k: str(w) for k, w in biased(1, -1).items()}, {k: str(w) for k, w in biased(2, 1).items()}
    ({-1: '-1', 0: '1'}, {0: '-3/2', 1: '2', 2: '-1/2'})
    """
    more = order // 2 + 1
    nodes = range(-more, order - more + 1)
    weights = fornberg(Fraction(0), [Fraction(k) for k in nodes], 1)
    return dict(sorted((-direction * k, -direction * w) for k, w in zip(nodes, weights, strict=True) if w))


# The orders of the points beyond sides of given value and slope that a leaning formula takes. With others, mostly those
# of a higher order, it has modes at sides that grow: that of order 3 with slopes of order 4 by exp(0.85 t/h).
_BESIDE_LEANING = {1: (2, 2), 2: (2, 2), 3: (2, 2), 4: (4, 4), 5: (6, 4), 6: (6, 6), 7: (6, 6), 8: (6, 6)}


def beside_leaning(order: int) -> tuple[int, int]:
    """Return the orders of the points beyond sides of given value and slope for the `biased` formula of an order."""
    return _BESIDE_LEANING[order]


@dataclass(frozen=True, slots=True)
class Ghost:
    """One point beyond a side: `data` times the given value or slope plus `weights` times the unknowns inwards."""

    data: Fraction
    weights: dict[int, Fraction]


# Degree of the polynomial beyond a side with a given value, and the number of unknowns that it is fitted to. A second
# derivative then errs by h**(degree - 1) beside the side, two orders more than the solution does (Gustafsson 1975;
# Svärd & Nordström 2006). Interpolation of a higher degree is more exact, but from degree 6 on its second derivative
# has complex eigenvalues, with which waves grow at every dt; fits to more points than the degree needs have real ones.
# With order 6 a first derivative between given values has no growing mode either.
_FITS = {2: (3, 3), 4: (5, 5), 6: (5, 6), 8: (7, 13)}


def dirichlet_points(order: int) -> int:
    """Return how many unknowns the points beyond a side with a given value are made of."""
    return _FITS[order][1]


@cache
def dirichlet_ghosts(order: int, count: int) -> tuple[Ghost, ...]:
    """Return the `count` points from the side outwards when the value on the side is given; the first is that value.

    Derivation: the polynomial through the value at 0 that fits the unknowns at 1, 2, … best (least squares),
    evaluated at -1, -2, …: q(s) = g + s*r(s) with A r = u - g, A_kp = k**(p+1), so its value at -j is
    g + e (A'A)**-1 A' (u - g) with e_p = (-j)**(p+1).
    """
    degree, points = _FITS[order]
    a = [[Fraction(k) ** p for p in range(1, degree + 1)] for k in range(1, points + 1)]
    normal = [[sum((row[p] * row[q] for row in a), Fraction(0)) for q in range(degree)] for p in range(degree)]
    out = [Ghost(Fraction(1), {})]
    for j in range(1, count):
        r = _solved(normal, [Fraction(-j) ** p for p in range(1, degree + 1)])
        w = [sum((x * y for x, y in zip(row, r, strict=True)), Fraction(0)) for row in a]
        out.append(Ghost(1 - sum(w, Fraction(0)), {k: x for k, x in enumerate(w) if x}))
    return tuple(out[:count])


def _solved(matrix: Sequence[Sequence[Fraction]], b: Sequence[Fraction]) -> list[Fraction]:
    """Return the solution of a positive definite system, by elimination."""
    rows = [[*row, y] for row, y in zip(matrix, b, strict=True)]
    for k, pivot in enumerate(rows):
        for i, row in enumerate(rows):
            if i != k:
                c = row[k] / pivot[k]
                rows[i] = [x - c * y for x, y in zip(row, pivot, strict=True)]
    return [row[-1] / row[k] for k, row in enumerate(rows)]


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


@cache
def free_ghosts(order: int, count: int) -> tuple[Ghost, ...]:
    """Return the `count` points outwards of a field of which all points are known: on the polynomial through them.

    Its degree keeps the interior order; the data have no part in it.
    """
    nodes = [Fraction(k) for k in range(order + 2)]
    found = (fornberg(Fraction(-j), nodes, 0) for j in range(1, count + 1))
    return tuple(Ghost(Fraction(0), {k: w for k, w in enumerate(line) if w}) for line in found)


@cache
def flux_ghosts(order: int, count: int) -> tuple[Ghost, ...]:
    """Return the `count` fluxes in the middles beyond a side, outwards: `data` times the one on the side itself.

    Derivation: the polynomial through the flux on the side, at 0, and those at 1/2, 3/2, …, `order` of them together.
    Order 2 is 2*F(0) - F(1/2): with it the sum of u over the points, half at the sides (the trapezoid rule), changes
    by the fluxes through the sides and nothing else.
    """
    nodes = [Fraction(0), *(Fraction(2 * k + 1, 2) for k in range(order - 1))]
    out = []
    for j in range(count):
        w = fornberg(Fraction(-2 * j - 1, 2), nodes, 0)
        out.append(Ghost(w[0], {k: w[k + 1] for k in range(order - 1) if w[k + 1]}))
    return tuple(out)


@cache
def quadrature(order: int) -> tuple[Fraction, ...]:
    """Return what the weights of the points 0, 1, … from a side inwards differ from 1 in an integral.

    Derivation: the sum over the points differs from the integral by f(0)/2 - sum_k B_2k/(2k)! f^(2k-1)(0) at a side
    (Euler-Maclaurin); the corrections take that away from polynomials of degree order - 2. Order 2 is the trapezoid
    rule.

    >>> [str(w) for w in quadrature(2)], [str(w) for w in quadrature(4)]
    (['-1/2'], ['-5/8', '1/6', '-1/24'])
    """
    n = order - 1
    # sum_j c_j j**m = B_(m+1)/(m+1), with B_1 = -1/2: a combination of the derivatives of the interpolant at 0.
    moments = [_bernoulli(m + 1) / (m + 1) for m in range(n)]
    nodes = [Fraction(j) for j in range(n)]
    factorial, out = Fraction(1), [Fraction(0)] * n
    for m in range(n):
        factorial *= max(m, 1)
        for j, w in enumerate(fornberg(Fraction(0), nodes, m)):
            out[j] += moments[m] / factorial * w
    return tuple(out)


@cache
def _bernoulli(n: int) -> Fraction:
    """Return B_n, with B_1 = -1/2."""
    if n == 0:
        return Fraction(1)
    return -sum((comb(n + 1, k) * _bernoulli(k) for k in range(n)), Fraction(0)) / (n + 1)


def symbol(n: int, order: int, theta: np.ndarray) -> np.ndarray:
    """Return the Fourier symbol of the central `n`-th derivative on points of distance 1: sum_k w_k exp(i k theta)."""
    total = np.zeros_like(theta, dtype=complex)
    for k, w in central(n, order).items():
        total += float(w) * np.exp(1j * k * theta)
    return total
