"""Order against NumPy: ties, NaN, infinities, signed zeros, empty axes; derivatives that permute."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import symdiff as sd

RNG = np.random.default_rng(17)
EPS = np.finfo(float).eps
ODD = np.array([0.0, -0.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 2.5, -3.5, 1e-310, -1e-310, 1e300])
TARGETS = pytest.mark.parametrize("target", ["cpu", "reference"])


def run(f, inputs, *values, target="reference"):
    return np.asarray(sd.compile(f, inputs, target=target)(*values))


@TARGETS
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "bool"])
def test_argsort_is_numpys_stable_one(target, dtype):
    x = sd.array("x", ("n", "m"), dtype=dtype)
    for axis in (0, 1):
        fn = sd.compile(sd.argsort(x, axis), [x], target=target)
        for shape in [(0, 3), (3, 0), (1, 1), (2, 15), (3, 16), (17, 5), (33, 2), (65, 31)]:
            for data in (RNG.choice(ODD, shape), RNG.normal(size=shape) * 9):
                if dtype == "int64":
                    data = np.nan_to_num(data, posinf=9e15, neginf=-9e15).clip(-1e17, 1e17)
                with np.errstate(over="ignore"):
                    values = data.astype(dtype)
                want = np.argsort(values, axis=axis, kind="stable")
                np.testing.assert_array_equal(fn(values), want)


@TARGETS
def test_sorted_entries(target):
    x = sd.array("x", (4, "n"))
    data = RNG.choice(ODD, (4, 40))
    for axis in (0, 1, None):
        np.testing.assert_array_equal(run(sd.sort(x, axis), [x], data, target=target), np.sort(data, axis))


@settings(max_examples=60, deadline=None)
@given(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=5), st.data())
def test_places_and_quantiles_are_numpys(shape, draw):
    axis = draw.draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
    data = RNG.choice(draw.draw(st.sampled_from([ODD, np.arange(4.0)])), shape)
    q = draw.draw(st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0]))
    finite = np.where(np.isfinite(data), data, 0.5)
    x = sd.array("x", shape)
    for keepdims in (False, True):
        for ours, numpys in ((sd.argmax, np.argmax), (sd.Expr.argmin, np.argmin)):
            np.testing.assert_array_equal(
                run(ours(x, axis, keepdims), [x], data), numpys(data, axis, keepdims=keepdims)
            )
        near = {"rtol": 4 * EPS, "atol": 4 * EPS}
        np.testing.assert_allclose(
            run(sd.quantile(x, q, axis, keepdims), [x], finite), np.quantile(finite, q, axis, keepdims=keepdims), **near
        )
        np.testing.assert_allclose(
            run(sd.median(x, axis, keepdims), [x], finite), np.median(finite, axis, keepdims=keepdims), **near
        )


@TARGETS
def test_quantiles_of_run_time_sizes(target):
    x = sd.matrix("x", "n", "m")
    for shape in [(1, 3), (4, 3), (9, 2)]:
        data = RNG.normal(size=shape)
        np.testing.assert_allclose(run(sd.quantile(x, 0.3, 0), [x], data, target=target), np.quantile(data, 0.3, 0),
                                   rtol=4 * EPS, atol=4 * EPS)  # fmt: skip
        data[0, 1] = np.nan
        got = run(sd.median(x, 0), [x], data, target=target)
        np.testing.assert_array_equal(np.isnan(got), np.arange(shape[1]) == 1)


@TARGETS
def test_take_along_axis(target):
    data = RNG.normal(size=(4, 5, 3))
    x = sd.array("x", ("a", 5, "b"))
    for axis, shape in [(0, (2, 5, 3)), (1, (4, 7, 3)), (2, (4, 5, 1)), (1, (1, 2, 1))]:
        index = RNG.integers(-data.shape[axis], data.shape[axis], shape)
        i = sd.array("i", shape, dtype="int64")
        if shape == (1, 2, 1):
            want = np.take_along_axis(data, np.broadcast_to(index, (4, 2, 3)), axis)
        else:
            want = np.take_along_axis(data, index, axis)
        x_known = sd.array("x", data.shape)
        np.testing.assert_array_equal(
            run(sd.take_along_axis(x_known, i, axis), [x_known, i], data, index, target=target), want
        )
    i = sd.array("i", ("a", 2, "b"), dtype="int64")
    index = RNG.integers(-5, 5, (4, 2, 3))
    f = sd.take_along_axis(x, i, 1)
    np.testing.assert_array_equal(run(f, [x, i], data, index, target=target), np.take_along_axis(data, index, 1))
    index[2, 1, 0] = 5
    with pytest.raises(sd.DomainError):
        run(f, [x, i], data, index, target=target)


@TARGETS
def test_the_derivative_of_sort_permutes(target):
    x, w = sd.vector("x", "n"), sd.vector("w", "n")
    data = np.array([2.0, -1.0, 2.0, 0.5, 7.0, 2.0])
    weights = np.array([0.3, 1.7, -0.4, 2.2, 0.9, -1.1])
    got = run(sd.gradient(sd.sum(w * sd.sort(x)), x), [x, w], data, weights, target=target)
    want = np.empty(6)
    want[np.argsort(data, kind="stable")] = weights
    np.testing.assert_array_equal(got, want)


def test_what_cannot_be():
    x = sd.vector("x", 3)
    with pytest.raises(sd.DomainError, match="between 0 and 1"):
        sd.quantile(x, 1.5)
    with pytest.raises(sd.DTypeError, match="number q"):
        sd.quantile(x, sd.symbols("q"))
    with pytest.raises(sd.ShapeError, match="empty axis"):
        sd.median(sd.vector("e", 0))
    with pytest.raises(sd.ShapeError, match="no value"):
        sd.argmax(sd.vector("e", 0))
    with pytest.raises(sd.DTypeError, match="int64"):
        sd.take_along_axis(x, x)
    with pytest.raises(sd.ShapeError, match="rank"):
        sd.take_along_axis(x, np.zeros((1, 1), int))
