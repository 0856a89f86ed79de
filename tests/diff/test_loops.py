"""Loops and long graphs."""

from __future__ import annotations

import time

import numpy as np

import symdiff as sd
from symdiff.ir.graph import count_ops
from symdiff.ir.interpret import interpret

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
    """The logistic map in 30 000 operations: no recursion, linear time; derivative by the product rule in NumPy."""
    turns = 10_000
    start = time.perf_counter()
    f, slope, value = x, 1.0, 0.3
    for _ in range(turns):
        f = f * 3.2 * (1 - f)
        slope, value = slope * 3.2 * (1 - 2 * value), 3.2 * value * (1 - value)
    assert count_ops([f]) == 3 * turns
    graphs = [sd.gradient(f, x), sd.jvp(f, x, 1.0), sd.diff(f, x)]
    got = interpret([*graphs, f], {x: 0.3})
    # The cycle attracts, so its slope underflows to 0 in every way of computing it.
    np.testing.assert_allclose(got, [slope, slope, slope, value], rtol=1e-9)
    assert time.perf_counter() - start < 60
