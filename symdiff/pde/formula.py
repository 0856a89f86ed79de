"""Formulas along one axis as what they do to a mode: their Fourier symbols, and their matrices between two sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.pde import stencils
from symdiff.pde.ghosts import ghosts


@dataclass(frozen=True, slots=True, order=True)
class Closure:
    """What is given on one side: outward derivatives of these `orders` (0 is the value), of kind "value" or "slope".

    `feedback` has the derivatives of what is given by the field itself, times h**order: du/dn = a*u is (h*a,).
    """

    kind: str
    orders: tuple[int, ...]
    feedback: tuple[float, ...]


VALUE, SLOPE = Closure("value", (0,), (0.0,)), Closure("slope", (1,), (0.0,))


@dataclass(frozen=True, slots=True, order=True)
class Formula:
    """A formula along one axis, for points of distance 1.

    "central": the `n`-th derivative; "flux": D of the `n`-th derivative in the middles; "biased": the first derivative
    of order `accuracy` with more points to the side `direction`.
    """

    kind: str
    n: int
    direction: int = 0
    accuracy: int = 0

    @property
    def degree(self) -> int:
        """The power of the spacing that divides the formula."""
        return self.n + 1 if self.kind == "flux" else 1 if self.kind == "biased" else self.n

    def symbol(self, order: int, theta: np.ndarray) -> np.ndarray:
        """Return the factor by which it multiplies the mode exp(i*k*theta)."""
        if self.kind == "flux":
            middles = _summed(stencils.half(1, order), theta) * np.exp(-1j * theta / 2)
            return middles * _summed(stencils.half(self.n, order), theta) * np.exp(-1j * theta / 2)
        if self.kind == "biased":
            return _summed(stencils.biased(self.accuracy or order, self.direction), theta)
        return stencils.symbol(self.n, order, theta)

    def matrix(
        self, order: int, sides: tuple[Closure, Closure], points: int, at: tuple[int, int] | None = None
    ) -> np.ndarray:
        """Return the matrix on the unknowns of a line of `points` between two sides, which count.

        Its rows are the points of the line but for `at` of them at both ends, if left out those that are unknown.
        """
        pad = max(order, self.accuracy) + 2
        first = _given(sides)
        beyond = stencils.beside_leaning(self.accuracy or order) if self.kind == "biased" else (order, order)
        line = _extended(beyond, sides, points, pad)
        lower, upper = first if at is None else at
        if self.kind == "flux":
            return _flux_matrix(line, self.n, order, points, pad)[lower : points - upper]
        if self.kind == "biased":
            weights = stencils.biased(self.accuracy or order, self.direction)
        else:
            weights = stencils.central(self.n, order)
        return _applied(weights, line, pad, points)[lower : points - upper]


def _summed(weights: Mapping[int, Any], theta: np.ndarray) -> np.ndarray:
    total = np.zeros_like(theta, dtype=complex)
    for k, w in weights.items():
        total += float(w) * np.exp(1j * k * theta)
    return total


def _applied(weights: Mapping[int, Any], line: np.ndarray, start: int, size: int) -> np.ndarray:
    out = np.zeros((size, line.shape[1]))
    for k, w in weights.items():
        out += float(w) * line[start + k : start + k + size]
    return out


def _given(sides: tuple[Closure, Closure]) -> tuple[int, int]:
    """Return 1 for each side on which the value is given, else 0."""
    return int(sides[0].kind == "value"), int(sides[1].kind == "value")


def _extended(orders: tuple[int, int], sides: tuple[Closure, Closure], points: int, pad: int) -> np.ndarray:
    """Return the rows of all grid points and `pad` points beyond each end, as combinations of the unknowns.

    `orders` are those of the points beyond sides of given value and slope.
    """
    first = _given(sides)
    size = points - sum(first)
    line = np.zeros((points + 2 * pad, size))
    line[pad + first[0] : pad + first[0] + size] = np.eye(size)
    for end, closure in enumerate(sides):
        rows = line if end == 0 else line[::-1]
        inner = pad + first[end]
        order = orders[0] if closure.kind == "value" else orders[1]
        for j, ghost in enumerate(ghosts(closure, order, pad + first[end])):
            row = rows[inner - 1 - j]
            for k, w in ghost.weights.items():
                row += float(w) * rows[inner + k]
            for c, a in zip(ghost.data, closure.feedback, strict=True):
                row += float(c) * a * rows[pad]
    return line


def _flux_matrix(line: np.ndarray, n: int, order: int, points: int, pad: int) -> np.ndarray:
    reach = order // 2
    inside = _applied(stencils.half(n, order), line, pad, points - 1)
    central = stencils.central(n, order)
    beyond = []
    for end, place in ((0, pad), (1, pad + points - 1)):
        here, rows = _applied(central, line, place, 1)[0], inside if end == 0 else inside[::-1]
        found = stencils.flux_ghosts(order, reach)
        beyond.append([float(g.data) * here + sum(float(w) * rows[k] for k, w in g.weights.items()) for g in found])
    middles = np.concatenate([np.array(beyond[0][::-1]), inside, np.array(beyond[1])])
    # Row j of the middles is the one behind the point j - reach.
    return _applied(stencils.half(1, order), middles, reach - 1, points)
