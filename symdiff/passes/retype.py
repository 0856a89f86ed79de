"""retype: rebuild a graph with real numbers of another dtype.

Literals are weak, so primitives are applied again; bodies of loops are rebuilt as well.
Needs: no custom values (`settle` has run).  Keeps: integers, booleans, shapes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symdiff.ir.graph import made_order
from symdiff.ir.node import Node, as_node, const, make
from symdiff.ir.primitive import Elementwise, cast
from symdiff.ir.subgraph import Subgraph


def retype(roots: Sequence[Node], replaced: Mapping[Node, Node], dtype: str) -> list[Node]:
    """Return `roots` with the nodes `replaced` and all other real numbers of `dtype`."""
    memo: dict[Node, Node] = dict(replaced)
    for node in made_order(roots, known=replaced):
        memo[node] = _retyped(node, [memo[a] for a in node.args], dtype)
    return [memo[r] for r in roots]


def _retyped(node: Node, args: list[Node], dtype: str) -> Node:
    op, real = node.op, node.dtype.startswith("float")
    if op.name == "const" and real:
        return const(node.params["value"], dtype)
    if op.name == "cast" and real:
        return cast(args[0], dtype)
    if op.name == "data" and real:
        return as_node(node.params["array"].array.astype(dtype))
    if isinstance(op, Elementwise):
        return op(*args, **node.params) if node.params else op(*args)
    params = {k: _body(p, dtype) if isinstance(p, Subgraph) else p for k, p in node.params.items()}
    if real and "dtype" in params:
        params["dtype"] = dtype
    return make(op, tuple(args), params) if params else make(op, tuple(args))


def _body(body: Subgraph, dtype: str) -> Subgraph:
    """The body of a loop; recursion goes as deep as loops are nested."""
    inputs = tuple((shape, dtype if d.startswith("float") else d) for shape, d in body.inputs)
    empty = Subgraph(inputs, (), body.level)
    slots = dict(zip(body.input_nodes(), empty.input_nodes(), strict=True))
    outputs = retype(body.outputs, slots, dtype)
    kinds = (dtype if f.dtype.startswith("float") else f.dtype for f in body.outputs)
    return Subgraph(inputs, tuple(cast(f, d) for f, d in zip(outputs, kinds, strict=True)), body.level)
