"""Local Jacobians: which entries the derivative of one node by one argument has, and what products of them cost.

Counts are ints, or polynomials in the run-time sizes; where two are compared, they are compared at example sizes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from symdiff.diff.flow import carriers
from symdiff.ir.dims import Extent, Shape, evaluate, product, size_names
from symdiff.ir.graph import made_order
from symdiff.ir.node import Node
from symdiff.ir.primitive import Elementwise
from symdiff.ops import elementwise as el

EXAMPLE_SIZE = 1000


@dataclass(frozen=True, slots=True)
class Local:
    """A matrix of `rows` by `cols` with so many `entries` that are not zero, at most so many per row and per column.

    `unit`: all entries are 1 or -1, so that a product with it takes no multiplication. `diagonal`: square, with
    entries on the diagonal only.
    """

    rows: Extent
    cols: Extent
    entries: Extent
    per_row: Extent
    per_col: Extent
    unit: bool = False
    diagonal: bool = False

    @property
    def transposed(self) -> Local:
        """The matrix with rows and columns swapped."""
        return replace(self, rows=self.cols, cols=self.rows, per_row=self.per_col, per_col=self.per_row)


def identity(n: Extent) -> Local:
    """The identity matrix: a product with it copies."""
    return Local(n, n, n, 1, 1, unit=True, diagonal=True)


def dense(rows: Extent, cols: Extent) -> Local:
    """A full matrix."""
    return Local(rows, cols, rows * cols, cols, rows)


@dataclass(frozen=True, slots=True)
class Counts:
    """Multiplications and additions."""

    mults: Extent = 0
    adds: Extent = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.mults + other.mults, self.adds + other.adds)


@dataclass(frozen=True, slots=True)
class Sizes:
    """The example sizes at which counts are compared."""

    example: Mapping[str, int] = field(default_factory=dict)

    def at(self, n: Extent) -> int:
        """The number that a count has at the example sizes."""
        return evaluate(n, self.example)

    def least(self, a: Extent, b: Extent) -> Extent:
        """The smaller of two counts."""
        return a if self.at(a) <= self.at(b) else b

    def multiply(self, a: Local, b: Local) -> tuple[Counts, Local]:
        """Return the cost of the product a b and its shape.

        Every entry of `a` meets a row of `b`, every entry of `b` a column of `a`: the smaller of the two bounds is
        exact for full, diagonal and selecting matrices.
        """
        products = self.least(a.entries * b.per_row, a.per_col * b.entries)
        entries = self.least(products, a.rows * b.cols)
        adds = products - entries
        per_row, per_col = self.least(b.cols, a.per_row * b.per_row), self.least(a.rows, a.per_col * b.per_col)
        unit, diagonal = a.unit and b.unit and adds == 0, a.diagonal and b.diagonal
        result = Local(a.rows, b.cols, entries, per_row, per_col, unit, diagonal)
        return Counts(0 if a.unit or b.unit else products, adds), result

    def add(self, a: Local, b: Local) -> tuple[Counts, Local]:
        """Return the cost of the sum a + b and its shape."""
        adds = self.least(a.entries, b.entries)
        if a.diagonal and b.diagonal:
            return Counts(0, adds), replace(a, unit=False)
        entries = self.least(a.entries + b.entries, a.rows * a.cols)
        per_row, per_col = self.least(a.per_row + b.per_row, a.cols), self.least(a.per_col + b.per_col, a.rows)
        return Counts(0, adds), Local(a.rows, a.cols, entries, per_row, per_col)


def example_sizes(nodes: Sequence[Node], given: Mapping[str, int]) -> dict[str, int]:
    """Return a number for every run-time size of the graph, 1000 where none is given."""
    names = sorted(frozenset().union(*(size_names(n.shape) for n in made_order(nodes))))
    return {name: given.get(name, EXAMPLE_SIZE) for name in names}


def local_jacobians(node: Node, active: set[Node]) -> list[tuple[Node, Local]]:
    """Return (argument, Jacobian of the node by it) for the arguments that matter.

    A structured primitive that is not in the list below counts as full.
    """
    if node.op.name == "item":
        # A loop: every value it returns may depend on all that it is given.
        args = [a for a in node.args[0].args if a in active and a.dtype.startswith("float")]
        return [(a, dense(product(node.shape), product(a.shape))) for a in args]
    if node.op.name == "custom":
        # How the value was computed does not matter; the arguments of its own rule follow.
        return [(a, dense(product(node.shape), product(a.shape))) for a in node.args[1:] if a in active]
    if isinstance(node.op, Elementwise):
        partials = (None, 1, 1) if node.op is el.where else () if node.op.partials is None else None
        if partials is None:
            partials = tuple(node.op.partials(node, *node.args))  # type: ignore[misc]  # checked above
        return [
            (a, _repeated(node.shape, a.shape, isinstance(p, (int, float)) and abs(p) == 1))
            for a, p in zip(node.args, partials, strict=False)
            if p is not None and a in active
        ]
    return [(a, _structured(node, k)) for k, a in enumerate(node.args) if a in active and a.dtype.startswith("float")]


def _repeated(shape: Shape, arg: Shape, unit: bool) -> Local:
    """Every entry of the result comes from one of an argument that is broadcast."""
    n, cols = product(shape), product(arg)
    return Local(n, cols, n, 1, _repeats(shape, arg), unit, diagonal=shape == arg)


def _repeats(shape: Shape, arg: Shape) -> Extent:
    lead = len(shape) - len(arg)
    return product(tuple(d for k, d in enumerate(shape) if k < lead or (arg[k - lead] == 1 and d != 1)))


def _structured(node: Node, k: int) -> Local:
    n, arg = product(node.shape), node.args[k]
    m, p = product(arg.shape), node.params
    match node.op.name:
        case "reshape":
            return identity(n)
        case "transpose" | "slice":
            return Local(n, m, n, 1, 1, unit=True)
        case "broadcast_to":
            return _repeated(node.shape, arg.shape, unit=True)
        case "concatenate" | "embed":
            return Local(n, m, m, 1, 1, unit=True)
        case "take":
            return Local(n, m, n, 1, product(node.args[1].shape), unit=True)
        case "scatter_add":
            return Local(n, m, m, product(node.args[1].shape), 1, unit=True)
        case "sum" | "prod" | "max" | "min":
            among = product(tuple(arg.shape[a] for a in p["axes"]))
            return Local(n, m, m, among, 1, unit=node.op.name == "sum")
        case "matmul":
            return _matmul(node, k)
        case "solve" if k == 1:
            rows = arg.shape[0]
            return Local(n, m, n * rows, rows, rows)
    return dense(n, m)


def _matmul(node: Node, k: int) -> Local:
    """Entry (i, j) of A B has row i of A and column j of B."""
    a, b = node.args
    arg, other = (a, b) if k == 0 else (b, a)
    inner = a.shape[-1]
    free = (b.shape[-1:] if b.ndim > 1 else ()) if k == 0 else (a.shape[-2:-1] if a.ndim > 1 else ())
    lead = node.shape[: max(a.ndim, b.ndim) - 2] if max(a.ndim, b.ndim) > 2 else ()
    repeats = _repeats(lead, arg.shape[:-2]) if other.ndim > 2 else 1
    n = product(node.shape)
    return Local(n, product(arg.shape), n * inner, inner, product(free) * repeats)


@dataclass(slots=True)
class Linearised:
    """The linearised graph: vertices in topological order, sources first, sinks last, and blocks on its edges.

    `edges[v][u]` is the Jacobian of vertex v by vertex u. Every output has a sink of its own, a copy.
    """

    sizes: list[Extent]
    edges: list[dict[int, Local]]
    sources: list[int]
    sinks: list[int]
    nodes: list[Node]


def linearised(outputs: Sequence[Node], wrt: Sequence[Node], sizes: Sizes) -> Linearised:
    """Return the linearised graph of `outputs` by the symbols `wrt`."""
    active = set(wrt)
    for n in carriers(outputs, wrt):
        real = n.dtype.startswith("float") or n.dtype == "tuple"
        if real and n.op.name != "stop_gradient" and any(a in active for a in n.args):
            active.add(n)
    inner = [n for n in carriers(outputs, wrt) if n in active and n.dtype != "tuple"]
    nodes = [*wrt, *inner, *outputs]
    index = {n: v for v, n in enumerate(nodes[: len(wrt) + len(inner)])}
    edges: list[dict[int, Local]] = [{} for _ in nodes]
    for v in range(len(wrt), len(index)):
        for arg, block in local_jacobians(nodes[v], active):
            u = index[arg]
            edges[v][u] = sizes.add(edges[v][u], block)[1] if u in edges[v] else block
    sinks = list(range(len(index), len(nodes)))
    for v, f in zip(sinks, outputs, strict=True):
        if f in index:
            edges[v][index[f]] = identity(product(f.shape))
    return Linearised([product(n.shape) for n in nodes], edges, list(range(len(wrt))), sinks, nodes)
