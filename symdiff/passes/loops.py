"""in_loops: apply a pass to the bodies of loops as well.

Needs: the pass keeps shapes and dtypes.  Keeps: the meaning of every loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from symdiff.ir.graph import topological, transform
from symdiff.ir.node import Node, make
from symdiff.ir.subgraph import Subgraph

Pass = Callable[[Sequence[Node]], list[Node]]


def in_loops(one: Pass, roots: Sequence[Node]) -> list[Node]:
    """Apply `one` to `roots` and to every loop body under them; nesting is as deep as loops are nested."""
    if any(n.op.name == "while_loop" for n in topological(roots)):
        roots = transform(roots, lambda node: _rewrite(one, node) if node.op.name == "while_loop" else node)
    return one(roots)


def _rewrite(one: Pass, node: Node) -> Node:
    params = {
        key: Subgraph(sub.inputs, tuple(in_loops(one, sub.outputs)), sub.level) for key, sub in node.params.items()
    }
    return make(node.op, node.args, params)
