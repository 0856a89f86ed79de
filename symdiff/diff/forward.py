"""Forward mode: tangents are pushed from the inputs to the outputs.

Method: Griewank & Walther 2008, chapter 3.1. The tangent of a loop is a loop over state and tangents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symdiff.ir.graph import depends_on, made_order
from symdiff.ir.node import Node, const, here
from symdiff.ir.primitive import Elementwise, Structured, cast
from symdiff.ops import elementwise as el
from symdiff.ops.control import while_loop
from symdiff.ops.index import broadcast_to, zeros_like

Tangents = Mapping[Node, Node | None]


def push(outputs: Sequence[Node], tangents: Tangents) -> list[Node | None]:
    """Return the tangents of `outputs` for those of some inner nodes; None is an exact zero.

    The nodes of `tangents` cut the graph: what lies below them is not looked at.
    """
    memo: dict[Node, Node | None] = dict(tangents)
    loops: dict[Node, dict[int, Node]] = {}
    saved = here.source
    try:
        for node in made_order(outputs, known=tangents):
            here.source = node.source
            if node.op.name == "item":
                memo[node] = loops.get(node.args[0], {}).get(node.params["k"])
                continue
            dots = [memo[a] for a in node.args]
            memo[node] = None
            if any(d is not None for d in dots):
                if node.op.name == "while_loop":
                    loops[node] = _push_loop(node, dots)
                elif node.dtype.startswith("float"):
                    memo[node] = push_one(node, dots)
    finally:
        here.source = saved
    return [memo[r] for r in outputs]


def push_one(node: Node, dots: Sequence[Node | None]) -> Node | None:
    """Return the tangent of one node."""
    op = node.op
    if isinstance(op, Structured):
        return op.jvp(node, dots)
    assert isinstance(op, Elementwise)
    if op is el.where:
        # Choosing between tangents, not multiplying by 0 and 1: the branch not taken may be NaN.
        x_dot, y_dot = (d if d is not None else const(0.0, node.dtype) for d in dots[1:])
        total: Node | None = el.where(node.args[0], x_dot, y_dot)
    elif op.partials is None:
        return None
    else:
        total = None
        for partial, dot in zip(op.partials(node, *node.args), dots, strict=True):
            if partial is None or dot is None:
                continue
            term = scaled(partial, dot, node.dtype)
            total = term if total is None else total + term
    # A scalar's tangents along several directions may come as one vector, which is not to be broadcast.
    return total if total is None or total.ndim > node.ndim else broadcast_to(total, shape=node.shape)


def scaled(partial: Node | float, v: Node, dtype: str) -> Node:
    """Return partial * v in the given dtype, without multiplying by 1."""
    if isinstance(partial, (int, float)):
        out = v if partial == 1 else -v if partial == -1 else const(float(partial), v.dtype) * v
    else:
        out = cast(partial, dtype) * v
    return cast(out, dtype)


def _push_loop(node: Node, dots: Sequence[Node | None]) -> dict[int, Node]:
    """Return the tangents of a loop's state: the loop runs over (state, tangents of its active part)."""
    cond, body = node.params["cond"], node.params["body"]
    n = len(body.outputs)
    slots = body.input_nodes()
    active = [d is not None for d in dots]
    while True:
        moved = depends_on(body.outputs, [s for s, a in zip(slots, active, strict=True) if a])
        grown = [
            a or (k < n and body.outputs[k] in moved and slots[k].dtype.startswith("float"))
            for k, a in enumerate(active)
        ]
        if grown == active:
            break
        active = grown
    lead = [k for k in range(n) if active[k]]
    outer = list(node.args[n:])

    def next_state(*state: Node) -> list[Node]:
        values = body.call([*state[:n], *outer])
        tangents: dict[Node, Node | None] = dict(zip(outer, dots[n:], strict=True))
        tangents |= dict.fromkeys(state[:n])
        tangents |= {state[k]: state[n + j] for j, k in enumerate(lead)}
        pushed = push([values[k] for k in lead], tangents)
        return [*values, *(zeros_like(values[k]) if p is None else p for k, p in zip(lead, pushed, strict=True))]

    start = [d if d is not None else zeros_like(node.args[k]) for k, d in ((k, dots[k]) for k in lead)]
    result = while_loop(lambda *state: cond.call([*state[:n], *outer])[0], next_state, [*node.args[:n], *start])
    return {k: result[n + j] for j, k in enumerate(lead)}


def jvp_nodes(outputs: Sequence[Node], inputs: Sequence[Node], tangents: Sequence[Node]) -> list[Node]:
    """Return the directional derivatives of `outputs` along `tangents` of the symbols `inputs`."""
    pushed = push(outputs, dict(zip(inputs, tangents, strict=True)))
    return [zeros_like(f) if p is None else p for f, p in zip(outputs, pushed, strict=True)]
