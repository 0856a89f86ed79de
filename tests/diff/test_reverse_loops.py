"""Reverse mode through scan, while_loop and cond: against unrolled loops, forward mode, closed forms, complex step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.diff.batch import batch
from symdiff.diff.finite import finite_difference
from symdiff.ir.graph import count_ops
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node
from symdiff.ir.text import parse_text, to_text

EPS = np.finfo(float).eps
TARGETS = ("reference", "cpu")
# Five turns of a handful of operations each.
CLOSE = {"rtol": 64 * EPS, "atol": 64 * EPS}

x, a = sd.symbols("x a")
w = sd.vector("w", 3)
A = sd.matrix("A", 5, 3)
RNG = np.random.default_rng(11)
W, ROWS, BAR = RNG.normal(size=3), RNG.normal(size=(5, 3)), RNG.normal(size=3)


def turn(c: Node, row: Node) -> tuple[Node, Node]:
    return 0.9 * sd.sin(c) + sd.tanh(row * c), sd.sum(c * row)


def scanned(rows: Node, **options: Any) -> Node:
    last, every = sd.scan(turn, w, rows, **options)
    return sd.sum(last**2) + sd.sum(sd.cos(every))


def unrolled(order: Any) -> Node:
    c, total = w, sd.zeros(())
    for k in order:
        c, y = turn(c, A[k])
        total = total + sd.cos(y)
    return sd.sum(c**2) + total


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("reverse", [False, True])
def test_scan_is_the_unrolled_loop(reverse: bool, target: str) -> None:
    f, g = scanned(A, reverse=reverse), unrolled(reversed(range(5)) if reverse else range(5))
    got, want = (
        sd.compile([h, *sd.gradient(h, [w, A]), sd.hvp(h, w, BAR)], [w, A], target=target)(W, ROWS) for h in (f, g)
    )
    for left, right in zip(got, want, strict=True):
        np.testing.assert_allclose(left, right, **CLOSE)


def test_run_time_sizes() -> None:
    rows = sd.matrix("R", "n", 3)
    fn = sd.compile([scanned(rows), *sd.gradient(scanned(rows), [w, rows])], [w, rows])
    fixed = sd.compile([scanned(A), *sd.gradient(scanned(A), [w, A])], [w, A])
    for got, want in zip(fn(W, ROWS), fixed(W, ROWS), strict=True):
        np.testing.assert_array_equal(got, want)
    value, by_w, by_rows = fn(W, ROWS[:0])
    assert value == np.sum(W**2)
    np.testing.assert_array_equal(by_w, 2 * W)
    assert by_rows.shape == (0, 3)
    for left, right in zip(fn(W, ROWS[:1]), sd.compile(
        [scanned(A[:1]), *sd.gradient(scanned(A[:1]), [w, A])], [w, A])(W, ROWS), strict=True
    ):  # fmt: skip
        np.testing.assert_allclose(left, right if np.shape(left) == np.shape(right) else right[:1], **CLOSE)


@pytest.mark.parametrize("target", TARGETS)
def test_the_modes_agree_to_second_order(target: str) -> None:
    f = scanned(A)
    by_w = sd.gradient(f, w)
    hessian = sd.hessian(f, w)
    outputs = [
        by_w, sd.jacobian(f, w, mode="forward"), hessian, sd.jacobian(by_w, w, mode="reverse"),
        sd.jvp(by_w, w, BAR), sd.gradient(sd.sum(by_w * BAR), w), sd.hvp(f, w, BAR),
    ]  # fmt: skip
    g, forward, h, h_reverse, fr, rr, product = sd.compile(outputs, [w, A], target=target)(W, ROWS)
    np.testing.assert_allclose(g, forward, **CLOSE)
    np.testing.assert_allclose(h, h_reverse, **CLOSE)
    for column in (fr, rr, product):
        np.testing.assert_allclose(column, h @ BAR, **CLOSE)
    numbers = finite_difference(f, {w: W, A: ROWS}, w, method="complex")
    np.testing.assert_allclose(g, numbers, **CLOSE)


@pytest.mark.parametrize("target", TARGETS)
def test_nested_scans(target: str) -> None:
    def outer(c: Node, row: Node) -> tuple[Node, Node]:
        last, every = sd.scan(lambda d, _: (sd.sin(d) * 0.8 + row, sd.sum(d * d)), c, length=4)
        return last, sd.sum(every)

    last, every = sd.scan(outer, w, A)
    f = sd.sum(last) + sd.sum(every)
    by_w, by_rows, forward = sd.compile(
        [*sd.gradient(f, [w, A]), sd.jacobian(f, w, mode="forward")], [w, A], target=target
    )(W, ROWS)
    np.testing.assert_allclose(by_w, forward, **CLOSE)
    np.testing.assert_allclose(by_rows, finite_difference(f, {w: W, A: ROWS}, A, method="complex"), **CLOSE)


@pytest.mark.parametrize("target", TARGETS)
def test_while_loop_of_unknown_length(target: str) -> None:
    """Heron's rule, to second order in all ways: sqrt(x) and its derivatives."""
    root, _ = sd.while_loop(
        lambda r, k: sd.absolute(r * r - x) > 1e-14, lambda r, k: [(r + x / r) / 2, k + 1], [x, 0.0]
    )
    slope = sd.gradient(root, x)
    outputs = [root, slope, sd.jvp(root, x, 1.0), sd.gradient(slope, x), sd.jvp(slope, x, 1.0)]
    got = sd.compile(outputs, [x], target=target)(2.0)
    want = [2**0.5, 0.5 / 2**0.5, 0.5 / 2**0.5, -0.25 * 2**-1.5, -0.25 * 2**-1.5]
    # The iteration contracts errors of the derivatives as it does those of the root, one turn later.
    np.testing.assert_allclose(got, want, rtol=1e-13)


