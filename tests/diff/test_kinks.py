"""Derivatives where a formula breaks down: kinks, ties, branches not taken, infinities, empty arrays.

The expected numbers are the documented ones (api.md) or the limits computed by hand.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.diff.reverse import _counted
from symdiff.ir.graph import made_order
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node
from symdiff.ops.linalg import matmul

x, y = sd.symbols("x y")
v = sd.vector("v", 4)
INF, NAN = math.inf, math.nan


def every_way(f: Node, s: Node, point: dict[Node, Any]) -> list[np.ndarray]:
    """The derivative by one symbol in forward, reverse and, for a scalar, symbolic mode."""
    graphs = [sd.jacobian(f, s, mode="forward"), sd.jacobian(f, s, mode="reverse")]
    if s.shape == ():
        graphs.append(sd.diff(f, s))
    return [np.asarray(a) for a in interpret(graphs, point)]


SCALAR_CASES = [
    ("|x|", sd.absolute(x), 0.0, 0.0),
    ("relu", sd.relu(x), 0.0, 0.0),
    ("x|x|", x * sd.absolute(x), 0.0, 0.0),
    ("x|x| beside 0", x * sd.absolute(x), -1e-200, 2e-200),
    ("x relu(x)", x * sd.relu(x), 0.0, 0.0),
    ("sign", sd.sign(x), 0.0, 0.0),
    ("floor", x + sd.floor(x), 2.0, 1.0),
    ("tie with a constant", sd.maximum(x, 3.0), 3.0, 0.5),
    ("tie with itself", sd.maximum(x, x), 0.7, 1.0),
    ("tie of equal branches", sd.minimum(x * x, 2 * x), 2.0, 3.0),
    ("sqrt guarded", sd.where(x > 0, sd.sqrt(x), 0.0), 0.0, 0.0),
    ("sqrt guarded, negative", sd.where(x > 0, sd.sqrt(x), 3 * x), -2.0, 3.0),
    ("log guarded", sd.where(x > 0, sd.log(x), 0.0), 0.0, 0.0),
    ("log guarded twice", sd.where(x > 0, sd.where(x > 1, sd.log(x - 1), 0.0), 5 * x), 0.0, 5.0),
    ("guard inside", sd.where(x > 0, sd.log(sd.where(x > 0, x, 1.0)), x), -1.0, 1.0),
    ("guard then product", sd.where(x > 0, sd.log(x), 0.0) * x + x, 0.0, 1.0),
    ("guarded division", sd.where(sd.not_equal(x, 0), sd.sin(x) / x, 1.0), 0.0, 0.0),
    ("shared node, one guard", sd.where(x > 0, sd.sqrt(x), 0.0) + sd.where(x > 0, 1 / sd.sqrt(x), 2 * x), 0.0, 2.0),
    ("guard before a broken chain", sd.where(x > 0, sd.exp(sd.log(x) * 2), x), 0.0, 1.0),
    ("power 2 at 0", x**2, 0.0, 0.0),
    ("power 1.5 at 0", x**1.5, 0.0, 0.0),
    ("power 0 at 0", x**0, 0.0, 0.0),
    ("hypot at the origin", sd.hypot(x, 0 * x), 0.0, 0.0),
    ("sqrt at 0", sd.sqrt(x), 0.0, INF),
    ("exp, huge", sd.exp(x), 1000.0, INF),
    ("exp, tiny", sd.exp(x), -800.0, 0.0),
    ("sigmoid, saturated", sd.sigmoid(x), -800.0, 0.0),
    ("softplus, saturated", sd.softplus(x), 800.0, 1.0),
    ("logaddexp, far apart", sd.logaddexp(x, 0 * x), 800.0, 1.0),
    ("log1p, tiny", sd.log1p(x), 1e-300, 1.0),
    ("NaN in", sd.sin(x), NAN, NAN),
    ("inf in", sd.arctan(x), INF, 0.0),
    ("inf in exp(-x)", sd.exp(-x), INF, 0.0),
]  # fmt: skip


@pytest.mark.parametrize(("name", "f", "at", "expected"), SCALAR_CASES, ids=[c[0] for c in SCALAR_CASES])
def test_scalar(name: str, f: Node, at: float, expected: float) -> None:
    for got in every_way(f, x, {x: at}):
        np.testing.assert_allclose(got, expected, rtol=4 * np.finfo(float).eps)


def test_power_with_a_symbol_as_exponent_at_zero() -> None:
    for base, exponent, by_base, by_exponent in ((0.0, 2.0, 0.0, 0.0), (0.0, 1.0, 1.0, 0.0), (0.0, 0.0, 0.0, -INF)):
        point = {x: base, y: exponent}
        for got in every_way(x**y, x, point):
            assert got == by_base
        for got in every_way(x**y, y, point):
            # At 0^0 the exponent's derivative is log 0 times 1.
            assert got == by_exponent


def test_an_array_to_the_power_0_is_constant() -> None:
    for got in every_way(v**0, v, {v: np.array([0.0, -1.0, INF, 2.0])}):
        np.testing.assert_array_equal(got, np.zeros((4, 4)))


def test_ties_are_shared_equally() -> None:
    values = np.array([2.0, -1.0, 2.0, 2.0])
    for got in every_way(sd.max(v), v, {v: values}):
        np.testing.assert_allclose(got, [1 / 3, 0, 1 / 3, 1 / 3], rtol=1e-15)
    for got in every_way(sd.min(v), v, {v: -values}):
        np.testing.assert_allclose(got, [1 / 3, 0, 1 / 3, 1 / 3], rtol=1e-15)


def test_products_with_zeros() -> None:
    for values, expected in (([2.0, 0.0, 3.0, 5.0], [0, 30, 0, 0]), ([0.0, 0.0, 3.0, 5.0], [0, 0, 0, 0])):
        for got in every_way(sd.prod(v), v, {v: np.array(values)}):
            np.testing.assert_array_equal(got, expected)


def test_a_guard_that_broadcasts() -> None:
    f = sd.sum(sd.where(x > 0, sd.sqrt(x) * v, v))
    for at, expected in ((0.0, 0.0), (-1.0, 0.0), (4.0, 2.5 / 4)):
        for got in every_way(f, x, {x: at, v: np.array([1.0, 2.0, -3.0, 2.5])}):
            np.testing.assert_allclose(got, expected, rtol=1e-15)
    g = sd.sum(sd.where(v > 0, sd.log(v), 0.0) * x)
    for got in every_way(g, v, {x: 2.0, v: np.array([0.0, -1.0, 4.0, 0.5])}):
        np.testing.assert_array_equal(got, [0.0, 0.0, 0.5, 4.0])
    h = sd.sum(sd.where(v > 0, sd.sqrt(x), 0.0))
    for got in every_way(h, x, {x: 0.0, v: -np.ones(4)}):
        assert got == 0.0


W = np.array([2, 1, 3, 0])
COLUMNS = np.array([[1.0, 2.0, 3.0, 4.0], [0.5, -1.0, 2.0, 1.0]])
THROUGH = {
    "sum": lambda: sd.where(x > 0, sd.sum(sd.sqrt(v)), 0.0),
    "product": lambda: sd.where(x > 0, sd.prod(sd.sqrt(v)), 0.0),
    "extreme": lambda: sd.where(x > 0, sd.max(sd.sqrt(v)), 0.0),
    "entry": lambda: sd.where(x > 0, sd.sqrt(v)[0], 0.0),
    "matrix product": lambda: sd.sum(sd.where(x > 0, COLUMNS @ sd.sqrt(v), 0.0)),
    "solve": lambda: sd.sum(sd.where(x > 0, sd.solve(np.eye(4) * 3, sd.sqrt(v)), 0.0)),
    "reshape": lambda: sd.sum(sd.where(v > 0, sd.reshape(sd.log(sd.reshape(v, (2, 2))), (4,)), 0.0)),
    "flip": lambda: sd.sum(sd.where(v[::-1] > 0, sd.log(v)[::-1], 0.0)),
    "transpose": lambda: sd.sum(sd.where(v[None, :] > 0, sd.log(v[:, None]).T, 0.0)),
    "take": lambda: sd.sum(sd.where(sd.take(v, W) > 0, sd.take(sd.log(v), W), 0.0)),
    "concatenate": lambda: sd.sum(sd.where(sd.concatenate([v, v]) > 0, sd.concatenate([sd.log(v), sd.sqrt(v)]), 0.0)),
}


@pytest.mark.parametrize("name", THROUGH)
def test_a_guard_reaches_through_structured_nodes(name: str) -> None:
    """At v = 0 the derivative of the branch not taken is infinite, and must not meet a zero."""
    f = THROUGH[name]()
    got = every_way(f, v, {x: -1.0, v: np.array([0.0, 1.0, 4.0, 0.0])})
    np.testing.assert_array_equal(got[0], got[1])
    assert np.all(np.isfinite(got[1]))
    np.testing.assert_array_equal(got[1][[0, 3]], 0.0)
    taken = {x: 1.0, v: np.array([0.25, 1.0, 4.0, 2.25])}
    forward, reverse = every_way(f, v, taken)
    np.testing.assert_allclose(forward, reverse, rtol=1e-14)
    assert np.all(forward[np.arange(4) if name not in ("extreme", "entry") else [2 if name == "extreme" else 0]] != 0)


def test_a_guard_of_rows_leaves_other_rows_alone() -> None:
    """Only the rows taken of sqrt(B) @ y count, whatever the other rows hold."""
    b = sd.matrix("b", 3, 2)
    rows = np.array([True, False, True])
    f = sd.sum(sd.where(rows, sd.sqrt(b) @ np.array([2.0, 3.0]), 0.0))
    for got in every_way(f, b, {b: np.array([[1.0, 4.0], [0.0, -1.0], [4.0, 9.0]])}):
        np.testing.assert_allclose(got, [[1.0, 0.75], [0.0, 0.0], [0.5, 0.5]], rtol=1e-15)


def test_second_derivatives_of_guarded_branches() -> None:
    f = sd.where(x > 0, x**1.5, 0.0)
    for graph in (sd.hessian(f, x), sd.diff(f, x, 2)):
        assert interpret([graph], {x: 0.0})[0] == 0.0
        np.testing.assert_allclose(interpret([graph], {x: 4.0})[0], 0.375, rtol=1e-15)


@pytest.mark.parametrize("n", [0, 1])
def test_small_arrays(n: int) -> None:
    w = sd.vector("w", "n")
    values = np.full(n, 0.5)
    f = sd.sum(w**2) + sd.prod(w)
    for graph in (sd.gradient(f, w), sd.jacobian(f, w, mode="forward")):
        np.testing.assert_allclose(interpret([graph], {w: values})[0], 2 * values + 1.0)
    assert interpret([sd.jacobian(sd.sin(w), w)], {w: values})[0].shape == (n, n)
    assert interpret([sd.hessian(f, w)], {w: values})[0].shape == (n, n)


def test_a_symbol_that_does_not_occur() -> None:
    assert interpret([sd.gradient(sd.sin(x), y)], {x: 1.0, y: 2.0})[0] == 0.0
    assert interpret([sd.jacobian(sd.sin(x), v)], {x: 1.0, v: np.ones(4)})[0].tolist() == [0.0] * 4


def test_integers_and_booleans_carry_no_derivative() -> None:
    k = sd.array("k", (3,), dtype="int64")
    f = sd.sum(sd.take(v, k) * k)
    point = {v: np.array([1.0, 2.0, 3.0, 4.0]), k: np.array([3, 0, -1])}
    for got in every_way(f, v, point):
        np.testing.assert_array_equal(got, [0.0, 0.0, 0.0, 2.0])
    assert sd.diff(sd.where(x > 0, 1.0, 2.0), x).op.name == "const"


SHAPES = [
    ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)),
    ((5, 1, 2, 3), (6, 3, 4)), ((3,), (5, 3, 4)), ((5, 2, 3), (3,)), ((1, 2, 3), (5, 3, 4)),
]  # fmt: skip


@pytest.mark.parametrize("k", [0, 1])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_what_a_product_was_reached_by_is_counted_as_by_ones(shapes, k):
    product = matmul(*(sd.array(name, shape) for name, shape in zip("AB", shapes, strict=True)))
    hits = (np.random.default_rng(5).random(product.shape) < 0.3).astype(float)
    mark = sd.array("hits", product.shape)
    ones = matmul(*(sd.ones(shape) for shape in shapes))
    got, want = interpret([_counted(product, mark, k), product.op.transpose(ones, mark, k)], {mark: hits})
    np.testing.assert_array_equal(got, want)


def test_a_choice_above_products_does_not_double_them():
    X, W, V, t = sd.matrix("X", "n", 7), sd.matrix("W", 7, 5), sd.matrix("V", 5, 3), sd.array("t", "n", "int64")
    z = sd.relu(X @ W) @ V
    f = sd.sum(sd.where(t > 0, sd.sum(z, axis=1), 0.0))
    made = made_order([f, *sd.gradient(f, [W, V])])
    assert sum(node.op.name == "matmul" for node in made) == 5
