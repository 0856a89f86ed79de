"""PCA: scikit-learn's numbers, fewer samples than features, columns without variance, bad settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import decomposition

import symdiff as sd
from symdiff.models import PCA
from tests.models.real_data import real_data

EPS = float(np.finfo(np.float64).eps)


@pytest.mark.parametrize(("solver", "digits"), [("full", 200 * EPS), ("covariance_eigh", 20 * EPS**0.5)])
@pytest.mark.parametrize(("name", "n"), [("iris", 150), ("digits", 1797), ("digits", 20), ("breast_cancer", 569)])
def test_numbers_are_scikit_learns(name: str, n: int, solver: str, digits: float) -> None:
    """Squares in the covariance keep half the digits of the smallest singular values."""
    x = real_data(name)[0][:n]
    ours, theirs = PCA(svd_solver=solver).fit(x), decomposition.PCA(svd_solver="full").fit(x)
    s = theirs.singular_values_
    np.testing.assert_allclose(ours.singular_values_, s, rtol=0, atol=digits * s[0])
    np.testing.assert_allclose(ours.explained_variance_ratio_, theirs.explained_variance_ratio_, rtol=0, atol=digits)
    known = s > 1e-6 * s[0]  # others have no direction
    np.testing.assert_allclose(ours.components_[known], theirs.components_[known], rtol=0, atol=1e-9)
    np.testing.assert_allclose(ours.components_ @ ours.components_.T, np.eye(len(s)), rtol=0, atol=100 * EPS)
    np.testing.assert_allclose(ours.transform(x), theirs.transform(x), rtol=0, atol=1e-9 * s[0])


@pytest.mark.parametrize("n_components", [3, 0.8, 0.05, None])
def test_number_of_components_and_whitening(n_components: Any, target: str) -> None:
    x, _ = real_data("breast_cancer")
    x = x[:80]
    ours = PCA(n_components=n_components, whiten=True, target=target).fit(x)
    theirs = decomposition.PCA(n_components=n_components, whiten=True, svd_solver="full").fit(x)
    assert ours.n_components_ == theirs.n_components_
    np.testing.assert_allclose(ours.noise_variance_, theirs.noise_variance_, rtol=1e-10)
    z = ours.transform(x)
    np.testing.assert_allclose(z, theirs.transform(x), rtol=0, atol=1e-7)
    np.testing.assert_allclose(z.var(axis=0, ddof=1), 1.0, rtol=1e-10)
    np.testing.assert_allclose(ours.inverse_transform(z), theirs.inverse_transform(z), rtol=0, atol=1e-9)


def test_no_variance_is_harmless(target: str) -> None:
    constant = PCA(whiten=True, target=target).fit(np.full((4, 3), 7.0))
    np.testing.assert_array_equal(constant.transform(np.full((2, 3), 7.0)), 0.0)
    np.testing.assert_array_equal(constant.explained_variance_ratio_, 0.0)
    x = np.random.default_rng(3).normal(size=(6, 2)) @ np.random.default_rng(4).normal(size=(2, 5))
    flat = PCA(whiten=True, target=target).fit(x)  # two directions of five
    np.testing.assert_array_equal(flat.transform(x)[:, 2:], 0.0)
    np.testing.assert_allclose(flat.inverse_transform(flat.transform(x)), x, rtol=0, atol=1e-12)


def test_bad_input() -> None:
    x = np.random.default_rng(3).normal(size=(6, 4))
    for n in (0, 5, 1.5, -2, "mle", True):
        with pytest.raises(sd.DomainError, match="n_components is an int from 1 to min"):
            PCA(n_components=n, target="reference").fit(x)
    with pytest.raises(sd.ShapeError, match="at least two samples"):
        PCA(target="reference").fit(x[:1])
    with pytest.raises(sd.DomainError, match="svd_solver is one of"):
        PCA(svd_solver="arpack", target="reference").fit(x)
    with pytest.raises(sd.DomainError, match="X holds NaN"):
        PCA(target="reference").fit(np.full((3, 2), np.nan))
    with pytest.raises(sd.ShapeError, match=r"Z has shape \(samples, 4\), got \(2, 3\)"):
        PCA(target="reference").fit(x).inverse_transform(np.ones((2, 3)))
