"""Pooling against windows that are written out, with PyTorch's options."""

import numpy as np
import pytest

import symdiff as sd

EPS = np.finfo(float).eps
RNG = np.random.default_rng(31)
TARGETS = pytest.mark.parametrize("target", ["cpu", "reference"])


def run(f, inputs, *values, target="reference"):
    return np.asarray(sd.compile(f, inputs, target=target)(*values))


def starts(n, k, s, p, d, ceil_mode):
    """Where windows begin: PyTorch's output size, without a last window that starts in the right border."""
    reach = d * (k - 1) + 1
    free = n + 2 * p - reach
    count = (-(-free // s) if ceil_mode else free // s) + 1
    if ceil_mode and (count - 1) * s >= n + p:
        count -= 1
    return [i * s - p for i in range(count)]


def pooled(x, size, stride, padding, dilation, ceil_mode, reduce):
    """Apply `reduce(entries, size)` to what of every window lies in the array; its size is cut at the padded end."""
    rank = len(size)
    options = zip(x.shape[-rank:], size, stride, padding, dilation, strict=True)
    grids = [starts(*option, ceil_mode) for option in options]
    out = np.empty((*x.shape[:-rank], *map(len, grids)))
    for at in np.ndindex(*map(len, grids)):
        inside, extents = [], 1
        for n, grid, i, k, p, d in zip(x.shape[-rank:], grids, at, size, padding, dilation, strict=True):
            inside.append([j for j in range(grid[i], grid[i] + d * k, d) if 0 <= j < n])
            extents *= min(grid[i] + k, n + p) - grid[i]
        entries = x[(..., *np.ix_(*inside))].reshape(*x.shape[:-rank], -1)
        out[(..., *at)] = reduce(entries, extents)
    return out


CASES = [
    ((2, 3, 8), 2, {}),
    ((2, 3, 11), 3, {"stride": 2, "padding": 1}),
    ((2, 11), 4, {"stride": 3, "padding": 2, "ceil_mode": True}),
    ((9,), 2, {"stride": 4, "padding": 1, "ceil_mode": True}),
    ((2, 1, 7, 6), (3, 2), {}),
    ((2, 7, 9), (2, 3), {"stride": (2, 1), "padding": (1, 0), "ceil_mode": True}),
]


def full(shape, size, options):
    rank = 2 if isinstance(size, tuple) else 1
    sizes = np.broadcast_to(size, rank)
    stride = np.broadcast_to(options.get("stride", size), rank)
    return rank, sizes, stride, np.broadcast_to(options.get("padding", 0), rank), options.get("ceil_mode", False)


@TARGETS
@pytest.mark.parametrize(("shape", "size", "options"), CASES, ids=str)
def test_pooling_is_pytorchs_definition(shape, size, options, target):
    rank, sizes, stride, padding, ceil_mode = full(shape, size, options)
    data = RNG.uniform(-1, 1, shape)
    largest, average = (sd.max_pool1d, sd.avg_pool1d) if rank == 1 else (sd.max_pool2d, sd.avg_pool2d)
    ones = (1,) * rank

    def check(f, reduce, x, exact=False):
        want = pooled(data, sizes, stride, padding, ones, ceil_mode, reduce)
        got = run(f, [x], data, target=target)
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=0 if exact else 8 * EPS, atol=0 if exact else 8 * EPS)

    for x in [sd.array("x", shape)] + ([] if ceil_mode else [sd.array("x", (*shape[:-1], "n"))]):
        check(largest(x, size, **options), lambda v, n: v.max(-1), x, exact=True)
        check(average(x, size, **options), lambda v, n: v.sum(-1) / n, x)
        check(average(x, size, **options, count_include_pad=False), lambda v, n: v.mean(-1), x)
        if rank == 2:
            check(average(x, size, **options, divisor_override=5), lambda v, n: v.sum(-1) / 5, x)


@TARGETS
def test_dilated_windows_and_integers(target):
    data = RNG.integers(-9, 9, (3, 13))
    x = sd.array("x", (3, "n"), dtype="int64")
    got = run(sd.max_pool1d(x, 3, stride=2, padding=1, dilation=3), [x], data, target=target)
    want = pooled(data, [3], [2], [1], [3], False, lambda v, n: v.max(-1))
    assert got.dtype == np.int64
    np.testing.assert_array_equal(got, want)


@TARGETS
def test_ties_share_the_derivative_and_nan_wins(target):
    x = sd.vector("x", 6)
    w = np.array([0.9, -2.1])
    f = sd.sum(w * sd.max_pool1d(x, 3))
    got = run(sd.gradient(f, x), [x], np.array([2.0, 1.0, 2.0, 0.5, -1.0, 0.25]), target=target)
    np.testing.assert_allclose(got, [0.45, 0, 0.45, -2.1, 0, 0], rtol=2 * EPS)
    values = run(sd.max_pool1d(x, 3), [x], np.array([2.0, np.nan, 2.0, 0.5, -1.0, 0.25]), target=target)
    np.testing.assert_array_equal(values, [np.nan, 0.5])


@TARGETS
def test_averages_are_linear(target):
    x = sd.array("x", (5, 7))
    y = sd.avg_pool2d(x, (2, 3), stride=(2, 1), padding=1, count_include_pad=False)
    y_bar = RNG.uniform(-1, 1, y.shape)
    x_bar = run(sd.vjp(y, x, y_bar), [x], np.zeros((5, 7)), target=target)
    for _ in range(3):
        x_dot = RNG.uniform(-1, 1, (5, 7))
        # <y_bar, J dot> = <J' y_bar, dot>
        assert abs((y_bar * run(y, [x], x_dot, target=target)).sum() - (x_bar * x_dot).sum()) < 64 * EPS


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda x: sd.max_pool1d(x, 3, padding=2), "at most half"),
        (lambda x: sd.max_pool1d(x, 9), "does not fit"),
        (lambda x: sd.avg_pool2d(x[0, 0], 2), "over 2 axes"),
        (lambda x: sd.avg_pool2d(x, 2, divisor_override=0), "other than 0"),
        (lambda x: sd.max_pool1d(sd.vector("v", "n"), 3, ceil_mode=True), "known extent"),
        (lambda x: sd.max_pool1d(x, 0), "at least 1"),
    ],
)
def test_wrong_input_names_what_to_do(build, message):
    with pytest.raises(sd.ShapeError, match=message):
        build(sd.array("x", (2, 3, 8)))
