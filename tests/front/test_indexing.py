"""x[key] against NumPy on random shapes and keys, by the interpreter."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import symdiff as sd
from symdiff.ir.interpret import interpret

SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=5)


def value_of(node, values):
    return interpret([node], values)[0]


def check(x, data, key):
    got = value_of(x[key], {x: data})
    np.testing.assert_array_equal(got, data[key])
    assert got.shape == data[key].shape


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_basic_keys_match_numpy(draw):
    shape = draw.draw(SHAPES)
    key = draw.draw(hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    check(sd.array("x", shape), np.arange(float(np.prod(shape))).reshape(shape), key)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_integer_arrays_match_numpy(draw):
    """Any mixture of slices, new axes, ints and integer arrays, adjacent or not."""
    shape = draw.draw(SHAPES)
    common = draw.draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=3))
    key = []
    for extent in shape:
        kind = draw.draw(st.sampled_from(["slice", "array", "int", "new"]))
        if kind == "new":
            key.append(None)
            kind = "slice"
        if kind == "slice":
            key.append(slice(None, None, draw.draw(st.sampled_from([1, 2, -1]))))
        elif kind == "int":
            key.append(draw.draw(st.integers(-extent, extent - 1)))
        else:
            key.append(draw.draw(hnp.arrays(np.int64, common, elements=st.integers(-extent, extent - 1))))
    check(sd.array("x", shape), np.arange(float(np.prod(shape))).reshape(shape), tuple(key))


@pytest.mark.parametrize("n", [1, 2, 5, 6])
@pytest.mark.parametrize(
    "key",
    [np.s_[1:], np.s_[:-1], np.s_[::2], np.s_[::-1], np.s_[1::2], np.s_[-1], np.s_[0], np.s_[None, ::-2], np.s_[-1:]],
)
def test_run_time_sizes(key, n):
    x = sd.array("x", ("n", 3))
    check(x, np.arange(3.0 * n).reshape(n, 3), key)


def test_interior_of_a_run_time_size():
    x = sd.vector("x", "n")
    assert str(x[1:-1].shape) == "(n - 2,)"
    assert (x[2:] - 2 * x[1:-1] + x[:-2]).shape == x[1:-1].shape


def test_symbolic_indices():
    x, i, j = sd.matrix("x", 4, 5), sd.array("i", (3,), dtype="int64"), sd.array("j", (3,), dtype="int64")
    data = np.arange(20.0).reshape(4, 5)
    rows, cols = np.array([0, -1, 2]), np.array([4, 0, -2])
    np.testing.assert_array_equal(value_of(x[i, j], {x: data, i: rows, j: cols}), data[rows, cols])
    np.testing.assert_array_equal(value_of(x[:, j], {x: data, j: cols}), data[:, cols])
    np.testing.assert_array_equal(
        value_of(x[i.reshape(3, 1), j], {x: data, i: rows, j: cols}), data[rows[:, None], cols]
    )
    # Each index is checked on its own axis: column 5 of row 0 is not column 0 of row 1.
    with pytest.raises(sd.DomainError):
        value_of(x[i, j], {x: data, i: rows, j: np.array([5, 0, 0])})


def test_wrong_keys():
    x = sd.array("x", (3, "n"))
    n = sd.symbols("k")
    for key in (3, -4, (0, 0, 0), [0, 3], slice(None, None, 0), (..., ...)):
        with pytest.raises(sd.ShapeError, match="'x'"):
            x[key]
    for key in (1.5, "a", True, [0.5], [True, False, True], sd.array("m", (3,), "bool"), slice(n, None), n):
        with pytest.raises(sd.DTypeError):
            x[key]
    with pytest.raises(sd.DTypeError, match="where"):
        x[np.array([True, False, True])]


def test_iteration():
    x = sd.matrix("x", 2, 3)
    a, b = x
    assert a is x[0]
    assert b is x[1]
    assert len(x) == 2
    with pytest.raises(sd.ShapeError, match="run-time size n"):
        list(sd.vector("v", "n"))
    with pytest.raises(TypeError):
        list(sd.symbols("s"))
