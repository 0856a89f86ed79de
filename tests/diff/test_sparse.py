"""Sparse Jacobians and Hessians against dense ones, against formulas, and their structure entry by entry."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

import symdiff as sd
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node
from tests.diff.sparse_cases import (
    CLOSE,
    EPS,
    MASK,
    OTHERS,
    PATTERNS,
    POINT,
    SUMS,
    SYMBOLS,
    L,
    X,
    x,
)


def check(sparse: Any, dense: Any, exact: bool = True) -> Any:
    """Compare a matrix with the dense derivative; its structure holds what can be different from zero, no more."""
    m, n = sparse.shape
    want = np.asarray(interpret([dense], dict(zip(SYMBOLS, POINT, strict=True)))[0]).reshape(m, n)
    fn = sd.compile(sparse, SYMBOLS)
    found = fn(*POINT)
    assert isinstance(found, scipy.sparse.csr_array)
    np.testing.assert_allclose(found.toarray(), want, **CLOSE)
    assert found.has_canonical_format
    pairs = list(zip(*found.nonzero(), strict=True))
    assert len(set(pairs)) == len(pairs)
    if exact:  # at a random point no structural entry is zero
        assert found.nnz == np.count_nonzero(want)
    return fn.structure(*POINT)


@pytest.mark.parametrize("method", [True, "column", "row", "bidirectional"])
@pytest.mark.parametrize("name", PATTERNS)
def test_jacobians_of_patterns(name: str, method: Any) -> None:
    f, w = PATTERNS[name]
    structure = check(sd.jacobian(f, w, sparse=method), sd.jacobian(f, w))
    assert method is not True or (structure.method, structure.products) == ("pattern", 0)


@pytest.mark.parametrize("name", OTHERS)
def test_jacobians_by_colouring(name: str) -> None:
    f, w = OTHERS[name]
    structure = check(sd.jacobian(f, w, sparse=True), sd.jacobian(f, w))
    assert 0 < structure.products <= min(structure.shape)
    with pytest.raises(sd.DerivativeError, match=r"Asked for the pattern of .*sparse_cases\.py:\d+\), but matmul of"):
        sd.jacobian(f, w, sparse="pattern")


@pytest.mark.parametrize("method", [True, "column", "star", "acyclic"])
@pytest.mark.parametrize("name", SUMS)
def test_hessians(name: str, method: Any) -> None:
    f, w = SUMS[name]
    structure = check(sd.hessian(f, w, sparse=method), sd.hessian(f, w))
    if method is True and not name.startswith("product with") and name != "product":
        assert structure.method == "pattern"


WHOLE = {
    "sorted": (sd.sort(x) * x, 36),  # the order may be any
    "running sum": (sd.cumsum(x) ** 2, 21),
    "loop": (sd.while_loop(lambda k, u: k < 3, lambda k, u: [k + 1, sd.sin(u)], [0, x])[1], 6),
    "loop with neighbours": (
        sd.while_loop(lambda k, u: k < 2, lambda k, u: [k + 1, sd.concatenate([u[:1], u[1:] * u[:-1]])], [0, x])[1], 21,
    ),
    "convolution": (sd.convolve(x, np.array([1.0, 0.0, -2.0])) ** 2, 12),
    "solve": (sd.solve(np.diag([1.0, 2.0, 3.0]), x[:3] * x[3:]), 6),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_structures_of_other_primitives(name: str) -> None:
    f, nnz = WHOLE[name]
    assert check(sd.jacobian(f, x, sparse=True), sd.jacobian(f, x), exact=False).nnz == nnz


def test_what_may_be_the_largest_entry_counts_as_one() -> None:
    structure = check(sd.jacobian(sd.max(X, axis=0), X, sparse=True), sd.jacobian(sd.max(X, axis=0), X), exact=False)
    assert structure.nnz == 20


@pytest.mark.parametrize("case", [PATTERNS["gather"], PATTERNS["stencil"], SUMS["chain"], SUMS["grid"]])
def test_triplets_are_expressions(case: Any) -> None:
    f, w = case
    whole = [sd.hessian, sd.jacobian][bool(f.shape)]
    s = whole(f, w, sparse=True)
    fn = sd.compile([s.rows, s.cols, s.values], SYMBOLS)
    rows, cols, values = fn(*POINT)
    want = sd.compile(s, SYMBOLS)(*POINT)
    assert rows.dtype == cols.dtype == np.int64
    found = scipy.sparse.coo_array((values, (rows, cols)), shape=want.shape).toarray()
    np.testing.assert_allclose(found, want.toarray(), **CLOSE)


@pytest.mark.parametrize("method", ["column", "row", "bidirectional"])
def test_triplets_of_a_colouring(method: str) -> None:
    f, w = PATTERNS["stencil"]
    s = sd.jacobian(f, w, sparse=method)
    rows, cols, values = sd.compile([s.rows, s.cols, s.values], SYMBOLS)(*POINT)
    found = scipy.sparse.coo_array((values, (rows, cols)), shape=s.shape).toarray()
    np.testing.assert_allclose(found, sd.compile(sd.jacobian(f, w, sparse=True), SYMBOLS)(*POINT).toarray(), **CLOSE)


def test_diagonals_are_merged() -> None:
    chain, grid = (sd.hessian(*SUMS[name], sparse=True) for name in ("chain", "grid"))
    assert len(chain.entries) == 3
    assert len(grid.entries) == 5
    assert str(chain.values.shape) == "(16,)"


def test_a_hessian_by_50_digits() -> None:
    n = 5
    y = sd.vector("y", n)
    f = sd.sum(sd.exp(y[1:] * y[:-1]) + sd.sin(y[:-1]) ** 3)
    at = np.linspace(-0.9, 1.1, n)
    found = sd.compile(sd.hessian(f, y, sparse=True), [y])(at).toarray()

    def value(*v: Any) -> Any:
        return sum(mpmath.exp(v[k + 1] * v[k]) + mpmath.sin(v[k]) ** 3 for k in range(n - 1))

    with mpmath.workdps(50):
        for i in range(n):
            for j in range(n):
                order = tuple((k == i) + (k == j) for k in range(n))
                want = float(mpmath.diff(value, tuple(map(mpmath.mpf, at)), order))
                # 16 eps: a dozen roundings of numbers of up to about 3
                assert abs(found[i, j] - want) <= 16 * EPS * max(1.0, abs(want))


# --- numbers that are none -----------------------------------------------------


def test_nan_stays_where_it_is() -> None:
    y = sd.vector("y", 5)
    fn = sd.compile(sd.hessian(sd.sum(sd.log(y[1:]) * y[:-1]), y, sparse=True), [y])
    found = fn(np.array([1.0, 2.0, np.nan, 3.0, 4.0])).toarray()
    assert set(zip(*map(list, np.nonzero(np.isnan(found))), strict=True)) == {(1, 2), (2, 1), (2, 2), (3, 3)}


def test_the_branch_not_taken_does_not_matter() -> None:
    y = sd.vector("y", 4)
    f = sd.sum(sd.where(y > 0, sd.sqrt(y), 0.0) * y[::-1])
    found = sd.compile(sd.jacobian(sd.where(y > 0, sd.sqrt(y), y), y, sparse=True), [y])(np.array([-1.0, 0, 4, 9]))
    np.testing.assert_array_equal(found.toarray(), np.diag([1.0, 1.0, 0.25, 1 / 6]))
    second = sd.compile(sd.hessian(f, y, sparse=True), [y])(np.array([-1.0, -2.0, 4.0, 9.0]))
    assert np.isfinite(second.toarray()).all()


# --- what is printed ------------------------------------------------------------


def test_printing() -> None:
    s = sd.hessian(*SUMS["chain"], sparse=True)
    assert str(s) == "6 × 6, 16 non-zeros (44.44%), 0 products: pattern\n⎡⠻⣦⡀⎤\n⎣⠀⠈⠛⎦"
    y = sd.vector("y", "n")
    open_size = sd.hessian(sd.sum(y**3), y, sparse=True)
    assert str(open_size).startswith("<sparse Hessian (n, n) of mul")
    assert str(open_size.structure({"n": 1})) == "1 × 1, 1 non-zero (100.00%), 0 products: pattern\n[⠁]"
    assert "(no rows)" in str(open_size.structure({"n": 0}))
    wide = str(open_size.structure({"n": 10_000})).splitlines()
    assert len(wide) == 21
    assert len({len(line) for line in wide[1:]}) == 1
    assert "1 product: row colouring" in str(sd.jacobian(MASK[:2, :] @ x, x, sparse=True))


# --- wrong input ----------------------------------------------------------------


def test_wrong_input() -> None:
    y = sd.vector("y", "n")
    with pytest.raises(sd.ShapeError, match="hessian needs a scalar function"):
        sd.hessian(x**2, x, sparse=True)
    with pytest.raises(sd.DerivativeError, match="'L' has dtype int64"):
        sd.jacobian(x[L], L, sparse=True)
    with pytest.raises(sd.DerivativeError, match="sparse= is True, False or one of pattern, column"):
        sd.jacobian(x**2, x, sparse="rows")
    with pytest.raises(sd.DerivativeError, match="star colouring is for Hessians"):
        sd.jacobian(x**2, x, sparse="star")
    with pytest.raises(TypeError, match="unsupported operand"):
        2 * x + sd.jacobian(x**2, x, sparse=True)
    s = sd.jacobian(y**2, y, sparse=True)
    with pytest.raises(sd.ShapeError, match="run-time size 'n'"):
        s.structure()
    with pytest.raises(sd.ShapeError, match="depends on the data 'L'"):
        sd.jacobian(x[L] ** 2, x, sparse=True).structure()
    with pytest.raises(sd.DerivativeError, match=r"depends on the run-time size 'n'.*compile the SparseExpr"):
        sd.jacobian(y**2, y, sparse="column").values  # noqa: B018
    fn = sd.compile(s, [y])
    with pytest.raises(sd.ShapeError, match="out= takes arrays"):
        fn(np.zeros(3), out=np.zeros((3, 3)))
    with pytest.raises(sd.ShapeError, match="'y'"):
        fn(np.zeros((3, 2)))
    with pytest.raises(TypeError, match="takes 1 arguments"):
        fn(np.zeros(3), 2.0)
    with pytest.raises(sd.UnknownSymbolError, match="'y'"):
        sd.compile(s, [x])
    with pytest.raises(sd.CompileError, match="dtype= does not reach into a SparseExpr"):
        sd.compile(s, [y], dtype="float32")


# --- random patterns --------------------------------------------------------------


@st.composite
def patterns(draw: Any) -> Node:
    """An array of views of x, combined entry by entry, shifted, gathered and summed."""
    pool: list[Any] = [x, x[::-1], sd.concatenate([x[2:], x[:2]])]
    for _ in range(draw(st.integers(1, 5))):
        a, b = draw(st.sampled_from(pool)), draw(st.sampled_from(pool))
        kind = draw(st.integers(0, 7))
        k = draw(st.integers(0, 3))
        if kind == 0:
            new = sd.sin(a) * b
        elif kind == 1:
            new = a + 0.5 * b * b
        elif kind == 2:
            new = sd.concatenate([a[k:], b[:k]])
        elif kind == 3:
            new = sd.concatenate([np.zeros(k), a[: 6 - k]])
        elif kind == 4:
            new = a[np.array([0, 2, 2, 5, 1, k])]
        elif kind == 5:
            new = sd.where(sd.arange(6) > k, a, b * b)
        elif kind == 6:
            new = sd.sum(a.reshape(2, 3).T[:, :, None] * b.reshape(3, 2)[:, None, :], axis=1).reshape(6)
        else:
            new = sd.where(a > 0, sd.tanh(b), a)
        pool.append(new)
    return pool[-1]


@given(patterns())
def test_random_patterns(f: Node) -> None:
    for s, dense in (
        (sd.jacobian(f, x, sparse=True), sd.jacobian(f, x)),
        (sd.hessian(sd.sum(sd.tanh(f)), x, sparse=True), sd.hessian(sd.sum(sd.tanh(f)), x)),
    ):
        want = interpret([dense], {x: POINT[0]})[0]
        found = sd.compile(s, [x], target="reference")(POINT[0])
        scale = 1 + np.abs(want).max()
        # 1024 eps of the largest entry: up to a few hundred terms in another order
        np.testing.assert_allclose(found.toarray(), want, rtol=0, atol=1024 * EPS * scale)
        # Propagation finds the same structure by another way.
        other = sd.SparseExpr(s.function, x, s.symmetric, "column").structure()
        mine = s.structure()
        assert set(zip(mine.rows, mine.cols, strict=True)) == set(zip(other.rows, other.cols, strict=True))
