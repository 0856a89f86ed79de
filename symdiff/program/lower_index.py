"""Lowering of views and moves: most views cost nothing, the rest is a copy, a gather or a scatter."""

from __future__ import annotations

from symdiff.ir.node import Node
from symdiff.program.block import Block, Lowerings
from symdiff.program.inplace import scatter_nest
from symdiff.program.views import parts_of, sliced, through, whole


def _view(block: Block, node: Node) -> None:
    """Read the argument through other strides; where that cannot be, move its entries."""
    (arg,) = node.args
    view = through(node, block.view(arg))
    ready = block.ready[arg]
    if view is None and node.op.name == "embed":
        target = block.pool.new(node.shape, node.dtype)
        p = node.params
        place = sliced(whole(target), p["starts"], arg.shape, p["steps"])
        block.copy(block.view(arg), place, ready, (target,))
        view, ready = whole(target), ready + 1
    elif view is None:
        copied = block.pool.temp(arg.shape, arg.dtype)
        block.copy(block.view(arg), copied, ready)
        view, ready = through(node, copied), ready + 1
    assert view is not None
    block.know(node, view, ready)


def _take(block: Block, node: Node) -> None:
    """A gather is read inside the nests that use it."""
    block.buffered(node.args[0])
    block.view(node.args[1])
    block.stage[node] = max(block.ready[a] for a in node.args)


def _concatenate(block: Block, node: Node) -> None:
    target = block.dest[node]
    ready = 0
    for arg, part in zip(node.args, parts_of(node, target), strict=True):
        view = block.view(arg)
        if view != part:
            block.copy(view, part, block.ready[arg])
            ready = max(ready, block.ready[arg] + 1)
        ready = max(ready, block.ready[arg])
    block.know(node, target, ready)


def _scatter_add(block: Block, node: Node) -> None:
    x, index = node.args
    target = block.pool.new(node.shape, node.dtype)
    values, places = block.view(x), block.view(index)
    stage = max(block.ready[x], block.ready[index])
    nest = scatter_nest(whole(target), values, places, node.params["axis"], zero=(target,))
    block.emit(nest, stage, node, whole(target))


INDEX: Lowerings = {
    **dict.fromkeys(("broadcast_to", "transpose", "slice", "embed", "reshape"), _view),
    "take": _take,
    "concatenate": _concatenate,
    "scatter_add": _scatter_add,
}
