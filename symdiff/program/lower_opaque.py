"""Lowering of calls of Python functions: operands lie in memory in C order, the function's address is data."""

from __future__ import annotations

from symdiff.ir.node import Node
from symdiff.program.block import Block, Lowerings
from symdiff.program.ir import Call
from symdiff.program.views import View, write


def _opaque(block: Block, node: Node) -> None:
    views = [_contiguous(block, x) for x in node.args]
    target = block.pool.temp(node.shape, node.dtype)
    operands = (*views, target)
    extents = tuple(d for v in operands[1:] for d in v.shape)
    # How many of the extents belong to each operand.
    ranks = tuple(str(len(v.shape)) for v in operands[1:])
    call = Call("opaque", tuple(map(write, operands)), extents, node.dtype, ranks, node.params["function"])
    block.emit(call, max(block.ready[x] for x in node.args), node, target)


def _contiguous(block: Block, node: Node) -> View:
    view = block.buffered(node)
    if view.is_contiguous():
        return view
    copied = block.pool.temp(node.shape, node.dtype)
    block.copy(view, copied, block.ready[node])
    block.know(node, copied, block.ready[node] + 1)
    return copied


OPAQUE: Lowerings = {"opaque": _opaque}
