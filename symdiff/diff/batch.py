"""batch: map a graph over a leading axis of some of its leaves.

    f(t) with t of shape s  ->  f on every row of an array of shape (n, *s)

Elementwise nodes broadcast; a structured primitive says itself how an additional leading axis passes through it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symdiff.diff.batch_custom import batch_custom
from symdiff.diff.loops import batch_loop
from symdiff.ir.graph import made_order
from symdiff.ir.node import Node, here
from symdiff.ir.primitive import Elementwise, Structured
from symdiff.ops.index import broadcast_to, reshape


def batch(roots: Sequence[Node], mapped: Mapping[Node, Node]) -> list[Node]:
    """Return `roots` with every leaf of `mapped` replaced by its stacked values.

    Shapes: a leaf of shape s becomes (n, *s), with one n for all; so does every root, also one that does not
    depend on them. Raises DerivativeError at a primitive that cannot be mapped.
    """
    memo: dict[Node, Node] = dict(mapped)
    moved: set[Node] = set(mapped)
    loops: dict[Node, list[Node]] = {}
    n = next(iter(mapped.values())).shape[0]
    saved = here.source
    try:
        for node in made_order(roots, known=mapped):
            here.source = node.source
            args = [memo[a] for a in node.args]
            flags = [a in moved for a in node.args]
            if not any(flags):
                memo[node] = node
                continue
            moved.add(node)
            op = node.op
            if op.name == "while_loop":
                loops[node] = batch_loop(node, args, flags, batch)
                memo[node] = node
            elif op.name == "item":
                memo[node] = loops[node.args[0]][node.params["k"]]
            elif op.name == "custom":
                memo[node] = batch_custom(node, args, flags, batch)
            elif isinstance(op, Structured):
                memo[node] = op.batch(node, args, flags)
            else:
                assert isinstance(op, Elementwise)
                rank = len(node.shape)
                padded = [_pad(a, rank) if b else a for a, b in zip(args, flags, strict=True)]
                memo[node] = op(*padded, **node.params) if node.params else op(*padded)
    finally:
        here.source = saved
    return [memo[r] if r in moved else broadcast_to(r, shape=(n, *r.shape)) for r in roots]


def _pad(x: Node, rank: int) -> Node:
    """Put axes of extent 1 behind the leading axis until there are `rank` others."""
    missing = rank - (x.ndim - 1)
    return reshape(x, shape=(x.shape[0], *(1,) * missing, *x.shape[1:])) if missing else x
