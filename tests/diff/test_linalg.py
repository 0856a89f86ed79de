"""Derivatives of linear algebra: second ones against 60 digits, and where a formula breaks down."""

from __future__ import annotations

import functools
from collections.abc import Callable

import mpmath
import numpy as np
import pytest

import symdiff as sd
from symdiff.ir.interpret import interpret, mp_array
from symdiff.ir.node import Node

EPS = np.finfo(float).eps
TARGETS = ("cpu", "reference")
RNG = np.random.default_rng(13)


def regular(n: int) -> np.ndarray:
    """A matrix of condition near 5, not symmetric."""
    return RNG.normal(size=(n, n)) * 0.4 + np.diag(np.arange(2.0, n + 2))


W = RNG.uniform(0.3, 2.2, (4, 4))
# Entries of a Hessian that are compared; mpmath takes 0.1 s for each.
MOST_PAIRS = 16
SCALARS: dict[str, tuple[int, Callable[[Node], Node]]] = {
    "solve": (3, lambda a: sd.sum(W[:3, :2] * sd.solve(a, W[1:, 1:3]))),
    "solve a vector twice": (3, lambda a: sd.sum(W[0, :3] * sd.solve(a, sd.solve(a.T, W[1, :3])))),
    "triangular_solve": (
        3,
        lambda a: sd.sum(W[:3, 0] * sd.triangular_solve(a, W[:3, 1], lower=False, transposed=True)),
    ),
    "cholesky": (3, lambda a: sd.sum(W[:3, :3] * sd.cholesky(a))),
    "logdet": (3, sd.logdet),
    "inv": (3, lambda a: sd.sum(W[:3, :3] * sd.inv(a))),
    "det 1": (1, lambda a: 1.3 * sd.det(a)),
    "det 2": (2, lambda a: 1.3 * sd.det(a)),
    "det 3": (3, lambda a: 1.3 * sd.det(a)),
    "det 4": (4, lambda a: 1.3 * sd.det(a)),
    "eigvalsh": (3, lambda a: sd.sum(W[0, :3] * sd.eigvalsh(a))),
    "eigh": (3, lambda a: sd.sum(W[:3, :3] * sd.eigh(a)[1])),
    "qr": (3, lambda a: sd.sum(W[:3, :3] * sd.qr(a).Q) + sd.sum(W[1:, 1:] * sd.qr(a).R)),
    "norm": (2, lambda a: sd.norm(a @ a, 2)),
}


@functools.cache
def exact_hessian(name: str) -> tuple[np.ndarray, np.ndarray]:
    """A point, and f(x ± h ± k) there at 60 digits with steps of 1e-15: an error of 1e-30, and no rule of ours."""
    n, build = SCALARS[name]
    a = sd.matrix("A", n, n)
    f, point, want = build(a), regular(n), np.full((n,) * 4, np.nan)
    places = list(np.ndindex(n, n))
    pairs = [(i, j) for i in places for j in places if i <= j]
    chosen = np.random.default_rng(7).permutation(len(pairs))[:MOST_PAIRS]
    with mpmath.workdps(60):
        h = mpmath.mpf(10) ** -15

        def value(*moves: tuple[tuple[int, ...], int]) -> mpmath.mpf:
            moved = mp_array(point)
            for index, sign in moves:
                moved[index] += sign * h
            return interpret([f], {a: moved}, "mpmath")[0].item()

        for i, j in (pairs[k] for k in chosen):
            total = sum(s * t * value((i, s), (j, t)) for s in (1, -1) for t in (1, -1))
            want[i + j] = want[j + i] = float(total / (4 * h * h))
    return point, want


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", SCALARS)
def test_hessians_against_differences_of_values(name: str, target: str) -> None:
    n, build = SCALARS[name]
    a = sd.matrix("A", n, n)
    point, want = exact_hessian(name)
    got = sd.compile(sd.hessian(build(a), a), [a], target=target)(point)
    # Two derivatives of factorisations with conditions near 5, and gaps near 1, whose cubes enter.
    known = ~np.isnan(want)
    np.testing.assert_allclose(got[known], want[known], rtol=0, atol=1e4 * EPS * np.abs(want[known]).max())


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("rank", [0, 1, 2, 3, 4])
def test_the_derivative_of_det_is_right_at_every_rank(rank: int, target: str) -> None:
    """The adjugate of B diag(d) C is that of C, of diag(d) and of B: polynomials."""
    n = 4
    b, c = regular(n), regular(n)
    d = np.array([2.0, -0.5, 1.5, 3.0]) * (np.arange(n) < rank)

    def adjugate(m: np.ndarray) -> np.ndarray:
        return np.linalg.det(m) * np.linalg.inv(m)

    others = np.diag([np.prod(np.delete(d, k)) for k in range(n)])
    want = (adjugate(c) @ others @ adjugate(b)).T
    a = sd.matrix("A", n, n)
    got = sd.compile(sd.gradient(sd.det(a), a), [a], target=target)(b @ np.diag(d) @ c)
    # Cofactors are sums of products of three entries, each rounded in the product of three matrices.
    size = np.linalg.norm(b @ np.diag(d) @ c) ** 3
    np.testing.assert_allclose(got, want, rtol=0, atol=100 * EPS * max(size, 1e-300))