@pytest.mark.parametrize("target", TARGETS)
def test_a_loop_that_does_not_run(target: str) -> None:
    out = sd.while_loop(lambda y: y < 100, lambda y: [y * a], [x * 2])[0]
    assert sd.compile([out, *sd.gradient(out, [x, a])], [x, a], target=target)(80.0, 3.0) == [160.0, 2.0, 0.0]


@pytest.mark.parametrize("target", TARGETS)
def test_values_that_pass_through_and_values_that_swap(target: str) -> None:
    p, q, kept = sd.scan(lambda c, _: ([c[1], c[0] * a, c[2]], None), [x, a, x * a], length=3)[0]
    f = p * 2 + q * 3 + kept * 5
    # (p, q) -> (q, p a): after three turns (a^2, x a^2).
    by_x, by_a = sd.compile(sd.gradient(f, [x, a]), [x, a], target=target)(0.3, 1.7)
    np.testing.assert_allclose([by_x, by_a], [3 * 1.7**2 + 5 * 1.7, 4 * 1.7 + 6 * 0.3 * 1.7 + 5 * 0.3], rtol=8 * EPS)


@pytest.mark.parametrize("target", TARGETS)
def test_cond_runs_one_branch(target: str) -> None:
    f = sd.cond(x > 0, lambda: sd.log(x) * a, lambda: [sd.sqrt(-x) * a][0])
    fn = sd.compile([f, *sd.gradient(f, [x, a]), sd.jvp(f, x, 1.0), sd.diff(f, x, 2)], [x, a], target=target)
    np.testing.assert_allclose(fn(2.0, 3.0), [3 * np.log(2.0), 1.5, np.log(2.0), 1.5, -0.75], rtol=8 * EPS)
    np.testing.assert_allclose(fn(-4.0, 3.0), [6.0, -0.75, 2.0, -0.75, -3 / 32], rtol=8 * EPS)


def test_the_branch_not_taken_costs_nothing() -> None:
    """A branch of many turns is not run: its counter shows it."""

    def long(x: Node) -> Node:
        return sd.while_loop(lambda s, k: k < 10.0**9, lambda s, k: [s * 0.5 + x, k + 1], [x, 0.0])[0]

    f = sd.cond(x > 0, lambda x: x * x, long, x)
    assert sd.compile([f, sd.gradient(f, x)], [x])(3.0) == [9.0, 6.0]


@pytest.mark.parametrize("target", TARGETS)
def test_where_keeps_a_loop_out(target: str) -> None:
    """log of a negative number inside a loop whose result is not chosen: no NaN in the gradient."""
    logs = sd.scan(lambda c, _: (sd.log(c), None), x, length=1)[0]
    f = sd.where(x > 0, logs, -2 * x)
    fn = sd.compile(sd.gradient(f, x), [x], target=target)
    assert (fn(-3.0), fn(4.0)) == (-2.0, 0.25)


@pytest.mark.parametrize("target", TARGETS)
def test_loops_under_batch(target: str) -> None:
    """Each instance stops by itself; a row is what the loop gives for the row."""
    stacked = sd.vector("xs", 4)
    many = sd.while_loop(lambda y, k: y < 100, lambda y, k: [y * a, k + 1], [x, 0.0])
    (rows,) = batch([many[0] + many[1]], {x: stacked})
    points = np.array([3.0, 200.0, 1.0, 99.0])
    got = sd.compile(rows, [stacked, a], target=target)(points, 1.5)
    want = [sd.compile(many[0] + many[1], [x, a])(p, 1.5) for p in points]
    np.testing.assert_allclose(got, want, rtol=4 * EPS)


