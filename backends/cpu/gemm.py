"""gemm: matrix products in blocks on the program's own threads; a block is one call of BLAS, on one thread.

OpenBLAS's threads wait actively for each other: with another process on two cores, a product that takes 0.2 ms took
over 100 ms. Its setting is put back after the product. Blocks depend on sizes only, so the number of threads changes
no result.
"""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from backends.cpu.assembler import Function, Module, Value
from backends.cpu.fortran import Fortran
from backends.cpu.frame import Frame, i64
from backends.cpu.layout import Layout
from backends.emit import F64, I32, I64, POINTER
from symdiff.ir.dims import Extent
from symdiff.program.ir import Access, Call, Member

# Multiplications in a block, some 50 us of work, and the most blocks.
_BLOCK_WORK, _MOST_BLOCKS = 500_000, 64
# Rows or columns of a block come in multiples of BLAS's register tiles; every block packs the other operand again,
# which so many of them outweigh.
_TILE, _LEAST = 8, 192
# Nanoseconds per multiplication and addition on one thread, roughly.
NANOSECONDS = 0.1
SET_THREADS = "openblas.set_num_threads_local"


@dataclass(frozen=True, slots=True)
class Blocks:
    """How a product is cut: `n` blocks of `length` along an axis of extent `extent`: the stack, rows or columns."""

    extent: Value
    length: Value
    n: Value
    is_stack: Value
    is_wide: Value
    work: Value


def blocks_of(frame: Frame, call: Call) -> Blocks:
    """Cut a product along its stack, or the longer side of its result."""
    b = frame.builder
    m, n, k, count = (frame.extent(e) for e in call.extents)
    is_stack, is_wide = b.icmp_signed(">", count, i64(1)), b.icmp_signed(">", n, m)
    extent = b.select(is_stack, count, b.select(is_wide, n, m))
    work = b.mul(b.mul(m, n), b.mul(k, count))
    wanted = frame.minimum(frame.maximum(b.sdiv(work, i64(_BLOCK_WORK)), i64(1)), i64(_MOST_BLOCKS))
    length = frame.maximum(frame.ceil_div(extent, wanted), i64(1))
    tiles = b.and_(b.add(length, i64(_TILE - 1)), i64(-_TILE))
    length = b.select(is_stack, length, frame.maximum(tiles, i64(_LEAST)))
    return Blocks(extent, length, frame.ceil_div(extent, length), is_stack, is_wide, work)


def emit_gemm(module: Module, call: Call, name: str, layout: Layout) -> Function:
    """Emit `void gemm(block, context)`."""
    function = Function(module, ir.FunctionType(ir.VoidType(), [I64, POINTER]), name, internal=True)
    frame = Frame(function, function.args[1], layout)
    _block(frame, call, function.args[0])
    frame.finish()
    return function


def _block(frame: Frame, call: Call, block: Value) -> None:
    """Row-major C = A B is column-major C' = B' A'; the matrices of a stack one after the other."""
    f, b = Fortran(frame, call.dtype), frame.builder
    m, n, k, count = (frame.extent(e) for e in call.extents)
    cut = blocks_of(frame, call)
    start = b.mul(block, cut.length)
    stop = frame.minimum(b.add(start, cut.length), cut.extent)
    size = b.sub(stop, start)
    rows, columns = (b.select(b.or_(cut.is_stack, other), whole, size) for other, whole in (
        (cut.is_wide, m), (b.not_(cut.is_wide), n)))  # fmt: skip
    first_row, first_column = (b.select(b.or_(cut.is_stack, other), i64(0), start) for other in (
        cut.is_wide, b.not_(cut.is_wide)))  # fmt: skip
    x, y, z = call.operands
    (x_t, ldx), (y_t, ldy) = _leading(x), _leading(y)
    starts = [b.gep(frame.base(o.buffer), [frame.extent(o.offset)], source_etype=f.kind) for o in call.operands]
    moves = [
        b.mul(first_row, frame.extent(x.strides[1])),
        b.mul(first_column, frame.extent(y.strides[2])),
        b.add(b.mul(first_row, n), first_column),
    ]
    starts = [f.at(at, move) for at, move in zip(starts, moves, strict=True)]

    def one(i: Value) -> None:
        at_x, at_y, at_z = (
            f.at(at, b.mul(i, frame.extent(o.strides[0]))) for at, o in zip(starts, (x, y, z), strict=True)
        )
        args = [
            "T" if y_t else "N", "T" if x_t else "N", f.integer(columns), f.integer(rows), f.integer(k), f.scalar(1.0),
            at_y, f.size(frame.extent(ldy)), at_x, f.size(frame.extent(ldx)), f.scalar(0.0), at_z, f.size(n),
        ]  # fmt: skip
        f.call("blas", "gemm", args)

    inside = b.icmp_signed(">", b.mul(rows, columns), i64(0))
    first, last = b.select(cut.is_stack, start, i64(0)), b.select(cut.is_stack, stop, count)
    frame.when(inside, lambda: frame.loop(first, last, 1, one))


