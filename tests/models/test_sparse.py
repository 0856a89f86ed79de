"""Sparse samples: the numbers of the dense ones, memory by entries and not by the whole matrix."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import symdiff as sd
from symdiff.models import LinearRegression, LogisticRegression, Perceptron, Ridge
from symdiff.models.design import Design

EPS = float(np.finfo(np.float64).eps)
RNG = np.random.default_rng(11)
X = RNG.normal(size=(50, 7)) * (RNG.uniform(size=(50, 7)) < 0.3)
X[25], X[:, 2] = 0.0, 0.0  # an empty row and an empty column
FORMATS = ["csr_array", "csc_array", "coo_array", "csr_matrix", "csc_matrix", "coo_matrix"]


@pytest.mark.parametrize("k", [None, 3])
@pytest.mark.parametrize("mean", [False, True])
def test_products(mean: bool, k: int | None, target: str) -> None:
    w0 = RNG.normal(size=(7, k) if k else 7)
    r0 = RNG.normal(size=(50, k) if k else 50)
    w, r = sd.array("w", ("d", k) if k else "d"), sd.array("r", ("n", k) if k else "n")
    samples = Design(scipy.sparse.csr_array(X), X.mean(axis=0) if mean else None)
    z = samples.times(w)
    fn = sd.compile([sd.sum(r * z), z, sd.gradient(sd.sum(r * z), w)], [w, r, *samples.data], target=target)
    _, product, transposed = fn(w0, r0, *samples.data.values())
    dense = X - X.mean(axis=0) if mean else X
    np.testing.assert_allclose(product, dense @ w0, rtol=0, atol=64 * EPS)  # sums of 7 numbers of size 1
    np.testing.assert_allclose(transposed, dense.T @ r0, rtol=0, atol=256 * EPS)  # sums of 50


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("model", [LogisticRegression(), Ridge(2.0), LinearRegression()], ids=repr)
def test_fits_as_if_dense(model: Any, form: str) -> None:
    model = type(model)(**model.get_params()).set_params(target="reference")
    y = RNG.normal(size=50)
    if isinstance(model, LogisticRegression):
        y = np.digitize(y, [-0.5, 0.5])
    dense = type(model)(**model.get_params()).fit(X, y)
    given = getattr(scipy.sparse, form)(X)
    model.fit(given, y)
    # tol is 1e-10 on the gradient, the least curvature about 1/100.
    np.testing.assert_allclose(model.coef_, dense.coef_, rtol=0, atol=1e-7)
    np.testing.assert_allclose(model.intercept_, dense.intercept_, rtol=0, atol=1e-7)
    np.testing.assert_array_equal(model.predict(given).round(9), model.predict(X).round(9))
    np.testing.assert_array_equal(given.toarray(), X)  # nothing was changed


def test_entries_given_twice_add_up() -> None:
    rows, columns = np.array([0, 0, 1, 2, 2]), np.array([1, 1, 0, 1, 0])
    x = scipy.sparse.coo_array((np.array([1.0, 2.0, -1.0, 0.5, 4.0]), (rows, columns)), shape=(3, 2))
    y = [1.0, 2.0, -1.0]
    np.testing.assert_allclose(
        Ridge(target="reference").fit(x, y).coef_, Ridge(target="reference").fit(x.toarray(), y).coef_, atol=1e-9
    )


def test_memory_is_that_of_the_entries() -> None:
    n, d = 4000, 60_000  # 1.9 GB as a dense matrix
    model = LogisticRegression().fit(scipy.sparse.csr_array(X), np.arange(50) % 2)  # the compiler has been at work
    rng = np.random.default_rng(3)
    x = scipy.sparse.random_array((n, d), density=10 / d, format="csr", rng=rng)
    y = np.where(rng.uniform(size=n) < 0.5, "no", "yes")
    tracemalloc.start()
    model.fit(x, y)
    assert model.score(x, y) > 0.9
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # 40 000 entries of 24 bytes and a few copies, and some ten vectors of 60 000.
    assert most < 20e6


def test_bad_data() -> None:
    y = np.arange(50) % 2
    bad = scipy.sparse.csr_array(X)
    bad.data[5] = np.nan
    row, column = (int(c[5]) for c in bad.tocoo().coords)
    with pytest.raises(sd.DomainError, match=rf"X holds NaN at \[{row}, {column}\]"):
        LogisticRegression(target="reference").fit(bad, y)
    with pytest.raises(sd.DTypeError, match=r"Perceptron: X is a sparse matrix.*X.toarray\(\)"):
        Perceptron(target="reference").fit(scipy.sparse.csr_array(X), y)
    with pytest.raises(sd.DomainError, match="'qr' factorises a dense matrix"):
        Ridge(solver="qr", target="reference").fit(scipy.sparse.csr_array(X), y)
    model = Ridge(target="reference").fit(scipy.sparse.csr_array(X), y)
    with pytest.raises(sd.ShapeError, match="X has 3 features"):
        model.predict(scipy.sparse.csr_array(X[:, :3]))
    with pytest.raises(sd.ShapeError, match="Reshape your data"):
        model.predict(scipy.sparse.coo_array(X[0]))
    with pytest.raises(sd.DomainError, match="Complex data"):
        model.fit(scipy.sparse.csr_array(X + 1j), y)
