"""Bodies: the straight-line code of a nest at one point, on lanes.

Values that do not vary along the innermost loop are hoisted: computed once, as scalars, before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from llvmlite import ir

from backends.cpu.assembler import Value
from backends.cpu.calls import lanes
from backends.cpu.frame import Frame
from backends.cpu.interleave import columns, store_columns
from backends.cpu.machine import Machine
from backends.cpu.memory import Memory, Point
from backends.cpu.pack import emit_pack, packs
from backends.emit import emit_native
from symdiff.program.ir import Access, Affine, Const, Guard, Instr, Load, Nest, Op, Store
from symdiff.program.native import NATIVE

# Nanoseconds for one vector of an operation on one thread, roughly; calls of functions take longer than all else.
_WEIGHTS = {"load": 0.5, "div": 3.0, "sqrt": 4.0, "rem": 20.0}
_CALL_WEIGHT = 10.0
# Above this many instructions a body is emitted once, with masks, instead of twice.
LARGE = 150


def body_weight(body: Sequence[Instr]) -> float:
    """Nanoseconds per vector of a body, for deciding about threads."""
    total = 0.3
    for instr in body:
        match instr:
            case Op():
                total += 0.25 if instr.name in NATIVE else _WEIGHTS.get(instr.name, _CALL_WEIGHT)
            case Load():
                total += _WEIGHTS["load"] * (4.0 if instr.access.gathers else 1.0)
    return total


class Body:
    """Emits the instructions of a nest and remembers their values at the current point."""

    def __init__(
        self, frame: Frame, nest: Nest, width: int, order: Sequence[tuple[int, ...]], pieces: Pieces | None = None
    ):
        self.frame, self.nest, self.pieces = frame, nest, pieces
        self.lanes = lanes(frame.builder, width)
        self.memory = Memory(frame, self.lanes)
        self.is_large = len(nest.body) > LARGE
        self._one = Memory(frame, lanes(frame.builder, 1))
        self._order = order
        self._values: dict[int, Value] = {}

    def hoist(self, outer: Sequence[Value]) -> dict[int, Value]:
        """Compute, as scalars, what does not vary along the innermost loop."""
        hoisted: dict[int, Value] = {}
        if self.lanes.width == 1 or self.pieces is not None:
            return hoisted
        point = Point([*outer, ir.Constant(ir.IntType(64), 0)])
        fixed = _invariant(self.nest)
        for k, instr in enumerate(self.nest.body):
            if fixed[k]:
                needed = {a: self.nest.body[a] for a in (instr.args if isinstance(instr, Op) else ())}
                literals = {
                    a: self._one.lanes.const(c.value, c.dtype)
                    for a, c in needed.items()
                    if isinstance(c, Const) and a not in hoisted
                }
                hoisted[k] = self._emit(instr, point, self._one, hoisted | literals)
        return hoisted

    def run_at(self, point: Point, hoisted: dict[int, Value]) -> None:
        """Emit the body and its stores at a point."""
        self._values = {k: self.lanes.splat(v) for k, v in hoisted.items()}
        if self.pieces is not None:
            self._values |= self.pieces.run(self, point)
            return
        self.compute(self._order, point)
        for group in columns(self.nest.stores):
            if len(group) > 1 and self.lanes.width > 1 and point.mask is None:
                store_columns(self.memory, group, [self._values[s.value] for s in group], point)
                continue
            for s in group:
                self.store(s, point)

    def compute(self, order: Sequence[tuple[int, ...]], point: Point) -> None:
        """Emit instructions, in groups that become one call where there are several."""
        body, values = self.nest.body, self._values
        for group in order:
            if len(group) > 1:
                calls = [c for c in (body[k] for k in group) if isinstance(c, Op)]
                args = [[values[a] for a in c.args] for c in calls]
                values |= zip(group, emit_pack(self.frame.builder, calls[0].name, args), strict=True)
            elif group[0] not in values:
                values[group[0]] = self._emit(body[group[0]], point, self.memory, values)

    def store(self, s: Store, point: Point) -> None:
        """Emit one store of the nest."""
        gathered = [self._values[g.value] for g in s.access.gathers]
        value = self._values[s.value]
        if s.add:
            old = self.memory.load(s.access, point, gathered)
            value = emit_native("add", (old, value), s.access.buffer.dtype, self.lanes)
        self.memory.store(value, s.access, point, gathered)

    def know(self, k: int, value: Value) -> None:
        """Enter the value of an instruction that was computed elsewhere."""
        self._values[k] = value

    def value(self, k: int) -> Value:
        """The value of an instruction at the point where the body ran last."""
        return self._values[k]

    def _emit(self, instr: Instr, point: Point, memory: Memory, values: dict[int, Value]) -> Value:
        wide = memory.lanes
        match instr:
            case Load():
                return memory.load(instr.access, point, [values[g.value] for g in instr.access.gathers])
            case Affine():
                return self._guarded(
                    memory.numbers(instr.offset, instr.coefs, point), "int64", instr.guards, point, memory
                )
            case Const():
                return self._guarded(wide.const(instr.value, instr.dtype), instr.dtype, instr.guards, point, memory)
            case Op():
                return emit_native(instr.name, [values[a] for a in instr.args], instr.dtype, wide)

    def _guarded(self, value: Value, dtype: str, guards: Sequence[Guard], point: Point, memory: Memory) -> Value:
        valid = memory.guard(guards, point)
        return value if valid is None else self.frame.builder.select(valid, value, memory.lanes.const(0, dtype))


class Pieces(Protocol):
    """A body that was cut into functions."""

    def run(self, body: Body, point: Point) -> dict[int, Value]:
        """Emit the calls at a point; returns the values that the nest needs afterwards."""


def emission_order(nest: Nest, target: Machine) -> list[tuple[int, ...]]:
    """The order in which a body is emitted, in groups that become one call."""
    return packs(nest.body, target) if not nest.space else [(k,) for k in range(len(nest.body))]


def _invariant(nest: Nest) -> list[bool]:
    """Which instructions have one value along the innermost loop."""
    fixed: list[bool] = []

    def access(a: Access) -> bool:
        return a.strides[-1] == 0 and all(g.coefs[-1] == 0 for g in a.guards) and all(fixed[g.value] for g in a.gathers)

    for instr in nest.body:
        match instr:
            case Load():
                # Memory that this nest writes may change while the loop runs.
                written = any(s.access.buffer == instr.access.buffer for s in nest.stores)
                fixed.append(access(instr.access) and not written)
            case Affine():
                fixed.append(instr.coefs[-1] == 0 and all(g.coefs[-1] == 0 for g in instr.guards))
            case Const():
                fixed.append(False if not instr.guards else all(g.coefs[-1] == 0 for g in instr.guards))
            case Op():
                # Literals are the same at every point: an operation on them alone is as fixed as they are.
                args = [nest.body[a] for a in instr.args]
                bare = [isinstance(x, Const) and not x.guards for x in args]
                fixed.append(all(f or c for f, c in zip((fixed[a] for a in instr.args), bare, strict=True)))
    return fixed
