"""sink: take signs of a loop's operands into the loop, where they meet the signs inside.

    while c(s): s = f(s, a) of a = -y   ->   while c(s): s = f(s, -y)

A loss with labels reads y and -y otherwise, and its exponentials of the margin and of minus that are different ones.
Needs: nothing.  Keeps: the meaning of the loop.
"""

from __future__ import annotations

from symdiff.ir.graph import substitute
from symdiff.ir.node import Node, make
from symdiff.ir.subgraph import Subgraph
from symdiff.ops import elementwise as el


def sink(loop: Node) -> Node:
    """Return a `while_loop` node none of whose constant operands is an array with a minus in front."""
    cond, body = loop.params["cond"], loop.params["body"]
    n, slots, args = len(body.outputs), body.input_nodes(), list(loop.args)
    places = {a: slots[k] for k, a in enumerate(args) if k >= n}
    inside: dict[Node, Node] = {}
    for k in range(n, len(args)):
        if args[k].op is el.neg and args[k].shape:
            (args[k],) = args[k].args
            inside[slots[k]] = -places.setdefault(args[k], slots[k])
    if not inside:
        return loop
    roots = substitute([*cond.outputs, *body.outputs], inside)
    m = len(cond.outputs)
    parts = {"cond": tuple(roots[:m]), "body": tuple(roots[m:])}
    params = {key: Subgraph(body.inputs, outputs, body.level) for key, outputs in parts.items()}
    return make(loop.op, tuple(args), {**loop.params, **params})
