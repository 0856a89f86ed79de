"""Rows in blocks: the values of NumPy's formulas, whatever the number of rows, blocks and threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff as sd

EPS = np.finfo(np.float64).eps
# None, one, less than a block's step, a block and a bit, several parts.
ROWS = (0, 1, 5, 13, 700, 20_011)
D, K = 7, 5


def _draw(n: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(23)
    signs = np.where(rng.random(n) < 0.4, -1.0, 1.0)
    return rng.standard_normal((n, D)), signs, rng.standard_normal(D), rng.standard_normal((D, K))


def _logistic() -> tuple[list[Any], list[Any]]:
    x, y, w = sd.matrix("X", "n", D), sd.vector("y", "n"), sd.vector("w", D)
    loss = sd.sum(sd.log(1 + sd.exp(-y * (x @ w))))
    return [loss, sd.gradient(loss, w)], [x, y, w]


def _logistic_numpy(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> list[Any]:
    z = -y * (x @ w)
    return [np.logaddexp(0, z).sum(), x.T @ (-y / (1 + np.exp(-z)))]


def _softmax() -> tuple[list[Any], list[Any]]:
    """Products of matrices, sums over rows of their transposes, reductions inside a row."""
    x, b = sd.matrix("X", "n", D), sd.matrix("B", D, K)
    loss = sd.sum(sd.logsumexp(x @ b, axis=1))
    return [loss, sd.gradient(loss, b), sd.max(x, axis=0)], [x, b]


def _softmax_numpy(x: np.ndarray, b: np.ndarray) -> list[Any]:
    z = x @ b
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return [(np.log(e.sum(axis=1)) + z.max(axis=1)).sum(), x.T @ p, x.max(axis=0)]


def _distances() -> tuple[list[Any], list[Any]]:
    """A reduction over rows and the last axis of three, kept in the middle."""
    x, b = sd.matrix("X", "n", D), sd.matrix("B", D, K)
    apart = x.reshape(("n", 1, D)) - b.T
    square = sd.sum(apart**2, axis=2)
    return [sd.sum(sd.exp(-square)), sd.sum(apart * sd.tanh(apart), axis=(0, 2)), square], [x, b]


def _distances_numpy(x: np.ndarray, b: np.ndarray) -> list[Any]:
    apart = x[:, None, :] - b.T
    square = (apart**2).sum(axis=2)
    return [np.exp(-square).sum(), (apart * np.tanh(apart)).sum(axis=(0, 2)), square]


CASES: dict[str, tuple[Callable[[], Any], Callable[..., list[Any]], Callable[[int], tuple[np.ndarray, ...]]]] = {
    "logistic": (_logistic, _logistic_numpy, lambda n: _draw(n)[:3]),
    "softmax": (_softmax, _softmax_numpy, lambda n: (_draw(n)[0], _draw(n)[3])),
    "distances": (_distances, _distances_numpy, lambda n: (_draw(n)[0], _draw(n)[3])),
}


@pytest.mark.parametrize("name", CASES)
def test_values_are_numpys(name: str) -> None:
    build, expected, draw = CASES[name]
    fn = sd.compile(*build())
    assert "rows in blocks of n" in fn.inspect("program")
    for n in ROWS:
        if n == 0 and name == "softmax":
            continue  # a maximum of no rows has no value
        data = draw(n)
        for got, want in zip(fn(*data), expected(*data), strict=True):
            # A sum of n numbers of size 1 to 10 in any order: each addition rounds the partial sum.
            np.testing.assert_allclose(got, want, rtol=64 * EPS, atol=(8 + np.sqrt(n)) * 64 * EPS)


@pytest.mark.parametrize("name", CASES)
def test_values_do_not_depend_on_threads(name: str) -> None:
    build, _, draw = CASES[name]
    data = draw(60_013)
    one, three = (sd.compile(*build(), threads=t)(*data) for t in (1, 3))
    for a, b in zip(one, three, strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_sums_of_logarithms_keep_small_terms() -> None:
    y, m = sd.vector("y", "n"), sd.vector("m", "n")
    loss = sd.sum(sd.log(1 + sd.exp(-y * m)))
    fn = sd.compile([loss, sd.gradient(loss, m)], [y, m])
    for scale in (30.0, 300.0):
        margins = scale + np.linspace(0.0, 3.0, 4_001)
        total, _ = fn(np.ones(4_001), margins)
        # A sum of 4001 positive numbers, some 250 of them one after another; 8 for the exponential.
        assert abs(total - np.log1p(np.exp(-margins)).sum()) <= (8 + 250) * EPS * total
    wrong = np.full(4_001, -700.0)
    assert fn(np.ones(4_001), wrong)[0] == pytest.approx(700.0 * 4_001, rel=64 * EPS)
    equal = np.zeros(4_001)
    assert fn(np.ones(4_001), equal)[0] == pytest.approx(np.log(2) * 4_001, rel=258 * EPS)
    for strange in (np.nan, np.inf, -np.inf):
        margins[17] = strange
        with np.errstate(invalid="ignore"):
            want = np.logaddexp(0, -margins).sum()
        np.testing.assert_array_equal(np.isfinite(fn(np.ones(4_001), margins)[0]), np.isfinite(want))


def test_index_out_of_range_is_reported() -> None:
    x, k, w = sd.matrix("X", "n", D), sd.array("k", ("n",), "int64"), sd.vector("w", D)
    margin = (x @ w) * sd.take(w, k, axis=0)
    fn = sd.compile([sd.sum(sd.exp(-(margin**2))), margin], [x, k, w])
    data, _, weights, _ = _draw(700)
    places = np.full(700, D - 1)
    np.testing.assert_allclose(fn(data, places, weights)[1], data @ weights * weights[-1], rtol=64 * EPS, atol=64 * EPS)
    places[699] = D
    with pytest.raises(sd.DomainError, match="out of range"):
        fn(data, places, weights)
