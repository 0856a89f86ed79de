"""Diagonally implicit Runge-Kutta methods, alone and together with an explicit one, as data that check themselves.

    u_i = u + h sum_j<=i a_ij L(u_j) + h sum_j<i e_ij N(u_j),    i = 1 … s,    u_0 = u

The result is u + h sum_j a_sj L(u_j) + h sum_j e_j N(u_j) with the last row of e. Coefficients with roots are
floats, so the order conditions are checked up to rounding errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Row = tuple[float, ...]
_ROUNDING = 1e-14  # of sums of a dozen products of numbers near 1


@dataclass(frozen=True, slots=True)
class DiagonalTableau:
    """Row i of `a` has the factors of stages 1 … i; its last row is also that of the result.

    `explicit`, for two parts, has one row of factors of stages 0 … i - 1 for every stage and one for the result.
    Raises AssertionError when the table does not have the order it claims, at most 3.
    """

    order: int
    a: tuple[Row, ...]
    source: str
    explicit: tuple[Row, ...] = ()

    def __post_init__(self) -> None:
        assert all(len(row) == i for i, row in enumerate(self.a, 1)), f"{self.source}: row i has i entries"
        assert len({row[-1] for row in self.a}) == 1, f"{self.source}: one diagonal entry"
        for need, got in self._conditions():
            assert abs(need - got) < _ROUNDING, f"{self.source}: an order condition gives {got}, not {need}"

    @property
    def c(self) -> Row:
        """The nodes of stages 1 … s."""
        return tuple(float(sum(row)) for row in self.a)

    def _parts(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The matrix over stages 0 … s and the result's row, for each part."""
        s = len(self.a)
        implicit = np.zeros((s + 1, s + 1))
        for i, row in enumerate(self.a, 1):
            implicit[i, 1 : i + 1] = row
        out = [(implicit, implicit[-1])]
        if self.explicit:
            both = np.zeros((s + 2, s + 1))
            for i, row in enumerate(self.explicit, 1):
                both[i, : len(row)] = row
            out.append((both[:-1], both[-1]))
        return out

    def _conditions(self) -> list[tuple[float, float]]:
        """The order conditions, whose factors may each be of either part (Kennedy & Carpenter 2003)."""
        parts = self._parts()
        c = parts[0][0].sum(axis=1)
        out = [(0.0, float(np.abs(a.sum(axis=1) - c).max())) for a, _ in parts]
        for _, b in parts:
            rows = [(1, 1.0, b.sum()), (2, 1 / 2, b @ c), (3, 1 / 3, b @ c**2)]
            rows += [(3, 1 / 6, b @ a @ c) for a, _ in parts]
            out += [(need, float(got)) for order, need, got in rows if order <= self.order]
        return out

    def amplification(self, z: np.ndarray, explicit: Any = 0.0) -> np.ndarray:
        """Return the factor of a step for u' = (lambda + mu)*u, `z` = h*lambda implicit and `explicit` = h*mu."""
        one = np.ones(np.broadcast(z, explicit).shape, dtype=complex)
        stages = [one]
        parts = self._parts()
        for i in range(1, len(self.a) + 1):
            factors = [z * parts[0][0][i, j] for j in range(i)]
            if self.explicit:
                factors = [f + explicit * parts[1][0][i, j] for j, f in enumerate(factors)]
            known = sum((f * u for f, u in zip(factors, stages, strict=True)), start=one)
            stages.append(known / (1 - z * parts[0][0][i, i]))
        rows = [z * w for w in parts[0][1]]
        if self.explicit:
            rows = [r + explicit * w for r, w in zip(rows, parts[1][1], strict=True)]
        return sum((r * u for r, u in zip(rows, stages, strict=True)), start=one)


_G2 = float(1 - 1 / np.sqrt(2))
# The root of g**3 - 3 g**2 + 3 g/2 - 1/6 for which the method is L-stable.
_G3 = 0.43586652150845899942
_D2 = 1 - 1 / (2 * _G2)

SDIRK2 = DiagonalTableau(2, ((_G2,), (1 - _G2, _G2)), "Alexander 1977, 2 stages")
SDIRK3 = DiagonalTableau(
    3,
    ((_G3,), ((1 - _G3) / 2, _G3), (-(6 * _G3**2 - 16 * _G3 + 1) / 4, (6 * _G3**2 - 20 * _G3 + 5) / 4, _G3)),
    "Alexander 1977, 3 stages",
)
IMEX_EULER = DiagonalTableau(1, ((1.0,),), "forward and backward Euler", ((1.0,), (1.0,)))
IMEX_ARS2 = DiagonalTableau(
    2,
    ((_G2,), (1 - _G2, _G2)),
    "Ascher, Ruuth & Spiteri 1997, (2, 2, 2)",
    ((_G2,), (_D2, 1 - _D2), (_D2, 1 - _D2)),
)
IMEX_ARS3 = DiagonalTableau(
    3,
    ((1 / 2,), (1 / 6, 1 / 2), (-1 / 2, 1 / 2, 1 / 2), (3 / 2, -3 / 2, 1 / 2, 1 / 2)),
    "Ascher, Ruuth & Spiteri 1997, (4, 4, 3)",
    ((1 / 2,), (11 / 18, 1 / 18), (5 / 6, -5 / 6, 1 / 2), (1 / 4, 7 / 4, 3 / 4, -7 / 4), (1 / 4, 7 / 4, 3 / 4, -7 / 4)),
)