def emit_rows_of_gemm(module: Module, member: Member, name: str, layout: Layout) -> Function:
    """Emit `void gemm(start, stop, context)`: some rows of the result, or the sum over some of the inner extent.

    A sum is added to what is there.
    """
    function = Function(module, ir.FunctionType(ir.VoidType(), [I64, I64, POINTER]), name, internal=True)
    frame = Frame(function, function.args[2], layout)
    call = member.statement
    assert isinstance(call, Call)
    f, b = Fortran(frame, call.dtype), frame.builder
    start, stop, _ = function.args
    x, y, z = call.operands
    m, n, k = (frame.extent(e) for e in call.extents[:3])
    size = b.sub(stop, start)
    (x_t, ldx), (y_t, ldy) = _leading(x), _leading(y)
    rows = x.strides[2] if member.sums else x.strides[1], y.strides[1] if member.sums else 0, z.strides[1]
    steps = (*rows[:2], 0) if member.sums else rows
    at_x, at_y, at_z = (
        f.at(
            b.gep(frame.base(o.buffer), [frame.extent(o.offset)], source_etype=f.kind), b.mul(start, frame.extent(step))
        )
        for o, step in zip((x, y, z), steps, strict=True)
    )
    outer, inner = (m, size) if member.sums else (size, k)
    args = [
        "T" if y_t else "N", "T" if x_t else "N", f.integer(n), f.integer(outer), f.integer(inner), f.scalar(1.0),
        at_y, f.size(frame.extent(ldy)), at_x, f.size(frame.extent(ldx)), f.scalar(1.0 if member.sums else 0.0),
        at_z, f.size(frame.extent(z.strides[1])),
    ]  # fmt: skip
    frame.when(b.icmp_signed(">", b.mul(outer, n), i64(0)), lambda: f.call("blas", "gemm", args))
    frame.finish()
    return function


def _leading(access: Access) -> tuple[bool, Extent]:
    """(transposed, leading dimension) of matrices with one unit stride."""
    _, row, col = access.strides
    return (False, row) if col == 1 else (True, col)


def nanoseconds(frame: Frame, work: Value) -> Value:
    """A rough cost of a product on one thread."""
    b = frame.builder
    return b.fmul(b.sitofp(work, F64), ir.Constant(F64, NANOSECONDS))


def on_one_thread(frame: Frame) -> Value:
    """Let BLAS work on one thread; returns the number to give back to `restore`."""
    return frame.builder.call(_set_threads(frame), [ir.Constant(I32, 1)])


def restore(frame: Frame, before: Value) -> None:
    """Put BLAS's threads back; a 1 may be what another Python thread has just set, and is left to it."""
    b = frame.builder
    changed = b.icmp_signed("!=", before, ir.Constant(I32, 1))
    frame.when(changed, lambda: b.call(_set_threads(frame), [before]))


def _set_threads(frame: Frame) -> Function:
    return frame.builder.module.declare(SET_THREADS, ir.FunctionType(I32, [I32]))
