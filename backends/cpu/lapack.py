"""Triangular factors by LAPACK: LU, Cholesky, solves with them, and the adjugate.

Every routine does one matrix of a stack. Matrices lie column by column, except that `cholesky` and the triangle of
`triangular_solve` lie row by row, which LAPACK sees as their transposes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from backends.cpu.assembler import Value
from backends.cpu.fortran import Fortran
from backends.cpu.frame import i64
from backends.emit import I32, I64

Values = Sequence[Value]


def cholesky(f: Fortran, k: Value, extents: Values, operands: Values, flags: tuple[str, ...]) -> None:
    """Factor in place and clear the strict upper half; NaN if the matrix is not positive definite."""
    b = f.frame.builder
    (n,) = extents
    count = b.mul(n, n)
    a = f.at(operands[0], b.mul(k, count))
    failed = f.lapack("potrf", ["U", f.integer(n), a, f.size(n)])

    def clear_row(i: Value) -> None:
        row = f.at(a, b.mul(i, n))
        f.frame.loop(b.add(i, i64(1)), n, 1, lambda j: f.put(row, j, f.number(0.0)))

    f.each(n, clear_row)
    f.frame.when(failed, lambda: f.fill(a, count, float("nan")))


def lu(f: Fortran, k: Value, extents: Values, operands: Values, flags: tuple[str, ...]) -> None:
    """Factor the first n rows of an (n + 1)×n matrix in place; the last row gets each row's partner, from 0."""
    b = f.frame.builder
    (n,) = extents
    rows = b.add(n, i64(1))
    a, partners = f.at(operands[0], b.mul(k, b.mul(rows, n))), operands[1]
    f.lapack("getrf", [f.integer(n), f.integer(n), a, f.integer(rows), partners])

    def note(i: Value) -> None:
        partner = b.load(b.gep(partners, [i], source_etype=I32), typ=I32)
        from_zero = b.sitofp(b.sub(partner, ir.Constant(I32, 1)), f.kind)
        f.put(a, b.add(b.mul(i, rows), n), from_zero)

    f.each(n, note)


def lu_solve(f: Fortran, k: Value, extents: Values, operands: Values, flags: tuple[str, ...]) -> None:
    """Solve in place with the factors of `lu`; NaN if a pivot is zero."""
    b = f.frame.builder
    n, columns = extents
    rows = b.add(n, i64(1))
    a, partners = f.at(operands[0], b.mul(k, b.mul(rows, n))), operands[2]
    count = b.mul(n, columns)
    x = f.at(operands[1], b.mul(k, count))
    singular = f.frame.alloca(I64)
    b.store(i64(0), singular)

    def recall(i: Value) -> None:
        column = b.mul(i, rows)
        partner = b.fptosi(f.get(a, b.add(column, n)), I32)
        b.store(b.add(partner, ir.Constant(I32, 1)), b.gep(partners, [i], source_etype=I32))
        zero = b.fcmp_ordered("==", f.get(a, b.add(column, i)), f.number(0.0))
        f.frame.when(zero, lambda: b.store(i64(1), singular))

    f.each(n, recall)
    how = "T" if "transposed" in flags else "N"
    f.lapack("getrs", [how, f.integer(n), f.integer(columns), a, f.integer(rows), partners, x, f.size(n)])
    is_singular = b.icmp_signed("!=", b.load(singular, typ=I64), i64(0))
    f.frame.when(is_singular, lambda: f.fill(x, count, float("nan")))


def triangular_solve(f: Fortran, k: Value, extents: Values, operands: Values, flags: tuple[str, ...]) -> None:
    """Solve in place; NaN if the diagonal has a zero."""
    b = f.frame.builder
    n, columns = extents
    a = f.at(operands[0], b.mul(k, b.mul(n, n)))
    count = b.mul(n, columns)
    x = f.at(operands[1], b.mul(k, count))
    half, how = "U" if "lower" in flags else "L", "N" if "transposed" in flags else "T"
    unit = "U" if "unit" in flags else "N"
    failed = f.lapack("trtrs", [half, how, unit, f.integer(n), f.integer(columns), a, f.size(n), x, f.size(n)])
    f.frame.when(failed, lambda: f.fill(x, count, float("nan")))


def adjugate(f: Fortran, k: Value, extents: Values, operands: Values, flags: tuple[str, ...]) -> None:
    """adj(A) = det(P) adj(U) L^-1 P from A = P' L U; no division, so A may be singular of any rank."""
    b = f.frame.builder
    (n,) = extents
    start = b.mul(k, b.mul(n, n))
    a, out, partners = f.at(operands[0], start), f.at(operands[1], start), operands[2]
    f.lapack("getrf", [f.integer(n), f.integer(n), a, f.integer(n), partners])
    sign = f.scalar(1.0)

    def count_exchange(i: Value) -> None:
        moved = b.icmp_signed("!=", _partner(f, partners, i), i)
        f.put(sign, i64(0), b.select(moved, b.fneg(f.get(sign, i64(0))), f.get(sign, i64(0))))

    f.each(n, count_exchange)
    f.each(n, lambda j: _adjugate_column(f, n, a, out, j, f.get(sign, i64(0))))
    ld = f.integer(n)
    f.call("blas", "trsm", ["R", "L", "N", "U", ld, ld, f.scalar(1.0), a, ld, out, ld])

    def exchange(turn: Value) -> None:
        i = b.sub(b.sub(n, i64(1)), turn)
        left, right = (f.at(out, b.mul(c, n)) for c in (i, _partner(f, partners, i)))
        f.call("blas", "swap", [ld, left, f.integer(i64(1)), right, f.integer(i64(1))])

    f.each(n, exchange)


def _partner(f: Fortran, partners: Value, i: Value) -> Value:
    b = f.frame.builder
    return b.sub(b.zext(b.load(b.gep(partners, [i], source_etype=I32), typ=I32), I64), i64(1))


def _adjugate_column(f: Fortran, n: Value, u: Value, out: Value, j: Value, sign: Value) -> None:
    """Column j of adj(U), by the recurrence of `symdiff.ops.determinant._adjugate_upper`."""
    b, frame = f.frame.builder, f.frame
    column = f.at(out, b.mul(j, n))

    def entry(i: Value, c: Value) -> Value:
        return f.get(u, b.add(b.mul(c, n), i))

    f.fill(column, n, 0.0)
    f.put(column, j, f.number(1.0))
    total, product = frame.alloca(f.kind), frame.alloca(f.kind)

    def back(turn: Value) -> None:
        i = b.sub(b.sub(j, i64(1)), turn)
        b.store(entry(i, j), total)  # c_j is 1

        def horner(step: Value) -> None:
            c = b.sub(b.sub(j, i64(1)), step)
            first = b.fmul(entry(i, c), f.get(column, c))
            b.store(b.fadd(first, b.fmul(entry(c, c), b.load(total, typ=f.kind))), total)

        f.each(b.sub(turn, i64(0)), horner)
        f.put(column, i, b.fneg(b.load(total, typ=f.kind)))

    f.each(j, back)
    b.store(sign, product)

    def multiply(i: Any) -> None:
        b.store(b.fmul(b.load(product, typ=f.kind), entry(i, i)), product)

    frame.loop(b.add(j, i64(1)), n, 1, multiply)

    def scale(i: Value) -> None:
        f.put(column, i, b.fmul(f.get(column, i), b.load(product, typ=f.kind)))
        multiply(i)

    f.each(b.add(j, i64(1)), scale)
