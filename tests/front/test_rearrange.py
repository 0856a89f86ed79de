"""Moves of entries and borders against NumPy on random shapes; diagonals and triangles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import symdiff as sd

RNG = np.random.default_rng(23)
SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=5)
TARGETS = pytest.mark.parametrize("target", ["cpu", "reference"])


def run(f, inputs, *values, target="reference"):
    return np.asarray(sd.compile(f, inputs, target=target)(*values))


def same(f, x, data, want, target="reference"):
    got = run(f, [x], data, target=target)
    assert got.shape == want.shape
    np.testing.assert_array_equal(got, want)


@settings(max_examples=80, deadline=None)
@given(SHAPES, st.data())
def test_moves_are_numpys(shape, draw):
    data = RNG.normal(size=shape)
    x = sd.array("x", shape)
    axis = draw.draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
    shift = draw.draw(st.integers(-7, 7))
    copies = draw.draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))
    same(sd.roll(x, shift, axis), x, data, np.roll(data, shift, axis))
    same(sd.roll(x, (shift, 1), (0, -1)), x, data, np.roll(data, (shift, 1), (0, -1)))
    same(sd.flip(x, axis), x, data, np.flip(data, axis))
    same(sd.tile(x, copies), x, data, np.tile(data, copies))
    same(sd.repeat(x, copies[0], axis), x, data, np.repeat(data, copies[0], axis))
    n = data.size if axis is None else shape[axis]
    counts = draw.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    same(sd.repeat(x, counts, axis), x, data, np.repeat(data, counts, axis))
    same(sd.moveaxis(x, 0, -1), x, data, np.moveaxis(data, 0, -1))
    same(sd.hstack([x, 2 * x]), x, data, np.hstack([data, 2 * data]))
    same(sd.vstack([x, 2 * x]), x, data, np.vstack([data, 2 * data]))


@settings(max_examples=80, deadline=None)
@given(SHAPES, st.data())
def test_borders_are_numpys(shape, draw):
    data = RNG.normal(size=shape)
    x = sd.array("x", shape)
    widths = [tuple(draw.draw(st.tuples(st.integers(0, 7), st.integers(0, 7)))) for _ in shape]
    for mode in ("constant", "edge", "reflect", "symmetric", "wrap"):
        same(sd.pad(x, widths, mode), x, data, np.pad(data, widths, mode))
    values = [(float(k), -1.5) for k in range(len(shape))]
    same(sd.pad(x, widths, constant_values=values), x, data, np.pad(data, widths, constant_values=values))
    same(sd.pad(x, widths[0], constant_values=(1, 2)), x, data, np.pad(data, widths[0], constant_values=(1, 2)))


@TARGETS
def test_run_time_sizes(target):
    x = sd.matrix("x", "n", "m")
    for shape in [(2, 3), (5, 4)]:
        data = RNG.normal(size=shape)
        for shift in (-2, 1, 2):
            same(sd.roll(x, shift, 0), x, data, np.roll(data, shift, 0), target)
        for mode in ("constant", "edge", "reflect", "symmetric", "wrap"):
            same(sd.pad(x, ((1, 0), (1, 2)), mode), x, data, np.pad(data, ((1, 0), (1, 2)), mode), target)
        same(sd.flip(x), x, data, np.flip(data), target)
        same(sd.tile(x, (2, 2)), x, data, np.tile(data, (2, 2)), target)
        same(sd.repeat(x, 3, 1), x, data, np.repeat(data, 3, 1), target)
        same(sd.tril(x, 1), x, data, np.tril(data, 1), target)
    empty = np.zeros((0, 3))
    same(sd.flip(x), x, empty, empty, target)
    same(sd.pad(x, 1), x, empty, np.pad(empty, 1), target)
    for f in (sd.roll(x, 3, 0), sd.pad(x, 3, "reflect"), sd.pad(x, 1, "edge")):
        with pytest.raises(sd.DomainError):
            run(f, [x], empty, target=target)


@TARGETS
def test_diagonals(target):
    data = RNG.normal(size=(3, 4, 5))
    x = sd.array("x", data.shape)
    for offset in range(-5, 6):
        for axes in ((0, 1), (1, 2), (2, 0)):
            same(sd.diagonal(x, offset, *axes), x, data, np.diagonal(data, offset, *axes), target)
            np.testing.assert_allclose(
                run(sd.trace(x, offset, *axes), [x], data, target=target), np.trace(data, offset, *axes), rtol=1e-15
            )
        v = sd.vector("v", "n")
        same(sd.diag(v, offset), v, data[0, 0], np.diag(data[0, 0], offset), target)
    square = sd.matrix("A", "n", "n")
    same(sd.diag(square, 1), square, data[0, :, :4], np.diag(data[0, :, :4], 1), target)
    same(sd.triu(x, -1), x, data, np.triu(data, -1), target)


def test_parts():
    x = sd.array("x", (7, 2))
    data = RNG.normal(size=(7, 2))
    for parts, axis in (([2, 5], 0), ([3, 3, 9], 0), ([-2], 0), (2, 1), (7, 0)):
        ours, numpys = sd.split(x, parts, axis), np.split(data, parts, axis)
        assert len(ours) == len(numpys)
        for f, want in zip(ours, numpys, strict=True):
            same(f, x, data, want)


def test_derivatives_go_back_to_where_entries_came_from():
    x = sd.vector("x", 5)
    w = np.array([0.3, 1.7, -0.4, 2.2, 0.9, -1.1, 0.6, 1.3, -2.4])
    for f, g in (
        (sd.pad(x, 2, "reflect"), lambda v: np.pad(v, 2, "reflect")),
        (sd.pad(x, (3, 1), "wrap"), lambda v: np.pad(v, (3, 1), "wrap")),
        (sd.pad(x, (1, 3), constant_values=4.0), lambda v: np.pad(v, (1, 3), constant_values=0)),
        (sd.roll(sd.pad(x, (0, 4)), 3), lambda v: np.roll(np.pad(v, (0, 4)), 3)),
    ):
        # All are linear up to a constant: the gradient is the transpose applied to the weights.
        want = np.array([w @ g(np.eye(5)[k]) for k in range(5)])
        got = run(sd.gradient(sd.sum(w * f), x), [x], RNG.normal(size=5), target="cpu")
        np.testing.assert_allclose(got, want, rtol=1e-15)


def test_padding_with_an_expression():
    x, c = sd.vector("x", 3), sd.symbols("c")
    f = sd.sum(sd.pad(x, (2, 1), constant_values=(c, c * c)))
    np.testing.assert_array_equal(run(sd.diff(f, c), [c], 3.0), 2 + 2 * 3.0)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda x: sd.pad(x, 1, "mean"), "knows the modes"),
        (lambda x: sd.pad(x, ((1, 1),) * 3), "2 pairs"),
        (lambda x: sd.pad(x, -1), "ints >= 0"),
        (lambda x: sd.pad(x, 0.5), "ints >= 0"),
        (lambda x: sd.pad(x, 1, constant_values=(1, 2, 3)), "constant"),
        (lambda x: sd.roll(x, 0.5), "The shift"),
        (lambda x: sd.roll(x, (1, 2, 3), (0, 1)), "3 shifts for 2 axes"),
        (lambda x: sd.repeat(x, [1, 2, 3], 0), "2 of them"),
        (lambda x: sd.tile(x, -1), ">= 0"),
        (lambda x: sd.split(x, 2, 1), "no 2 equal parts"),
        (lambda x: sd.diagonal(x, 0, 1, 1), "twice"),
        (lambda x: sd.diagonal(sd.matrix("B", "n", "m")), "run-time sizes"),
        (lambda x: sd.diag(sd.symbols("s")), "vector or a matrix"),
        (lambda x: sd.tril(x[0]), "needs two"),
    ],
)
def test_wrong_input_names_what_to_do(build, message):
    with pytest.raises((sd.ShapeError, sd.DTypeError), match=message):
        build(sd.matrix("A", 2, 3))