def test_jacobians_of_loops() -> None:
    f = sd.scan(lambda c, row: (sd.sin(c) * row, c * w), w * 2, A)[1]
    forward, reverse = (sd.jacobian(f, w, mode=m) for m in ("forward", "reverse"))
    got = sd.compile([forward, reverse], [w, A])(W, ROWS)
    np.testing.assert_allclose(*got, **CLOSE)
    np.testing.assert_allclose(got[0], finite_difference(f, {w: W, A: ROWS}, w, method="complex"), **CLOSE)


def test_the_graph_does_not_grow_with_the_turns() -> None:
    sizes = {count_ops(sd.gradient(sd.sum(sd.scan(lambda c, _: (sd.sin(c), None), w, length=n)[0]), [w])) for n in
             (3, 50, 10**6)}  # fmt: skip
    assert len(sizes) == 1


def test_the_text_form_parses_back() -> None:
    roots = [scanned(A), *sd.gradient(scanned(A, max_bytes=100), [w, A])]
    assert parse_text(to_text(roots)) == roots


def test_scan_over_several_arrays_with_several_values() -> None:
    rows = sd.vector("v", 5)
    (p, q), ys = sd.scan(lambda c, r: ([c[0] + r[0], c[1] * sd.sum(r[1])], [r[0], c[1]]), [x, 1.0], [rows, A])
    v = RNG.normal(size=5)
    got = sd.compile([p, q, *ys], [x, rows, A])(0.5, v, ROWS)
    sums = ROWS.sum(axis=1)
    np.testing.assert_allclose(got[0], 0.5 + v.sum(), rtol=8 * EPS)
    np.testing.assert_allclose(got[1], np.prod(sums), rtol=16 * EPS)
    np.testing.assert_array_equal(got[2], v)
    np.testing.assert_allclose(got[3], np.cumprod([1.0, *sums[:-1]]), rtol=16 * EPS)


@pytest.mark.parametrize(
    ("build", "error", "text"),
    [
        (lambda: sd.scan(lambda c, r: (c + r, None), x, A), sd.ShapeError, "value 0 of the carry has shape"),
        (lambda: sd.scan(lambda c, r: (c, None), x, x), sd.ShapeError, "runs over the rows of arrays, got the scalar"),
        (lambda: sd.scan(lambda c, r: (c, None), x, [A, w]), sd.ShapeError, "different numbers of rows"),
        (lambda: sd.scan(lambda c, r: (c, None), x), sd.ShapeError, "or length="),
        (lambda: sd.scan(lambda c, r: c, x, A), sd.DTypeError, r"returns the pair \(carry, y\)"),
        (lambda: sd.cond(w > 0, lambda: x, lambda: a), sd.ShapeError, "use where for arrays"),
        (lambda: sd.cond(x > 0, lambda: x, lambda: w), sd.ShapeError, "values of different shapes"),
        (lambda: sd.scan(lambda c, r: (c, None), x, A, max_bytes=0), sd.DomainError, "max_bytes is a positive int"),
        (lambda: sd.gradient(scanned(A), w, max_bytes="1MB"), sd.DomainError, "max_bytes is a positive int"),
        (lambda: sd.scan(lambda c, r: (c + r, None), np.zeros(3, int), A), sd.DTypeError, "int64, which does not hold"),
        (
            lambda: sd.while_loop(lambda c: c, lambda c: [x], [False]),
            sd.DTypeError,
            "begin with a value of dtype float",
        ),
        (lambda: sd.cond(x > 0, x, a), sd.DTypeError, "are functions; for a choice between values use where"),
    ],
)
def test_wrong_input(build: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        build()


def test_float32_reaches_into_loops() -> None:
    f = scanned(A)
    outputs = [f, *sd.gradient(f, [w, A])]
    single = sd.compile(outputs, [w, A], dtype="float32")(W.astype("float32"), ROWS.astype("float32"))
    double = sd.compile(outputs, [w, A])(W, ROWS)
    for left, right in zip(single[1:], double[1:], strict=True):
        assert left.dtype == np.float32
        np.testing.assert_allclose(left, right, rtol=1e3 * np.finfo("float32").eps, atol=1e-5)


def test_hessian_of_a_scan_with_a_branch() -> None:
    def turn(c: Node, row: Node) -> tuple[Node, Node]:
        return sd.sin(c * row), sd.cond(sd.sum(c) > 0.1, lambda c: sd.sin(c) * a, lambda c: c * 2, c)

    last, every = sd.scan(turn, w, A)
    f = sd.sum(every**2) + sd.sum(last)
    point = {w: W, A: ROWS, a: 0.7}
    hess, *columns = interpret([sd.hessian(f, w), *(sd.hvp(f, w, e) for e in np.eye(3))], point)
    np.testing.assert_allclose(hess, np.stack(columns, axis=1), **CLOSE)
    np.testing.assert_allclose(hess, finite_difference(sd.gradient(f, w), point, wrt=w, method="complex"), **CLOSE)
