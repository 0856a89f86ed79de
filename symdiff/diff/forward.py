"""Forward mode: tangents are pushed from the inputs to the outputs.

Method: Griewank & Walther 2008, chapter 3.1. The tangent of a loop is a loop over state and tangents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symdiff.diff.flow import carriers
from symdiff.diff.loops import push_loop
from symdiff.ir.node import Node, const, here
from symdiff.ir.primitive import Elementwise, Structured, cast
from symdiff.ops import elementwise as el
from symdiff.ops.custom import forward_form
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
        for node in carriers(outputs, tangents):
            here.source = node.source
            if node.op.name == "item":
                memo[node] = loops.get(node.args[0], {}).get(node.params["k"])
                continue
            dots = [memo.get(a) for a in node.args]
            memo[node] = None
            if any(d is not None for d in dots):
                if node.op.name == "while_loop":
                    loops[node] = push_loop(node, dots, push)
                elif node.dtype.startswith("float"):
                    memo[node] = push_one(node, dots)
    finally:
        here.source = saved
    return [memo[r] for r in outputs]


def push_one(node: Node, dots: Sequence[Node | None]) -> Node | None:
    """Return the tangent of one node."""
    tangent = linear_part(node, dots)
    return tangent if tangent is None else forward_form(tangent)


def linear_part(node: Node, dots: Sequence[Node | None]) -> Node | None:
    """Return the tangent of one node, of a value with its own transposed rule as a `linear_map`."""
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


def jvp_nodes(outputs: Sequence[Node], inputs: Sequence[Node], tangents: Sequence[Node]) -> list[Node]:
    """Return the directional derivatives of `outputs` along `tangents` of the symbols `inputs`."""
    pushed = push(outputs, dict(zip(inputs, tangents, strict=True)))
    return [zeros_like(f) if p is None else p for f, p in zip(outputs, pushed, strict=True)]
