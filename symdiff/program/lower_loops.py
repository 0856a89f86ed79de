"""Lowering of loops: the state lives in buffers that are exchanged after every turn."""

from __future__ import annotations

from symdiff.ir.node import Node, make
from symdiff.ops.control import item
from symdiff.program.block import Block, Lowerings
from symdiff.program.ir import Loop
from symdiff.program.products import expand_products
from symdiff.program.views import whole


def _while_loop(block: Block, node: Node) -> None:
    cond, body = node.params["cond"], node.params["body"]
    n = len(body.outputs)
    slots = body.input_nodes()
    pool = block.pool
    inner = dict(zip(slots[n:], (block.view(a) for a in node.args[n:]), strict=True))
    start = max((block.ready[a] for a in node.args[n:]), default=0)
    now = [whole(pool.new(s.shape, s.dtype)) for s in slots[:n]]
    for arg, view in zip(node.args[:n], now, strict=True):
        block.copy(block.view(arg), view, block.ready[arg])
        start = max(start, block.ready[arg] + 1)
    inner |= dict(zip(slots[:n], now, strict=True))
    inner |= {d: v for d, v in block.views.items() if d.op.name == "data"}
    flag = pool.new((), "bool")
    test = Block(pool, inner, block.lowerings).lower([(expand_products(cond.outputs)[0], whole(flag))])
    changed = [k for k in range(n) if body.outputs[k] is not slots[k]]
    after = expand_products([body.outputs[k] for k in changed])
    targets = [pool.new(slots[k].shape, slots[k].dtype) for k in changed]
    turn = Block(pool, inner, block.lowerings).lower([(f, whole(b)) for f, b in zip(after, targets, strict=True)])
    swaps = tuple((now[k].base, b) for k, b in zip(changed, targets, strict=True))
    loop = Loop(tuple(test), flag, tuple(turn), swaps)  # type: ignore[arg-type]  # the views are whole buffers
    block.emit(loop, start, node, now[0] if now else whole(flag))
    for k, view in enumerate(now):
        block.know(make(item, (node,), {"k": k}), view, start + 1)


def _item(block: Block, node: Node) -> None:
    assert node in block.views  # known since its loop was lowered


LOOPS: Lowerings = {"while_loop": _while_loop, "item": _item}
