"""The dot-product test: passes for every pair of modes, fails when one of them is wrong."""

from __future__ import annotations

import sys
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings

import symdiff as sd
from symdiff.ops.linalg import matmul
from tests.diff.programs import array_programs

x = sd.symbols("x")
v = sd.vector("v", 3)
A = sd.matrix("A", "n", 3)
POINT = {A: np.arange(21.0).reshape(7, 3) / 9 - 1, v: np.array([0.1, 0.2, -0.4])}


@given(array_programs())
@settings(max_examples=25)
def test_random_programs_pass(program):
    f, values = program
    result = sd.dot_product_test(f, values)
    assert result.passed, str(result)
    assert result.error <= max(result.rounding)


def test_the_products_are_those_of_the_jacobian():
    f = sd.tanh(A @ v)
    result = sd.dot_product_test(f, POINT, wrt=v, trials=4)
    assert len(result.forward) == len(set(result.forward)) == 4
    # 7 x 3 numbers of size up to 1, directions below 0.9.
    assert max(map(abs, result.forward)) < 21


@pytest.mark.parametrize("factor", [1 + 1e-9, -1.0])
def test_a_wrong_transpose_is_caught(factor):
    transpose = type(matmul).transpose
    with mock.patch.object(type(matmul), "transpose", lambda *a: factor * transpose(*a)):
        result = sd.dot_product_test(sd.tanh(A @ v), POINT)
    assert not result.passed
    assert "✗" in str(result)


def test_a_lost_cotangent_is_caught():
    reverse = sys.modules["symdiff.diff.reverse"]
    keep = reverse._accumulate
    with mock.patch.object(reverse, "_accumulate", lambda bars, n, bar: n in bars or keep(bars, n, bar)):
        assert not sd.dot_product_test(sd.sum(sd.sin(v) * sd.exp(v)), {v: [0.1, 0.2, 0.3]}).passed


def test_edges():
    empty, one = sd.vector("empty", 0), sd.vector("one", 1)
    assert sd.dot_product_test(sd.sin(empty), {empty: np.zeros(0)}).forward == (0.0,) * 3
    assert sd.dot_product_test(sd.sin(one), {one: [0.3]}).passed
    assert not sd.dot_product_test(sd.log(x), {x: np.nan}).passed
    loop = sd.while_loop(lambda s, n: n < 5, lambda s, n: [sd.sin(s) * v, n + 1], [v, 0])[0]
    assert sd.dot_product_test(loop, {v: [0.1, 0.2, 0.3]}).passed
    with pytest.raises(sd.DomainError, match="trials=0"):
        sd.dot_product_test(x, {x: 1.0}, trials=0)
    with pytest.raises(sd.UnknownSymbolError):
        sd.dot_product_test(x, {})
