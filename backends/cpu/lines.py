"""Functions that go through an array line by line, for what is no nest: recurrences and sorting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from backends.cpu.assembler import Function, Value
from backends.cpu.frame import Frame, i64
from backends.emit import POINTER
from symdiff.ir.dims import Shape
from symdiff.program.ir import Call

Emit = Callable[[Frame, Call], None]


def call_own_function(frame: Frame, call: Call, emit: Emit) -> None:
    """Emit a function of the context for one statement, and its call.

    The addresses of buffers may change between statements; inside the function they are read once.
    """
    module = frame.builder.module
    name = f"{call.name}{sum(1 for known in module.globals if known.startswith(call.name))}"
    function = Function(module, ir.FunctionType(ir.VoidType(), [POINTER]), name, internal=True)
    inner = Frame(function, function.args[0], frame.layout)
    emit(inner, call)
    inner.finish()
    frame.builder.call(function, [frame.context])


def each_line(frame: Frame, extents: Shape, body: Callable[[list[Value]], Any]) -> None:
    """Emit loops over `extents` around `body`, which gets the indices; recursion goes to their number."""

    def loops(indices: list[Value]) -> None:
        depth = len(indices)
        if depth == len(extents):
            body(indices)
        else:
            frame.loop(i64(0), frame.extent(extents[depth]), 1, lambda i: loops([*indices, i]))

    loops([])


def while_(frame: Frame, condition: Callable[[], Value], body: Callable[[], Any]) -> None:
    """Emit while condition: body()."""
    b = frame.builder
    test, turn, after = (frame.function.append_basic_block(n) for n in ("test", "turn", "after"))
    b.branch(test)
    b.position_at_end(test)
    b.cbranch(condition(), turn, after)
    b.position_at_end(turn)
    body()
    b.branch(test)
    b.position_at_end(after)
