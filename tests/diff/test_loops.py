"""Loops and long graphs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import symdiff as sd
from symdiff.ir.graph import count_ops
from symdiff.ir.interpret import interpret
from symdiff.ir.node import const
from symdiff.ops.index import scatter_add
from symdiff.ops.rows import set_row
from tests.counting import lines_run

EPS = np.finfo(float).eps
x, a = sd.symbols("x a")


def test_forward_through_a_loop_captures_outer_symbols() -> None:
    """Heron's rule: y -> (y + a/y)/2 gives sqrt(a) whatever the start, so dy/da = 1/(2 sqrt(a)), dy/dx = 0."""
    root = sd.while_loop(lambda y, n: n < 40, lambda y, n: ((y + a / y) / 2, n + 1), [x, 0])[0]
    for s, expected in ((a, 0.5 / np.sqrt(7.0)), (x, 0.0)):
        got = interpret([sd.jvp(root, s, 1.0), sd.diff(root, s)], {x: 3.0, a: 7.0})
        # The iteration contracts errors: only the last turns' rounding is left.
        np.testing.assert_allclose(got, [expected] * 2, rtol=16 * EPS, atol=EPS)


def test_forward_through_a_data_dependent_loop() -> None:
    """Doubling until 100: the number of turns depends on x, its derivative is 2^turns."""
    out = sd.while_loop(lambda y: y < 100, lambda y: [2 * y], [x])[0]
    assert interpret([sd.diff(out, x)], {x: 3.0}) == [64.0]


def test_a_tangent_that_enters_in_the_second_turn() -> None:
    """(p, q) -> (p*q, x): x reaches p only in the second turn."""
    p = sd.while_loop(lambda p, q, n: n < 3, lambda p, q, n: (p * q, x, n + 1), [2.0, 5.0, 0])[0]
    assert interpret([p, sd.diff(p, x)], {x: 3.0}) == [90.0, 60.0]


def test_second_derivative_through_a_loop() -> None:
    power = sd.while_loop(lambda y, n: n < 4, lambda y, n: (y * x, n + 1), [x, 0])[0]
    assert interpret([sd.diff(power, x, 2)], {x: 2.0}) == [20 * 2.0**3]


def test_arrays_in_loops() -> None:
    v = sd.vector("v", 3)
    matrix = np.array([[0.5, 0.1, 0.0], [0.2, -0.3, 0.4], [0.0, 0.7, 0.1]])
    out = sd.while_loop(lambda u, n: n < 5, lambda u, n: (matrix @ u, n + 1), [v, 0])[0]
    dot = np.array([0.3, -2.0, 1.7])
    (got,) = interpret([sd.jvp(out, v, dot)], {v: np.zeros(3)})
    np.testing.assert_allclose(got, np.linalg.matrix_power(matrix, 5) @ dot, rtol=32 * EPS)


def test_reverse_through_a_loop_of_unknown_length() -> None:
    """Multiplying by a until 100: x a^k with k = 6 turns at (3, 2); reverse counts the turns first."""
    out = sd.while_loop(lambda y: y < 100, lambda y: [y * a], [x])[0]
    expected = [192.0, 2.0**6, 6 * 3.0 * 2.0**5]
    for target in ("reference", "cpu"):
        assert sd.compile([out, *sd.gradient(out, [x, a])], [x, a], target=target)(3.0, 2.0) == expected
    # Wide steps of the sweep reach a <= 1, where the loop never ends: gaps in its curves, not a hang.
    assert sd.compare(out, {x: 3.0, a: 2.0}).passed


def test_a_long_recurrence_in_every_mode() -> None:
    """The logistic map in 9000 operations: no recursion; derivative by the product rule in NumPy."""
    turns = 3_000
    f, slope, value = x, 1.0, 0.3
    for _ in range(turns):
        f = f * 3.2 * (1 - f)
        slope, value = slope * 3.2 * (1 - 2 * value), 3.2 * value * (1 - value)
    assert count_ops([f]) == 3 * turns
    graphs = [sd.gradient(f, x), sd.jvp(f, x, 1.0), sd.diff(f, x)]
    got = interpret([*graphs, f], {x: 0.3})
    # The cycle attracts, so its slope underflows to 0 in every way of computing it.
    np.testing.assert_allclose(got, [slope, slope, slope, value], rtol=1e-9)


