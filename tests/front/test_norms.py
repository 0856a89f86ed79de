"""Norms against NumPy's, and their derivatives where they have a kink."""

from __future__ import annotations

import numpy as np
import pytest

import symdiff as sd

EPS = np.finfo(float).eps
X = np.random.default_rng(5).normal(size=(3, 4, 5))
INF = np.inf


@pytest.mark.parametrize(
    ("shape", "ord", "axis"),
    [
        ((5,), None, None), ((5,), 1, None), ((5,), 2, None), ((5,), INF, None), ((5,), -INF, None), ((5,), 3, None),
        ((5,), 2.5, None), ((4, 5), None, None), ((4, 5), "fro", None), ((4, 5), 1, None), ((4, 5), 2, None),
        ((4, 5), INF, None), ((3, 4, 5), None, None), ((3, 4, 5), 1, 1), ((3, 4, 5), 2, -1), ((3, 4, 5), INF, 0),
        ((3, 4, 5), "fro", (0, 2)), ((3, 4, 5), 1, (0, 2)), ((3, 4, 5), 1, (2, 0)), ((3, 4, 5), INF, (2, 1)),
        ((3, 4, 5), 2, (1, 0)), ((3, 4, 5), None, (0, 1)), ((3, 4, 5), None, 1),
    ],
)  # fmt: skip
@pytest.mark.parametrize("keepdims", [False, True])
def test_norms_are_numpys(shape: tuple[int, ...], ord: object, axis: object, keepdims: bool) -> None:
    value = X[(0,) * (3 - len(shape))]
    x = sd.array("x", shape)
    got = sd.compile(sd.norm(x, ord, axis, keepdims), [x])(value)
    want = np.linalg.norm(value, ord, axis, keepdims)
    assert np.shape(got) == np.shape(want)
    # Sums of at most 60 squares or powers; the spectral norm by an eigenvalue of a 5x5 matrix.
    np.testing.assert_allclose(got, want, rtol=64 * EPS)


@pytest.mark.parametrize("ord", [None, 1, 2, 3, "fro", INF])
def test_the_derivative_at_zero_is_zero(ord: object) -> None:
    x = sd.matrix("x", 2, 3) if ord == "fro" else sd.vector("x", 3)
    zero = np.zeros(x.shape)
    assert not np.any(sd.compile(sd.gradient(1.7 * sd.norm(x, ord), x), [x])(zero))


def test_the_derivative_of_the_spectral_norm_is_the_outer_product_of_its_vectors() -> None:
    a = sd.matrix("A", 4, 5)
    u, s, v = np.linalg.svd(X[0])
    # The gap to the next singular value amplifies rounding.
    bound = 100 * EPS * s[0] / (s[0] - s[1])
    np.testing.assert_allclose(
        sd.compile(sd.gradient(sd.norm(a, 2), a), [a])(X[0]), np.outer(u[:, 0], v[0]), atol=bound
    )


@pytest.mark.parametrize(
    ("shape", "ord", "axis", "message"),
    [
        ((3,), 0.5, None, "p >= 1"),
        ((3,), "fro", None, "p >= 1"),
        ((3, 4), 3, None, "'fro', 1, 2 or inf"),
        ((3, 4), "nuc", None, "'fro', 1, 2 or inf"),
        ((2, 3, 4), 1, None, "needs axis="),
        ((2, 3, 4), None, (0, 1, 2), "one axis for vectors"),
        ((2, 3), None, 2, "out of range"),
    ],
)
def test_other_norms_are_refused(shape: tuple[int, ...], ord: object, axis: object, message: str) -> None:
    with pytest.raises(sd.ShapeError, match=message):
        sd.norm(sd.array("x", shape), ord, axis)
