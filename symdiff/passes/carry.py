"""carry: let a loop carry an array with what its turns put around it.

    while c(x): x = f((0, x, 0))   ->   p = (0, x, 0); while c(p[1:-1]): p = (0, f(p), 0);  x = p[1:-1]

A turn of a stencil continues its array beyond the ends (by zeros, given values, or the array's own entries) and reads
the outcome. In the form on the right it writes its result into the middle of the next such array: nothing is copied.
Needs: nothing.  Keeps: every value, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence

from symdiff.ir.dims import Extent
from symdiff.ir.graph import depends_on, made_order, substitute
from symdiff.ir.node import Node, make
from symdiff.ir.primitive import Elementwise
from symdiff.ir.subgraph import Subgraph, input_node
from symdiff.ops.control import item
from symdiff.ops.index import concatenate, slice_

Found = tuple[int, Node, tuple[Extent, ...]]
"""A position in the state, the array that is to be carried in its place, and where in it the value stands."""


def carry(roots: Sequence[Node]) -> list[Node]:
    """Rewrite every loop under `roots` (not inside of loops) that continues a value of its state in every turn."""
    nodes = list(roots)
    # One value at a time: a loop may have several, and loops feed each other.
    while replaced := _next(nodes):
        nodes = substitute(nodes, replaced)
    return nodes


def _next(roots: Sequence[Node]) -> dict[Node, Node]:
    """Return what replaces the items of the first loop with such a value; nothing if there is none."""
    for loop in made_order(roots):
        if loop.op.name == "while_loop" and loop.params.get("turns") != "once":
            found = _found(loop)
            if found is not None:
                return _carried(loop, found)
    return {}


def _found(loop: Node) -> Found | None:
    cond, body = loop.params["cond"], loop.params["body"]
    slots, n = body.input_nodes(), len(body.outputs)
    order = made_order([*cond.outputs, *body.outputs])
    joins = [node for node in order if node.op is concatenate]
    for k in range(n):
        # Another result than that of an operation is in memory already, and would be copied.
        if slots[k].shape and isinstance(body.outputs[k].op, Elementwise) and joins:
            moving = depends_on(joins, [s for s in slots[:n] if s is not slots[k]])
            node, starts = slots[k], (0,) * slots[k].ndim
            for join in joins:
                if join.args.count(node) == 1 and join not in moving:
                    axis, start = join.params["axis"], concatenate.offsets(join)[join.args.index(node)]
                    starts = (*starts[:axis], starts[axis] + start, *starts[axis + 1 :])
                    node = join
            if node is not slots[k]:
                return k, node, starts
    return None


def _carried(loop: Node, found: Found) -> dict[Node, Node]:
    """Return the items of a loop that carries another array, by those of the old one."""
    k, wide, starts = found
    cond, body = loop.params["cond"], loop.params["body"]
    slots, n = body.input_nodes(), len(body.outputs)
    old = slots[k]

    def middle(x: Node) -> Node:
        return slice_(x, starts=starts, extents=old.shape, steps=(1,) * old.ndim)

    inputs = (*body.inputs[:k], (wide.shape, wide.dtype), *body.inputs[k + 1 :])
    slot = input_node(body.level, k, wide.shape, wide.dtype)
    rewritten = substitute([*cond.outputs, *body.outputs], {wide: slot, old: middle(slot)})
    after = rewritten[1:]
    (after[k],) = substitute([wide], {old: after[k]})
    params = {
        **loop.params,
        "cond": Subgraph(inputs, tuple(rewritten[:1]), cond.level),
        "body": Subgraph(inputs, tuple(after), body.level),
    }
    (first,) = substitute([wide], dict(zip(slots, loop.args, strict=True)))
    new = make(loop.op, (*loop.args[:k], first, *loop.args[k + 1 :]), params)
    items = {make(item, (loop,), {"k": j}): make(item, (new,), {"k": j}) for j in range(n) if j != k}
    return {**items, make(item, (loop,), {"k": k}): middle(make(item, (new,), {"k": k}))}
