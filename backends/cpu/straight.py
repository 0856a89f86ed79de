"""straight: the chunks of a body that the assembler writes (see `phases`), as functions of the module."""

from __future__ import annotations

from llvmlite import ir

from backends.cpu.assembler import Function
from backends.cpu.calls import declare
from backends.cpu.frame import Frame
from backends.cpu.machine import vector_function
from backends.cpu.phases import for_assembler
from backends.cpu.registers import LANES
from backends.cpu.split import Split, operands
from backends.cpu.x86 import ON_FLAGS, ON_NUMBERS, Straight
from backends.emit import F64, POINTER
from symdiff.ir.errors import CompileError
from symdiff.program.ir import ITEMSIZE, Access, Const, Load, Nest, Op

_INSTRUCTIONS = ON_NUMBERS | ON_FLAGS | {"where"}


def assemble(frame: Frame, nest: Nest, plan: Split, width: int, chunk: int, name: str) -> tuple[Function, int]:
    """Write a chunk as `void name(context, slots)`; returns it, and how many slots it uses."""
    module = frame.builder.module
    code = Straight(name, width, len(nest.body), plan.n_slots)
    known: set[int] = set()
    for group in plan.chunks[chunk]:
        for k in group:
            for a in operands(nest.body[k]):
                if a not in known:
                    known.add(a)
                    _introduce(code, frame, nest, plan, a)
        known.update(group)
        _emit(code, frame, nest, width, group)
        for k in group:
            if k in plan.slots:
                code.keep(k, plan.slots[k])
    here = {k for group in plan.chunks[chunk] for k in group}
    for s in plan.direct:
        if s.value in here:
            code.write(s.value, *_place(frame, s.access))
    function = Function(module, ir.FunctionType(ir.VoidType(), [POINTER, POINTER]), name)
    function.attributes.append("nounwind")
    module.assembly[name] = code.text()
    return function, code.size


def _introduce(code: Straight, frame: Frame, nest: Nest, plan: Split, value: int) -> None:
    instr = nest.body[value]
    if value not in plan.repeated:
        code.in_slot(value, plan.slots[value])
    elif isinstance(instr, Const):
        code.literal(value, float(instr.value))
    elif isinstance(instr, Load):
        code.in_memory(value, *_place(frame, instr.access))


def _place(frame: Frame, access: Access) -> tuple[int, int]:
    """The word of the context with the buffer's address, and the offset from there in bytes."""
    assert isinstance(access.offset, int)
    return frame.layout.buffer_word(access.buffer), access.offset * ITEMSIZE[access.buffer.dtype]


def _emit(code: Straight, frame: Frame, nest: Nest, width: int, group: tuple[int, ...]) -> None:
    calls = [i for i in (nest.body[k] for k in group) if isinstance(i, Op)]
    first = calls[0]
    if first.name in _INSTRUCTIONS:
        for k, instr in zip(group, calls, strict=True):
            code.operation(k, instr.name, instr.args)
        return
    module, n_args = frame.builder.module, len(first.args)
    vector = len(group) > 1 or width > 1
    symbol: str | None = first.name
    if vector:
        here = for_assembler(module.machine)
        symbol = vector_function(first.name, n_args, LANES, here=here)
        if symbol is None:
            raise CompileError(f"There is no vector function for {first.name}.")
    assert symbol is not None
    declare(module, symbol, ir.VectorType(F64, LANES) if vector else F64, n_args)
    # Per argument, the values of all calls.
    args = [[c.args[j] for c in calls] for j in range(n_args)]
    code.call(group, symbol, args, vector)
