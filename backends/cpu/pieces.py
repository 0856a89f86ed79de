"""pieces: the functions of a body that `split` has cut, and their calls.

Each is a `void piece(context, frame of slots[, mask], index...)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llvmlite import ir

from backends.cpu.assembler import Builder, Function, Value
from backends.cpu.body import Body
from backends.cpu.frame import Frame, i64
from backends.cpu.memory import Point
from backends.cpu.split import Split, is_repeated, operands, split
from backends.emit import I1, I8, I64, POINTER, SCALAR
from symdiff.program.ir import Nest, Store

# Frames up to this many bytes lie on the stack.
_LARGEST_ON_STACK = 32768


def cut(frame: Frame, nest: Nest, width: int, name: str, order: Sequence[tuple[int, ...]]) -> _Pieces | None:
    """Emit the functions of a long body; None if the body is short."""
    plan = split(nest, order)
    if plan is None:
        return None
    kinds = [POINTER, POINTER, *([ir.VectorType(I1, width)] if width > 1 else []), *[I64] * len(nest.space)]
    signature = ir.FunctionType(ir.VoidType(), kinds)
    functions = []
    waiting: dict[int, list[Store]] = {}
    for s in nest.stores:
        waiting.setdefault(s.value, []).append(s)
    for c in range(len(plan.chunks)):
        function = Function(frame.builder.module, signature, f"{name}_piece{c}", internal=True)
        # A piece that LLVM put back into its caller would undo the cut.
        function.attributes += ["noinline", "nounwind"]
        _Piece(frame, function, nest, plan, width, c).emit(waiting)
        functions.append(function)
    return _Pieces(nest, plan, width, tuple(functions))


def _slot(builder: Builder, base: Value, slot: int, width: int) -> Value:
    return builder.gep(base, [i64(slot * 8 * width)], source_etype=I8)


def _kind(dtype: str, width: int) -> ir.Type:
    scalar = I8 if dtype == "bool" else SCALAR[dtype]
    return ir.VectorType(scalar, width) if width > 1 else scalar


def _load(body: Body, base: Value, slot: int, dtype: str) -> Value:
    b, width = body.frame.builder, body.lanes.width
    value = b.load(_slot(b, base, slot, width), typ=_kind(dtype, width), align=1)
    return b.trunc(value, body.lanes.type("bool")) if dtype == "bool" else value


class _Piece:
    """Emits one function."""

    def __init__(self, parent: Frame, function: Function, nest: Nest, plan: Split, width: int, chunk: int):
        context, self.slots, *rest = function.args
        self.frame = Frame(function, context, parent.layout)
        mask, indices = (rest[0], rest[1:]) if width > 1 else (None, rest)
        self.point = Point(indices, mask)
        self.body = Body(self.frame, nest, width, ())
        self.nest, self.plan, self.chunk = nest, plan, chunk

    def emit(self, waiting: dict[int, list[Store]]) -> None:
        """Emit the chunk, its stores, and the values that go on."""
        plan, body = self.plan, self.body
        known: set[int] = set()
        order: list[tuple[int, ...]] = []
        for group in plan.chunks[self.chunk]:
            self._need([a for k in group for a in operands(self.nest.body[k])], known, order)
            order.append(group)
            known.update(group)
        body.compute(order, self.point)
        for k in [k for k in known if k in waiting]:
            for s in waiting.pop(k):
                body.store(s, self.point)
        b, width = self.frame.builder, body.lanes.width
        for group in plan.chunks[self.chunk]:
            for k in group:
                if k in plan.slots:
                    value = body.value(k)
                    if self.nest.body[k].dtype == "bool":
                        value = b.zext(value, _kind("bool", width))
                    b.store(value, _slot(b, self.slots, plan.slots[k], width), align=1)
        self.frame.finish()

    def _need(self, values: Sequence[int], known: set[int], order: list[tuple[int, ...]]) -> None:
        """Have values of earlier chunks at hand: read their slots, or compute them again."""
        for a in values:
            if a not in known:
                known.add(a)
                if is_repeated(self.nest.body[a]):
                    order.append((a,))
                else:
                    self.body.know(a, _load(self.body, self.slots, self.plan.slots[a], self.nest.body[a].dtype))


@dataclass(frozen=True, slots=True)
class _Pieces:
    """The functions of a nest's body, in the order of their calls."""

    nest: Nest
    plan: Split
    width: int
    functions: tuple[Function, ...]

    def run(self, body: Body, point: Point) -> dict[int, Value]:
        """Emit the calls at a point; returns the values that are reduced."""
        frame, b = body.frame, body.frame.builder
        size = self.plan.n_slots * 8 * self.width + 64
        large = size > _LARGEST_ON_STACK
        if large:
            malloc = b.module.declare("malloc", ir.FunctionType(POINTER, [I64]))
            slots = b.call(malloc, [i64(size)])
        else:
            slots = frame.alloca(I8, size)
        mask = [] if self.width == 1 else [point.mask or body.lanes.const(1, "bool")]
        for function in self.functions:
            b.call(function, [frame.context, slots, *mask, *point.indices])
        values = {}
        for r in self.nest.reductions:
            instr = self.nest.body[r.value]
            if r.value in self.plan.slots:
                values[r.value] = _load(body, slots, self.plan.slots[r.value], instr.dtype)
            else:
                body.compute([(r.value,)], point)
                values[r.value] = body.value(r.value)
        if large:
            b.call(b.module.declare("free", ir.FunctionType(ir.VoidType(), [POINTER])), [slots])
        return values
