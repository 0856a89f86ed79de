"""Linear algebra under NumPy's names: values against NumPy, SciPy and 40 digits, shapes, and what is refused."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.linalg

import symdiff as sd
from symdiff.ir.node import Node

RNG = np.random.default_rng(11)
EPS = np.finfo(float).eps
TARGETS = ("cpu", "reference")
A, B, S, T = (
    sd.matrix("A", "n", "n"),
    sd.matrix("B", "n", "k"),
    sd.array("S", ("m", "n", "n")),
    sd.matrix("T", "p", "n"),
)
V = sd.vector("v", "n")


def regular(*shape: int) -> np.ndarray:
    """Matrices with condition numbers near 10."""
    return RNG.normal(size=shape) + 3 * np.eye(shape[-1])


def run(outputs: Any, inputs: list[Node], values: list[np.ndarray], target: str) -> Any:
    return sd.compile(outputs, inputs, target=target)(*values)


def close(got: Any, want: Any, scale: float = 1.0) -> None:
    """Factorisations of n <= 7 have errors of some n eps times the condition number, some 10 here."""
    assert np.shape(got) == np.shape(want)
    size = np.max(np.abs(want), initial=0.0)
    np.testing.assert_allclose(got, want, rtol=0, atol=500 * EPS * scale * size + 1e-300)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_values_are_numpys(n: int, target: str) -> None:
    a, s, t = regular(n, n), regular(2, n, n), RNG.normal(size=(n + 3, n))
    inputs, values = [A, S, T], [a, s, t]
    sign, size = sd.slogdet(S)
    got = run([sd.det(A), sd.det(S), sign, size, sd.logdet(A), sd.inv(A), sd.inv(S)], inputs, values, target)
    want = [np.linalg.det(a), np.linalg.det(s), *np.linalg.slogdet(s), np.linalg.slogdet(a)[1]]
    for g, w in zip(got, [*want, np.linalg.inv(a), np.linalg.inv(s)], strict=True):
        close(g, w)
    w_, v_ = run(list(sd.eigh(A)), inputs, values, target)
    close(w_, np.linalg.eigvalsh(a))
    low = np.tril(a) + np.tril(a, -1).T
    close(low @ v_, v_ * w_)
    close(v_.T @ v_, np.eye(n))
    close(run(sd.eigvalsh(S, UPLO="U"), inputs, values, target), np.linalg.eigvalsh(s, UPLO="U"))
    q, r = run(list(sd.qr(T)), inputs, values, target)
    close(q @ r, t)
    close(q.T @ q, np.eye(n))
    assert (np.diagonal(r) >= 0).all()
    assert not np.tril(r, -1).any()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("a_shape", "b_shape"),
    [
        ((5, 5), (5,)), ((5, 5), (5, 3)), ((5, 5), (5, 1)), ((2, 5, 5), (5,)), ((2, 5, 5), (5, 3)),
        ((2, 5, 5), (2, 5, 3)), ((5, 5), (4, 5, 3)), ((5, 5), (2, 4, 5, 3)), ((4, 1, 5, 5), (2, 5, 3)),
        ((2, 4, 5, 5), (5, 1)), ((0, 5, 5), (5, 3)),
    ],
)  # fmt: skip
def test_right_hand_sides_follow_numpys_second_rule(a_shape: Any, b_shape: Any, target: str) -> None:
    a, b = sd.array("a", a_shape), sd.array("b", b_shape)
    values = [regular(*a_shape), RNG.normal(size=b_shape)]
    want = np.linalg.solve(*values)
    assert sd.solve(a, b).shape == want.shape
    close(run(sd.solve(a, b), [a, b], values, target), want)
    lower = run(sd.triangular_solve(a, b), [a, b], values, target)
    close(lower, np.linalg.solve(np.tril(values[0]), values[1]), 10)
    # The adjoint of a solve is a solve with the transpose, whatever was broadcast.
    bar = RNG.uniform(0.3, 2.2, want.shape)
    c = sd.array("c", want.shape)
    a_bar, b_bar = run(sd.vjp(sd.solve(a, b), [a, b], c), [a, b, c], [*values, bar], target)
    assert a_bar.shape == a_shape
    assert b_bar.shape == b_shape
    dot_a, dot_b = RNG.uniform(0.3, 2.2, a_shape), RNG.uniform(0.3, 2.2, b_shape)
    is_vector = b_shape == a_shape[-1:]
    columns, dots, bars = ((x[..., None] if is_vector else x) for x in (values[1], dot_b, bar))
    # A x = b  =>  A x_dot = b_dot - A_dot x
    forward = np.sum(bars * np.linalg.solve(values[0], dots - dot_a @ np.linalg.solve(values[0], columns)))
    both = np.sum(a_bar * dot_a) + np.sum(b_bar * dot_b)
    np.testing.assert_allclose(both, forward, rtol=1e5 * EPS, atol=1e5 * EPS * np.abs(want).sum())


@pytest.mark.parametrize("target", TARGETS)
def test_triangles_are_scipys(target: str) -> None:
    a, b = regular(6, 6), RNG.normal(size=(6, 2))
    for lower in (True, False):
        for transposed in (True, False):
            for unit in (True, False):
                got = run(sd.triangular_solve(A, B, lower, transposed, unit), [A, B], [a, b], target)
                want = scipy.linalg.solve_triangular(a, b, int(transposed), lower, unit)
                close(got, want, 100)  # unit triangles of normal numbers have conditions of some 1000
    # What is not read may be anything.
    a[np.triu_indices(6, 1)] = np.nan
    want = scipy.linalg.solve_triangular(np.tril(a), b[:, 0], lower=True)
    close(run(sd.triangular_solve(A, V), [A, V], [a, b[:, 0]], target), want, 10)


@pytest.mark.parametrize("target", TARGETS)
def test_hilbert_matrix_against_40_digits(target: str) -> None:
    """The residual is small although eight digits of the solution are lost."""
    n = 6
    h = 1 / (np.arange(n)[:, None] + np.arange(n) + 1)
    b = RNG.normal(size=n)
    x, size, w, low = run([sd.solve(A, V), sd.logdet(A), sd.eigvalsh(A), sd.cholesky(A)], [A, V], [h, b], target)
    condition = np.linalg.cond(h)
    with mpmath.workdps(40):
        exact = mpmath.matrix(h.tolist())
        solution = np.array(mpmath.lu_solve(exact, mpmath.matrix(b.tolist())).tolist(), dtype=float)[:, 0]
        log = float(mpmath.log(abs(mpmath.det(exact))))
        values = np.array([float(v) for v in mpmath.eigsy(exact)[0]])
        factor = np.array(mpmath.cholesky(exact).tolist(), dtype=float)
    assert np.abs(h @ x - b).max() <= 10 * n * EPS * np.abs(x).max()
    np.testing.assert_allclose(x, solution, rtol=0, atol=n * EPS * condition * np.abs(solution).max())
    assert abs(size - log) <= n * EPS * condition
    np.testing.assert_allclose(w, values, rtol=0, atol=n * EPS * values.max())
    np.testing.assert_allclose(low, factor, rtol=0, atol=n * EPS * condition)


@pytest.mark.parametrize("target", TARGETS)
def test_what_cannot_be_factored_is_nan_in_its_own_place(target: str) -> None:
    good, singular = regular(3, 3), np.outer([1.0, 2.0, 3.0], [1.0, -1.0, 2.0])
    s = np.stack([singular, good])
    b = np.ones((3, 2))
    indefinite = S @ sd.transpose(S, (0, 2, 1)) - B[0, 0] * 1e-3
    x, inverse, low = run([sd.solve(S, B), sd.inv(S), sd.cholesky(indefinite)], [S, B], [s, b], target)
    for got in (x, inverse, low):
        assert np.isnan(got[0]).all()
        assert np.isfinite(got[1]).all()
    zero = np.diag([1.0, 0.0, 2.0])
    assert np.isnan(run(sd.triangular_solve(A, B), [A, B], [zero, b], target)).all()
    sign, size, det = run([*sd.slogdet(A), sd.det(A)], [A], [zero], target)
    assert (sign, size, det) == (0.0, -np.inf, 0.0)


@pytest.mark.parametrize("target", TARGETS)
def test_wide_matrices_and_single_precision(target: str) -> None:
    wide = sd.array("W", (2, 3, 5))
    w = RNG.normal(size=(2, 3, 5))
    q, r = run(list(sd.qr(wide)), [wide], [w], target)
    assert q.shape == (2, 3, 3)
    close(q @ r, w)
    a = regular(4, 4).astype(np.float32)
    single = sd.matrix("F", 4, 4, dtype="float32")
    outputs = [sd.solve(single, single[0]), sd.det(single), *sd.slogdet(single), *sd.eigh(single), *sd.qr(single)]
    double = sd.compile(outputs, [single], target="reference", dtype="float64")(a.astype(float))
    for got, want in zip(run(outputs, [single], [a], target), double, strict=True):
        assert np.asarray(got).dtype == np.float32 or isinstance(got, float)
        np.testing.assert_allclose(got, want, atol=1000 * np.finfo(np.float32).eps)


def test_integers_become_numbers() -> None:
    k = np.array([[2, 1], [1, 3]])
    assert sd.compile([sd.det(k), sd.logdet(k), sd.cholesky(k)[0, 0]], [])()[0] == pytest.approx(5.0, rel=4 * EPS)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: sd.solve(T, V), "solve needs a square matrix, got 'T'"),
        (lambda: sd.solve(A, T), "no right-hand side"),
        (lambda: sd.solve(sd.array("a", (2, 4, 4)), sd.array("b", (2, 4))), "a vector only if it has one axis"),
        (lambda: sd.solve(sd.array("a", (2, 4, 4)), sd.array("b", (3, 4, 1))), "do not broadcast"),
        (lambda: sd.triangular_solve(A, T), "no right-hand side"),
        (lambda: sd.cholesky(V), "cholesky needs a square matrix"),
        (lambda: sd.det(T), "det needs a square matrix"),
        (lambda: sd.logdet(V), "needs a square matrix"),
        (lambda: sd.inv(T), "inv needs a square matrix"),
        (lambda: sd.eigh(T), "needs a square matrix"),
        (lambda: sd.eigvalsh(A, UPLO="X"), "UPLO"),
        (lambda: sd.qr(V), "qr needs a matrix"),
    ],
)
def test_wrong_shapes_are_named(build: Any, message: str) -> None:
    with pytest.raises(sd.ShapeError, match=message):
        build()


def test_qr_of_a_wide_matrix_of_run_time_size_is_refused() -> None:
    fn = sd.compile(sd.qr(T).R, [T])
    with pytest.raises(sd.DomainError, match=r"qr \(.*test_linalg.py:\d+\).*p = 2 rows and n = 3 columns"):
        fn(np.ones((2, 3)))


@pytest.mark.parametrize(
    ("left", "right", "order"),
    [
        ((3, 20, 12), (3, 12, 9), None), ((3, 2, 9, 12), (2, 12, 10), None), ((20, 12), (3, 12, 9), None),
        ((3, 12, 20), (3, 12, 9), (0, 2, 1)), ((20, 3, 12), (3, 12, 9), (1, 0, 2)), ((0, 9, 9), (0, 9, 10), None),
    ],
)  # fmt: skip
def test_products_of_stacks_are_calls(left, right, order) -> None:
    rng = np.random.default_rng(4)
    a, b = sd.array("a", left), sd.array("b", right)
    f = (a if order is None else sd.transpose(a, order)) @ b
    fn = sd.compile([f, *sd.vjp(f, [a, b], sd.cos(f))], [a, b])
    assert "gemm" in fn.inspect("program")
    values = rng.normal(size=left), rng.normal(size=right)
    got = fn(*values)
    first = values[0] if order is None else values[0].transpose(order)
    product = first @ values[1]
    # Sums of at most 20 terms.
    np.testing.assert_allclose(got[0], product, rtol=1e-14, atol=1e-14)
    reference = sd.compile(sd.vjp(f, [a, b], sd.cos(f)), [a, b], target="reference")(*values)
    for left_bar, right_bar in zip(got[1:], reference, strict=True):
        np.testing.assert_allclose(left_bar, right_bar, rtol=1e-13, atol=1e-13)
