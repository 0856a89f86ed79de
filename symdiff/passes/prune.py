"""prune: drop the state of loops that nobody reads.

    x, _ = while c(s): s, t = f(s), g(s, t)  ->  x = while c(s): s = f(s)

Needs: nothing.  Keeps: every value that is read.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from symdiff.ir.graph import made_order, substitute
from symdiff.ir.node import Node, make
from symdiff.ir.subgraph import Subgraph, input_node
from symdiff.ops.control import item


def prune(roots: Sequence[Node]) -> list[Node]:
    """Rebuild every loop without the values that neither its users nor its own turns read."""
    read: dict[Node, set[int]] = {}
    for node in made_order(roots):
        if node.op.name == "item":
            read.setdefault(node.args[0], set()).add(node.params["k"])
    replaced: dict[Node, Node] = {}
    for loop, wanted in read.items():
        kept = _needed(loop, wanted)
        if len(kept) < len(loop.params["body"].outputs):
            replaced |= _without(loop, kept)
    if not replaced:
        return list(roots)
    # A value that was dropped may have been the only reader of another loop's.
    return prune(substitute(roots, replaced))


def _needed(loop: Node, wanted: Collection[int]) -> list[int]:
    cond, body = loop.params["cond"], loop.params["body"]
    slots = body.input_nodes()[: len(body.outputs)]
    needed = set(wanted)
    roots = list(cond.outputs)
    while True:
        seen = set(made_order([*roots, *(body.outputs[k] for k in sorted(needed))]))
        grown = needed | {k for k, s in enumerate(slots) if s in seen}
        if grown == needed:
            return sorted(needed)
        needed = grown


def _without(loop: Node, kept: Sequence[int]) -> dict[Node, Node]:
    """Return the items of a loop with `kept` state only, by those of the old one."""
    cond, body = loop.params["cond"], loop.params["body"]
    n = len(body.outputs)
    positions = [*kept, *range(n, len(body.inputs))]
    inputs = tuple(body.inputs[k] for k in positions)
    slots = body.input_nodes()
    new = {slots[k]: input_node(body.level, j, *body.inputs[k]) for j, k in enumerate(positions)}
    rewritten = substitute([*cond.outputs, *(body.outputs[k] for k in kept)], new)
    params = {
        **loop.params,
        "cond": Subgraph(inputs, tuple(rewritten[:1]), cond.level),
        "body": Subgraph(inputs, tuple(rewritten[1:]), body.level),
    }
    smaller = make(loop.op, tuple(loop.args[k] for k in positions), params)
    return {make(item, (loop,), {"k": k}): make(item, (smaller,), {"k": j}) for j, k in enumerate(kept)}
