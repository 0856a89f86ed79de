"""Large graphs: long recurrences through differentiation and compilation, and bodies that are cut into functions."""

from __future__ import annotations

import math
import os

import numpy as np
import pytest

import symdiff as sd
from symdiff.ir.node import Node

FULL = 200_000
OPERATIONS = FULL if os.environ.get("SYMDIFF_SLOW") == "1" else 30_000
EPS = np.finfo(float).eps
STEP = 1e-3


def pendulum(q: float, p: float, n: int) -> tuple[float, float, float]:
    """The value q*p after n symplectic Euler steps and its gradient, by hand."""
    seen = []
    for _ in range(n):
        seen.append(q)
        p = p - STEP * math.sin(q)
        q = q + STEP * p
    value, q_bar, p_bar = q * p, p, q
    for old in reversed(seen):
        p_bar += STEP * q_bar
        q_bar -= STEP * math.cos(old) * p_bar
    return value, q_bar, p_bar


def test_a_long_recurrence() -> None:
    """Build, differentiate in reverse, optimise, compile and run 200 000 operations (with SYMDIFF_SLOW=1).

    30 000 by default: 8 s on a loaded 2-core machine, 200 000 take 43 s there. Time grows linearly.
    """
    q, p = sd.symbols("q p")
    a, b = q, p
    steps = OPERATIONS // 5
    for _ in range(steps):
        b = b - STEP * sd.sin(a)
        a = a + STEP * b
    f = a * b
    fn = sd.compile([f, *sd.gradient(f, [q, p])], [q, p])
    # Every step rounds a few times, and an error of one step stays about as large through the others.
    np.testing.assert_allclose(fn(0.3, 0.7), pendulum(0.3, 0.7, steps), rtol=8 * steps * EPS)


def test_a_graph_with_sharing_is_no_tree() -> None:
    """Forty doublings of one node: a walk as a tree would take 2**40 steps."""
    x = sd.symbols("x")
    f = x
    for _ in range(40):
        f = sd.sin(f) + f * 0.5
    g = sd.gradient(f, x)
    value, slope = 0.7, 1.0
    for _ in range(40):
        value, slope = math.sin(value) + value * 0.5, slope * (math.cos(value) + 0.5)
    np.testing.assert_allclose(sd.compile([f, g], [x])(0.7), [value, slope], rtol=2000 * EPS)


def long_body(x: Node, y: Node, n: int) -> list[Node]:
    """A map with more than 3000 instructions and values of all dtypes that live from one piece to a later one."""
    a, b, outputs = x, y, []
    flags = sd.cos(x) > 0.2
    whole = (x * 4).astype("int64")
    for k in range(n):
        a, b = sd.tanh(a * 0.7 + b * 0.4 + 0.01 * k), a * 0.5 - b * 0.25
        if k % 100 == 50:
            outputs.append(a * b)
    return [a, b, sd.where(flags, a, b), whole + (a > b), flags, *outputs]


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 40])
def test_cut_bodies_on_lanes_with_reductions(n: int) -> None:
    x, y = sd.vector("x", "n"), sd.vector("y", "n")
    nodes = long_body(x, y, 620)
    nodes += [sd.sum(nodes[0]), sd.sum(x * nodes[1]), sd.sum(nodes[0] * nodes[1] + x)]
    fn = sd.compile(nodes, [x, y])
    assert len(fn.inspect("program").splitlines()) > 3000
    rng = np.random.default_rng(n)
    args = rng.normal(size=(2, n))
    for got, want in zip(fn(*args), sd.compile(nodes, [x, y], target="reference")(*args), strict=True):
        # The map contracts, so only the last few of the 620 steps leave rounding errors.
        np.testing.assert_allclose(got, want, rtol=256 * EPS, atol=256 * EPS)


def test_a_cut_body_over_rows_and_columns() -> None:
    a, w = sd.matrix("A", "n", "m"), sd.vector("w", "m")
    nodes = long_body(a, a * w, 620)
    nodes = [sd.sum(nodes[0], axis=0), sd.sum(nodes[1], axis=1), sd.max(nodes[0]), nodes[2]]
    rng = np.random.default_rng(1)
    args = rng.normal(size=(5, 11)), rng.normal(size=11)
    compiled = sd.compile(nodes, [a, w])(*args)
    for got, want in zip(compiled, sd.compile(nodes, [a, w], target="reference")(*args), strict=True):
        np.testing.assert_allclose(got, want, rtol=256 * EPS, atol=256 * EPS)


def test_a_cut_body_mapped_over_arrays() -> None:
    x, y = sd.symbols("x y")
    nodes = long_body(x, y, 620)
    fn = sd.compile(nodes, [x, y])
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, 101))
    mapped = fn(a, b)
    for k in (0, 50, 100):
        for got, want in zip(fn(a[k], b[k]), mapped, strict=True):
            # Scalar functions of the C library against those on lanes: 1 ulp and 4 ulp.
            np.testing.assert_allclose(got, want[k], rtol=256 * EPS, atol=256 * EPS)
