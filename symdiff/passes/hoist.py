"""hoist: multiply small factors with each other first.

    a * (b * x) -> (a * b) * x     -(a * x) -> (-a) * x        a, b of smaller shape than x

One operation on the large array is saved; what is left in front depends on fewer loops and is computed outside
them. Vectors of tangents (all columns of a Jacobian at once) lose half of their operations.
Needs: nothing.  Keeps: shape, dtype, source line; the value to rounding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from symdiff.ir.dims import product
from symdiff.ir.graph import made_order, transform
from symdiff.ir.node import Node
from symdiff.ops import elementwise as el


def hoist(roots: Sequence[Node]) -> list[Node]:
    """Apply the rules above where the inner product has no other use."""
    order = made_order(roots)
    if all(not n.shape for n in order):
        return list(roots)
    uses = Counter(a for n in order for a in n.args)
    uses.update(roots)
    # A rebuilt product has the uses of the one it replaces.
    single: dict[Node, bool] = {n: uses[n] == 1 for n in order}

    def rule(node: Node) -> Node:
        return _hoist(node, single)

    return transform(roots, rule)


def _hoist(node: Node, single: dict[Node, bool]) -> Node:
    if not node.shape or not node.dtype.startswith("float"):
        return node
    if node.op is el.neg:
        split = _split(node.args[0], node, single)
        return node if split is None else _keep(-split[0] * split[1], node, single)
    if node.op is not el.mul:
        return node
    for small, large in (node.args, node.args[::-1]):
        if _is_smaller(small, node):
            split = _split(large, node, single)
            if split is not None:
                return _keep((small * split[0]) * split[1], node, single)
    return node


def _keep(new: Node, old: Node, single: dict[Node, bool]) -> Node:
    single[new] = single.get(old, True)
    return new


def _split(node: Node, whole: Node, single: dict[Node, bool]) -> tuple[Node, Node] | None:
    """Return (small, large) of a product that is used once."""
    if node.op is not el.mul or not single.get(node, False) or node.shape != whole.shape:
        return None
    x, y = node.args
    if _is_smaller(x, node):
        return x, y
    return (y, x) if _is_smaller(y, node) else None


def _is_smaller(x: Node, whole: Node) -> bool:
    return x.shape != whole.shape and (x.ndim < whole.ndim or product(x.shape) == 1)
