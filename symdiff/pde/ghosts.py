"""The points beyond a side (ghosts) for every kind of condition there.

A side gives outward derivatives of some orders: 0 for its value, 1 for its slope, two of them where an equation of
third or fourth order needs two conditions. The ghosts lie on a polynomial that has these derivatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Protocol

from symdiff.pde import stencils
from symdiff.pde.stencils import Ghost, fornberg


class Given(Protocol):
    """What a side gives, as `Condition` says."""

    @property
    def kind(self) -> str:
        """What is given: "free" where nothing is."""

    @property
    def orders(self) -> tuple[int, ...]:
        """The orders of the given outward derivatives."""


@dataclass(frozen=True, slots=True)
class Combination:
    """One point beyond a side: `data` times the given h**n * derivatives plus `weights` times the unknowns inwards."""

    data: tuple[Fraction, ...]
    weights: dict[int, Fraction]


def ghosts(condition: Given, order: int, count: int) -> tuple[Combination, ...]:
    """Return the `count` points from a side outwards; where the side has a given value, the first is that value."""
    if condition.kind == "free":
        return tuple(Combination((), g.weights) for g in stencils.free_ghosts(order, count))
    if condition.orders == (0,):
        return _single(stencils.dirichlet_ghosts(order, count))
    if condition.orders == (1,):
        return _single(stencils.slope_ghosts(order, count))
    return _higher(condition.orders, order, count)


def _single(found: Sequence[Ghost]) -> tuple[Combination, ...]:
    return tuple(Combination((g.data,), g.weights) for g in found)


def points(condition: Given, order: int) -> int:
    """Return how many unknowns these points are made of."""
    if condition.kind == "free":
        return order + 2
    if condition.orders == (0,):
        return stencils.dirichlet_points(order)
    # A third derivative errs by two powers of h more than a slope, one of which the solution notices.
    return order + int(max(condition.orders) >= 3)


@cache
def _higher(given: tuple[int, ...], order: int, count: int) -> tuple[Combination, ...]:
    """Return the ghosts that make the outward derivatives of the orders `given` right.

    Derivation: take one ghost as unknown for every given derivative of order 1 and higher. With the unknowns inwards,
    and the value where it is given, they are the nodes of a polynomial whose derivative of order n at the side is
    sum_k w_k u_k = (-1)**n * h**n * data (outwards is towards negative k): as many equations as ghosts. Further ghosts
    lie on the same polynomial. For (0, 1) and order 2 this is u_-1 = 3h*slope - 3/2 u_0 + 3u_1 - u_2/2, from which
    Briley's and Woods's formulas for the vorticity on a wall follow. Measured: in u_xxxx all pairs of orders below 4
    keep the interior order and have real eigenvalues of one sign.
    """
    slopes = [n for n in given if n]
    m, has_value = order + int(max(given) >= 3), 0 in given
    # A row of numbers is a combination of the data, then of the unknowns.
    width = len(given) + m

    def row(entries: dict[int, Fraction]) -> list[Fraction]:
        return [entries.get(k, Fraction(0)) for k in range(width)]

    known = {k: row({len(given) + k - int(has_value): Fraction(1)}) for k in range(int(has_value), m + int(has_value))}
    if has_value:
        known[0] = row({given.index(0): Fraction(1)})
    unknown = list(range(-len(slopes), 0))
    nodes = [Fraction(k) for k in (*unknown, *sorted(known))]
    equations = []
    for n in slopes:
        w = fornberg(Fraction(0), nodes, n)
        right = row({given.index(n): Fraction((-1) ** n)})
        for k, c in zip(sorted(known), w[len(unknown) :], strict=True):
            right = [a - c * b for a, b in zip(right, known[k], strict=True)]
        equations.append([*w[: len(unknown)], *right])
    known |= dict(zip(unknown, _eliminated(equations), strict=True))
    out = [Combination(tuple(known[0][: len(given)]), {})] if has_value else []
    for j in range(1, count + 1):
        w = fornberg(Fraction(-j), nodes, 0)
        total = [sum((c * known[int(k)][i] for k, c in zip(nodes, w, strict=True)), Fraction(0)) for i in range(width)]
        weights = {k: c for k, c in enumerate(total[len(given) :]) if c}
        out.append(Combination(tuple(total[: len(given)]), weights))
    return tuple(out[:count])


def _eliminated(equations: list[list[Fraction]]) -> list[list[Fraction]]:
    """Return the right-hand sides of the solution of as many equations as there are unknowns in front of them."""
    rows = [list(r) for r in equations]
    for k in range(len(rows)):
        rows[k] = [x / rows[k][k] for x in rows[k]]
        for i in range(len(rows)):
            if i != k:
                rows[i] = [x - rows[i][k] * y for x, y in zip(rows[i], rows[k], strict=True)]
    return [r[len(rows) :] for r in rows]
