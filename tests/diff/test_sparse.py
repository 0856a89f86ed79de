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

EPS = np.finfo(float).eps
# Two orders of the same few operations on numbers near 1, in matrices of at most 36 columns.
CLOSE = {"rtol": 256 * EPS, "atol": 256 * EPS}

x, X, A = sd.vector("x", 6), sd.matrix("X", 4, 5), sd.matrix("A", 3, 6)
p, L = sd.vector("p", 5), sd.array("L", (7,), dtype="int64")
SYMBOLS = [x, X, A, p, L]
INDEX = np.array([0, 2, 2, 5, -1, 3, 0])
MASK = np.where(np.arange(18).reshape(3, 6) % 4 == 0, 1.5, 0.0)
_rng = np.random.default_rng(20)
POINT = [_rng.standard_normal(6), _rng.standard_normal((4, 5)), _rng.standard_normal((3, 6)), _rng.random(5), INDEX]


def laplacian(u: Any) -> Any:
    return u[1:-1, 2:] + u[1:-1, :-2] + u[2:, 1:-1] + u[:-2, 1:-1] - 4 * u[1:-1, 1:-1]


def padded(u: Any) -> Any:
    y = sd.concatenate([np.zeros(1), u, np.ones(1)])
    return y[2:] - 2 * y[1:-1] + y[:-2]


PATTERNS: dict[str, tuple[Any, Any]] = {
    "square": (x**2, x),
    "shift": (x[1:] * x[:-1], x),
    "reversed": (x[::-1] * x, x),
    "steps": (sd.sin(x[::2]) * x[1::2], x),
    "periodic": (sd.concatenate([x[-1:], x[:-1]]) * x, x),
    "padded": (padded(x) * x, x),
    "gather": (sd.exp(x[L]) * x[L[::-1]], x),
    "literal gather": (x[INDEX] ** 2, x),
    "stencil": (laplacian(X * X) * X[1:-1, 1:-1], X),
    "transpose": ((X.T * 2 + 1) ** 2, X),
    "reshape": (X.reshape(20)[3:] ** 2 * X.T.reshape(20)[:-3], X),
    "row sums": (sd.sum(X * p, axis=1) ** 2, X),
    "mean": (sd.mean(x**2) * x, x),
    "mask": (sd.where(sd.arange(6) < 3, x**2, 0 * x), x),
    "zeros in data": (MASK * x, x),
    "where": (sd.where(x > 0, x**2, sd.sin(x)), x),
    "outer": (x[:3, None] * x[None, 3:], x),
    "product": (sd.prod(X, axis=1), X),
    "softmax": (sd.softmax(x), x),
    "scalar": (sd.sum(x * x), x),
    "constant": (A[:, 0], x),
    "entries": (sd.stack([x[0] * x[1], x[2], sd.sin(x[5])]), x),
    "kinks": (sd.abs(x) * sd.maximum(x, 0.3), x),
    "twice": ((lambda d: d[1:] * d[:-1])(x[1:] - x[:-1]), x),
    "cut": ((lambda y: y[2:] * y[:-2])(sd.concatenate([x, x[:2] ** 2])), x),
}
OTHERS: dict[str, tuple[Any, Any]] = {
    "product with data": (MASK @ x, x),
    "product": (sd.tanh(A @ x) * x[:3], x),
    "matrix product": ((A[:, :4] @ X) ** 2, X),
    "data from the left": (MASK[:, :4] @ X, X),
    "data from the right": (X @ MASK.T[:5], X),
    "vector product": (p @ X.T * x[:4], X),
}
SUMS: dict[str, Any] = {
    "chain": (sd.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2), x),
    "grid": (sd.sum((X[1:] - X[:-1]) ** 4) + sd.sum((X[:, 1:] - X[:, :-1]) ** 4), X),
    "linear": (sd.sum(3 * x), x),
    "bilinear": (sd.sum(x[:3] * x[3:]), x),
    "product of sums": (sd.sum(x**2) * sd.sum(sd.sin(x)), x),
    "graph": (sd.sum((x[L[1:]] - x[L[:-1]]) ** 4), x),
    "masked": (sd.sum(MASK * x**3), x),
    "two spaces": (sd.sum(sd.exp(x)) * 2 + sd.sum(x[1:] * x[:-1]) * p[0], x),
    "bending": (sd.sum((x[2:] - 2 * x[1:-1] + x[:-2]) ** 4), x),
    "ends": (sd.sum((x[1:] - x[:-1]) ** 4) + (x[0] - 1) ** 4 + x[5] ** 4, x),
    "row sums": (sd.sum(sd.sum(X * p, axis=1) ** 2), X),
    "periodic": (sd.sum((sd.concatenate([x[1:], x[:1]]) - x) ** 4), x),
    "guarded": (sd.sum(sd.where(x > 0.2, sd.log(sd.where(x > 0.2, x, 1.0)), x**2)), x),
    "windows": (sd.sum(sd.sum(x[np.array([[0, 1, 2], [1, 2, 3], [3, 4, 5]])], axis=1) ** 3), x),
    "product": (sd.sum(sd.log(1 + (A @ x) ** 2)), x),
    "product with data": (sd.sum((MASK @ x) ** 4), x),
}


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
    with pytest.raises(sd.DerivativeError, match=r"Asked for the pattern of .*test_sparse\.py:\d+\), but matmul of"):
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


