"""lift: compute before a loop what does not change in it.

    while c(s): s = f(s, dt*k)  ->  a = dt*k; while c(s): s = f(s, a)

Scalars are lifted always. Arrays only when they hold an operation that costs more than reading its result back:
a cheap one is fused into the loop that uses it, and lifting it would send an array through memory every turn.
Needs: the bodies of inner loops are lifted already.  Keeps: the meaning of the loop.
"""

from __future__ import annotations

from symdiff.ir.graph import LEAVES, depends_on, made_order, substitute
from symdiff.ir.node import Node, make
from symdiff.ir.subgraph import Subgraph, input_node

# fmt: off
_CHEAP = frozenset({
    "add", "sub", "mul", "neg", "abs", "maximum", "minimum", "where", "lt", "le", "gt", "ge", "eq", "ne", "not", "and",
    "or", "xor", "cast", "broadcast_to", "reshape", "transpose", "slice", "embed",
})
# fmt: on


def lift(loop: Node) -> Node:
    """Return a `while_loop` node whose invariants are operands."""
    if loop.params.get("turns") == "once":
        return loop  # what may not run at all is not to be computed before
    cond, body = loop.params["cond"], loop.params["body"]
    n = len(body.outputs)
    slots = body.input_nodes()
    roots = [*cond.outputs, *body.outputs]
    moving = depends_on(roots, slots[:n])
    used = {a: None for node in made_order(roots) if node in moving for a in node.args}
    used |= dict.fromkeys(roots)
    lifted = [a for a in used if a not in moving and a.op.name not in LEAVES and _pays(a)]
    if not lifted:
        return loop
    outside = substitute(lifted, dict(zip(slots, loop.args, strict=True)))
    first = len(slots)
    places = [input_node(body.level, first + k, a.shape, a.dtype) for k, a in enumerate(lifted)]
    inner = substitute(roots, dict(zip(lifted, places, strict=True)))
    inputs = (*body.inputs, *((a.shape, a.dtype) for a in lifted))
    m = len(cond.outputs)
    params = {
        **loop.params,
        "cond": Subgraph(inputs, tuple(inner[:m]), cond.level),
        "body": Subgraph(inputs, tuple(inner[m:]), body.level),
    }
    return make(loop.op, (*loop.args, *outside), params)


def _pays(node: Node) -> bool:
    names = (inner.op.name for inner in made_order([node]))
    return not node.shape or any(name not in LEAVES and name not in _CHEAP for name in names)
