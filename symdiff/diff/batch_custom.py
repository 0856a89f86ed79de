"""batch_custom: map a value with a derivative of its own over a leading axis; its rules are mapped with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from symdiff.ir.graph import substitute
from symdiff.ir.node import Node
from symdiff.ir.subgraph import Subgraph
from symdiff.ops.custom import attach
from symdiff.ops.index import broadcast_to
from symdiff.ops.reduce import sum_

Batch = Callable[[Sequence[Node], Mapping[Node, Node]], list[Node]]


def batch_custom(node: Node, args: Sequence[Node], flags: Sequence[bool], batch: Batch) -> Node:
    """Return `node` on `args` of which the flagged ones have an additional leading axis; so has the result."""
    k = node.params["k"]
    n = next(a.shape[0] for a, f in zip(args, flags, strict=True) if f)
    value = args[0] if flags[0] else broadcast_to(args[0], shape=(n, *args[0].shape))
    moved, extra_moved = list(flags[1 : k + 1]), list(flags[k + 1 :])
    forward, backward = node.params["rule"], node.params["pull"]

    def mapped(sub: Subgraph, marks: Sequence[Node]) -> list[Node]:
        """The outputs of a rule for marks in its order of inputs, with a leading axis everywhere."""
        slots = sub.input_nodes()
        stacked = [True, *moved, *moved, True, *extra_moved]
        pairs = list(zip(slots, marks, stacked, strict=True))
        rows = batch(sub.outputs, {s: m for s, m, f in pairs if f})
        return substitute(rows, {s: m for s, m, f in pairs if not f})

    def rule(y: Node, xs: list[Node], dots: list[Node], extra: list[Node]) -> Node:
        return mapped(forward, [y, *xs, *dots, y, *extra])[0]

    def pull(y: Node, xs: list[Node], y_bar: Node, extra: list[Node]) -> list[Node]:
        bars = mapped(backward, [y, *xs, *xs, y_bar, *extra])
        # An argument that all instances share collects the cotangents of all.
        return [b if f else sum_(b, axes=(0,)) for b, f in zip(bars, moved, strict=True)]

    return attach(
        node.params["name"],
        value,
        args[1 : k + 1],
        None if forward is None else rule,
        None if backward is None else pull,
        args[k + 1 :],
    )