# --- run-time sizes and data --------------------------------------------------


def test_one_function_for_all_sizes() -> None:
    y = sd.vector("y", "n")
    f = sd.sum(100 * (y[1:] - y[:-1] ** 2) ** 2 + (1 - y[:-1]) ** 2)
    fn = sd.compile([f, sd.gradient(f, y), sd.hessian(f, y, sparse=True)], [y])
    dense = sd.compile(sd.hessian(f, y), [y])
    for n in (1, 2, 3, 4, 7, 200, 2):
        at = np.random.default_rng(n).standard_normal(n)
        value, slope, matrix = fn(at)
        assert matrix.shape == (n, n)
        assert matrix.nnz == (3 * n - 2 if n > 1 else 0)
        # 64 eps of the largest entry: products of a few numbers, summed
        np.testing.assert_allclose(matrix.toarray(), dense(at), rtol=0, atol=64 * EPS * (1 + np.abs(dense(at)).max()))
        assert slope.shape == (n,)
        assert isinstance(value, float)
    with pytest.raises(sd.DomainError, match="slice"):
        fn(np.zeros(0))


def test_wider_bands_have_ragged_ends() -> None:
    y = sd.vector("y", "n")
    f = sd.sum((y[3:] - 2 * y[1:-2] + y[:-3]) ** 4) + sd.sum(y**4)
    fn, dense = (sd.compile(sd.hessian(f, y, sparse=s), [y]) for s in (True, False))
    for n in range(3, 12):
        at = np.random.default_rng(n).standard_normal(n)
        found, want = fn(at), dense(at)
        np.testing.assert_allclose(found.toarray(), want, rtol=0, atol=64 * EPS * np.abs(want).max())
        assert found.nnz == np.count_nonzero(want)
        assert (np.diff(found.indptr) == np.count_nonzero(want, axis=1)).all()


def test_sizes_below_a_stencil_take_the_other_way() -> None:
    y = sd.vector("y", "n")
    z = sd.concatenate([np.zeros(1), y, np.zeros(1)])
    s = sd.jacobian((z[2:] - 2 * z[1:-1] + z[:-2]) * y, y, sparse=True)
    assert s.entries is not None
    fn, dense = sd.compile(s, [y]), sd.compile(sd.jacobian((z[2:] - 2 * z[1:-1] + z[:-2]) * y, y), [y])
    for n in (0, 1, 2, 3, 5):
        at = np.random.default_rng(n).standard_normal(n)
        np.testing.assert_allclose(fn(at).toarray(), dense(at), **CLOSE)


def test_new_index_data_mean_a_new_structure() -> None:
    f, w = SUMS["graph"]
    fn = sd.compile(sd.hessian(f, w, sparse=True), SYMBOLS)
    dense = sd.compile(sd.hessian(f, w), SYMBOLS)
    for shift in (0, 1, 2, 0):
        point = [*POINT[:-1], (INDEX + shift) % 6]
        found = fn(*point)
        np.testing.assert_allclose(found.toarray(), dense(*point), **CLOSE)
        assert found.nnz == np.count_nonzero(dense(*point))


