"""Vertex elimination: the Jacobian by removing the inner vertices of the linearised graph, one after the other.

Removing v multiplies every block into v with every block out of it and adds the products to the edges that go past
v; when only sources and sinks are left, the edges are the Jacobian.
Method: Griewank & Walther 2008, chapter 9.2; the greedy choice of the cheapest vertex is Markowitz's (1957).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator

from symdiff.diff.local import Counts, Linearised, Local, Sizes
from symdiff.ir.dims import Extent


class Elimination:
    """A linearised graph on which vertices are eliminated, and what that has cost so far.

    `step(w, v, u)` is told of every product: the edge from u to w gets the blocks through v.
    """

    def __init__(self, graph: Linearised, sizes: Sizes, step: Callable[[int, int, int], None] | None = None):
        self.sizes, self.step = sizes, step
        self.into: list[dict[int, Local]] = [dict(row) for row in graph.edges]
        self.out: list[set[int]] = [set() for _ in graph.sizes]
        for v, row in enumerate(graph.edges):
            for u in row:
                self.out[u].add(v)
        self.inner = [v for v in range(len(graph.sizes)) if v not in {*graph.sources, *graph.sinks}]
        self.counts = Counts()
        self.held: Extent = 0
        for row in self.into:
            for block in row.values():
                self.held = self.held + _numbers(block)
        self.peak = self.held

    def products(self, v: int) -> Iterator[tuple[int, int, Counts, Local]]:
        """What eliminating v would do: (w, u, cost, new block) for every path u -> v -> w."""
        for w in sorted(self.out[v]):
            for u in sorted(self.into[v]):
                counts, block = self.sizes.multiply(self.into[w][v], self.into[v][u])
                if u in self.into[w]:
                    more, block = self.sizes.add(self.into[w][u], block)
                    counts = counts + more
                yield w, u, counts, block

    def price(self, v: int) -> tuple[int, int]:
        """The operations, and the multiplications, of eliminating v."""
        at = self.sizes.at
        costs = [(at(c.mults), at(c.adds)) for _, _, c, _ in self.products(v)]
        mults = sum(m for m, _ in costs)
        return mults + sum(a for _, a in costs), mults

    def eliminate(self, v: int) -> None:
        """Remove a vertex."""
        for w, u, counts, block in list(self.products(v)):
            self.counts = self.counts + counts
            self.held = self.held + _numbers(block) - (_numbers(self.into[w][u]) if u in self.into[w] else 0)
            self.into[w][u] = block
            self.out[u].add(w)
            if self.step is not None:
                self.step(w, v, u)
        if self.sizes.at(self.held) > self.sizes.at(self.peak):
            self.peak = self.held
        for w in self.out[v]:
            self.held = self.held - _numbers(self.into[w].pop(v))
        for u, block in self.into[v].items():
            self.held = self.held - _numbers(block)
            self.out[u].discard(v)
        self.into[v], self.out[v] = {}, set()


def _numbers(block: Local) -> Extent:
    return 0 if block.unit else block.entries


def markowitz(run: Elimination) -> list[int]:
    """Eliminate the cheapest vertex until none is left; returns the order. Ties go to the later vertex."""
    current = {v: run.price(v) for v in run.inner}
    heap = [(price, -v) for v, price in current.items()]
    heapq.heapify(heap)
    order = []
    while heap:
        price, v = heapq.heappop(heap)
        v = -v
        if current.get(v) != price:
            continue  # an older price
        near = {*run.into[v], *run.out[v]}
        run.eliminate(v)
        del current[v]
        order.append(v)
        for u in near & current.keys():
            current[u] = run.price(u)
            heapq.heappush(heap, (current[u], -u))
    return order


def in_order(run: Elimination, order: Iterable[int]) -> list[int]:
    """Eliminate the vertices in a given order."""
    done = list(order)
    for v in done:
        run.eliminate(v)
    return done


def elimination_order(graph: Linearised, sizes: Sizes) -> tuple[Elimination, list[int], str]:
    """Return the cheapest of three eliminations, its order of vertices and its name."""
    runs = []
    for name in ("cheapest vertex first", "vertices from the inputs on", "vertices from the outputs on"):
        run = Elimination(graph, sizes)
        if name.startswith("cheapest"):
            order = markowitz(run)
        else:
            order = in_order(run, run.inner if "inputs" in name else run.inner[::-1])
        runs.append((run, order, name))
    return min(runs, key=lambda r: sizes.at(r[0].counts.mults + r[0].counts.adds))


def cheapest_elimination(graph: Linearised, sizes: Sizes) -> tuple[Counts, Extent, str]:
    """Return the cost of the cheapest elimination, the numbers it holds at most, and its name."""
    run, _, name = elimination_order(graph, sizes)
    return run.counts, run.peak, name
