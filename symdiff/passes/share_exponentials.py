"""share_exponentials: let a loss and its derivative use one exponential.

    softplus(z) and sigmoid(z) or sigmoid(-z)  ->  with e = exp(-|z|):  max(z, 0) + log1p(e), (1 or e) / (1 + e)

The first is what `expand` makes of softplus; the second is right to rounding for every z, and costs no exponential.
Needs: `expand` has not run.  Keeps: value to rounding, shape, dtype, source line.
"""

from __future__ import annotations

from collections.abc import Sequence

from symdiff.ir.graph import made_order, transform
from symdiff.ir.node import Node, const
from symdiff.ops import elementwise as el
from symdiff.passes.tidy import split_literal


def share_exponentials(roots: Sequence[Node]) -> list[Node]:
    """Rewrite every sigmoid whose argument, or minus that, a softplus has too."""
    order = made_order(roots)
    known = {_unsigned(n.args[0]): n.args[0] for n in order if n.op is el.softplus}
    if not known or not any(n.op is el.sigmoid for n in order):
        return list(roots)
    return transform(roots, lambda node: _rewrite(node, known))


def _unsigned(node: Node) -> tuple[float, Node]:
    c, rest = split_literal(node)
    return abs(c), rest


def _rewrite(node: Node, known: dict[tuple[float, Node], Node]) -> Node:
    if node.op is not el.sigmoid:
        return node
    (x,) = node.args
    z = known.get(_unsigned(x))
    if z is None:
        return node
    e = el.exp(-el.abs_(z))
    one = const(1.0, node.dtype)
    return el.where(x >= 0, one, e) / (1 + e)
