"""Visits: `void visit(0, context)` computes a piece of a sweep on a slab, several planes next to each other.

Rows have at least as many points as there are lanes. No vector is masked: they are aligned as the rows of rings are,
and the first and the last one of a row are moved inside it, so a few points are computed twice.
"""

from __future__ import annotations

from llvmlite import ir

from backends.cpu.assembler import Function, Module, Value
from backends.cpu.body import Body, emission_order
from backends.cpu.frame import Frame, i64
from backends.cpu.layout import Words
from backends.cpu.memory import Point
from backends.cpu.nest import lanes_for
from backends.emit import I64, POINTER
from symdiff.program.ir import Nest

# The word with the number of points between the last aligned one and the first one of a row.
PHASE = "phase"


def emit_visit(module: Module, nest: Nest, name: str, words: Words) -> Function:
    """Emit the function of a nest over the points of planes."""
    function = Function(module, ir.FunctionType(ir.VoidType(), [I64, POINTER]), name, internal=True)
    frame = Frame(function, function.args[1], words)
    width = lanes_for(nest, module.machine)
    body = Body(frame, nest, width, emission_order(nest, module.machine))
    b, extent = frame.builder, frame.extent(nest.space[-1])
    begin, last = b.neg(frame.word(words.size_word(PHASE))), b.sub(extent, i64(width))

    def loops(outer: list[Value]) -> None:
        depth = len(outer)
        if depth < len(nest.space) - 1:
            frame.loop(i64(0), frame.extent(nest.space[depth]), 1, lambda i: loops([*outer, i]))
            return
        fixed = body.hoist(outer)

        def turn(i: Value) -> None:
            body.run_at(Point([*outer, frame.maximum(frame.minimum(i, last), i64(0))]), fixed)

        frame.loop(begin, extent, width, turn)

    loops([])
    frame.finish()
    return function
