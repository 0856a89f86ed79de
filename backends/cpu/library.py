"""Library calls: BLAS and LAPACK through the pointers that SciPy exports.

LAPACK is column-major: a row-major matrix is its own transpose there, so A is factored as A' and solved with
the transposed system; the lower half of a row-major matrix is the upper half of the column-major one.
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from backends.cpu.assembler import Function, Value
from backends.cpu.frame import Frame, i64
from backends.emit import F32, F64, I8, I32, I64, POINTER
from symdiff.ir.dims import Extent
from symdiff.program.ir import Access, Call

Base = Callable[[Access], Value]
_LETTER = {"float64": "d", "float32": "s"}


def emit_call(frame: Frame, call: Call, base: Base) -> None:
    """Emit a library call; `base` gives the address of an operand's first entry."""
    match call.name:
        case "gemm":
            _gemm(frame, call, base)
        case "solve":
            _solve(frame, call, base)
        case "cholesky":
            _cholesky(frame, call, base)


def _number(frame: Frame, value: Value) -> Value:
    """A pointer to a 32-bit integer, as Fortran takes them."""
    slot = frame.alloca(I32)
    frame.builder.store(frame.builder.trunc(value, I32) if value.type == I64 else value, slot)
    return slot


def _letter(frame: Frame, letter: str) -> Value:
    slot = frame.alloca(I8)
    frame.builder.store(ir.Constant(I8, ord(letter)), slot)
    return slot


def _scalar(frame: Frame, value: float, dtype: str) -> Value:
    kind = F64 if dtype == "float64" else F32
    slot = frame.alloca(kind)
    frame.builder.store(ir.Constant(kind, value), slot)
    return slot


def _routine(frame: Frame, name: str, n_args: int) -> Function:
    return frame.builder.module.declare(name, ir.FunctionType(ir.VoidType(), [POINTER] * n_args))


def _leading(access: Access) -> tuple[bool, Extent]:
    """(transposed, leading dimension) of a matrix with one unit stride."""
    row, col = access.strides
    return (False, row) if col == 1 else (True, col)


def _gemm(frame: Frame, call: Call, base: Base) -> None:
    """Row-major C = A B is column-major C' = B' A'."""
    a, b, c = call.operands
    m, n, k = (frame.extent(e) for e in call.extents)
    (a_t, lda), (b_t, ldb) = _leading(a), _leading(b)
    one = i64(1)
    args = [
        _letter(frame, "T" if b_t else "N"),
        _letter(frame, "T" if a_t else "N"),
        _number(frame, n),
        _number(frame, m),
        _number(frame, k),
        _scalar(frame, 1.0, call.dtype),
        base(b),
        _number(frame, frame.maximum(frame.extent(ldb), one)),
        base(a),
        _number(frame, frame.maximum(frame.extent(lda), one)),
        _scalar(frame, 0.0, call.dtype),
        base(c),
        _number(frame, frame.maximum(n, one)),
    ]
    full = frame.builder.icmp_signed(">", frame.builder.mul(m, n), i64(0))
    frame.when(full, lambda: frame.builder.call(_routine(frame, f"blas.{_LETTER[call.dtype]}gemm", 13), args))


def _solve(frame: Frame, call: Call, base: Base) -> None:
    """LU with partial pivoting of A' (the row-major A), then the transposed solve; NaN if a pivot is zero."""
    a, x, pivots = call.operands
    n, columns = (frame.extent(e) for e in call.extents)
    kind = _LETTER[call.dtype]
    b = frame.builder
    info = frame.alloca(I32)
    b.store(ir.Constant(I32, 0), info)
    ld = _number(frame, frame.maximum(n, i64(1)))
    size, nrhs = _number(frame, n), _number(frame, columns)
    # The pivots are 32-bit integers in a buffer of 64-bit words: more room than needed.
    place = base(pivots)

    def run() -> None:
        b.call(_routine(frame, f"lapack.{kind}getrf", 6), [size, size, base(a), ld, place, info])
        singular = b.icmp_signed("!=", b.load(info, typ=I32), ir.Constant(I32, 0))
        args = [_letter(frame, "T"), size, nrhs, base(a), ld, place, base(x), ld, info]
        b.call(_routine(frame, f"lapack.{kind}getrs", 9), args)
        frame.when(singular, lambda: _fill_nan(frame, base(x), b.mul(n, columns), call.dtype))

    frame.when(b.icmp_signed(">", b.mul(n, columns), i64(0)), run)


def _cholesky(frame: Frame, call: Call, base: Base) -> None:
    """Factor in place and clear the strict upper half; NaN if the matrix is not positive definite."""
    (a,) = call.operands
    n = frame.extent(call.extents[0])
    b = frame.builder
    kind = F64 if call.dtype == "float64" else F32
    info = frame.alloca(I32)
    b.store(ir.Constant(I32, 0), info)

    def run() -> None:
        size = _number(frame, n)
        b.call(
            _routine(frame, f"lapack.{_LETTER[call.dtype]}potrf", 5), [_letter(frame, "U"), size, base(a), size, info]
        )

        def clear_row(i: Value) -> None:
            row = b.gep(base(a), [b.mul(i, n)], source_etype=kind)
            frame.loop(
                b.add(i, i64(1)), n, 1,
                lambda j: b.store(ir.Constant(kind, 0.0), b.gep(row, [j], source_etype=kind)),
            )  # fmt: skip

        frame.loop(i64(0), n, 1, clear_row)
        failed = b.icmp_signed("!=", b.load(info, typ=I32), ir.Constant(I32, 0))
        frame.when(failed, lambda: _fill_nan(frame, base(a), b.mul(n, n), call.dtype))

    frame.when(b.icmp_signed(">", n, i64(0)), run)


def _fill_nan(frame: Frame, address: Value, count: Value, dtype: str) -> None:
    kind = F64 if dtype == "float64" else F32
    b = frame.builder
    frame.loop(
        i64(0), count, 1, lambda i: b.store(ir.Constant(kind, float("nan")), b.gep(address, [i], source_etype=kind))
    )
