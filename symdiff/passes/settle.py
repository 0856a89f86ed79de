"""settle: put values in the place of what only derivatives need.

    custom(value, x…) -> value        stop_gradient(x) -> x

Runs when a function is compiled, after every derivative of it is built; never before one is.
Needs: nothing.  Keeps: exact value, shape, dtype, source line.
"""

from __future__ import annotations

from collections.abc import Sequence

from symdiff.ir.graph import made_order, transform
from symdiff.ir.node import Node

_SETTLED = frozenset({"custom", "stop_gradient"})


def settle(roots: Sequence[Node]) -> list[Node]:
    """Apply the rules above."""
    if not any(n.op.name in _SETTLED for n in made_order(roots)):
        return list(roots)
    return transform(roots, lambda node: node.args[0] if node.op.name in _SETTLED else node)
