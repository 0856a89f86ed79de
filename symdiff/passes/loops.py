"""in_loops: apply passes to the bodies of loops as well.

Needs: the passes keep shapes and dtypes.  Keeps: the meaning of every loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from symdiff.ir.graph import made_order, transform
from symdiff.ir.node import Node, make
from symdiff.ir.subgraph import Subgraph
from symdiff.passes.carry import carry
from symdiff.passes.lift import lift
from symdiff.passes.prune import prune
from symdiff.passes.share import share
from symdiff.passes.sink import sink

Pass = Callable[[Sequence[Node]], list[Node]]


def in_loops(run: Pass, roots: Sequence[Node]) -> list[Node]:
    """Apply `run` to every loop body under `roots`, innermost first, and then to `roots`; see `lift` for the rest."""
    if any(n.op.name == "while_loop" for n in made_order(roots)):
        roots = carry(prune(share(roots)))
        roots = transform(roots, lambda node: _rewrite(run, node) if node.op.name == "while_loop" else node)
    return run(roots)


def _rewrite(run: Pass, node: Node) -> Node:
    # Recursion goes as deep as loops are nested.
    node = sink(node)
    params = {
        key: Subgraph(p.inputs, tuple(in_loops(run, p.outputs)), p.level) if isinstance(p, Subgraph) else p
        for key, p in node.params.items()
    }
    return lift(make(node.op, node.args, params))
