"""Compiled sparse derivatives: run-time sizes, index data, forms of results, memory."""

from __future__ import annotations

import numpy as np
import pytest

import symdiff as sd
from tests.diff.sparse_cases import CLOSE, EPS, INDEX, POINT, SUMS, SYMBOLS, x


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
