"""Explicit Runge-Kutta methods as data that assert their own consistency.

    k_i = f(t + c_i h, u + h sum_j a_ij k_j),    u <- u + h sum_i b_i k_i

Their order conditions are checked in exact numbers when the module is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

Row = tuple[Fraction, ...]


@dataclass(frozen=True, slots=True)
class Tableau:
    """A Butcher tableau in exact numbers. Raises AssertionError when it does not have the order it claims, up to 4."""

    name: str
    order: int
    a: tuple[Row, ...]
    b: Row
    source: str

    def __post_init__(self) -> None:
        assert all(len(row) == i for i, row in enumerate(self.a)), f"{self.name}: row i has i entries"
        assert len(self.a) == len(self.b), f"{self.name}: one row for each weight"
        for need, got, tree in self._conditions():
            assert need == got, f"{self.name}: order condition {tree} gives {got}, not {need}"

    @property
    def c(self) -> Row:
        """The nodes: the row sums, so that a stage's time fits its value."""
        return tuple(sum(row, Fraction(0)) for row in self.a)

    def _conditions(self) -> list[tuple[Fraction, Fraction, str]]:
        """The order conditions up to the claimed order, those of order 5 left out (Butcher 1963)."""
        a, b, c, s = self._full(), self.b, self.c, range(len(self.b))
        ac = [sum((a[i][j] * c[j] for j in s), Fraction(0)) for i in s]
        ac2 = [sum((a[i][j] * c[j] ** 2 for j in s), Fraction(0)) for i in s]
        aac = [sum((a[i][j] * ac[j] for j in s), Fraction(0)) for i in s]

        def total(values: list[Fraction]) -> Fraction:
            return sum((w * v for w, v in zip(b, values, strict=True)), Fraction(0))

        rows = [
            (1, Fraction(1), [Fraction(1) for _ in s], "sum b"),
            (2, Fraction(1, 2), list(c), "sum b c"),
            (3, Fraction(1, 3), [x**2 for x in c], "sum b c^2"),
            (3, Fraction(1, 6), ac, "sum b a c"),
            (4, Fraction(1, 4), [x**3 for x in c], "sum b c^3"),
            (4, Fraction(1, 8), [x * y for x, y in zip(c, ac, strict=True)], "sum b c a c"),
            (4, Fraction(1, 12), ac2, "sum b a c^2"),
            (4, Fraction(1, 24), aac, "sum b a a c"),
        ]
        return [(need, total(values), tree) for order, need, values, tree in rows if order <= self.order]

    def _full(self) -> list[list[Fraction]]:
        return [[*row, *[Fraction(0)] * (len(self.b) - len(row))] for row in self.a]

    def polynomial(self) -> tuple[Fraction, ...]:
        """Return the coefficients of the stability polynomial R(z) = 1 + sum_k z**(k+1) b A**k 1, lowest first.

        >>> [str(c) for c in RK4.polynomial()]
        ['1', '1', '1/2', '1/6', '1/24']
        """
        a, s = self._full(), range(len(self.b))
        power = [Fraction(1) for _ in s]
        out = [Fraction(1)]
        for _ in s:
            out.append(sum((w * p for w, p in zip(self.b, power, strict=True)), Fraction(0)))
            power = [sum((a[i][j] * power[j] for j in s), Fraction(0)) for i in s]
        return tuple(out)


def _row(text: str) -> Row:
    return tuple(Fraction(x) for x in text.split())


def _rows(*rows: str) -> tuple[Row, ...]:
    return tuple(map(_row, rows))


EULER = Tableau("euler", 1, _rows(""), _row("1"), "Euler 1768")
HEUN = Tableau("heun", 2, _rows("", "1"), _row("1/2 1/2"), "Heun 1900")
SSPRK3 = Tableau("ssprk3", 3, _rows("", "1", "1/4 1/4"), _row("1/6 1/6 2/3"), "Shu & Osher 1988")
RK4 = Tableau("rk4", 4, _rows("", "1/2", "0 1/2", "0 0 1"), _row("1/6 1/3 1/3 1/6"), "Kutta 1901")
# Of the pair of orders 5 and 4; the seventh stage, at the result, is the first one of the next step.
DORMAND_PRINCE = Tableau(
    "rk45",
    5,
    _rows(
        "",
        "1/5",
        "3/40 9/40",
        "44/45 -56/15 32/9",
        "19372/6561 -25360/2187 64448/6561 -212/729",
        "9017/3168 -355/33 46732/5247 49/176 -5103/18656",
    ),
    _row("35/384 0 500/1113 125/192 -2187/6784 11/84"),
    "Dormand & Prince 1980",
)
# Weights of the seven stages: of the difference of both results, and of the value in the middle of a step to order 4
# (Shampine 1986).
DORMAND_PRINCE_ERROR = _row("71/57600 0 -71/16695 71/1920 -17253/339200 22/525 -1/40")
DORMAND_PRINCE_MIDDLE = _row(
    "6025192743/60171106304 0 51252292925/130801643196 -2691868925/90256659456 187940372067/3189068634112 "
    "-1776094331/39487288512 11237099/470086768"
)
TABLEAUX = {method.name: method for method in (EULER, HEUN, SSPRK3, RK4)}
