"""Calls of Fortran routines: BLAS and LAPACK through the pointers that SciPy exports. All arguments are pointers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from backends.cpu.assembler import Value
from backends.cpu.frame import Frame, i64
from backends.emit import F32, F64, I8, I32, I64, POINTER
from symdiff.program.ir import Access

Base = Callable[[Access], Value]
_LETTER = {"float64": "d", "float32": "s"}


class Fortran:
    """Emits calls of routines for one kind of numbers, and small loops around them."""

    def __init__(self, frame: Frame, dtype: str):
        self.frame, self.dtype = frame, dtype
        self.kind: ir.Type = F64 if dtype == "float64" else F32
        self.info = frame.alloca(I32)

    def call(self, room: str, routine: str, args: Sequence[Any]) -> None:
        """Call `blas.dgemm` for room "blas" and routine "gemm"; letters stand for themselves."""
        b = self.frame.builder
        passed = [self._letter(a) if isinstance(a, str) else a for a in args]
        signature = ir.FunctionType(ir.VoidType(), [POINTER] * len(passed))
        b.call(b.module.declare(f"{room}.{_LETTER[self.dtype]}{routine}", signature), passed)

    def lapack(self, routine: str, args: Sequence[Any]) -> Value:
        """Call a LAPACK routine, `info` added as its last argument; returns whether it has failed."""
        b = self.frame.builder
        b.store(ir.Constant(I32, 0), self.info)
        self.call("lapack", routine, [*args, self.info])
        return b.icmp_signed("!=", b.load(self.info, typ=I32), ir.Constant(I32, 0))

    def _letter(self, letter: str) -> Value:
        slot = self.frame.alloca(I8)
        self.frame.builder.store(ir.Constant(I8, ord(letter)), slot)
        return slot

    def integer(self, value: Value) -> Value:
        """A pointer to a 32-bit integer."""
        b = self.frame.builder
        slot = self.frame.alloca(I32)
        b.store(b.trunc(value, I32) if value.type == I64 else value, slot)
        return slot

    def size(self, value: Value) -> Value:
        """A pointer to a leading dimension, which is at least 1."""
        return self.integer(self.frame.maximum(value, i64(1)))

    def scalar(self, value: float) -> Value:
        """A pointer to a number."""
        slot = self.frame.alloca(self.kind)
        self.frame.builder.store(self.number(value), slot)
        return slot

    def number(self, value: float) -> ir.Constant:
        """A literal."""
        return ir.Constant(self.kind, value)

    def at(self, base: Value, index: Value) -> Value:
        """The address of an entry."""
        return self.frame.builder.gep(base, [index], source_etype=self.kind)

    def get(self, base: Value, index: Value) -> Value:
        """An entry."""
        return self.frame.builder.load(self.at(base, index), typ=self.kind)

    def put(self, base: Value, index: Value, value: Any) -> None:
        """Write an entry."""
        self.frame.builder.store(value, self.at(base, index))

    def each(self, count: Value, body: Callable[[Value], Any]) -> None:
        """for i in range(count): body(i)."""
        self.frame.loop(i64(0), count, 1, body)

    def fill(self, base: Value, count: Value, value: float) -> None:
        """Write one number everywhere."""
        self.each(count, lambda i: self.put(base, i, self.number(value)))

    def is_not_finite(self, columns: Value, column: Callable[[Value], tuple[Value, Value, Value]]) -> Value:
        """Whether a matrix has an infinity or NaN; `column(j)` is (its address, first and last row that count)."""
        b = self.frame.builder
        total = self.frame.alloca(self.kind)
        b.store(self.number(0.0), total)

        def check(j: Value) -> None:
            base, first, last = column(j)

            def add(i: Value) -> None:
                # 0 * inf is NaN, and NaN stays.
                nothing = b.fmul(self.get(base, i), self.number(0.0))
                b.store(b.fadd(b.load(total, typ=self.kind), nothing), total)

            self.frame.loop(first, last, 1, add)

        self.each(columns, check)
        value = b.load(total, typ=self.kind)
        return b.fcmp_unordered("!=", value, value)