@pytest.mark.parametrize("target", TARGETS)
def test_second_derivatives_of_det_at_singular_matrices(target: str) -> None:
    """Right up to 3x3, where they are polynomials of ours; NaN beyond, also where rounding leaves det near 1e-17."""
    b = sd.matrix("B", 2, 2)
    hess = sd.compile(sd.hessian(sd.det(b), b), [b], target=target)(np.zeros((2, 2)))
    want = np.zeros((2, 2, 2, 2))
    want[0, 0, 1, 1] = want[1, 1, 0, 0] = 1
    want[0, 1, 1, 0] = want[1, 0, 0, 1] = -1
    np.testing.assert_array_equal(hess, want)
    a = sd.matrix("A", 4, 4)
    u, v = RNG.normal(size=(4, 3)), RNG.normal(size=(3, 4))
    assert np.isnan(sd.compile(sd.hessian(sd.det(a), a), [a], target=target)(u @ v)).any()


@pytest.mark.parametrize("target", TARGETS)
def test_functions_of_equal_eigenvalues_have_their_derivatives(target: str) -> None:
    """The gradient of sum g(w) is V g'(w) V' = g'(A), whichever vectors LAPACK takes in the degenerate plane."""
    q = np.linalg.qr(regular(3))[0]
    point = q @ np.diag([2.0, 2.0, 5.0]) @ q.T
    point = (point + point.T) / 2
    a = sd.matrix("A", 3, 3)
    low = sd.compile(sd.gradient(sd.sum(sd.log(sd.eigvalsh(a))), a), [a], target=target)(point)
    inverse = np.linalg.inv(point)
    # Only the lower half is read: an entry off the diagonal moves two entries of the matrix.
    np.testing.assert_allclose(low, np.tril(inverse) + np.tril(inverse, -1), rtol=0, atol=100 * EPS)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("noise", [0.0, 1e-16])
def test_vectors_of_equal_eigenvalues_have_no_derivative(noise: float, target: str) -> None:
    """NaN, also where rounding has parted the eigenvalues by an ulp."""
    a = sd.matrix("A", 3, 3)
    slope = sd.gradient(sd.sum(W[:3, :3] * sd.eigh(a).eigenvectors), a)
    got = sd.compile(slope, [a], target=target)(np.diag([1.0, 1.0 + noise, 3.0]))
    assert np.isnan(got).any()
    fine = sd.compile(slope, [a], target=target)(np.diag([1.0, 2.0, 3.0]))
    assert np.isfinite(fine).all()


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_not_read_does_not_enter_derivatives(target: str) -> None:
    """The upper half may hold anything: its slopes are 0, and its NaN do not reach the others."""
    x = sd.symbols("x")
    lower = np.array([[4.0, 0.0], [1.0, 3.0]])
    hidden = sd.where(np.array([[False, True], [False, False]]), sd.sqrt(x - 5.0), x * lower)
    for f in (sd.sum(sd.cholesky(hidden)), sd.sum(sd.eigvalsh(hidden)), sd.sum(sd.triangular_solve(hidden, W[:2, 0]))):
        value, slope = sd.compile([f, sd.gradient(f, x)], [x], target=target)(1.7)
        assert np.isfinite([value, slope]).all()


@pytest.mark.parametrize("target", TARGETS)
def test_no_derivative_where_there_is_no_value(target: str) -> None:
    a = sd.matrix("A", 2, 2)
    singular = np.array([[1.0, 2.0], [2.0, 4.0]])
    for f in (sd.sum(sd.solve(a, W[:2, 0])), sd.logdet(a), sd.sum(sd.cholesky(-a))):
        slope = sd.compile(sd.gradient(f, a), [a], target=target)(singular)
        # Of cholesky's argument only the lower half is read.
        assert np.isnan(slope[np.tril_indices(2)]).all()


def test_compare_agrees_on_linear_algebra() -> None:
    a = sd.matrix("A", 2, 2)
    f = sd.logdet(a) + sd.sum(sd.solve(a, W[:2, 0])) + sd.sum(sd.eigvalsh(a) ** 2) + sd.det(a)
    assert sd.compare(f, {a: regular(2)}).passed


@pytest.mark.parametrize("target", TARGETS)
def test_a_singular_matrix_that_is_not_taken_spoils_no_derivative(target: str) -> None:
    """Each matrix of a stack by itself: the guard of one does not hold for the others."""
    s, b, taken = sd.array("S", ("m", 3, 3)), sd.array("b", ("m", 3, 1)), sd.array("k", ("m",), dtype="bool")
    values = [np.stack([regular(3), np.ones((3, 3))]), W[:2, :3, None], np.array([True, False])]
    functions = {
        "solve": sd.solve(s, b), "logdet": sd.logdet(s)[:, None, None], "inv": sd.inv(s),
        "cholesky": sd.cholesky(s @ sd.transpose(s, (0, 2, 1)) - 1e-3),
    }  # fmt: skip
    for name, f in functions.items():
        total = sd.sum(sd.where(taken[:, None, None], f, 0.0) ** 2)
        s_bar, b_bar = sd.compile(sd.gradient(total, [s, b]), [s, b, taken], target=target)(*values)
        assert np.abs(s_bar[0]).min() > 0, name
        assert not s_bar[1].any(), name
        assert not b_bar[1].any(), name
