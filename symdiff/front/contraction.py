"""contraction: the order of products in which an einsum of three or more operands costs least.

    ij,jk,kl->il with i = 2 and j = k = l = 100:  (A B) C takes 40 000 products, A (B C) a million

Method: dynamic programming over the subsets of operands (Lam, Sadayappan & Wenger 1997) where there are few, else
the pair of the cheapest product first. The cost of a product is the number of its index combinations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from math import prod
from typing import Union

from symdiff.ir.dims import Dim, Extent, evaluate

# A run-time size is taken for this one, larger than most that are known.
LARGE = 10_000
# The subsets' splits number 3^n: half a million for twelve operands.
MOST_EXACT = 9

Tree = Union[int, tuple["Tree", "Tree"]]


def contraction(inputs: Sequence[frozenset[str]], output: frozenset[str], extents: Mapping[str, Extent]) -> Tree:
    """Return the order of products as nested pairs of operand numbers; of equal costs, that from left to right."""
    sizes = {label: _number(d) for label, d in extents.items()}
    count = len(inputs)
    return _exact(inputs, output, sizes) if count <= MOST_EXACT else _greedy(inputs, output, sizes)


def _number(extent: Extent) -> int:
    if isinstance(extent, Dim):
        return max(evaluate(extent, dict.fromkeys(extent.names, LARGE)), 1)
    return max(extent, 1)


def _exact(inputs: Sequence[frozenset[str]], output: frozenset[str], sizes: Mapping[str, int]) -> Tree:
    everything = (1 << len(inputs)) - 1

    @cache
    def names(subset: int) -> frozenset[str]:
        return frozenset().union(*(x for k, x in enumerate(inputs) if subset >> k & 1))

    @cache
    def kept(subset: int) -> frozenset[str]:
        """The labels of a subset's product: those that the others or the result still need."""
        return names(subset) & (output | names(everything & ~subset))

    @cache
    def best(subset: int) -> tuple[int, Tree]:
        # Recursion is as deep as there are operands.
        if subset & (subset - 1) == 0:
            return 0, subset.bit_length() - 1
        found: tuple[int, Tree] | None = None
        last = 1 << (subset.bit_length() - 1)
        # Every split once: the right part has the last operand, and small right parts come first.
        right = last
        while right != subset:
            left = subset & ~right
            (a, x), (b, y) = best(left), best(right)
            cost = a + b + prod(sizes[c] for c in kept(left) | kept(right))
            if found is None or cost < found[0]:
                found = cost, (x, y)
            right = ((right | ~subset) + 1) & subset | last
        assert found is not None
        return found

    return best(everything)[1]


def _greedy(inputs: Sequence[frozenset[str]], output: frozenset[str], sizes: Mapping[str, int]) -> Tree:
    terms: list[tuple[Tree, frozenset[str]]] = list(enumerate(inputs))
    while len(terms) > 1:
        pairs = [(i, j) for j in range(len(terms)) for i in range(j)]
        i, j = min(pairs, key=lambda p: prod(sizes[c] for c in terms[p[0]][1] | terms[p[1]][1]))
        others = [t for k, t in enumerate(terms) if k not in (i, j)]
        needed = output.union(*(labels for _, labels in others))
        merged = ((terms[i][0], terms[j][0]), (terms[i][1] | terms[j][1]) & needed)
        terms = [*others, merged]
    return terms[0][0]
