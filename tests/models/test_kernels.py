"""Kernels as expressions: scikit-learn's values, derivatives, sums and products, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import pairwise

import symdiff as sd
from symdiff.models import SVC, kernels
from symdiff.models.gram import Gram

EPS = float(np.finfo(np.float64).eps)
RNG = np.random.default_rng(5)
X, Z = RNG.normal(size=(7, 3)), RNG.normal(size=(5, 3))
CASES = {
    "linear": (kernels.linear, pairwise.linear_kernel, {}),
    "polynomial": (kernels.polynomial, pairwise.polynomial_kernel, {"gamma": 0.4, "degree": 2, "coef0": 0.3}),
    "gaussian": (kernels.gaussian, pairwise.rbf_kernel, {"gamma": 0.7}),
    "laplacian": (kernels.laplacian, pairwise.laplacian_kernel, {"gamma": 0.7}),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("default", [False, True])
def test_values_are_scikit_learns(name: str, default: bool, target: str) -> None:
    ours, theirs, settings = CASES[name]
    settings = {} if default else settings
    x, z = sd.matrix("X", "n", "d"), sd.matrix("Z", "m", "d")
    got = sd.compile(ours(x, z, **settings), [x, z], target=target)(X, Z)
    # Sums of three terms, in another order, and a power: a few tens of roundings.
    np.testing.assert_allclose(got, theirs(X, Z, **settings), rtol=50 * EPS, atol=50 * EPS)


@pytest.mark.parametrize("name", CASES)
def test_derivative_with_respect_to_the_parameters(name: str) -> None:
    ours, _, settings = CASES[name]
    if "gamma" in settings:
        gamma = sd.symbols("gamma")
        sd.check(sd.sum(ours(X, Z, **{**settings, "gamma": gamma}) ** 2), {gamma: 0.6})


def test_sums_and_products_are_kernels() -> None:
    def mixed(x: Any, z: Any) -> Any:
        return kernels.gaussian(x, z, 0.5) * kernels.linear(x, z) + 2.0

    expected = pairwise.rbf_kernel(X, Z, 0.5) * (X @ Z.T) + 2.0
    gram = Gram(mixed, 3, 1.0, 0.0, "reference")
    np.testing.assert_allclose(gram.matrix(X, Z), expected, rtol=50 * EPS)
    v = RNG.normal(size=(5, 2))
    np.testing.assert_allclose(gram.times(X, Z, v), expected @ v, rtol=1e3 * EPS)


def test_blocks_of_rows_are_the_whole(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    gram, v = Gram("laplacian", 3, 0.3, 0.0, target), RNG.normal(size=(5, 2))
    monkeypatch.setattr("symdiff.models.gram._BLOCK", 10)
    np.testing.assert_allclose(gram.times(X, Z, v), gram.matrix(X, Z) @ v, rtol=20 * EPS, atol=20 * EPS)


def _bad_shape(x: Any, z: Any) -> Any:
    return x


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kernel": "rbf", "gamma": 0.0}, "gamma is a number > 0, got 0.0"),
        ({"kernel": "rbf", "gamma": -1.0}, "gamma is a number > 0, got -1.0"),
        ({"kernel": "rbf", "gamma": np.ones(2)}, "gamma is a number > 0, got array"),
        ({"kernel": "rbf", "gamma": "large"}, "'scale' or 'auto', got 'large'"),
        ({"kernel": "cosine"}, "kernel is one of .* got 'cosine'"),
        ({"kernel": "poly", "degree": 0}, "degree is an int >= 1, got 0"),
        ({"kernel": "poly", "coef0": -1.0}, "coef0 is a finite number >= 0, got -1.0"),
        ({"kernel": "precomputed"}, "must be a square matrix"),
        ({"kernel": _bad_shape}, r"returns a matrix \(n, m\)"),
    ],
    ids=lambda value: str(value.get("kernel")) if isinstance(value, dict) and isinstance(value["kernel"], str) else "-",
)
def test_wrong_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SVC(**settings, target="reference").fit(X, np.arange(7) % 2)


@pytest.mark.parametrize("kernel", [kernels.linear, kernels.polynomial, kernels.gaussian, kernels.laplacian])
def test_wrong_shapes(kernel: Callable[..., Any]) -> None:
    with pytest.raises(sd.ShapeError, match="same columns"):
        kernel(sd.matrix("X", "n", 3), sd.matrix("Z", "m", 4))


def test_a_matrix_that_is_no_kernel() -> None:
    skew = np.array([[1.0, 2.0], [3.0, 1.0]])
    with pytest.raises(sd.DomainError, match="not symmetric: entries differ by 1"):
        SVC(kernel="precomputed", target="reference").fit(skew, [0, 1])
