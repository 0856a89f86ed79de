"""Lowering of recurrences: one call whose operands run over (lines..., k, inner).

A recurrence from the end is one from the start over arrays that are read backwards.
"""

from __future__ import annotations

from dataclasses import replace

from symdiff.ir.dims import Extent, multiply
from symdiff.ir.node import Node
from symdiff.program.block import Block, Lowerings
from symdiff.program.ir import Buffer, Call, Const
from symdiff.program.views import View, whole, write


def _recurrence(block: Block, node: Node) -> None:
    a, b = node.args
    axis, reverse = node.params["axis"], node.params["reverse"]
    target = block.dest.get(node) or whole(block.pool.new(node.shape, node.dtype))
    factors = block.view(a)
    is_sum = isinstance(factors.base, Const) and not factors.guards and float(factors.base.value) == 1
    held = [*([] if is_sum else [_factors(block, a)]), in_memory(block, b)]
    views = [*(view for view, _ in held), target]
    stage = max(ready for _, ready in held)
    n = node.shape[axis]
    if reverse:
        # With k counted from the end, entry k takes the factor of its predecessor: one place further.
        first = [] if is_sum else [_backwards(views[0], axis, n)]
        views = [*first, *(_backwards(v, axis, n - 1) for v in views[len(first) :])]
    rank = node.ndim
    last = [rank - 1] if axis != rank - 1 else []
    order = [*(k for k in range(rank) if k not in (axis, *last)), axis, *last]
    extents = tuple(node.shape[k] for k in order) + (() if last else (1,))
    operands = tuple(write(_arranged(v, order, bool(last))) for v in views)
    block.emit(Call("recurrence", operands, extents, node.dtype), stage, node, target)


def _factors(block: Block, a: Node) -> tuple[View, int]:
    """A view of the factors in memory, and when it is there; one number for all stays one number."""
    view = block.view(a)
    if not isinstance(view.base, Const) or view.guards:
        return in_memory(block, a)
    held = whole(block.pool.new((), a.dtype))
    block.copy(View(view.base, 0, (), ()), held, block.ready[a])
    return View(held.base, 0, (0,) * a.ndim, a.shape), block.ready[a] + 1


def in_memory(block: Block, node: Node) -> tuple[View, int]:
    """A view of real memory without guards, copied if need be, and the stage at which it can be read.

    Who reads the node elsewhere goes on reading it where it was.
    """
    view = block.view(node)
    ready = block.ready[node]
    if isinstance(view.base, Buffer) and not view.guards:
        return view, ready
    copied = block.pool.temp(node.shape, node.dtype)
    block.copy(view, copied, ready)
    return copied, ready + 1


def _backwards(view: View, axis: int, start: Extent) -> View:
    """Read an axis from `start` down."""
    stride = view.strides[axis]
    strides = tuple(multiply(s, -1) if k == axis else s for k, s in enumerate(view.strides))
    return replace(view, offset=multiply(stride, start) + view.offset, strides=strides)


def _arranged(view: View, order: list[int], has_inner: bool) -> View:
    strides = tuple(view.strides[k] for k in order) + (() if has_inner else (0,))
    return replace(view, strides=strides, shape=tuple(view.shape[k] for k in order) + (() if has_inner else (1,)))


RECURRENCE: Lowerings = {"recurrence": _recurrence}
