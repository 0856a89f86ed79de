"""Library calls: which routines run a `Call`. Products here; factorisations in `lapack` and `orthogonal`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from backends.cpu import lapack, orthogonal
from backends.cpu.assembler import Value
from backends.cpu.fortran import Base, Fortran
from backends.cpu.frame import Frame, i64
from backends.cpu.python_call import emit_python_call
from symdiff.ir.dims import Extent
from symdiff.program.ir import Access, Call


def emit_call(frame: Frame, call: Call, base: Base) -> None:
    """Emit a library call; `base` gives the address of an operand's first entry."""
    if call.name == "opaque":
        emit_python_call(frame, call, base)
        return
    fortran = Fortran(frame, call.dtype)
    if call.name == "gemm":
        _gemm(fortran, call, base)
        return
    extents = [frame.extent(e) for e in call.extents]
    operands = [base(a) for a in call.operands]
    run = _ROUTINES[call.name]
    # Empty matrices have no entries to compute, and LAPACK does not want to hear of them.
    points = extents[1]
    for e in extents[2:]:
        points = frame.builder.mul(points, e)
    frame.when(
        frame.builder.icmp_signed(">", points, i64(0)),
        lambda: fortran.each(extents[0], lambda k: run(fortran, k, extents[1:], operands, call.flags)),
    )


_Routine = Callable[[Fortran, Value, list[Value], list[Value], tuple[str, ...]], None]
# One matrix of a stack: (its number, extents, addresses of the operands, flags).
_ROUTINES: Mapping[str, _Routine] = {
    "cholesky": lapack.cholesky,
    "lu": lapack.lu,
    "lu_solve": lapack.lu_solve,
    "triangular_solve": lapack.triangular_solve,
    "adjugate": lapack.adjugate,
    "eigh": orthogonal.eigh,
    "qr": orthogonal.qr,
}


def _leading(access: Access) -> tuple[bool, Extent]:
    """(transposed, leading dimension) of matrices with one unit stride."""
    row, col = access.strides[-2:]
    return (False, row) if col == 1 else (True, col)


def _gemm(f: Fortran, call: Call, base: Base) -> None:
    """Row-major C = A B is column-major C' = B' A'; the matrices of a stack one after the other."""
    frame = f.frame
    a, b, _ = call.operands
    m, n, k, count = (frame.extent(e) for e in call.extents)
    (a_t, lda), (b_t, ldb) = _leading(a), _leading(b)
    starts = [base(x) for x in call.operands]
    steps = [frame.extent(x.strides[0]) for x in call.operands]

    def one(i: Value) -> None:
        at_a, at_b, at_c = (f.at(x, frame.builder.mul(i, s)) for x, s in zip(starts, steps, strict=True))
        args = [
            "T" if b_t else "N", "T" if a_t else "N", f.integer(n), f.integer(m), f.integer(k), f.scalar(1.0),
            at_b, f.size(frame.extent(ldb)), at_a, f.size(frame.extent(lda)), f.scalar(0.0), at_c, f.size(n),
        ]  # fmt: skip
        f.call("blas", "gemm", args)

    full = frame.builder.icmp_signed(">", frame.builder.mul(m, n), i64(0))
    frame.when(full, lambda: f.each(count, one))
