"""cross_country: the Jacobian by vertex elimination, in the order that `accumulation` finds cheapest.

A block on an edge is a matrix, or its diagonal where it has no other entries; vertices are flattened. Blocks start
as local derivatives, from the same rules as forward mode, and are multiplied and added as vertices go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from symdiff.diff.batch import batch
from symdiff.diff.elimination import Elimination, elimination_order
from symdiff.diff.forward import push
from symdiff.diff.jacobian import eye
from symdiff.diff.local import Linearised, Sizes, example_sizes, linearised
from symdiff.ir.dims import Extent, product
from symdiff.ir.errors import DerivativeError
from symdiff.ir.node import PRIMITIVES, Node, const, make
from symdiff.ops.elementwise import mul, where
from symdiff.ops.index import broadcast_to, reshape, transpose, zeros_like
from symdiff.ops.linalg import matmul


@dataclass(frozen=True, slots=True)
class Block:
    """A Jacobian block: `node` is a matrix of `rows` by `cols`, or its diagonal, or None for the identity."""

    rows: Extent
    cols: Extent
    node: Node | None
    diagonal: bool
    dtype: str

    def full(self) -> Node:
        """The block as a matrix."""
        if self.node is None:
            return eye(self.rows, self.dtype)
        return mul(eye(self.rows, self.dtype), self.node) if self.diagonal else self.node


def _multiply(a: Block, b: Block) -> Block:
    if a.node is None or b.node is None:
        return b if a.node is None else a
    if a.diagonal and b.diagonal:
        return Block(a.rows, b.cols, a.node * b.node, True, a.dtype)
    if a.diagonal:
        column = reshape(a.node, shape=(a.rows, 1)) if a.node.shape else a.node
        return Block(a.rows, b.cols, column * b.node, False, a.dtype)
    return Block(a.rows, b.cols, a.node * b.node if b.diagonal else matmul(a.node, b.node), False, a.dtype)


def _add(a: Block, b: Block) -> Block:
    if a.diagonal and b.diagonal:
        one = const(1.0, a.dtype)
        return Block(
            a.rows, a.cols, (one if a.node is None else a.node) + (one if b.node is None else b.node), True, a.dtype
        )
    return Block(a.rows, a.cols, a.full() + b.full(), False, a.dtype)


def cross_country(fs: Sequence[Node], xs: Sequence[Node]) -> list[list[Node]]:
    """Return the Jacobians of `fs` by the symbols `xs`, one row of blocks for each function.

    Raises: DerivativeError for `where`, and where a primitive has no derivative or cannot be mapped over columns.
    """
    sizes = Sizes(example_sizes([*fs, *xs], {}))
    graph = linearised(fs, xs, sizes)
    _, order, _ = elimination_order(graph, sizes)
    _refuse_choices(graph)
    blocks: dict[tuple[int, int], Block] = {}
    for v, row in enumerate(graph.edges):
        for u in row:
            node, arg = graph.nodes[v], graph.nodes[u]
            blocks[v, u] = _copy(node) if v in graph.sinks else _local(node, arg, row[u].diagonal)

    def step(w: int, v: int, u: int) -> None:
        new = _multiply(blocks[w, v], blocks[v, u])
        blocks[w, u] = _add(blocks[w, u], new) if (w, u) in blocks else new

    run = Elimination(graph, sizes, step)
    for v in order:
        run.eliminate(v)
    pairs = list(zip(graph.sources, xs, strict=True))
    return [[_entry(blocks.get((w, u)), f, x) for u, x in pairs] for w, f in zip(graph.sinks, fs, strict=True)]


def _refuse_choices(graph: Linearised) -> None:
    """Raise for `where`: other modes choose between tangents, here 0 would meet the NaN of a branch not taken."""
    for node, row in zip(graph.nodes, graph.edges, strict=True):
        if row and node.op is where:
            raise DerivativeError(
                f"Cross-country accumulation would multiply with the branch not taken of where ({node.line}); "
                "use mode='auto', which does not."
            )


def _copy(node: Node) -> Block:
    n = product(node.shape)
    return Block(n, n, None, True, node.dtype)


def _local(node: Node, arg: Node, diagonal: bool) -> Block:
    """Return the derivative of one node by one of its arguments, the others held."""
    rows, cols = product(node.shape), product(arg.shape)
    held: dict[Node, Node | None] = dict.fromkeys(node.args[0].args if node.op.name == "item" else node.args)
    if diagonal or arg.shape == ():
        (dot,) = push([node], held | {arg: broadcast_to(const(1.0, arg.dtype), shape=arg.shape)})
        flat = zeros_like(node) if dot is None else dot
        shape: tuple[Extent, ...] = ((rows,) if node.shape else ()) if diagonal else (rows, 1)
        return Block(rows, cols, reshape(flat, shape=shape), diagonal, node.dtype)
    mark = make(PRIMITIVES["symbol"], (), {"name": "\0column", "shape": arg.shape, "dtype": arg.dtype})
    (dot,) = push([node], held | {arg: mark})
    (columns,) = batch(
        [zeros_like(node) if dot is None else dot], {mark: reshape(eye(cols, arg.dtype), shape=(cols, *arg.shape))}
    )
    return Block(rows, cols, transpose(reshape(columns, shape=(cols, rows)), perm=(1, 0)), False, node.dtype)


def _entry(block: Block | None, f: Node, x: Node) -> Node:
    shape = (*f.shape, *x.shape)
    if block is None:
        return broadcast_to(const(0.0, f.dtype), shape=shape)
    if block.diagonal and not shape:
        return const(1.0, f.dtype) if block.node is None else reshape(block.node, shape=())
    return reshape(block.full(), shape=shape)