@pytest.mark.parametrize("way", [sd.gradient, sd.diff, lambda f, x: sd.jvp(f, x, 1.0)], ids=["vjp", "symbolic", "jvp"])
def test_work_of_a_derivative_is_linear(way: Callable[..., object]) -> None:
    def recurrence(turns: int) -> sd.Expr:
        f = x
        for _ in range(turns):
            f = f * 3.2 * (1 - f)
        return f

    short, long = recurrence(250), recurrence(1000)
    assert lines_run(lambda: way(long, x)) < 4.4 * lines_run(lambda: way(short, x))


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_a_loop_ends_where_an_index_is_out_of_range(target: str) -> None:
    x = sd.vector("x", "n")
    (k,) = sd.while_loop(lambda k: x[k] < 5, lambda k: [k + 1], [const(0, "int64")])
    first = sd.compile(k, [x], target=target)
    assert first([1.0, 2.0, 7.0]) == 2
    # What is read behind the end is no number at all, and must not keep the loop going for ever.
    with pytest.raises(sd.DomainError, match="out of"):
        first([1.0, 2.0, 3.0])


@pytest.mark.parametrize("target", ["reference", "cpu"])
@pytest.mark.parametrize("indices", [[0, 3, 2], [-4, 1, -1], [0, -5, 1], [4, 0, 0], [1, 2, 4]])
def test_mapped_indices_stay_in_their_own_instance(target: str, indices: list[int]) -> None:
    x, s, k = sd.vector("x", 4), sd.symbols("s"), sd.array("k", (), dtype="int64")
    outs = [x[k], (x * s)[k], set_row(x, s, k), set_row(x * s, s, k), scatter_add(s * 3, k, axis=0, extent=4)]
    outs.append(sd.take(sd.stack([x * s, x]), sd.stack([k, k]), axis=1))
    values, scales = np.array([2.0, 3.0, 5.0, 7.0]), np.array([0.5, 1.5, -0.3])
    for out in outs:
        f = sd.compile(out, [x, s, k], target=target)
        if all(-4 <= i < 4 for i in indices):
            single = [f(values, c, i) for c, i in zip(scales, indices, strict=True)]
            np.testing.assert_array_equal(f(values, scales, np.array(indices)), np.array(single))
        else:
            with pytest.raises(sd.DomainError, match="out of"):
                f(values, scales, np.array(indices))


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_instances_that_are_done_run_no_body_on_their_last_state(target: str) -> None:
    x, c, m = sd.vector("x", 4), sd.symbols("c"), sd.array("m", (), dtype="int64")
    zero = const(0, "int64")
    # Instances stop at 4, 4 and 6, where x has no entries; a branch that is not taken reads behind the end.
    _, total = sd.while_loop(lambda t, s: t < 4, lambda t, s: [t + m, s + x[t] ** 2 * c], [zero, c])
    chosen = sd.cond(m < 3, lambda: x[m + 1] * c, lambda: -c)
    outs = [total, chosen, *sd.gradient(total, [x, c]), *sd.gradient(chosen, [x, c])]
    f = sd.compile(outs, [x, c, m], target=target)
    values, scales, steps = np.array([2.0, 3.0, 5.0, 7.0]), np.array([0.5, 1.5, -0.3]), np.array([1, 2, 3])
    singles = [f(values, s, k) for s, k in zip(scales, steps, strict=True)]
    for many, *each in zip(f(values, scales, steps), *singles, strict=True):
        # The same few products and sums, perhaps in another order.
        np.testing.assert_allclose(many, np.array(each), rtol=8 * np.finfo(float).eps)


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_loops_over_nothing(target: str) -> None:
    x, s, m = sd.vector("x", "n"), sd.symbols("s"), sd.array("m", (), dtype="int64")
    _, power = sd.while_loop(lambda t, p: t < m, lambda t, p: [t + 1, p * s * x[t]], [const(0, "int64"), s])
    mapped = sd.compile([power, sd.gradient(power, s)], [x, s, m], target=target)
    assert [v.shape for v in mapped([2.0, 3.0], np.zeros(0), np.zeros(0, int))] == [(0,), (0,)]
    # A guard over no entries at all.
    _, ys = sd.scan(lambda c, r: (c * r, c + r * r), 1.0, x)
    f = sd.sum(sd.where(ys > 0.5, ys, 0.0))
    value, grad = sd.compile([f, sd.gradient(f, x)], [x], target=target)(np.zeros(0))
    assert value == 0
    assert grad.shape == (0,)


def test_a_python_number_carries_the_precision_of_the_rows() -> None:
    rows = sd.vector("rows", 3, dtype="float32")
    last, every = sd.scan(lambda c, r: (c + r, c * 2), 0.0, rows)
    assert (last.dtype, every.dtype) == ("float32", "float32")
    assert sd.scan(lambda c, r: (c + r, None), np.float64(0), rows)[0].dtype == "float64"
    assert sd.scan(lambda c, r: (c + r, None), 0.0, sd.vector("long", 3))[0].dtype == "float64"
