"""Running sums, products and recurrences against NumPy, and their derivatives against complex steps."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import symdiff as sd

EPS = np.finfo(float).eps
RNG = np.random.default_rng(7)
SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5)


def run(f, inputs, *values, target="reference"):
    return np.asarray(sd.compile(f, inputs, target=target)(*values))


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.data())
def test_running_sums_and_products_are_numpys(shape, draw):
    axis = draw.draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
    data = RNG.normal(size=shape)
    x = sd.array("x", shape)
    for ours, numpys in ((sd.cumsum, np.cumsum), (sd.cumprod, np.cumprod)):
        got, want = run(ours(x, axis), [x], data), numpys(data, axis)
        assert got.shape == want.shape
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("reverse", [False, True])
def test_compiled_recurrences_of_run_time_sizes(axis, reverse):
    a, b = sd.array("a", ("n", "m", "k")), sd.array("b", ("n", "m", "k"))
    y = sd.recurrence(a, b, axis, reverse)
    fast, plain = (sd.compile(y, [a, b], target=t) for t in ("cpu", "reference"))
    for shape in [(0, 3, 2), (3, 0, 2), (2, 3, 0), (1, 1, 1), (5, 1, 7), (1, 9, 1), (4, 19, 33)]:
        values = RNG.uniform(-1, 1, (2, *shape))
        # A contracted product and sum rounds once where the interpreter rounds twice; factors below 1 damp it.
        np.testing.assert_allclose(fast(*values), plain(*values), rtol=32 * EPS, atol=32 * EPS)


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_other_numbers(dtype):
    data = RNG.integers(-3, 4, (3, 21)).astype(dtype)
    x = sd.array("x", (3, "n"), dtype=dtype)
    for ours, numpys in ((sd.cumsum, np.cumsum), (sd.cumprod, np.cumprod)):
        for target, axis in itertools.product(("cpu", "reference"), (0, 1)):
            got, want = run(ours(x, axis), [x], data, target=target), numpys(data, axis)
            assert got.dtype == want.dtype
            np.testing.assert_array_equal(got, want)


def test_signs_nan_and_infinity_run_on_as_in_numpy():
    data = np.array([-0.0, 2.0, -3.0, np.inf, 0.0, 1.0, np.nan, 4.0])
    x = sd.vector("x", "n")
    for target in ("cpu", "reference"):
        with np.errstate(invalid="ignore"):
            sums, products = np.cumsum(data), np.cumprod(data)
        np.testing.assert_array_equal(run(sd.cumsum(x), [x], data, target=target), sums)
        got = run(sd.cumprod(x), [x], data, target=target)
        np.testing.assert_array_equal(got, products)
        np.testing.assert_array_equal(np.signbit(got[:3]), np.signbit(products[:3]))


@pytest.mark.parametrize("zeros", [(), (2,), (0, 3), (1, 2, 4)])
def test_derivative_of_cumprod_with_any_number_of_zeros(zeros):
    data = RNG.uniform(0.5, 2.0, 6)
    data[list(zeros)] = 0.0
    x, w = sd.vector("x", 6), np.array([0.3, -1.2, 0.7, 2.1, -0.4, 1.6])
    # d(y_k)/d(x_j) is the product of the others up to k.
    exact = np.array([sum(w[k] * np.prod(np.delete(data[: k + 1], j)) for k in range(j, 6)) for j in range(6)])
    got = run(sd.gradient(sd.sum(w * sd.cumprod(x)), x), [x], data, target="cpu")
    np.testing.assert_allclose(got, exact, rtol=16 * EPS, atol=16 * EPS)


def test_second_derivatives_of_a_recurrence():
    a, b = sd.vector("a", 4), sd.vector("b", 4)
    f = sd.sum(sd.recurrence(a, b) ** 2)
    values = RNG.uniform(0.5, 1.5, (2, 4))
    hess = run(sd.hessian(f, a), [a, b], *values, target="cpu")
    steps = []
    for k in range(4):
        moved = values.astype(complex)
        moved[0, k] += 1e-30j
        y_bar, y = np.zeros(4, complex), np.zeros(4, complex)
        for j in range(4):
            y[j] = moved[1, j] + (moved[0, j] * y[j - 1] if j else 0)
        for j in reversed(range(4)):
            y_bar[j] = 2 * y[j] + (moved[0, j + 1] * y_bar[j + 1] if j < 3 else 0)
        steps.append(np.r_[0, y_bar[1:] * y[:-1]].imag / 1e-30)
    np.testing.assert_allclose(hess, np.array(steps), rtol=32 * EPS, atol=32 * EPS)


def test_parts_of_a_larger_result_are_written_in_place():
    x = sd.matrix("x", "n", 3)
    sums = sd.concatenate([sd.cumsum(x, 0), 2 * x, sd.cumsum(x[::-1], 0)[::-1]], axis=1)
    data = RNG.normal(size=(17, 3))
    want = np.hstack([np.cumsum(data, 0), 2 * data, np.cumsum(data[::-1], 0)[::-1]])
    np.testing.assert_array_equal(run(sums, [x], data, target="cpu"), want)


def test_inside_a_loop():
    c = sd.vector("c", 9)
    state = sd.while_loop(lambda v, k: k < 3, lambda v, k: (sd.sort(sd.cumsum(v * 0.5)) + c, k + 1), [c, np.int64(0)])
    data = RNG.normal(size=9)
    want = data
    for _ in range(3):
        want = np.sort(np.cumsum(want * 0.5)) + data
    np.testing.assert_allclose(run(state[0], [c], data, target="cpu"), want, rtol=32 * EPS, atol=32 * EPS)


def test_text():
    x = sd.vector("x", 3)
    assert str(sd.cumsum(x)) == "cumsum(x, axis=0)"
    assert str(sd.recurrence(x, 2 * x)) == "recurrence(x, 2*x, axis=0, reverse=False)"


def test_a_scalar_has_no_recurrence():
    with pytest.raises(sd.ShapeError, match="scalar"):
        sd.recurrence(0.5, sd.symbols("b"))


def test_the_graph_does_not_grow_with_the_axis():
    small, large = (
        sd.gradient(sd.sum(sd.cumprod(sd.vector("x", n)) ** 2), sd.vector("x", n)).count_ops() for n in (9, 9000)
    )
    assert small == large
