"""Colourings by their definitions, and entries read off products with random matrices."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import symdiff as sd
from symdiff.diff.colouring import Colouring, colour
from symdiff.diff.colouring_kernels import acyclic_colours, column_colours, star_colours

EPS = np.finfo(float).eps
Edges = set[tuple[int, int]]


def arrays(n: int, pairs: Edges) -> tuple[np.ndarray, np.ndarray]:
    """The CSR arrays of a graph."""
    near: list[list[int]] = [[] for _ in range(n)]
    for a, b in pairs:
        near[a].append(b)
        near[b].append(a)
    begin = np.cumsum([0, *map(len, near)])
    return begin, np.array([w for row in near for w in sorted(row)], dtype=np.int64)


@st.composite
def graphs(draw) -> tuple[int, Edges]:
    n = draw(st.integers(1, 9))
    pairs = [(a, b) for a in range(n) for b in range(a)]
    return n, set(draw(st.lists(st.sampled_from(pairs), unique=True))) if pairs else set()


def is_proper(colours: np.ndarray, pairs: Edges) -> bool:
    return all(colours[a] != colours[b] for a, b in pairs)


def has_two_coloured_path(colours: np.ndarray, n: int, pairs: Edges) -> bool:
    """Whether a path on four vertices has two colours, trying all quadruples."""
    both = pairs | {(b, a) for a, b in pairs}
    return any(
        (a, b) in both and (b, c) in both and (c, d) in both and len({colours[k] for k in (a, b, c, d)}) == 2
        for a, b, c, d in itertools.permutations(range(n), 4)
    )


def has_two_coloured_cycle(colours: np.ndarray, n: int, pairs: Edges) -> bool:
    """Whether two colours hold a cycle: more edges than a forest has, by merging components."""
    for one, two in itertools.combinations(set(colours.tolist()), 2):
        parent = list(range(n))

        def root(v: int, parent: list[int] = parent) -> int:
            while parent[v] != v:
                v = parent[v]
            return v

        for a, b in pairs:
            if {colours[a], colours[b]} == {one, two}:
                if root(a) == root(b):
                    return True
                parent[root(a)] = root(b)
    return False


@given(graphs(), st.randoms(use_true_random=False))
def test_star_colourings_have_no_two_coloured_path_on_four_vertices(graph, random) -> None:
    n, pairs = graph
    order = list(range(n))
    random.shuffle(order)
    colours = star_colours(*arrays(n, pairs), np.array(order), n + 1)
    assert colours.min() >= 0
    assert is_proper(colours, pairs)
    assert not has_two_coloured_path(colours, n, pairs)


@given(graphs(), st.randoms(use_true_random=False))
def test_acyclic_colourings_have_no_two_coloured_cycle(graph, random) -> None:
    n, pairs = graph
    order = list(range(n))
    random.shuffle(order)
    colours = acyclic_colours(*arrays(n, pairs), np.array(order))
    assert colours.min() >= 0
    assert is_proper(colours, pairs)
    assert not has_two_coloured_cycle(colours, n, pairs)


def test_the_checks_see_what_they_are_for() -> None:
    path, square = {(1, 0), (2, 1), (3, 2)}, {(1, 0), (2, 1), (3, 2), (3, 0)}
    assert has_two_coloured_path(np.array([0, 1, 0, 1]), 4, path)
    assert not has_two_coloured_cycle(np.array([0, 1, 0, 1]), 4, path)
    assert has_two_coloured_cycle(np.array([0, 1, 0, 1]), 4, square)
    assert not is_proper(np.array([0, 0, 1, 2]), path)


@st.composite
def matrices(draw, symmetric: bool) -> np.ndarray:
    m, n = draw(st.integers(1, 9)), draw(st.integers(1, 11))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    m = n if symmetric else m
    full = rng.standard_normal((m, n)) * (rng.random((m, n)) < draw(st.sampled_from((0.0, 0.1, 0.3, 0.6))))
    return full + full.T if symmetric else full


def read(matrix: np.ndarray, found: Colouring) -> np.ndarray:
    """The entries of a matrix from its products."""
    ahead = (found.columns == np.arange(found.forward)[:, None]).astype(float)
    back = (found.rows == np.arange(found.reverse)[:, None]).astype(float)
    return found.entries(np.concatenate([(ahead @ matrix.T).ravel(), (back @ matrix).ravel()]))


@pytest.mark.parametrize("method", ["column", "row", "bidirectional", None])
@given(matrix=matrices(symmetric=False))
def test_entries_of_any_matrix(method: str | None, matrix: np.ndarray) -> None:
    i, j = np.nonzero(matrix)
    found = colour(matrix.shape, i, j, False, method)
    np.testing.assert_array_equal(read(matrix, found), matrix[i, j])
    assert found.products <= sum(matrix.shape)
    if method == "column":
        meets = (matrix != 0).T.astype(int) @ (matrix != 0) > 0
        same = (found.columns[:, None] == found.columns) & (found.columns >= 0)[:, None]
        np.fill_diagonal(same, False)
        assert not (meets & same).any()


@pytest.mark.parametrize("method", ["column", "star", "acyclic", None])
@given(matrix=matrices(symmetric=True))
def test_entries_of_symmetric_matrices(method: str | None, matrix: np.ndarray) -> None:
    i, j = np.nonzero(matrix)
    found = colour(matrix.shape, i, j, True, method)
    # Substitution adds up at most 11 numbers of size 8.
    np.testing.assert_allclose(read(matrix, found), matrix[i, j], rtol=0, atol=128 * EPS if found.solver else 0)


def structure_of(mask: np.ndarray) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
    return mask.shape, *np.nonzero(mask)


def test_known_numbers_of_products() -> None:
    n = 40
    band = np.abs(np.subtract.outer(np.arange(n), np.arange(n))) <= 1
    arrow = np.eye(n, dtype=bool)
    arrow[0] = arrow[:, 0] = True
    assert colour(*structure_of(band), symmetric=False).products == 3
    assert colour(*structure_of(band), symmetric=True, method="star").products == 3
    assert colour(*structure_of(band), symmetric=True, method="acyclic").products == 2
    assert colour(*structure_of(arrow), symmetric=True).products == 2
    both = colour(*structure_of(arrow[:, :-7]), symmetric=False)
    assert (both.method, both.products) == ("bidirectional", 3)
    assert colour(*structure_of(arrow[:1]), symmetric=False).products == 1
    assert colour(*structure_of(np.zeros((3, 5), bool)), symmetric=False).products == 0
    full = colour(*structure_of(np.ones((3, 5), bool)), symmetric=False)
    assert (full.method, full.products) == ("row", 3)


def test_a_hundred_thousand_columns() -> None:
    """Entries times colours, not degrees squared: the arrow's full row would cost 10^10 steps."""
    n = 100_000
    k = np.arange(n)
    rows, cols = np.concatenate([k, 0 * k[1:], k[1:]]), np.concatenate([k, k[1:], 0 * k[1:]])
    order = np.lexsort((cols, rows))
    for symmetric, products in ((True, 2), (False, 3)):
        assert colour((n, n), rows[order], cols[order], symmetric).products == products


def test_columns_in_any_order() -> None:
    mask = np.random.default_rng(8).random((30, 50)) < 0.08
    begins = np.append(0, np.cumsum(mask.sum(1)))
    col_begins = np.append(0, np.cumsum(mask.sum(0)))
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(50)
        colours = column_colours(begins, np.nonzero(mask)[1], col_begins, np.nonzero(mask.T)[1], order)
        for row in mask:
            assert len(set(colours[row])) == row.sum()


def test_unknown_methods() -> None:
    with pytest.raises(sd.DerivativeError, match="A colouring is one of column, row"):
        colour((2, 2), np.array([0, 1]), np.array([0, 1]), False, "greedy")
