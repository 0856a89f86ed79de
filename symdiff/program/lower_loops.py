"""Lowering of loops: the state lives in buffers, changed in place or exchanged after every turn."""

from __future__ import annotations

from collections.abc import Sequence

from symdiff.ir.node import Node, make
from symdiff.ops.control import item
from symdiff.program.block import Block, Lowerings
from symdiff.program.inplace import is_private, row_nest, update_nests, updates_of
from symdiff.program.ir import Buffer, Loop, Statement
from symdiff.program.products import expand_products
from symdiff.program.views import View, whole


def _while_loop(block: Block, node: Node) -> None:
    cond, body = node.params["cond"], node.params["body"]
    n = len(body.outputs)
    slots = body.input_nodes()
    outer = dict(zip(slots[n:], (block.view(a) for a in node.args[n:]), strict=True))
    outer |= {d: v for d, v in block.views.items() if d.op.name == "data"}
    now, start = _state(block, node, n)
    inner = outer | dict(zip(slots[:n], now, strict=True))
    flag = block.pool.new((), "bool")
    test = Block(block.pool, inner, block.lowerings).lower([(expand_products(cond.outputs)[0], whole(flag))])
    after = expand_products(body.outputs)
    turn, swaps = _turn(Block(block.pool, inner, block.lowerings), after, slots[:n], now)
    block.emit(Loop(tuple(test), flag, tuple(turn), swaps), start, node, now[0] if now else whole(flag))
    for k, view in enumerate(now):
        block.know(make(item, (node,), {"k": k}), view, start + 1)


def _state(block: Block, node: Node, n: int) -> tuple[list[View], int]:
    """Return the buffers of the state with its initial values, and the stage at which they are there."""
    homes = block.homes.get(node, {})
    start = max((block.ready[a] for a in node.args[n:]), default=0)
    now = []
    for k, arg in enumerate(node.args[:n]):
        if k in homes:
            now.append(homes[k])
        elif arg.op.name == "set_row" and is_private(block, arg):
            now.append(block.views[arg])
            start = max(start, block.ready[arg])
        else:
            now.append(whole(block.pool.new(arg.shape, arg.dtype)))
            if arg.op.name != "empty":
                block.copy(block.view(arg), now[-1], block.ready[arg])
                start = max(start, block.ready[arg] + 1)
    return now, start


def _turn(
    turn: Block, after: Sequence[Node], slots: Sequence[Node], now: Sequence[View]
) -> tuple[list[Statement], tuple[tuple[Buffer, Buffer], ...]]:
    """Return the statements of a turn, and which buffers are exchanged after it."""
    updates = updates_of(after, slots)
    for k, out in updates.inner.items():
        turn.homes.setdefault(out.args[0], {})[out.params["k"]] = now[k]
    in_place = updates.chains.keys() | updates.inner.keys()
    fresh = [k for k, (f, s) in enumerate(zip(after, slots, strict=True)) if f is not s and k not in in_place]
    targets = [turn.pool.new(slots[k].shape, slots[k].dtype) for k in fresh]
    volatile = {now[k].base for k in updates.chains}
    roots = [(after[k], whole(b)) for k, b in zip(fresh, targets, strict=True)]
    statements = turn.lower(roots, updates.reads, volatile)
    for k, chain in updates.chains.items():
        statements += update_nests(chain, now[k], turn.where)
    held = [now[k].base for k in fresh]
    return statements, tuple((old, new) for old, new in zip(held, targets, strict=True) if isinstance(old, Buffer))


def _item(block: Block, node: Node) -> None:
    assert node in block.views  # known since its loop was lowered


def _empty(block: Block, node: Node) -> None:
    block.know(node, whole(block.pool.new(node.shape, node.dtype)))


def _set_row(block: Block, node: Node) -> None:
    """Write into a copy; memory without a value needs none."""
    x, row, index = node.args
    fresh = x.op.name == "empty" and block.uses[x] == 1
    target = block.view(x) if fresh else block.own_copy(x)
    stage = max(block.ready[x] + (not fresh), block.ready_view(row), block.ready_view(index))
    block.emit(row_nest(target, block.views[row], block.views[index]), stage, node, target)


LOOPS: Lowerings = {"while_loop": _while_loop, "item": _item, "empty": _empty, "set_row": _set_row}
