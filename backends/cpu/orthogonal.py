"""Orthogonal factors by LAPACK: symmetric eigenvalues, and QR. Every routine does one matrix of a stack.

Matrices lie column by column. Signs that mathematics leaves open are fixed as the primitives say.
"""

from __future__ import annotations

from collections.abc import Sequence

from backends.cpu.assembler import Value
from backends.cpu.fortran import Fortran
from backends.cpu.frame import i64
from symdiff.ops.spectral import LARGE

Values = Sequence[Value]


def eigh(f: Fortran, k: Value, extents: Values, operands: Values, flags: tuple[str, ...]) -> None:
    """Eigenvalues into the first row of an (n + 1)×n matrix whose others hold A and get the vectors."""
    b = f.frame.builder
    (n,) = extents
    rows = b.add(n, i64(1))
    count = b.mul(rows, n)
    packed, work, integers = f.at(operands[0], b.mul(k, count)), operands[1], operands[2]
    a, w, rest = f.at(packed, i64(1)), work, f.at(work, n)
    square = b.mul(n, n)
    size = b.add(b.add(b.mul(square, i64(2)), b.mul(n, i64(6))), i64(1))
    n_integers = b.add(b.mul(n, i64(5)), i64(3))
    args = ["V", "L", f.integer(n), a, f.integer(rows), w, rest, f.integer(size), integers, f.integer(n_integers)]
    lost = f.is_not_finite(n, lambda j: (f.at(a, b.mul(j, rows)), j, n))

    def run() -> None:
        failed = f.lapack("syevd", args)
        f.each(n, lambda j: f.put(packed, b.mul(j, rows), f.get(w, j)))
        f.each(n, lambda j: _fix_sign(f, n, f.at(a, b.mul(j, rows))))
        f.frame.when(failed, lambda: f.fill(packed, count, float("nan")))

    f.frame.when(lost, lambda: f.fill(packed, count, float("nan")))
    f.frame.when(b.not_(lost), run)


def _fix_sign(f: Fortran, n: Value, v: Value) -> None:
    """Make the first entry positive that is large against the largest."""
    b = f.frame.builder
    largest, sign = f.scalar(0.0), f.scalar(0.0)
    zero = i64(0)

    def size(i: Value) -> Value:
        x = f.get(v, i)
        return b.select(b.fcmp_ordered("<", x, f.number(0.0)), b.fneg(x), x)

    def compare(i: Value) -> None:
        s, old = size(i), f.get(largest, zero)
        f.put(largest, zero, b.select(b.fcmp_ordered(">", s, old), s, old))

    def choose(i: Value) -> None:
        # The last one to be written stands, so the search runs backwards.
        at = b.sub(b.sub(n, i64(1)), i)
        is_large = b.fcmp_ordered(">", size(at), b.fmul(f.number(LARGE), f.get(largest, zero)))
        f.put(sign, zero, b.select(is_large, f.get(v, at), f.get(sign, zero)))

    f.each(n, compare)
    f.each(n, choose)
    negative = b.fcmp_ordered("<", f.get(sign, zero), f.number(0.0))
    f.frame.when(negative, lambda: f.each(n, lambda i: f.put(v, i, b.fneg(f.get(v, i)))))


def qr(f: Fortran, k: Value, extents: Values, operands: Values, flags: tuple[str, ...]) -> None:
    """Q over A in the first m rows of an (m + n)×n matrix, R with a non-negative diagonal in the others."""
    b = f.frame.builder
    m, n = extents
    rows = b.add(m, n)
    a, tau = f.at(operands[0], b.mul(k, b.mul(rows, n))), operands[1]
    work = f.at(tau, n)
    shape, ld, size = (f.integer(m), f.integer(n)), f.integer(rows), f.integer(b.mul(n, i64(32)))
    lost = f.is_not_finite(n, lambda j: (f.at(a, b.mul(j, rows)), i64(0), m))
    f.lapack("geqrf", [*shape, a, ld, tau, work, size])

    def move_column(j: Value) -> None:
        column = f.at(a, b.mul(j, rows))
        below = f.at(column, m)

        def move(i: Value) -> None:
            keep = b.icmp_signed("<=", i, j)
            f.put(below, i, b.select(keep, f.get(column, i), f.number(0.0)))

        f.each(n, move)

    f.each(n, move_column)
    f.lapack("orgqr", [*shape, f.integer(n), a, ld, tau, work, size])

    def fix_sign(j: Value) -> None:
        column = f.at(a, b.mul(j, rows))
        row = f.at(a, b.add(m, j))
        negative = b.fcmp_ordered("<", f.get(row, b.mul(j, rows)), f.number(0.0))

        def turn() -> None:
            f.each(m, lambda i: f.put(column, i, b.fneg(f.get(column, i))))
            # What stands left of the diagonal is zero and stays +0.
            f.frame.loop(j, n, 1, lambda c: f.put(row, b.mul(c, rows), b.fneg(f.get(row, b.mul(c, rows)))))

        f.frame.when(negative, turn)

    f.each(n, fix_sign)
    f.frame.when(lost, lambda: f.fill(a, b.mul(rows, n), float("nan")))
