"""expand: write primitives without a native form by others that have one.

    sigmoid(x) -> 1/(1 + exp(-x))     mod(x, y) -> rem(x, y) [+ y]     polygamma(1, x) -> a series

Needs: nothing.  Keeps: value to rounding, shape, dtype, source line.
"""

from __future__ import annotations

from collections.abc import Sequence

from symdiff.ir.graph import made_order, transform
from symdiff.ir.node import Node
from symdiff.ir.primitive import Elementwise, cast


def expand(roots: Sequence[Node]) -> list[Node]:
    """Replace every primitive that has an expansion, until none is left."""
    while any(getattr(n.op, "expansion", None) is not None for n in made_order(roots)):
        roots = transform(roots, _expand_node)
    return list(roots)


def _expand_node(node: Node) -> Node:
    op = node.op
    if isinstance(op, Elementwise) and op.expansion is not None:
        return cast(op.expansion(*node.args, **node.params), node.dtype)
    return node
