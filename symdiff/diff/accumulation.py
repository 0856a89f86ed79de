"""accumulation: what a Jacobian costs in which order its local Jacobians are multiplied.

The chain rule is a sum over paths of products of local Jacobians; associativity leaves the order free. Forward
mode multiplies from the right, reverse mode from the left, and eliminating the inner vertices of the linearised
graph in any other order is called cross-country. To find the best order is NP-complete (Naumann 2008).

Method: Griewank & Walther 2008, chapters 9 and 10; for a chain the best bracketing by dynamic programming
(Godbole 1973).
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from symdiff.diff.brackets import best_bracketing, chain_of
from symdiff.diff.elimination import cheapest_elimination
from symdiff.diff.local import Counts, Linearised, Local, Sizes, dense, example_sizes, identity, linearised
from symdiff.diff.wrt import as_functions, as_list, as_symbol
from symdiff.ir.dims import Extent, evaluate
from symdiff.ir.errors import DerivativeError, ShapeError, UnknownSymbolError
from symdiff.ir.node import Node


@dataclass(frozen=True, slots=True)
class Order:
    """One order: its multiplications and additions, the numbers it holds at once, and how it goes, in words."""

    name: str
    mults: Extent
    adds: Extent
    memory: Extent
    how: str


@dataclass(frozen=True, slots=True)
class Accumulation:
    """The cost of a Jacobian in several orders. Prints as a table.

    Counts are numbers, or polynomials in the run-time sizes, which are then compared at the sizes of `example`.
    The local derivatives themselves, which every order needs, are not counted.
    """

    rows: tuple[Order, ...]
    shape: tuple[Extent, Extent]
    example: Mapping[str, int]

    @property
    def cheapest(self) -> Order:
        """The order with the fewest operations; the first of several."""
        return min(self.rows, key=lambda r: evaluate(r.mults + r.adds, self.example))

    def __getitem__(self, name: str) -> Order:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"No order is named {name!r}; there are {', '.join(r.name for r in self.rows)}.")

    def __str__(self) -> str:
        from rich.console import Console

        console = Console(file=io.StringIO(), width=120, record=True)
        console.print(self)
        return console.export_text().rstrip()

    def __rich__(self) -> Any:
        from symdiff.diff.accumulation_table import accumulation_table

        return accumulation_table(self)


def accumulation(f: Any, wrt: Any, sizes: Mapping[str, int] | None = None) -> Accumulation:
    """Return what the Jacobian of `f` by `wrt` costs in forward, reverse and cross-country order.

    Needs: functions and symbols as `jacobian` takes them. `sizes` gives numbers to run-time sizes; without, counts
    are polynomials in them, compared at 1000 each.
    Raises: DerivativeError; UnknownSymbolError and ShapeError for sizes that `f` does not have or that are no ints.

    >>> import symdiff as sd
    >>> A, B, x = sd.matrix("A", 2, 50), sd.matrix("B", 50, 40), sd.vector("x", 30)
    >>> C = sd.matrix("C", 40, 30)
    >>> table = sd.accumulation(A @ (B @ (C @ x)), x)
    >>> [(row.name, row.mults, row.how) for row in table.rows[:2]]
    [('forward', 63000, 'A (B C)'), ('reverse', 6400, '(A B) C')]
    """
    fs, xs = as_functions(as_list(f)[0]), [as_symbol(x) for x in as_list(wrt)[0]]
    if len(set(xs)) < len(xs):
        raise DerivativeError("accumulation takes every symbol once; a symbol is given twice.")
    _check_sizes([*fs, *xs], sizes or {})
    compared = Sizes(example_sizes([*fs, *xs], sizes or {}))
    graph = linearised(fs, xs, compared)
    rows = [_forward(graph, compared), _reverse(graph, compared), _cross_country(graph, compared)]
    chain = chain_of(graph)
    if chain is not None:
        counts, memory, how = best_bracketing(chain, compared)
        rows[0], rows[1] = _named(rows[0], chain.text(left=False)), _named(rows[1], chain.text(left=True))
        rows.append(Order("best bracketing", counts.mults, counts.adds, memory, how))
    shape = (_total(graph, graph.sinks), _total(graph, graph.sources))
    result = Accumulation(tuple(rows), shape, compared.example)
    return _numbers(result, compared) if sizes and set(sizes) >= set(compared.example) else result


def _check_sizes(nodes: Sequence[Node], sizes: Mapping[str, int]) -> None:
    known = example_sizes(nodes, {})
    for name, value in sizes.items():
        if name not in known:
            raise UnknownSymbolError(f"accumulation: no run-time size is named {name!r}; there are {list(known)}.")
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ShapeError(f"accumulation: the size {name!r} is an int >= 1, got {value!r}.")


def _total(graph: Linearised, vertices: Sequence[int]) -> Extent:
    total: Extent = 0
    for v in vertices:
        total = graph.sizes[v] + total
    return total


def _named(row: Order, how: str) -> Order:
    return Order(row.name, row.mults, row.adds, row.memory, how)


def _numbers(a: Accumulation, sizes: Sizes) -> Accumulation:
    rows = (Order(r.name, sizes.at(r.mults), sizes.at(r.adds), sizes.at(r.memory), r.how) for r in a.rows)
    return Accumulation(tuple(rows), (sizes.at(a.shape[0]), sizes.at(a.shape[1])), a.example)


def _forward(graph: Linearised, sizes: Sizes) -> Order:
    counts, live = _sweep(graph.sizes, graph.edges, graph.sources, sizes)
    return Order("forward", counts.mults, counts.adds, live + _entries(graph), "column by column")


def _reverse(graph: Linearised, sizes: Sizes) -> Order:
    n = len(graph.sizes)
    flipped: list[dict[int, Local]] = [{} for _ in range(n)]
    kept: Extent = 0
    for v, row in enumerate(graph.edges):
        for u, block in row.items():
            flipped[n - 1 - u][n - 1 - v] = block.transposed
            kept = kept + (0 if block.unit else block.entries)
    counts, live = _sweep(graph.sizes[::-1], flipped, [n - 1 - v for v in graph.sinks], sizes)
    # A row is pulled when all local derivatives are known: they are held from the first to the last.
    return Order("reverse", counts.mults, counts.adds, kept + live + _entries(graph), "row by row")


def _entries(graph: Linearised) -> Extent:
    return _total(graph, graph.sinks) * _total(graph, graph.sources)


def _cross_country(graph: Linearised, sizes: Sizes) -> Order:
    counts, memory, how = cheapest_elimination(graph, sizes)
    return Order("cross-country", counts.mults, counts.adds, memory, how)


def _sweep(
    extents: Sequence[Extent], edges: Sequence[Mapping[int, Local]], sources: Sequence[int], sizes: Sizes
) -> tuple[Counts, Extent]:
    """Return the cost of pushing full directions from the sources, and the numbers alive for one direction.

    The first products are with columns of the identity: they copy.
    """
    # How many directions reach a vertex: those of the sources that it depends on.
    reach = [frozenset([v]) if v in sources else frozenset[int]() for v in range(len(extents))]
    copies = set(sources)
    last = {u: v for v, row in enumerate(edges) for u in row}
    total, alive, peak = Counts(), dict[int, Extent](), 0  # type: tuple[Counts, dict[int, Extent], Extent]
    for v, row in enumerate(edges):
        found: Local | None = None
        for u, block in row.items():
            reach[v] |= reach[u]
            if not reach[u]:
                continue
            seed = identity(extents[u]) if u in copies else dense(extents[u], _directions(reach[u], extents))
            counts, moved = sizes.multiply(block, seed)
            total = total + counts
            if found is not None:
                total = total + Counts(0, sizes.least(found.entries, moved.entries))
            if found is None or sizes.at(moved.entries) > sizes.at(found.entries):
                found = moved
        if len(row) == 1 and copies.issuperset(row) and all(b.unit and b.diagonal for b in row.values()):
            copies.add(v)
        alive[v] = extents[v]
        now: Extent = 0
        for n in alive.values():
            now = n + now
        peak = now if sizes.at(now) > sizes.at(peak) else peak
        for u in [u for u in alive if last.get(u, -1) <= v and u in last]:
            del alive[u]
    return total, peak


def _directions(reach: frozenset[int], extents: Sequence[Extent]) -> Extent:
    total: Extent = 0
    for v in sorted(reach):
        total = extents[v] + total
    return total
