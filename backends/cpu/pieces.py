"""pieces: the functions of a body that `split` has cut, and their calls.

Each is a `void piece(context, frame of slots[, mask], index...)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from llvmlite import ir

from backends.cpu.assembler import Builder, Function, Value
from backends.cpu.body import Body
from backends.cpu.frame import Frame, i64
from backends.cpu.memory import Point
from backends.cpu.phases import phases, wants_assembler
from backends.cpu.split import Split, operands, split
from backends.cpu.straight import assemble
from backends.emit import I1, I8, I64, POINTER, SCALAR
from symdiff.program.ir import Nest, Store


def cut(frame: Frame, nest: Nest, width: int, name: str, order: Sequence[tuple[int, ...]]) -> _Pieces | None:
    """Emit the functions of a long body; None if the body is short."""
    target = frame.builder.module.machine
    plan = phases(nest, order, width, target) if wants_assembler(nest, target) else None
    plan = split(nest, order) if plan is None else plan
    if plan is None:
        return None
    kinds = [POINTER, POINTER, *([ir.VectorType(I1, width)] if width > 1 else []), *[I64] * len(nest.space)]
    signature = ir.FunctionType(ir.VoidType(), kinds)
    functions = []
    waiting: dict[int, list[Store]] = {}
    elsewhere = {*plan.direct, *plan.late}
    for s in nest.stores:
        if s in elsewhere:
            continue
        waiting.setdefault(s.value, []).append(s)
    n_slots = plan.n_slots
    for c in range(len(plan.chunks)):
        if c in plan.assembled:
            function, size = assemble(frame, nest, plan, width, c, f"{name}_piece{c}")
            n_slots = max(n_slots, size)
            functions.append(function)
            continue
        function = Function(frame.builder.module, signature, f"{name}_piece{c}", internal=True)
        # A piece that LLVM put back into its caller would undo the cut.
        function.attributes += ["noinline", "nounwind"]
        _Piece(frame, function, nest, plan, width, c).emit(waiting)
        functions.append(function)
    return _Pieces(nest, replace(plan, n_slots=n_slots), width, tuple(functions))


def _slot(builder: Builder, base: Value, slot: int, width: int) -> Value:
    return builder.gep(base, [i64(slot * 8 * width)], source_etype=I8)


def _kind(dtype: str, width: int) -> ir.Type:
    # A flag is a mask of 64 bits: so the assembler has it in a register.
    scalar = I64 if dtype == "bool" else SCALAR[dtype]
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
                        value = b.sext(value, _kind("bool", width))
                    b.store(value, _slot(b, self.slots, plan.slots[k], width), align=1)
        self.frame.finish()

    def _need(self, values: Sequence[int], known: set[int], order: list[tuple[int, ...]]) -> None:
        """Have values of earlier chunks at hand: read their slots, or compute them again."""
        for a in values:
            if a not in known:
                known.add(a)
                if a in self.plan.repeated:
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
        slots = frame.memory(self.plan.n_slots * 8 * self.width)
        mask = [] if self.width == 1 else [point.mask or body.lanes.const(1, "bool")]
        for c, function in enumerate(self.functions):
            b.call(function, [frame.context, slots, *([] if c in self.plan.assembled else (*mask, *point.indices))])
        values: dict[int, Value] = {}
        for k in dict.fromkeys([*(r.value for r in self.nest.reductions), *self.plan.awaited]):
            if k in self.plan.slots:
                body.know(k, _load(body, slots, self.plan.slots[k], self.nest.body[k].dtype))
            else:
                body.compute([(k,)], point)
            values[k] = body.value(k)
        for s in self.plan.late:
            body.store(s, point)
        return values
