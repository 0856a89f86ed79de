"""NumPy's functions called on expressions give what they give on arrays."""

import numpy as np
import pytest

import symdiff as sd
from symdiff.front.numpy_functions import SAME
from symdiff.ir.interpret import interpret

EPS = np.finfo(float).eps
V, M, S = sd.vector("v", 3), sd.matrix("M", 4, 3), sd.matrix("S", 3, 3)
RNG = np.random.default_rng(20261121)
ROOT = RNG.normal(size=(3, 3))
VALUES = {V: RNG.normal(size=3), M: RNG.normal(size=(4, 3)), S: ROOT @ ROOT.T + np.eye(3)}
CASES = {
    "sum": lambda v, m, s: np.sum(m, axis=0),
    "mean": lambda v, m, s: np.mean(m, axis=1, keepdims=True),
    "var": lambda v, m, s: np.var(m, axis=0, ddof=1),
    "std": lambda v, m, s: np.std(m),
    "where": lambda v, m, s: np.where(v > 0, v, 2.0),
    "concatenate": lambda v, m, s: np.concatenate([m, s]),
    "stack": lambda v, m, s: np.stack([v, v], axis=1),
    "clip": lambda v, m, s: np.clip(v, -0.5, 0.5),
    "einsum": lambda v, m, s: np.einsum("ij,j->i", m, v),
    "argmin": lambda v, m, s: np.argmin(m, axis=1),
    "cross": lambda v, m, s: np.cross(m, v),
    "cross of an array first": lambda v, m, s: np.cross(np.array([1.0, 2.0, -1.0]), v),
    "outer": lambda v, m, s: np.outer([1.0, 2.0], v),
    "norm": lambda v, m, s: np.linalg.norm(v),
    "solve": lambda v, m, s: np.linalg.solve(s, v),
    "cholesky": lambda v, m, s: np.linalg.cholesky(s),
    "det": lambda v, m, s: np.linalg.det(s),
}


@pytest.mark.parametrize("name", CASES)
def test_functions_mean_the_same(name):
    got = interpret([CASES[name](V, M, S)], VALUES)[0]
    expected = CASES[name](VALUES[V], VALUES[M], VALUES[S])
    assert np.shape(got) == np.shape(expected)
    # The condition of S is below 100, and det sums products of its entries.
    np.testing.assert_allclose(got, expected, rtol=200 * EPS, atol=200 * EPS)


def test_sizes_are_known():
    assert np.shape(M) == (4, 3)
    assert np.ndim(M) == 2
    assert np.size(M) == 12


def test_every_twin_exists():
    assert all(hasattr(sd, name) for name in SAME.values())


@pytest.mark.parametrize("name", ["gradient", "diff", "allclose"])
def test_functions_of_another_meaning_are_refused(name):
    with pytest.raises(sd.DTypeError, match=f"numpy.{name} does not build"):
        getattr(np, name)(*[V] * (2 if name == "allclose" else 1))


def test_complex_numbers_are_refused_on_both_sides():
    x = sd.symbols("x")
    for product in (lambda: 1j * x, lambda: x * 1j):
        with pytest.raises(sd.DTypeError, match="real"):
            product()


def test_cross_takes_three_entries():
    with pytest.raises(sd.ShapeError, match="three entries"):
        sd.cross(V, [1.0, 2.0])


def test_scatter_add_is_add_at():
    index, expected = np.array([2, 0, 2, -1]), np.zeros((5, 3))
    np.add.at(expected, index, VALUES[M])
    np.testing.assert_array_equal(interpret([sd.scatter_add(M, index, 5)], VALUES)[0], expected)
    with pytest.raises(sd.ShapeError, match="Index 5"):
        sd.scatter_add(M, [0, 1, 2, 5], 5)
