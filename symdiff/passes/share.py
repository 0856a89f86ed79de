"""share: run one loop where one does the work of another.

    a = while c(s): s = f(s);  b = while c(s): s, t = f(s), g(s, t)  ->  a is the first value of b

A gradient runs the loop of its function again, to store the states or to count the turns.
Needs: nothing.  Keeps: every value.
"""

from __future__ import annotations

from collections.abc import Sequence

from symdiff.ir.graph import made_order, substitute
from symdiff.ir.node import Node, make


def share(roots: Sequence[Node]) -> list[Node]:
    """Replace the values of every loop that is the beginning of a larger one."""
    nodes = made_order(roots)
    loops = [n for n in nodes if n.op.name == "while_loop"]
    larger = {a: b for a in loops if (b := next((b for b in loops if _contains(b, a)), None)) is not None}
    if not larger:
        return list(roots)
    replaced = {}
    for node in nodes:
        if node.op.name == "item" and node.args[0] in larger:
            loop = node.args[0]
            while loop in larger:
                loop = larger[loop]
            replaced[node] = make(node.op, (loop,), node.params)
    return substitute(roots, replaced)


def _contains(b: Node, a: Node) -> bool:
    """Whether the state of `a` goes through the same values as the first part of that of `b`."""
    body_a, body_b = a.params["body"], b.params["body"]
    n, m = len(body_a.outputs), len(body_b.outputs)
    if n >= m or a.args[:n] != b.args[:n] or a.params.get("turns") == "once":
        return False
    places = {arg: k for k, arg in reversed(list(enumerate(b.args))) if k >= m}
    if any(arg not in places for arg in a.args[n:]):
        return False
    slots = body_b.input_nodes()
    seen = [*slots[:n], *(slots[places[arg]] for arg in a.args[n:])]
    own = dict(zip(body_a.input_nodes(), seen, strict=True))
    mapped = substitute([*a.params["cond"].outputs, *body_a.outputs], own)
    return mapped == [*b.params["cond"].outputs, *body_b.outputs[:n]]
