"""Library calls: which routines run a `Call`. Products are in `gemm`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from backends.cpu import gemm, lapack, orthogonal
from backends.cpu.assembler import Value
from backends.cpu.banded import banded_solve
from backends.cpu.fortran import Base, Fortran
from backends.cpu.frame import Frame, i64
from backends.cpu.python_call import emit_python_call
from symdiff.program.ir import Call

# Entries of a matrix from which on its threads help a routine. OpenBLAS starts them for a 5 x 5 matrix with 5 right
# sides already, and on a busy machine a barrier of theirs costs milliseconds.
_SHARED = 512 * 512


def emit_call(frame: Frame, call: Call, base: Base) -> None:
    """Emit a library call; `base` gives the address of an operand's first entry."""
    if call.name == "opaque":
        emit_python_call(frame, call, base)
        return
    fortran = Fortran(frame, call.dtype)
    extents = [frame.extent(e) for e in call.extents]
    operands = [base(a) for a in call.operands]
    run = _ROUTINES[call.name]
    # Empty matrices have no entries to compute, and LAPACK does not want to hear of them.
    points = extents[1]
    for e in extents[2:]:
        points = frame.builder.mul(points, e)

    def each() -> None:
        fortran.each(extents[0], lambda k: run(fortran, k, extents[1:], operands, call.flags))

    def alone() -> None:
        before = gemm.on_one_thread(frame)
        each()
        gemm.restore(frame, before)

    b = frame.builder
    some, small = b.icmp_signed(">", points, i64(0)), b.icmp_signed("<", points, i64(_SHARED))
    frame.when(b.and_(some, small), alone)
    frame.when(b.icmp_signed(">=", points, i64(_SHARED)), each)


_Routine = Callable[[Fortran, Value, list[Value], list[Value], tuple[str, ...]], None]
# One matrix of a stack: (its number, extents, addresses of the operands, flags).
_ROUTINES: Mapping[str, _Routine] = {
    "cholesky": lapack.cholesky,
    "lu": lapack.lu,
    "lu_solve": lapack.lu_solve,
    "triangular_solve": lapack.triangular_solve,
    "banded_solve": banded_solve,
    "adjugate": lapack.adjugate,
    "eigh": orthogonal.eigh,
    "qr": orthogonal.qr,
}
