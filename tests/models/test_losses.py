"""The losses against their definitions at 50 digits, at ordinary and at extreme arguments."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

import symdiff as sd
from symdiff.ir.interpret import interpret
from symdiff.models import binary_cross_entropy_with_logits, cross_entropy, logistic, mse

EPS = float(np.finfo(np.float64).eps)
Z = np.array([-1000.0, -40.0, -1.3, 0.0, 0.7, 38.0, 900.0])


def values(f: Any, given: dict[Any, Any]) -> np.ndarray:
    return np.asarray(interpret([f], given)[0])


def exact(function: Any, *columns: Any) -> np.ndarray:
    with mpmath.workdps(900):  # 1 - sigmoid(900) needs 400 digits
        return np.array([float(function(*map(mpmath.mpf, row))) for row in zip(*columns, strict=True)])


def _sigmoid(z: Any) -> Any:
    return 1 / (1 + mpmath.exp(-z))


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0])
def test_binary_cross_entropy(t: float) -> None:
    z, y = sd.vector("z", "n"), sd.vector("y", "n")
    f = binary_cross_entropy_with_logits(z, y, "none")
    got = values(f, {z: Z, y: np.full(len(Z), t)})
    want = exact(lambda v: -t * mpmath.log(_sigmoid(v)) - (1 - t) * mpmath.log(1 - _sigmoid(v)), Z)
    assert np.all(np.abs(got - want) <= 8 * EPS * np.abs(Z) + 8 * EPS * want)
    slope = values(sd.gradient(sd.sum(f), z), {z: Z, y: np.full(len(Z), t)})
    np.testing.assert_allclose(slope, exact(lambda v: _sigmoid(v) - t, Z), rtol=8 * EPS, atol=2 * EPS)


def test_logistic() -> None:
    z, y = sd.vector("z", "n"), sd.vector("y", "n")
    for sign in (1.0, -1.0):
        got = values(logistic(z, y, "none"), {z: Z, y: np.full(len(Z), sign)})
        np.testing.assert_allclose(got, exact(lambda v, s=sign: mpmath.log1p(mpmath.exp(-s * v)), Z), rtol=8 * EPS)


def test_cross_entropy_of_rows() -> None:
    rng = np.random.default_rng(1)
    z0 = rng.normal(size=(4, 3)) * np.array([[1], [10], [300], [1000]])
    t0 = rng.dirichlet(np.ones(3), size=4)
    z, t = sd.matrix("z", "n", 3), sd.matrix("t", "n", 3)
    got = values(cross_entropy(z, t, "none"), {z: z0, t: t0})
    with mpmath.workdps(50):
        want = []
        for row, weights in zip(z0, t0, strict=True):
            total = mpmath.fsum(mpmath.exp(mpmath.mpf(v)) for v in row)
            want.append(float(-mpmath.fsum(w * (v - mpmath.log(total)) for v, w in zip(row, weights, strict=True))))
    np.testing.assert_allclose(got, want, rtol=16 * EPS, atol=1e3 * EPS)
    grad = values(sd.gradient(cross_entropy(z, t), z), {z: z0, t: t0})
    soft = np.exp(z0 - z0.max(axis=1, keepdims=True))
    soft /= soft.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(grad, (soft - t0) / 4, rtol=0, atol=16 * EPS)


def test_two_classes_are_the_binary_case() -> None:
    z, t = sd.vector("z", 5), sd.vector("t", 5)
    two = cross_entropy(sd.stack([0 * z, z], axis=1), sd.stack([1 - t, t], axis=1))
    given = {z: np.linspace(-3, 4, 5), t: np.array([0, 1, 1, 0, 0.25])}
    np.testing.assert_allclose(values(two, given), values(binary_cross_entropy_with_logits(z, t), given), rtol=16 * EPS)


@pytest.mark.parametrize("loss", [mse, binary_cross_entropy_with_logits, logistic])
def test_reductions(loss: Any) -> None:
    p, t = sd.matrix("p", "n", 2), sd.matrix("t", "n", 2)
    given = {p: np.arange(6.0).reshape(3, 2) / 3, t: np.array([[0.0, 1], [1, 0], [1, 1]])}
    each = values(loss(p, t, "none"), given)
    assert each.shape == (3, 2)
    np.testing.assert_allclose(values(loss(p, t, "sum"), given), each.sum(), rtol=8 * EPS)
    np.testing.assert_allclose(values(loss(p, t), given), each.mean(), rtol=8 * EPS)


def test_mse_keeps_float32() -> None:
    p, t = sd.array("p", 3, dtype="float32"), sd.array("t", 3, dtype="float32")
    assert mse(p, t).dtype == "float32"
    assert values(mse(p, t), {p: [1, 2, 3], t: [1, 0, 0]}) == np.float32(13 / 3)


def test_wrong_input() -> None:
    p, t, s = sd.vector("p", 3), sd.matrix("t", 3, 1), sd.symbols("s")
    with pytest.raises(sd.ShapeError, match=r"'p' of shape \(3,\) and 't' of shape \(3, 1\)"):
        mse(p, t)
    with pytest.raises(sd.DomainError, match="'mean', 'sum' or 'none', got 'avg'"):
        mse(p, p, "avg")
    with pytest.raises(sd.ShapeError, match="classes"):
        cross_entropy(s, s)
