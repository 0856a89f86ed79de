"""Linear systems with few diagonals: Gaussian elimination with partial pivoting along the band.

LAPACK's gbsv calls four BLAS routines for every row, which for 3 or 5 diagonals is most of its time; here the loops
over a row have known lengths and are written out.

A row i of the work array holds the columns i - lower … i + upper + lower: exchanges of rows bring in up to `lower`
more above the diagonal. Zero rows behind the matrix, and zero right-hand sides, spare all questions at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from backends.cpu.assembler import Value
from backends.cpu.fortran import Fortran
from backends.cpu.frame import i64
from backends.emit import I64


def banded_solve(
    f: Fortran, k: Value, extents: Sequence[Value], operands: Sequence[Value], flags: tuple[str, ...]
) -> None:
    """Solve in place; NaN if a pivot is zero. Operands: diagonals (lower + upper + 1, n), columns, work."""
    lower, upper = map(int, flags)
    _Banded(f, extents, lower, upper).solve(k, operands)


class _Banded:
    """Emits the elimination for one system."""

    def __init__(self, f: Fortran, extents: Sequence[Value], lower: int, upper: int):
        self.f, self.lower, self.upper = f, lower, upper
        self.n, self.columns = extents
        self.width = 2 * lower + upper + 1
        self.singular = f.frame.alloca(I64)

    def solve(self, k: Value, operands: Sequence[Value]) -> None:
        """Emit the whole solution of system `k` of a stack."""
        f, b = self.f, self.f.frame.builder
        count = self.lower + self.upper + 1
        self.bands = f.at(operands[0], b.mul(k, b.mul(self.n, i64(count))))
        rows = b.add(self.n, i64(count - 1))
        self.x = f.at(operands[1], b.mul(k, b.mul(rows, self.columns)))
        self.work = operands[2]
        b.store(i64(0), self.singular)
        f.fill(self.work, b.mul(b.add(self.n, i64(self.lower)), i64(self.width)), 0.0)
        f.fill(f.at(self.x, b.mul(self.n, self.columns)), b.mul(self.columns, i64(count - 1)), 0.0)
        f.each(self.n, self._fill)
        f.each(self.n, self._eliminate)
        last = b.sub(self.n, i64(1))
        f.each(self.n, lambda turn: self._substitute(b.sub(last, turn)))
        is_singular = b.icmp_signed("!=", b.load(self.singular, typ=I64), i64(0))
        f.frame.when(is_singular, lambda: f.fill(self.x, b.mul(self.n, self.columns), float("nan")))

    def _row(self, i: Value) -> Value:
        """The address of the entry of row i on the main diagonal."""
        b = self.f.frame.builder
        return self.f.at(self.work, b.add(b.mul(i, i64(self.width)), i64(self.lower)))

    def _fill(self, i: Value) -> None:
        """Copy row i of the matrix; what the diagonals hold outside of it counts as zero."""
        f, b = self.f, self.f.frame.builder
        row = self._row(i)
        for d in range(-self.lower, self.upper + 1):
            j = b.add(i, i64(d))
            inside = b.icmp_unsigned("<", j, self.n)
            value = f.get(self.bands, b.add(b.mul(self.n, i64(d + self.lower)), i))
            f.put(row, i64(d), b.select(inside, value, f.number(0.0)))

    def _eliminate(self, i: Value) -> None:
        """Bring the largest entry of column i to row i, and subtract that row from those below."""
        f, b = self.f, self.f.frame.builder
        here = self._row(i)
        below = [self._row(b.add(i, i64(q))) for q in range(1, self.lower + 1)]
        heads = [self._size(f.get(row, i64(-q))) for q, row in enumerate([here, *below])]
        best, place = heads[0], i64(0)
        for q, size in enumerate(heads[1:], 1):
            larger = b.fcmp_ordered(">", size, best)
            best, place = b.select(larger, size, best), b.select(larger, i64(q), place)
        zero = b.fcmp_unordered("==", best, f.number(0.0))  # also if an entry is NaN
        f.frame.when(zero, lambda: b.store(i64(1), self.singular))
        if self.lower:
            f.frame.when(b.icmp_signed("!=", place, i64(0)), lambda: self._exchange(i, place))
        pivot = f.get(here, i64(0))
        for q, row in enumerate(below, 1):
            factor = b.fdiv(f.get(row, i64(-q)), pivot)
            for j in range(1, self.lower + self.upper + 1):
                f.put(row, i64(j - q), self._less(f.get(row, i64(j - q)), factor, f.get(here, i64(j))))
            self._each_column(b.add(i, i64(q)), i, lambda own, other, factor=factor: self._less(own, factor, other))

    def _exchange(self, i: Value, place: Value) -> None:
        """Exchange row i with the row `place` further, from column i on."""
        f, b = self.f, self.f.frame.builder
        p = b.add(i, place)
        here, there = self._row(i), f.at(self._row(p), b.sub(i64(0), place))
        for j in range(self.lower + self.upper + 1):
            mine, other = f.get(here, i64(j)), f.get(there, i64(j))
            f.put(here, i64(j), other)
            f.put(there, i64(j), mine)

        def column(c: Value) -> None:
            at = [b.add(b.mul(r, self.columns), c) for r in (i, p)]
            mine, other = (f.get(self.x, a) for a in at)
            f.put(self.x, at[0], other)
            f.put(self.x, at[1], mine)

        f.each(self.columns, column)

    def _substitute(self, i: Value) -> None:
        """x_i = (b_i - sum over j > i of a_ij x_j) / a_ii."""
        f, b = self.f, self.f.frame.builder
        row = self._row(i)
        entries = [f.get(row, i64(j)) for j in range(self.lower + self.upper + 1)]

        def column(c: Value) -> None:
            at = b.add(b.mul(i, self.columns), c)
            value = f.get(self.x, at)
            for j, entry in enumerate(entries[1:], 1):
                value = self._less(value, entry, f.get(self.x, b.add(at, b.mul(self.columns, i64(j)))))
            f.put(self.x, at, b.fdiv(value, entries[0]))

        f.each(self.columns, column)

    def _each_column(self, to: Value, other: Value, value: Callable[..., Value]) -> None:
        f, b = self.f, self.f.frame.builder

        def column(c: Value) -> None:
            own, given = (b.add(b.mul(r, self.columns), c) for r in (to, other))
            f.put(self.x, own, value(f.get(self.x, own), f.get(self.x, given)))

        f.each(self.columns, column)

    def _size(self, x: Value) -> Value:
        b = self.f.frame.builder
        return b.select(b.fcmp_ordered("<", x, self.f.number(0.0)), b.fneg(x), x)

    def _less(self, x: Value, factor: Value, y: Value) -> Value:
        b = self.f.frame.builder
        return b.fsub(x, b.fmul(factor, y))


__all__ = ["banded_solve"]
