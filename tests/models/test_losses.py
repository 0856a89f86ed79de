"""The losses against their definitions at 50 digits, at ordinary and at extreme arguments."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

import symdiff as sd
from symdiff.ir.interpret import interpret
from symdiff.models import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    hinge,
    huber,
    kl,
    l1,
    logistic,
    mse,
    nll,
    perceptron,
    smooth_l1,
    squared_hinge,
)

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


MARGINS = np.array([-3.0, -0.5, 0.0, 0.25, 1.0, 4.0])


@pytest.mark.parametrize(
    ("loss", "value", "slope"),
    [
        (hinge, lambda m: np.maximum(0, 1 - m), lambda m: np.where(m < 1, -1.0, 0.0)),
        (squared_hinge, lambda m: np.maximum(0, 1 - m) ** 2, lambda m: -2 * np.maximum(0, 1 - m)),
        (perceptron, lambda m: np.maximum(0, -m), lambda m: np.where(m < 0, -1.0, 0.0)),
    ],
)
def test_margins(loss: Any, value: Any, slope: Any) -> None:
    z, y = sd.vector("z", "n"), sd.vector("y", "n")
    labels = np.where(np.arange(len(MARGINS)) % 2, 1.0, -1.0)
    given = {z: MARGINS * labels, y: labels}
    np.testing.assert_array_equal(values(loss(z, y, "none"), given), value(MARGINS))
    np.testing.assert_array_equal(values(sd.gradient(loss(z, y, "sum"), z), given), labels * slope(MARGINS))


def test_second_derivatives_at_the_joints() -> None:
    e = sd.symbols("e")
    for loss, joint in ((huber(e, 0.0, delta=0.5), 0.5), (smooth_l1(e, 0.0, beta=2.0), 2.0)):
        inside, at, beyond = (values(sd.diff(loss, e, 2), {e: joint + d}) for d in (-0.25, 0.0, 0.25))
        assert inside == at
        assert beyond == 0
    assert values(sd.diff(l1(e, 0.0), e), {e: 0.0}) == 0


def test_probabilities_of_zero() -> None:
    p, t = sd.vector("p", 4), sd.vector("t", 4)
    given = {p: np.array([0.0, 1.0, 0.0, 1.0]), t: np.array([0.0, 1.0, 1.0, 0.25])}
    np.testing.assert_array_equal(values(binary_cross_entropy(p, t, "none"), given), [0, 0, 100, 75])
    assert np.isfinite(values(sd.gradient(binary_cross_entropy(p, t), p), given)).all()
    q = {p: np.log([0.5, 0.25, 0.125, 0.125]), t: np.array([0.0, 1.0, 0.0, 0.0])}
    np.testing.assert_allclose(values(kl(p, t, "sum"), q), np.log(4), rtol=4 * EPS)
    np.testing.assert_array_equal(values(sd.gradient(kl(p, t, "sum"), p), q), -q[t])


def test_all_samples_ignored() -> None:
    z, t = sd.matrix("z", "n", 3), sd.array("t", "n", dtype="int64")
    given = {z: np.ones((2, 3)), t: np.array([-1, -1])}
    assert values(cross_entropy(z, t, "sum", ignore_index=-1), given) == 0
    assert np.isnan(values(cross_entropy(z, t, ignore_index=-1), given))  # 0/0, as in PyTorch


@pytest.mark.parametrize("target", ["reference", "cpu"])
@pytest.mark.parametrize("wrong", [3, -1, -101])
def test_classes_out_of_range(wrong: int, target: str) -> None:
    z, t = sd.matrix("z", "n", 3), sd.array("t", "n", dtype="int64")
    for loss in (nll(z, t), cross_entropy(z, t, weight=[1.0, 2.0, 0.5])):
        fn = sd.compile(loss, [z, t], target=target)
        assert np.isfinite(fn(np.ones((2, 3)), [2, -100]))
        with pytest.raises(sd.DomainError, match=r"out of (range|bounds)"):
            fn(np.ones((2, 3)), [0, wrong])


@pytest.mark.parametrize("loss", [mse, binary_cross_entropy_with_logits, logistic])
def test_reductions(loss: Any) -> None:
    p, t = sd.matrix("p", "n", 2), sd.matrix("t", "n", 2)
    given = {p: np.arange(6.0).reshape(3, 2) / 3, t: np.array([[0.0, 1], [1, 0], [1, 1]])}
    each = values(loss(p, t, "none"), given)
    assert each.shape == (3, 2)
    np.testing.assert_allclose(values(loss(p, t, "sum"), given), each.sum(), rtol=8 * EPS)
    np.testing.assert_allclose(values(loss(p, t), given), each.mean(), rtol=8 * EPS)


def test_float32_stays() -> None:
    z, t = sd.array("z", ("n", 3), dtype="float32"), sd.array("t", "n", dtype="int64")
    p = sd.array("p", ("n", 3), dtype="float32")
    for loss in (
        cross_entropy(z, t, label_smoothing=0.1), cross_entropy(z, p, label_smoothing=0.1), nll(z, t), kl(z, p),
        kl(z, p, "batchmean"), huber(z, p, delta=0.5), smooth_l1(z, p), hinge(z, p), binary_cross_entropy(z, p),
        binary_cross_entropy_with_logits(z, p),
    ):  # fmt: skip
        assert loss.dtype == "float32", loss


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
    z, k = sd.matrix("z", "n", 4), sd.array("k", "n", dtype="int64")
    for error, text, wrong in (
        (
            sd.DTypeError,
            r"classes, of dtype int64 and shape \(n,\), or prob",
            lambda: cross_entropy(z, sd.vector("u", "n")),
        ),
        (sd.DTypeError, "got dtype int64", lambda: cross_entropy(z, sd.array("j", ("n", 4), dtype="int64"))),
        (sd.ShapeError, r"got dtype float64 and shape \(n, 5\)", lambda: cross_entropy(z, sd.matrix("q", "n", 5))),
        (sd.DTypeError, r"shape \(n,\); got dtype float64", lambda: nll(z, z)),
        (sd.ShapeError, r"one number a class, \(4,\), got shape \(3,\)", lambda: nll(z, k, weight=[1.0, 2.0, 3.0])),
        (sd.DomainError, "label_smoothing", lambda: cross_entropy(z, k, label_smoothing=1.5)),
        (sd.DTypeError, "real numbers, got dtype int64", lambda: mse(k, k)),
        (sd.DomainError, "delta is a finite number > 0", lambda: huber(p, p, delta=0.0)),
        (sd.ShapeError, "broadcast", lambda: binary_cross_entropy_with_logits(p, p, pos_weight=[1.0, 2.0])),
        (sd.ShapeError, "pos_weight", lambda: binary_cross_entropy_with_logits(p, p, pos_weight=[[1.0, 2.0, 3.0]])),
        (sd.ShapeError, "batchmean", lambda: kl(s, s, "batchmean")),
    ):
        with pytest.raises(error, match=text):
            wrong()
