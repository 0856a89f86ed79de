"""Comparisons of what is too large for every entry, too large for mpmath, or has no value with many digits."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import symdiff as sd
from symdiff.diff.along import work
from symdiff.ops import elementwise as el
from tests.diff.broken import scaled

x = sd.symbols("x")
A = sd.matrix("A", "n", 30)
w = sd.vector("w", 30)
L = sd.vector("L", "n")
LOSS = sd.sum(sd.log1p(sd.exp(-L * (A @ w))))
TESTS = ["dot product", "taylor, forward", "taylor, reverse", "taylor, reverse (hvp)"]
DIRECTIONAL = ["forward", "reverse", "forward difference", "central difference", "complex step", "richardson"]


def point(n):
    rng = np.random.default_rng(n)
    return {A: rng.normal(size=(n, 30)), w: rng.normal(size=30) / 3, L: rng.choice([-1.0, 1.0], n)}


def test_one_direction_with_a_reference():
    values = point(70)
    result = sd.compare(LOSS, values, wrt=[w, A])
    assert [r.method for r in result.rows] == DIRECTIONAL + TESTS
    assert result.passed, str(result)
    assert "random direction" in str(result)
    assert "slope 2.00" in str(result)
    # The gradient by hand, along the same direction.
    z = -values[L] * (values[A] @ values[w])
    slope = -values[L] / (1 + np.exp(-z))
    along = slope @ (values[A] @ result.direction[w]) + slope @ (result.direction[A] @ values[w])
    assert float(result.reference) == pytest.approx(along, rel=1e-13)
    with mpmath.workdps(50):
        assert abs(result.reference - mpmath.mpf(result.rows[1].value)) < 1e-12
    assert [c.method for c in result.sweep.curves] == ["forward", "central", "complex"]


def test_tests_alone_where_one_value_is_too_dear():
    result = sd.compare(LOSS, point(3000), wrt=w)
    assert [r.method for r in result.rows] == TESTS
    assert result.passed
    assert result.reference is None
    assert result.sweep is None
    assert set(result.direction) == {w}
    assert "50 digits" not in str(result)


@pytest.mark.parametrize("n", [70, 3000])
def test_a_wrong_rule_is_caught_and_named(n):
    with scaled(el.log1p, 1.0001), scaled(el.softplus, 1.0001):
        result = sd.compare(LOSS, point(n), wrt=w)
    assert not result.passed
    assert result.parting.kind == "rule"
    assert result.parting.node.op.name in ("log1p", "softplus")
    assert "the methods part at" in result.notes[-1]


def test_the_limit_can_be_moved():
    v = sd.vector("v", 5)
    f, at = sd.tanh(v) * v, {v: np.linspace(-1, 1, 5)}
    assert sd.compare(f, at).direction is None
    small = sd.compare(f, at, limit=30)
    assert small.direction is not None
    assert small.reference is not None
    assert sd.compare(f, at, limit=0).reference is None
    assert all(r.passed for c in (small, sd.compare(f, at, limit=0)) for r in c.rows)


def test_work_counts_products_and_turns():
    assert work(A @ w, point(70)) == 70 * 30
    loop = sd.while_loop(lambda s, n: n < 9, lambda s, n: [sd.sin(s), n + 1], [w, 0])[0]
    turns = work(loop, point(70))
    assert 9 * 30 <= turns <= 9 * 30 + 9 + 10 + 10


def test_kinks_leave_the_tests_out():
    v = sd.vector("v", 40_000)
    result = sd.compare(sd.sum(sd.relu(v)), {v: np.zeros(40_000)})
    assert [r.method for r in result.rows] == ["dot product"]
    assert sum("left out" in note and "kinks" in note for note in result.notes) == 3


def test_a_function_of_floats_only():
    def cubed(factor):
        rule = lambda primals, tangents: factor * primals[0] ** 2 * tangents[0]  # noqa: E731
        return sd.opaque(lambda a: a**3, (), jvp=rule)(2 * x) * x

    result = sd.compare(cubed(3.0), {x: 0.7})
    assert result.passed
    assert "no value with many digits" in result.notes[0]
    wrong = sd.compare(cubed(3.1), {x: 0.7})
    assert not wrong.passed
    assert wrong.parting.node.op.name == "custom"
