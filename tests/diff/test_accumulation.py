"""The cost of a Jacobian: against counts by hand, by running the orders, and by trying all of them."""

from __future__ import annotations

import functools
import io
import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import symdiff as sd
from symdiff.diff.elimination import Elimination, in_order, markowitz
from symdiff.diff.local import Sizes, linearised
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node

EPS = 2.0**-52
X = sd.vector("x", 30)


def chain(*sizes: int) -> Node:
    """A product of constant matrices, applied to a vector of sizes[-1] entries."""
    y = sd.vector("x", sizes[-1])
    for k in reversed(range(len(sizes) - 1)):
        y = sd.matrix("ABCDFGH"[k], sizes[k], sizes[k + 1]) @ y
    return y


def test_the_textbook_product_of_three_matrices() -> None:
    """(AB)C takes 2*50*40 + 2*40*30 products, A(BC) takes 50*40*30 + 2*50*30."""
    table = sd.accumulation(chain(2, 50, 40, 30), X)
    assert (table["reverse"].mults, table["reverse"].how) == (6400, "(A B) C")
    assert (table["forward"].mults, table["forward"].how) == (63000, "A (B C)")
    # A sum of k products has k - 1 additions.
    assert table["reverse"].adds == 2 * 49 * 40 + 2 * 39 * 30
    assert table["best bracketing"].how == "(A B) C"
    assert table.cheapest.name == "reverse"


@given(st.lists(st.integers(1, 9), min_size=4, max_size=7))
def test_bracketing_is_the_best_of_all(sizes: list[int]) -> None:
    @functools.cache
    def least(i: int, j: int) -> int:
        if j - i == 1:
            return 0
        # Multiplications and additions of an (a, b) by (b, c) product: a c (2b - 1).
        return min(least(i, k) + least(k, j) + sizes[i] * sizes[j] * (2 * sizes[k] - 1) for k in range(i + 1, j))

    x = sd.vector("x", sizes[-1])
    table = sd.accumulation(chain(*sizes), x)
    best = table["best bracketing"]
    assert best.mults + best.adds == least(0, len(sizes) - 1)
    # Eliminating vertices of a chain is bracketing.
    row = table["cross-country"]
    assert row.mults + row.adds >= best.mults + best.adds
    assert table.cheapest.mults + table.cheapest.adds == best.mults + best.adds


def test_diagonal_factors_are_cheap() -> None:
    n, m = 7, 5
    x, a, b = sd.vector("x", n), sd.matrix("A", m, n), sd.matrix("B", 3, m)
    table = sd.accumulation(b @ sd.sin(a @ x), x)
    # Forward scales all n columns of A, the best order scales B.
    assert table["forward"].mults == m * n + 3 * m * n
    assert table["best bracketing"].mults == 3 * m + 3 * m * n


def test_run_time_sizes_give_polynomials() -> None:
    x, a, b = sd.vector("x", "n"), sd.matrix("A", "m", "n"), sd.matrix("B", 3, "m")
    f = b @ sd.sin(a @ x)
    table = sd.accumulation(f, x)
    assert str(table["forward"].mults) == "4*m*n"
    assert str(table["best bracketing"].mults) == "3*m*n + 3*m"
    assert "m = 1000, n = 1000" in str(table)
    numbers = sd.accumulation(f, x, sizes={"m": 5, "n": 7})
    assert numbers["forward"].mults == 4 * 5 * 7
    small = sd.accumulation(f, x, sizes={"m": 5})  # n is a polynomial still
    assert str(small["forward"].mults) == "4*m*n"


def test_a_narrow_middle_is_where_cross_country_wins() -> None:
    """R^n -> R -> R^m: the Jacobian is an outer product, m*n products after the middle has been reached."""
    n, m = 6, 8
    x = sd.vector("x", n)
    middle = sd.tanh(sd.sum(sd.sin(x)))
    f = sd.exp(middle * sd.arange(m))
    table = sd.accumulation(f, x)
    row = table["cross-country"]
    assert row.mults < min(table["forward"].mults, table["reverse"].mults)
    assert table.cheapest.name in ("cross-country", "best bracketing")


def _dense_reference(fs: Sequence[Node], xs: Sequence[Node], order: Sequence[int]) -> int:
    """The multiplications of eliminating scalar vertices in an order, counted edge by edge."""
    graph = linearised(fs, xs, Sizes())
    unit = {(w, u): b.unit for w, row in enumerate(graph.edges) for u, b in row.items()}
    count = 0
    for v in order:
        into = [u for (w, u) in unit if w == v]
        out = [w for (w, u) in unit if u == v]
        for w, u in itertools.product(out, into):
            one, other = unit[w, v], unit[v, u]
            count += not (one or other)
            unit[w, u] = one and other and (w, u) not in unit
        unit = {e: is_unit for e, is_unit in unit.items() if v not in e}
    return count


