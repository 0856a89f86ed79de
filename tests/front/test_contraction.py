"""The order of products in einsum: the cheapest, and the same value in any order."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import symdiff as sd
from symdiff.front.contraction import MOST_EXACT, Tree, contraction
from symdiff.front.symbols import array
from symdiff.ir.dims import as_extent

RNG = np.random.default_rng(3)
EPS = np.finfo(float).eps


def cost(tree: Tree, inputs: list[frozenset[str]], output: frozenset[str], sizes: dict[str, int]) -> int:
    """Count the products of a tree, by walking it."""

    def walk(t: Tree, needed: frozenset[str]) -> tuple[int, frozenset[str], frozenset[str]]:
        if isinstance(t, int):
            return 0, inputs[t] & needed, inputs[t]
        names = [frozenset().union(*(inputs[k] for k in leaves(side))) for side in t]
        (a, x, _), (b, y, _) = (walk(side, needed | other) for side, other in zip(t, names[::-1], strict=True))
        return a + b + math.prod(sizes[c] for c in x | y), (x | y) & needed, x | y

    return walk(tree, output)[0]


def leaves(t: Tree) -> list[int]:
    return [t] if isinstance(t, int) else leaves(t[0]) + leaves(t[1])


def all_trees(items: tuple[int, ...]) -> list[Tree]:
    if len(items) == 1:
        return [items[0]]
    found: list[Tree] = []
    for size in range(1, len(items)):
        for right in itertools.combinations(items, size):
            left = tuple(k for k in items if k not in right)
            if items[0] in left:
                found += [(x, y) for x in all_trees(left) for y in all_trees(right)]
    return found


@pytest.mark.parametrize("seed", range(6))
def test_no_other_order_is_cheaper(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = {c: int(rng.integers(1, 60)) for c in "abcdef"}
    inputs = [frozenset(rng.choice(list(sizes), int(rng.integers(1, 4)), replace=False).tolist()) for _ in range(5)]
    output = frozenset(list(inputs[0])[:1])
    best = min(cost(t, inputs, output, sizes) for t in all_trees(tuple(range(5))))
    assert cost(contraction(inputs, output, sizes), inputs, output, sizes) == best


def test_chains_of_matrices_go_from_the_small_side() -> None:
    chain = [frozenset(s) for s in ("ij", "jk", "kl")]
    small_left = {"i": 2, "j": 100, "k": 100, "l": 100}
    assert contraction(chain, frozenset("il"), small_left) == ((0, 1), 2)
    assert contraction(chain, frozenset("il"), {**small_left, "i": 100, "l": 2}) == (0, (1, 2))
    assert contraction(chain, frozenset("il"), dict.fromkeys("ijkl", 7)) == ((0, 1), 2)  # of equals the first
    # A run-time size counts as large.
    assert contraction(chain, frozenset("il"), {**small_left, "i": as_extent("n"), "l": 2}) == (0, (1, 2))


def test_many_operands_are_ordered_greedily() -> None:
    count = MOST_EXACT + 3
    names = [chr(ord("a") + k) for k in range(count + 1)]
    chain = [frozenset(names[k : k + 2]) for k in range(count)]
    sizes = dict.fromkeys(names, 30) | {names[-1]: 1}
    tree = contraction(chain, frozenset((names[0], names[-1])), sizes)
    assert sorted(leaves(tree)) == list(range(count))
    # From the vector's end every product is one of a matrix with a vector.
    assert cost(tree, chain, frozenset((names[0], names[-1])), sizes) == 900 * (count - 1)


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        ("ij,jk,kl->il", ((3, 9), (9, 8), (8, 2))),
        ("ij,jk,kl->il", ((8, 9), (9, 8), (8, 2))),
        ("i,ij,j", ((4,), (4, 6), (6,))),
        ("bij,bjk,bk->bi", ((2, 3, 4), (2, 4, 5), (2, 5))),
        ("ii,ij,jk->k", ((3, 3), (3, 4), (4, 2))),
        ("ab,cd,bc,ae", ((2, 3), (4, 5), (3, 4), (2, 6))),
        ("...i,ij,...j->...", ((5, 3), (3, 4), (5, 4))),
    ],
)
def test_values_and_gradients_do_not_depend_on_the_order(subscripts: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    xs = [array(f"x{k}", s) for k, s in enumerate(shapes)]
    values = [RNG.normal(size=s) for s in shapes]
    out = sd.einsum(subscripts, *xs)
    got = sd.compile(out, xs)(*values)
    want = np.einsum(subscripts, *values)
    size = np.einsum(subscripts, *map(np.abs, values))
    # A sum of at most 72 products of three: eps for each term and each factor.
    assert (np.abs(got - want) <= 80 * EPS * size).all()
    dots = [RNG.uniform(0.3, 2.2, s) for s in shapes]
    slope = sum(np.sum(g * d) for g, d in zip(sd.compile(sd.gradient(sd.sum(out), xs), xs)(*values), dots, strict=True))
    parts = [np.sum(np.einsum(subscripts, *(*values[:k], dots[k], *values[k + 1 :]))) for k in range(len(xs))]
    scale = sum(
        np.sum(np.einsum(subscripts, *map(np.abs, (*values[:k], dots[k], *values[k + 1 :])))) for k in range(len(xs))
    )
    assert abs(slope - sum(parts)) <= 80 * EPS * scale
