"""Recurrences: y_k = a_k y_(k-1) + b_k along the last axis but one, for every line and every inner index.

Along contiguous memory (no inner axis) the last y stays in a register and numbers follow one another; with an
inner axis its entries run in lanes.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from backends.cpu.assembler import Value
from backends.cpu.calls import lanes
from backends.cpu.frame import Frame, i64
from backends.cpu.lines import each_line
from backends.cpu.memory import Memory, Point
from backends.emit import I64, SCALAR, Lanes, emit_native
from symdiff.program.ir import ITEMSIZE, Access, Call


def emit_recurrence(frame: Frame, call: Call) -> None:
    """Emit the loops of a recurrence; its operands are [a,] b, y over (lines..., k, inner)."""
    emitter = _Emitter(frame, call)
    line = emitter.one_by_one if call.extents[-1] == 1 else emitter.in_lanes
    n = frame.extent(call.extents[-2])
    frame.when(
        frame.builder.icmp_signed(">", n, i64(0)),
        lambda: each_line(frame, call.extents[:-2], lambda indices: line(indices, n)),
    )


class _Emitter:
    """Emits one line."""

    def __init__(self, frame: Frame, call: Call):
        self.frame, self.call = frame, call
        *factor, self.b, self.y = call.operands
        self.a: Access | None = factor[0] if factor else None

    def _next(self, wide: Lanes, memory: Memory, before: Any, point: Point) -> Any:
        dtype = self.call.dtype
        total = before
        if self.a is not None:
            total = emit_native("mul", (memory.load(self.a, point), before), dtype, wide)
        return emit_native("add", (total, memory.load(self.b, point)), dtype, wide)

    def one_by_one(self, line: list[Value], n: Value) -> None:
        """A line whose entries follow one another."""
        frame, b = self.frame, self.frame.builder
        one = lanes(b, 1)
        memory = Memory(frame, one)
        kind = SCALAR[self.call.dtype]
        last = frame.alloca(kind)
        start = Point([*line, i64(0), i64(0)])
        first = memory.load(self.b, start)
        memory.store(first, self.y, start)
        b.store(first, last)

        def turn(k: Value) -> None:
            point = Point([*line, k, i64(0)])
            value = self._next(one, memory, b.load(last, typ=kind), point)
            memory.store(value, self.y, point)
            b.store(value, last)

        frame.loop(i64(1), n, 1, turn)

    def in_lanes(self, line: list[Value], n: Value) -> None:
        """A line of rows: row k from row k - 1, which is still in the cache."""
        width = self.frame.builder.module.machine.lanes_f64 * (8 // ITEMSIZE[self.call.dtype])
        wide = lanes(self.frame.builder, width)
        memory = Memory(self.frame, wide)

        def first(point: Point) -> Any:
            return memory.load(self.b, point)

        def following(point: Point) -> Any:
            before = Point([*line, self.frame.builder.sub(point.indices[-2], i64(1)), point.indices[-1]], point.mask)
            return self._next(wide, memory, memory.load(self.y, before), point)

        self._row(memory, [*line, i64(0)], first)
        self.frame.loop(i64(1), n, 1, lambda k: self._row(memory, [*line, k], following))

    def _row(self, memory: Memory, outer: list[Value], value: Any) -> None:
        frame, b = self.frame, self.frame.builder
        width = memory.lanes.width
        m = frame.extent(self.call.extents[-1])
        whole = b.and_(m, i64(-width))

        def turn(j: Value, mask: Any = None) -> None:
            point = Point([*outer, j], mask)
            memory.store(value(point), self.y, point)

        frame.loop(i64(0), whole, width, turn)
        lane = ir.Constant(ir.VectorType(I64, width), [i64(k) for k in range(width)])

        def tail() -> None:
            turn(whole, b.icmp_signed("<", lane, memory.lanes.splat(b.sub(m, whole))))

        frame.when(b.icmp_signed("<", whole, m), tail)
