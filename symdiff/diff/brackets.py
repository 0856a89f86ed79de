"""Chains: a Jacobian that is one product of matrices, and its best bracketing."""

from __future__ import annotations

from dataclasses import dataclass

from symdiff.diff.local import Counts, Linearised, Local, Sizes
from symdiff.ir.dims import Extent
from symdiff.ir.node import Node
from symdiff.ir.primitive import Elementwise

# Dynamic programming takes time with the cube of the number of factors.
_LONGEST = 100


@dataclass(frozen=True, slots=True)
class Chain:
    """The factors from left to right, with names."""

    factors: tuple[Local, ...]
    names: tuple[str, ...]

    def text(self, left: bool) -> str:
        """Print the product bracketed from the left, or from the right."""
        names = self.names if left else self.names[::-1]
        out = names[0]
        for k, name in enumerate(names[1:], start=1):
            inner = f"({out})" if k > 1 else out
            out = f"{inner} {name}" if left else f"{name} {inner}"
        return out


def chain_of(graph: Linearised) -> Chain | None:
    """Return the factors if the graph is one path with at least two matrices, else None. Copies are left out."""
    if len(graph.sources) != 1 or len(graph.sinks) != 1 or any(len(row) > 1 for row in graph.edges):
        return None
    factors: list[Local] = []
    names: list[str] = []
    v = graph.sinks[0]
    while graph.edges[v]:
        ((u, block),) = graph.edges[v].items()
        if not (block.unit and block.diagonal):
            factors.append(block)
            names.append(_name(graph.nodes[v], graph.nodes[u]))
        v = u
    if v not in graph.sources or not 2 <= len(factors) <= _LONGEST:
        return None
    return Chain(tuple(factors), tuple(names))


def _name(node: Node, arg: Node) -> str:
    """A constant matrix by its own name, a function by a dash, anything else by its primitive."""
    others = [a for a in node.args if a is not arg]
    if node.op.name == "matmul" and len(others) == 1 and others[0].op.name == "symbol":
        name = str(others[0].params["name"])
        return name if others[0] is node.args[0] else f"{name}ᵀ"
    return f"{node.op.name}'" if isinstance(node.op, Elementwise) else node.op.name


def best_bracketing(chain: Chain, sizes: Sizes) -> tuple[Counts, Extent, str]:
    """Return the cost of the cheapest bracketing, the numbers that it holds at most, and its text."""
    n = len(chain.factors)
    cost: dict[tuple[int, int], Counts] = {(i, i): Counts() for i in range(n)}
    block = {(i, i): f for i, f in enumerate(chain.factors)}
    split: dict[tuple[int, int], int] = {}
    text = {(i, i): name for i, name in enumerate(chain.names)}
    for length in range(2, n + 1):
        for i in range(n - length + 1):
            j = i + length - 1
            best = -1
            for k in range(i, j):
                counts, product = sizes.multiply(block[i, k], block[k + 1, j])
                total = cost[i, k] + cost[k + 1, j] + counts
                price = sizes.at(total.mults + total.adds)
                if best < 0 or price < best:
                    best, cost[i, j], block[i, j], split[i, j] = price, total, product, k
                    text[i, j] = f"{_bracketed(text[i, k], k > i)} {_bracketed(text[k + 1, j], j > k + 1)}"
    return cost[0, n - 1], _peak(split, block, n, sizes), text[0, n - 1]


def _peak(split: dict[tuple[int, int], int], block: dict[tuple[int, int], Local], n: int, sizes: Sizes) -> Extent:
    """The numbers held at most when every product takes the place of its two factors, the left one made first."""
    held: Extent = 0
    for i in range(n):
        held = held + _numbers(block[i, i])
    peak, stack, done = held, [(0, n - 1)], set()
    while stack:
        i, j = stack[-1]
        if i == j or (i, j) in done:
            stack.pop()
            continue
        parts = [(i, split[i, j]), (split[i, j] + 1, j)]
        waiting = [p for p in parts if p[0] < p[1] and p not in done]
        if waiting:
            stack.append(waiting[0])
            continue
        held = held + _numbers(block[i, j])
        peak = held if sizes.at(held) > sizes.at(peak) else peak
        for part in parts:
            held = held - _numbers(block[part])
        done.add((i, j))
    return peak


def _numbers(block: Local) -> Extent:
    return 0 if block.unit else block.entries


def _bracketed(text: str, several: bool) -> str:
    return f"({text})" if several else text