def test_colouring_at_run_time_sizes() -> None:
    y, w = sd.vector("y", "n"), sd.matrix("W", "m", "n")
    f = sd.tanh(w @ y)
    fn, dense = (sd.compile(sd.jacobian(f, y, sparse=s), [y, w]) for s in (True, False))
    for m, n in ((3, 5), (5, 2), (0, 3), (4, 0)):
        at = np.random.default_rng(n).standard_normal(n), np.random.default_rng(m).standard_normal((m, n))
        np.testing.assert_allclose(fn(*at).toarray(), dense(*at), **CLOSE)
        assert fn.structure(*at).products <= min(m, n) or 0 in (m, n)


def test_forms_of_results_and_targets() -> None:
    y, z = sd.vector("y", "n"), sd.symbols("z")
    s = sd.jacobian(sd.sin(y[1:]) * z, y, sparse=True)
    at = np.linspace(0.3, 1.9, 4)
    want = np.eye(3, 4, 1) * np.cos(at) * 0.7
    for target in ("cpu", "reference"):
        fn = sd.compile({"s": s, "z": z**2}, [y, z], target=target)
        for found in (fn(at, 0.7), fn(z=0.7, y=at), fn(list(at), 0.7)):
            np.testing.assert_allclose(found["s"].toarray(), want, rtol=4 * EPS)
            assert found["z"] == pytest.approx(0.49, rel=4 * EPS)
    assert isinstance(sd.compile((s, s), [y, z])(at, 0.7), tuple)
    assert "SparseExpr" in sd.compile.__doc__
    assert "sparse Jacobian (n - 1, n)" in repr(fn)


def test_blocks_of_several_symbols() -> None:
    y = sd.vector("y", 4)
    f = sd.sum(x[:4] ** 2 * y) + sd.sum(y**3)
    blocks = sd.hessian(f, [x, y], sparse=True)
    fn = sd.compile([b for row in blocks for b in row], [x, y])
    at = POINT[0], np.linspace(0.2, 1.7, 4)
    for found, want in zip(fn(*at), [b for row in sd.hessian(f, [x, y]) for b in row], strict=True):
        np.testing.assert_allclose(found.toarray(), sd.compile(want, [x, y])(*at), **CLOSE)
    rows = sd.jacobian([x * 2, x[1:] ** 2], [x, y], sparse=True)
    assert [[s.shape for s in row] for row in rows] == [[(6, 6), (6, 4)], [(5, 6), (5, 4)]]


def test_results_are_independent_and_share_a_structure_that_cannot_be_changed() -> None:
    fn = sd.compile(sd.hessian(*SUMS["chain"], sparse=True), SYMBOLS)
    one, other = fn(*POINT), fn(2 * POINT[0], *POINT[1:])
    assert np.shares_memory(one.indices, other.indices)
    kept = one.data.copy()
    other.data[:] = 0
    np.testing.assert_array_equal(one.data, kept)
    one.data[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        one.eliminate_zeros()
    alone = one.copy()
    alone.eliminate_zeros()
    assert alone.nnz == one.nnz - 1
    assert fn(*POINT).nnz == one.nnz


def test_memory_is_used_again_only_when_nobody_holds_it() -> None:
    y = sd.vector("y", "n")
    fn = sd.compile([sd.sum(y), sd.sin(y), sd.hessian(sd.sum(y[1:] ** 3 * y[:-1]), y, sparse=True)], [y])
    points = [np.random.default_rng(k).standard_normal(50) for k in range(8)]
    held = [fn(at) for at in points]
    views = [fn(at)[2].data[3:9] for at in points]
    for at, (total, sines, matrix), view in zip(points, held, views, strict=True):
        again = fn(at)
        assert total == again[0] == pytest.approx(at.sum(), abs=64 * EPS)
        np.testing.assert_allclose(sines, np.sin(at), atol=4 * EPS)
        np.testing.assert_array_equal(matrix.toarray(), again[2].toarray())
        np.testing.assert_array_equal(view, again[2].data[3:9])


def test_scipy_solves_with_it() -> None:
    from scipy.sparse.linalg import spsolve

    y = sd.vector("y", "n")
    f = sd.sum((y[1:] - y[:-1]) ** 2) + sd.sum(y**4)
    matrix = sd.compile(sd.hessian(f, y, sparse=True), [y])(np.linspace(1.0, 2.0, 9))
    right = np.arange(9.0)
    # 1e3 eps: the condition number is below 10
    np.testing.assert_allclose(matrix @ spsolve(matrix.tocsc(), right), right, atol=1e3 * EPS)


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
