"""python_call: a call of a Python function from machine code; see `symdiff.ir.callback` for its other end."""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from backends.cpu.assembler import Value
from backends.cpu.frame import Frame, i64
from backends.cpu.layout import CALLBACK_FAILED, STATUS
from backends.emit import I64, POINTER
from symdiff.program.ir import Access, Call


def emit_python_call(frame: Frame, call: Call, base: Callable[[Access], Value]) -> None:
    """Call the C function whose address is the first operand's entry; leave the entry point if it reports a failure."""
    pointer, *operands = call.operands
    b = frame.builder
    extents = iter(call.extents)
    words = []
    for operand, rank in zip(operands, call.flags, strict=True):
        words.append(b.ptrtoint(base(operand), I64))
        words += [frame.extent(next(extents)) for _ in range(int(rank))]
    table = frame.alloca(I64, len(words))
    for k, word in enumerate(words):
        b.store(word, b.gep(table, [i64(k)], source_etype=I64))
    function = b.inttoptr(b.load(base(pointer), typ=I64), POINTER)
    status = b.call(function, [table], ir.FunctionType(I64, [POINTER]))
    failed, after = frame.function.append_basic_block("failed"), frame.function.append_basic_block("called")
    b.cbranch(b.icmp_signed("!=", status, i64(0)), failed, after)
    b.position_at_end(failed)
    b.store(i64(CALLBACK_FAILED), frame.word_address(STATUS))
    b.ret_void()
    b.position_at_end(after)
