"""Combining the partial results of a nest's blocks, in order: `void combine(n_blocks, context)`."""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from backends.cpu.assembler import Function, Module, Value
from backends.cpu.calls import lanes
from backends.cpu.frame import Frame, i64
from backends.cpu.layout import Words
from backends.cpu.memory import Memory, Point
from backends.emit import I64, POINTER, SCALAR, emit_native
from symdiff.program.ir import Access, Buffer, Nest, Reduce

COMBINE = {"sum": "add", "log1p": "add", "prod": "mul", "max": "max", "min": "min"}
_IDENTITY = {"sum": 0, "prod": 1, "log1p": 0}


def in_rows(nest: Nest) -> bool:
    """Whether a block's partial result is a row (the innermost loop is kept) and not a number."""
    return bool(nest.space) and len(nest.space) - 1 not in nest.reduced


def identity(reduce: Reduce) -> float | int:
    """The neutral element of a reduction."""
    if reduce.op in _IDENTITY:
        return _IDENTITY[reduce.op]
    low = reduce.op == "max"
    if reduce.dtype == "int64":
        return -(2**63) if low else 2**63 - 1
    return float("-inf") if low else float("inf")


def emit_combine(module: Module, nest: Nest, partials: Sequence[Buffer], name: str, layout: Words) -> Function:
    """Emit the function that combines the partial results of the blocks, in order, into the results."""
    function = Function(module, ir.FunctionType(ir.VoidType(), [I64, POINTER]), name, internal=True)
    frame = Frame(function, function.args[1], layout)
    for r, buffer in zip(nest.reductions, partials, strict=True):
        (_combine_rows if in_rows(nest) else _combine_numbers)(frame, nest, r, buffer, function.args[0])
    frame.finish()
    return function


def _combine_numbers(frame: Frame, nest: Nest, r: Reduce, partial: Buffer, n_blocks: Value) -> None:
    b = frame.builder
    one = lanes(b, 1)
    memory = Memory(frame, one)
    total = frame.alloca(SCALAR[r.dtype])
    b.store(one.const(identity(r), r.dtype), total)

    def add(i: Value) -> None:
        part = memory.load(Access(partial, 0, (1,)), Point([i]))
        b.store(emit_native(COMBINE[r.op], (b.load(total, typ=SCALAR[r.dtype]), part), r.dtype, one), total)

    frame.loop(i64(0), n_blocks, 1, add)
    rank = len(nest.space)
    memory.store(b.load(total, typ=SCALAR[r.dtype]), r.access, Point([i64(0)] * rank))


def _combine_rows(frame: Frame, nest: Nest, r: Reduce, partial: Buffer, n_blocks: Value) -> None:
    b = frame.builder
    one = lanes(b, 1)
    memory = Memory(frame, one)
    rank = len(nest.space)
    slot = frame.alloca(SCALAR[r.dtype])

    def column(i: Value) -> None:
        b.store(one.const(identity(r), r.dtype), slot)

        def add(k: Value) -> None:
            part = memory.load(Access(partial, 0, (partial.shape[1], 1)), Point([k, i]))
            b.store(emit_native(COMBINE[r.op], (b.load(slot, typ=SCALAR[r.dtype]), part), r.dtype, one), slot)

        frame.loop(i64(0), n_blocks, 1, add)
        memory.store(b.load(slot, typ=SCALAR[r.dtype]), r.access, Point([*[i64(0)] * (rank - 1), i]))

    frame.loop(i64(0), frame.extent(nest.space[-1]), 1, column)
