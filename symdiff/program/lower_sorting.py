"""Lowering of argsort: one call over (lines..., k), with scratch for the keys and a second order of one line."""

from __future__ import annotations

from dataclasses import replace

from symdiff.ir.node import Node
from symdiff.program.block import Block, Lowerings
from symdiff.program.ir import Call
from symdiff.program.lower_recurrence import in_memory
from symdiff.program.views import View, whole, write


def _argsort(block: Block, node: Node) -> None:
    (x,) = node.args
    axis = node.params["axis"]
    order = [*(k for k in range(x.ndim) if k != axis), axis]
    shape = tuple(x.shape[k] for k in order)
    source, ready = in_memory(block, x)
    target = whole(block.pool.new(shape, "int64"))
    scratch = [whole(block.pool.new((x.shape[axis],), "int64")) for _ in range(3)]
    moved = replace(source, strides=tuple(source.strides[k] for k in order), shape=shape)
    back = [order.index(k) for k in range(x.ndim)]
    result = View(target.base, 0, tuple(target.strides[k] for k in back), node.shape)
    operands = tuple(write(v) for v in (moved, target, *scratch))
    block.emit(Call("argsort", operands, shape, x.dtype), ready, node, result)


SORTING: Lowerings = {"argsort": _argsort}
