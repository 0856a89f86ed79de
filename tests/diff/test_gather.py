"""Transposed stencils as sums of shifted slices: the values of the scattered form, without anything scattered."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.diff.gather import gathered
from symdiff.diff.reverse import vjp_nodes
from symdiff.ir.graph import made_order
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node

EPS = np.finfo(float).eps
a, b = sd.symbols("a b")
u, w = sd.matrix("u", "n", "m"), sd.matrix("w", "n", "m")


def continued(x: Any, axis: int, kind: str, reach: int) -> Any:
    """Continue an array by `reach` entries at both ends of an axis: by values, mirrored, or round the ends."""

    def cut(start: Any, count: int) -> Any:
        index = [slice(None), slice(None)]
        index[axis] = slice(start, start + count)
        return x[tuple(index)]

    n = x.shape[axis]
    if kind == "round":
        before, behind = [cut(n - reach, reach)], [cut(0, reach)]
    elif kind == "mirrored":
        before = [cut(k, 1) + b for k in range(reach, 0, -1)]
        behind = [cut(n - 1 - k, 1) - b for k in range(1, reach + 1)]
    else:
        shape = tuple(reach if k == axis else d for k, d in enumerate(x.shape))
        before, behind = [sd.full(shape, 1.5)], [sd.full(shape, 0.5)]
    return sd.concatenate([*before, x, *behind], axis=axis)


def stencil(kinds: tuple[str, str], reach: int, nonlinear: bool) -> Any:
    x = u
    for axis, kind in enumerate(kinds):
        x = continued(x, axis, kind, reach)
    n, m = u.shape

    def at(i: int, j: int) -> Any:
        return x[reach + i : reach + i + n, reach + j : reach + j + m]

    line = [at(0, k) for k in range(-reach, reach + 1)] + [at(k, 0) for k in range(-reach, reach + 1)]
    total = u + at(1, 1) - 0.3 * at(-1, 1)
    for k, part in enumerate(line):
        total = total + (a + k) * part
    return total + u * at(reach, 0) - at(-1, 0) * at(0, 1) if nonlinear else total


KINDS = [*itertools.product(["round", "given"], repeat=2), ("mirrored", "mirrored"), ("mirrored", "round")]


@pytest.mark.parametrize("kinds", KINDS, ids="-".join)
@pytest.mark.parametrize(("reach", "nonlinear"), [(1, True), (2, False)])
def test_values(kinds: tuple[str, str], reach: int, nonlinear: bool) -> None:
    """Down to the smallest sizes that the conditions take."""
    (scattered,) = vjp_nodes([stencil(kinds, reach, nonlinear)], [u], [w])
    (found,) = gathered([scattered])
    assert found is not scattered
    if "mirrored" not in kinds and not nonlinear:
        assert "embed" not in [n.op.name for n in made_order([found])]
    rng = np.random.default_rng(3)
    for shape in ((6, 7), (reach + 1, reach + 2), (reach + 2, reach + 1)):
        values: dict[Node, Any] = {u: rng.normal(size=shape), w: rng.normal(size=shape), a: 0.3, b: 0.7}
        expected, got = interpret([scattered, found], values)
        # Some forty terms of the size of 10.
        np.testing.assert_allclose(got, expected, rtol=0, atol=40 * 10 * EPS)


def test_others_stay() -> None:
    """Sums without shifts, single embeddings and scalars are what they were."""
    (wide,) = vjp_nodes([u[1:, :]], [u], [w[1:, :]])
    nodes = [u + w, wide, sd.sum(u), sd.tanh(u) * w, u[1:, :] - u[:-1, :]]
    assert all(x is y for x, y in zip(gathered(nodes), nodes, strict=True))


def test_arrays_packed_in_one_vector() -> None:
    """Where one begins is a product of extents with terms of both signs."""
    n, m = u.shape
    count = (n - 1) * m
    packed = sd.concatenate([sd.reshape(u[1:, :], (count,)), sd.reshape(w[:-1, :], (count,))])
    (bars,) = vjp_nodes([packed[:count] * packed[count:]], [packed], [sd.reshape(w[1:, :], (count,))])
    nodes = [bars[:count], bars[count:]]
    values: dict[Node, Any] = {x: np.random.default_rng(k).normal(size=(5, 4)) for k, x in enumerate((u, w))}
    for one, other in zip(interpret(gathered(nodes), values), interpret(nodes, values), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_long_turn_is_no_deep_recursion() -> None:
    x, s, rows = sd.vector("x", "n"), sd.symbols("s"), sd.vector("rows", "k")

    def turn(c: Node, _: Node) -> tuple[Node, Node]:
        for k in range(3000):  # three times Python's limit
            c = c * s if k % 2 else -c
        return c, sd.sum(c)

    last, _ = sd.scan(turn, x, rows)
    slope = sd.compile(sd.gradient(sd.sum(last), x), [x, s, rows], target="reference")
    np.testing.assert_array_equal(slope(np.ones(3), 1.0, np.ones(2)), np.ones(3))
