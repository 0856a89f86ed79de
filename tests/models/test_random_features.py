"""Random Fourier features and random projections: unbiased, as close as the theorems say, the same for one seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import random_projection
from sklearn.metrics.pairwise import laplacian_kernel, rbf_kernel

import symdiff as sd
from symdiff.models import GaussianRandomProjection, RandomFourierFeatures, johnson_lindenstrauss_min_dim
from tests.models.real_data import real_data


@pytest.mark.parametrize(("kernel", "exact"), [("rbf", rbf_kernel), ("laplacian", laplacian_kernel)])
def test_inner_products_are_the_kernel(kernel: str, exact: Any) -> None:
    x = real_data("iris")[0][::5]
    k = exact(x, x, 0.3)
    errors = {}
    for n in (400, 40_000):
        phi = RandomFourierFeatures(kernel=kernel, gamma=0.3, n_components=n, random_state=3).fit_transform(x)
        errors[n] = np.sqrt(np.mean((phi @ phi.T - k) ** 2))
        # A product of two cosines scaled by 2 has a variance of at most 2; six deviations of the mean of n.
        assert np.abs(phi @ phi.T - k).max() < 6 * np.sqrt(2 / n)
    assert 6 < errors[400] / errors[40_000] < 16  # 1/sqrt(D): a factor of 10


def test_features_are_the_formula_on_every_target(target: str) -> None:
    x = np.random.default_rng(5).normal(size=(7, 3))
    model = RandomFourierFeatures(gamma="scale", n_components=11, random_state=8, target=target).fit(x)
    w, b = model.random_weights_, model.random_offset_
    np.testing.assert_allclose(model.transform(x), np.sqrt(2 / 11) * np.cos(x @ w + b), rtol=0, atol=1e-14)
    again = RandomFourierFeatures(gamma="scale", n_components=11, random_state=8).fit(x)
    np.testing.assert_array_equal(again.random_weights_, w)
    assert (RandomFourierFeatures(n_components=11, random_state=9).fit(x).random_weights_ != w).all()


def test_projection_keeps_distances_as_the_lemma_says() -> None:
    x, _ = real_data("digits")
    x = np.concatenate([x[:40]] * 20, axis=1) + np.random.default_rng(2).normal(size=(40, 1280))
    model = GaussianRandomProjection(eps=0.5, random_state=4)
    z = model.fit_transform(x)
    assert model.n_components_ == johnson_lindenstrauss_min_dim(40, 0.5) == z.shape[1]
    i, j = np.triu_indices(40, 1)
    ratio = ((z[i] - z[j]) ** 2).sum(axis=1) / ((x[i] - x[j]) ** 2).sum(axis=1)
    assert 0.5 < ratio.min() < ratio.max() < 1.5
    assert model.components_.shape == (z.shape[1], 1280)


@pytest.mark.parametrize(("n", "eps"), [(2, 0.9), (1000, 0.1), (10**6, 0.01)])
def test_the_bound_is_scikit_learns(n: int, eps: float) -> None:
    assert johnson_lindenstrauss_min_dim(n, eps) == random_projection.johnson_lindenstrauss_min_dim(n, eps=eps)


def test_bad_input() -> None:
    x = np.random.default_rng(5).normal(size=(7, 3))
    cases: list[tuple[Any, str]] = [
        (RandomFourierFeatures(gamma=0.0), "gamma is a number > 0, got 0.0"),
        (RandomFourierFeatures(kernel="linear"), "kernel is one of"),
        (RandomFourierFeatures(n_components=0), "n_components is an int >= 1, got 0"),
        (RandomFourierFeatures(random_state=-3), "random_state is an int >= 0, got -3"),
        (GaussianRandomProjection(), "ask for 1667 dimensions, the samples have 3"),
        (GaussianRandomProjection(eps=1.0), "eps lies between 0 and 1"),
        (GaussianRandomProjection(n_components=2.5), "n_components is an int >= 1, got 2.5"),
    ]
    for model, message in cases:
        with pytest.raises(sd.DomainError, match=message):
            model.fit(x)
    with pytest.raises(sd.DomainError, match="n_samples is an int >= 1"):
        johnson_lindenstrauss_min_dim(0)