def _scalar_graph(choices: Sequence[int]) -> tuple[list[Node], list[Node]]:
    xs = [sd.symbols(n) for n in "xyz"]
    pool: list[Node] = list(xs)
    for k, c in enumerate(choices):
        a, b = pool[c % len(pool)], pool[(c // 7) % len(pool)]
        pool.append((a * b if a is not b else sd.sin(a)) if c % 3 else sd.exp(a) + b * (0.5 + k))
    return pool[-2:], xs


@given(st.lists(st.integers(0, 60), min_size=3, max_size=5))
def test_elimination_counts_and_is_seldom_far_from_the_best(choices: list[int]) -> None:
    fs, xs = _scalar_graph(choices)
    graph = linearised(fs, xs, Sizes())
    greedy = Elimination(graph, Sizes())
    order = markowitz(greedy)
    assert greedy.counts.mults == _dense_reference(fs, xs, order)
    if len(order) <= 6:
        best = min(_dense_reference(fs, xs, p) for p in itertools.permutations(order))
        assert best <= int(greedy.counts.mults) <= 2 * best + 2
        again = Elimination(graph, Sizes())
        in_order(again, order)
        assert again.counts == greedy.counts


A, V, S = sd.matrix("A", 4, 3), sd.vector("v", 3), sd.symbols("s")
H = sd.tanh(A @ V * S)
AT = {A: np.array([[0.5, -1.0, 2.0], [1.5, 0.3, -0.7], [0.2, 0.9, 1.1], [-0.4, 0.8, 0.6]]),
      V: np.array([0.7, -0.2, 1.3]), S: 0.9}  # fmt: skip
JACOBIANS = {
    "layer": ([H], [V]),
    "several": ([H, sd.sum(H) * V], [V, S, A]),
    "slices and products": ([sd.exp(S) * sd.prod(sd.sin(V)), H[1:] * sd.sum(V)], [S, V]),
    "copies": ([V, V * 2, S], [V, S]),
    "outer": ([sd.outer(H, V), V * V + V], [V, A]),
    "solve": ([sd.solve(sd.eye(3) * 2 + sd.outer(V, sd.sin(V)), V)], [V]),
    "loop": (sd.while_loop(lambda k, y: k < 3, lambda k, y: (k + 1, sd.sin(y) * S), [0, S])[1:], [S]),
    "narrow": ([sd.exp(sd.sum(sd.sin(V)) * sd.arange(5))], [V]),
}


@pytest.mark.parametrize("name", JACOBIANS)
def test_cross_country_jacobians_agree_with_the_other_modes(name: str) -> None:
    fs, xs = JACOBIANS[name]
    found = sd.jacobian(fs, xs, mode="cross-country")
    expected = sd.jacobian(fs, xs, mode="forward")
    for row, other in zip(found, expected, strict=True):
        for a, b in zip(interpret(row, AT), interpret(other, AT), strict=True):
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=64 * EPS, atol=16 * EPS)


def test_cross_country_refuses_choices() -> None:
    x = sd.symbols("x")
    with pytest.raises(sd.DerivativeError, match="branch not taken"):
        sd.jacobian([sd.where(x > 0, sd.sqrt(x), x)], [x], mode="cross-country")


def test_it_prints_as_a_table() -> None:
    from rich.console import Console

    table = sd.accumulation(chain(2, 50, 40, 30), X)
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(table)
    text = console.export_text()
    assert "products" in text
    assert "63,000" in text
    (line,) = [line for line in text.splitlines() if "✓" in line and "reverse" in line]
    assert "(A B) C" in line
    assert str(table).splitlines()[0].strip() == "Jacobian of 2 by 30: order of accumulation"


def test_wrong_input() -> None:
    x = sd.vector("x", "n")
    with pytest.raises(sd.UnknownSymbolError, match="'m'"):
        sd.accumulation(sd.sin(x), x, sizes={"m": 3})
    with pytest.raises(sd.ShapeError, match="'n'"):
        sd.accumulation(sd.sin(x), x, sizes={"n": 0})
    with pytest.raises(sd.DerivativeError, match="twice"):
        sd.accumulation(sd.sin(x), [x, x])
    with pytest.raises(KeyError, match="sideways"):
        sd.accumulation(sd.sin(x), x)["sideways"]
