"""The node at which methods part: cancellation, decisions, inaccurate functions, wrong rules, wrong accumulation."""

from __future__ import annotations

import sys
from unittest import mock

import mpmath
import numpy as np
import pytest

import symdiff as sd
from symdiff.diff.accumulated import first_wrong_accumulation
from symdiff.diff.faulty_rule import first_faulty_rule
from symdiff.diff.parting import first_parting, part
from symdiff.ops import elementwise as el
from symdiff.ops.linalg import matmul
from tests.diff.broken import broken, scaled

x, y = sd.symbols("x y")
v = sd.vector("v", 3)
A = sd.matrix("A", "n", 3)
here = __file__.rsplit("/", 1)[-1]


def test_the_difference_that_cancels_is_named():
    f = (1 - sd.cos(x)) / x**2
    found = first_parting([f], {x: 1e-5})
    assert found.kind == "cancellation"
    assert found.node is f.args[0]
    assert found.got == 1 - np.cos(1e-5)
    with mpmath.workdps(50):
        assert abs(found.exact / (1 - mpmath.cos(mpmath.mpf(1e-5))) - 1) < 1e-40
    assert "1 - cos(x)" in str(found)
    assert f"{here}:" in str(found)
    assert "loses 9 of 16 digits" in str(found)


def test_of_two_cancellations_the_one_that_matters_is_named():
    """The first difference cancels as much, but is added to a number that hides it."""
    harmless, culprit = (1 + x) - 1, (1 - sd.cos(y)) / y**2
    found = first_parting([harmless + culprit], {x: 1e-9, y: 1e-5})
    assert found.node is culprit.args[0]


def test_nothing_is_named_where_every_digit_is_kept():
    assert first_parting([sd.exp(-(x**2)) * sd.sin(y)], {x: 1.2, y: 0.7}) is None
    assert first_parting([sd.sum(sd.tanh(A @ v))], {A: np.ones((2, 3)), v: [0.1, 0.2, -0.4]}) is None


def test_a_sum_that_cancels_in_an_array():
    """sqrt(2) rounds in the array; the sum over it leaves nothing else."""
    total = sd.sum(sd.sqrt(v) * np.array([1.0, 1.0, -1.0]))
    found = first_parting([total * 3.0], {v: [2.0, 1e-30, 2.0 + 1e-15]})
    assert (found.kind, found.node) == ("cancellation", total)


def test_a_branch_that_rounding_decides():
    f = sd.where(x * x + 1 > 1, x, 2 * x)
    found = first_parting([f], {x: 1e-9})
    assert (found.kind, found.node) == ("decision", f.args[0])
    assert "another branch" in str(found)


def test_inside_a_loop():
    out = sd.while_loop(lambda s, n: n < 5, lambda s, n: [((1 + s) - 1) * 3, n + 1], [x, 0])[0]
    found = first_parting([out], {x: 1e-10})
    assert found.kind == "cancellation"
    assert found.node.op.name == "sub"


def test_a_function_that_is_inaccurate_itself():
    right = el.tanh.evaluate_
    object.__setattr__(el.tanh, "evaluate_", lambda a: right(a) * (1 + 1e-12))
    try:
        found = first_parting([sd.exp(sd.tanh(x)) + y], {x: 0.7, y: 2.0})
    finally:
        object.__setattr__(el.tanh, "evaluate_", right)
    assert (found.kind, found.node.op.name, found.arguments) == ("value", "tanh", (0.7,))


def test_two_expressions():
    f, same, other = (1 - sd.cos(x)) / x**2, 2 * (sd.sin(x / 2) / x) ** 2, 2 * (sd.sin(x / 2) / x) ** 3
    assert part(f, same, {x: 1e-5}).node is f.args[0]
    assert part(same, f, {"x": 1e-5}).node is f.args[0]
    assert part(same, same * 1.0, {x: 1e-5}) is None
    assert "not equal" in str(part(f, other, {x: 0.5}))


@pytest.mark.parametrize("name", ["sin", "exp", "tanh", "sqrt", "mul", "div", "pow_", "logaddexp", "maximum"])
def test_a_wrong_partial_is_found_among_right_ones(name):
    op = getattr(el, name)
    inner = op(*(x + 1.5, sd.cos(y) * 2)[: op.n_args])
    f = sd.log(2 + sd.arctan(inner)) - y + sd.erf(x)
    values = {x: np.asarray(0.3), y: np.asarray(0.8)}
    assert first_faulty_rule([f], values) is None
    with scaled(op, 1 + 1e-9):
        found = first_faulty_rule([f], values)
    assert (found.kind, found.node.op.name) == ("rule", op.name)
    assert "wrong rule (partials)" in str(found)
    assert f"{here}:" in str(found)


def test_a_wrong_partial_in_one_branch_of_a_large_array():
    big = sd.vector("big", 5000)
    f = sd.sum(sd.relu(big) * 2)
    values = {big: np.linspace(-1, 1, 5000)}
    assert first_faulty_rule([f], values) is None
    with broken(el.relu, lambda r, a: (sd.where(a > 0.5, 1.0, 0.0),)):
        found = first_faulty_rule([f], values)
    assert found.node.op is el.relu


def test_a_wrong_partial_inside_a_loop():
    out = sd.while_loop(lambda s, n: n < 3, lambda s, n: [sd.sin(s) + x, n + 1], [x * x, 0])[0]
    with scaled(el.sin, 1.001):
        assert first_faulty_rule([out], {x: np.asarray(0.7)}).node.op is el.sin


def test_a_wrong_jvp_and_a_wrong_transpose():
    f = sd.sum(sd.tanh(A @ v))
    values = {A: np.arange(6.0).reshape(2, 3) / 7, v: np.array([0.1, 0.2, -0.4])}
    kind = type(matmul)
    jvp, transpose = kind.jvp, kind.transpose
    with mock.patch.object(kind, "jvp", lambda *a: 1.01 * jvp(*a)):
        assert "wrong rule (jvp and transpose): the derivative of matmul" in str(first_faulty_rule([f], values))
    with mock.patch.object(kind, "transpose", lambda *a: 1.01 * transpose(*a)):
        assert "the transpose of matmul" in str(first_faulty_rule([f], values))


def test_kinks_ties_and_infinite_slopes_are_no_wrong_rules():
    for f, at in ((abs(x), 0.0), (sd.maximum(x, 1.0), 1.0), (sd.sqrt(x), 0.0), (sd.log(x), 0.0), (sd.sign(x), 0.0)):
        assert first_faulty_rule([f], {x: np.asarray(at)}) is None


def test_cotangents_that_are_lost_where_paths_meet():
    """Every rule is right; reverse mode forgets to add."""
    reverse = sys.modules["symdiff.diff.reverse"]
    accumulate = reverse._accumulate

    def forgetful(bars, node, bar):
        if node not in bars:
            accumulate(bars, node, bar)

    shared = sd.sin(x)
    f = shared * sd.exp(shared) + y
    values = {x: np.asarray(0.7), y: np.asarray(0.2)}
    assert first_wrong_accumulation(f, values, [x, y]) is None
    with mock.patch.object(reverse, "_accumulate", forgetful):
        result = sd.compare(f, values)
    assert [r.passed for r in result.rows[:3]] == [True, True, False]
    assert (result.parting.kind, result.parting.node) == ("accumulation", shared)
    assert "reverse mode" in result.notes[-1]
