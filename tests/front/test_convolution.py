"""Convolutions against NumPy and against sums written out, and their derivatives against each other."""

import itertools

import numpy as np
import pytest
import scipy.signal

import symdiff as sd

EPS = np.finfo(float).eps
RNG = np.random.default_rng(29)
TARGETS = pytest.mark.parametrize("target", ["cpu", "reference"])


def run(f, inputs, *values, target="reference"):
    return np.asarray(sd.compile(f, inputs, target=target)(*values))


def near(got, want, terms):
    """A sum of so many terms of size 1, each rounded once or twice."""
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=4 * EPS, atol=4 * terms * EPS)


def convolved(x, w, stride, padding, dilation, groups):
    """PyTorch's definition, entry by entry."""
    rank = w.ndim - 2
    x = np.pad(x, [(0, 0), (0, 0), *padding])
    reach = [d * (k - 1) + 1 for k, d in zip(w.shape[2:], dilation, strict=True)]
    places = [(n - r) // s + 1 for n, r, s in zip(x.shape[2:], reach, stride, strict=True)]
    out = np.zeros((x.shape[0], w.shape[0], *places))
    inner, per_group = w.shape[1], w.shape[0] // groups
    for n, o, *at in np.ndindex(out.shape):
        first = o // per_group * inner
        cut = [slice(p * s, p * s + r, d) for p, s, r, d in zip(at, stride, reach, dilation, strict=True)]
        out[(n, o, *at)] = (x[(n, slice(first, first + inner), *cut)] * w[o]).sum()
    assert rank == len(places)
    return out


@TARGETS
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_convolve_is_numpys(mode, target):
    for m in (1, 2, 3, 4, 40):
        long, short = RNG.uniform(-1, 1, 45), RNG.uniform(-1, 1, m)
        v = sd.vector("v", m)
        for extent in (45, "n"):
            a = sd.vector("a", extent)
            want = np.convolve(long, short, mode)
            near(run(sd.convolve(a, v, mode), [a, v], long, short, target=target), want, m)
            near(run(sd.convolve(v, a, mode), [a, v], long, short, target=target), want, m)


@TARGETS
def test_convolve_of_two_run_time_sizes_and_of_integers(target):
    a, v = sd.vector("a", "n"), sd.vector("v", "m")
    x, y = RNG.uniform(-1, 1, 9), RNG.uniform(-1, 1, 4)
    near(run(sd.convolve(a, v), [a, v], x, y, target=target), np.convolve(x, y), 4)
    ints = sd.array("k", 5, dtype="int64")
    got = run(sd.convolve(ints, [1, -2, 3]), [ints], np.arange(5), target=target)
    assert got.dtype == np.int64
    np.testing.assert_array_equal(got, np.convolve(np.arange(5), [1, -2, 3]))


CASES = [
    ((2, 3, 11), (4, 3, 3), {}),
    ((2, 3, 11), (4, 3, 4), {"stride": 2, "padding": 3, "dilation": 2}),
    ((2, 4, 11), (6, 2, 3), {"groups": 2, "padding": 1}),
    ((2, 3, 11), (4, 3, 4), {"padding": "same"}),
    ((1, 1, 5), (1, 1, 5), {"padding": "valid"}),
    ((2, 3, 7, 6), (4, 3, 3, 2), {}),
    ((2, 3, 9, 8), (5, 3, 2, 3), {"stride": (2, 1), "padding": (1, 2), "dilation": (3, 1)}),
    ((2, 3, 7, 6), (3, 1, 3, 3), {"groups": 3, "padding": "same", "dilation": (1, 2)}),
]


@TARGETS
@pytest.mark.parametrize(("x_shape", "w_shape", "options"), CASES, ids=str)
def test_conv_is_pytorchs_definition(x_shape, w_shape, options, target):
    rank = len(w_shape) - 2
    data, weights, shift = (RNG.uniform(-1, 1, s) for s in (x_shape, w_shape, w_shape[0]))
    stride, dilation = (np.broadcast_to(options.get(k, 1), rank) for k in ("stride", "dilation"))
    padding = options.get("padding", 0)
    if isinstance(padding, str):
        totals = [d * (k - 1) if padding == "same" else 0 for k, d in zip(w_shape[2:], dilation, strict=True)]
        border = [(t // 2, t - t // 2) for t in totals]
    else:
        border = [(p, p) for p in np.broadcast_to(padding, rank)]
    want = convolved(data, weights, stride, border, dilation, options.get("groups", 1))
    want = want + shift.reshape(-1, *(1,) * rank)
    terms = int(np.prod(w_shape[1:])) + 1
    conv = sd.conv1d if rank == 1 else sd.conv2d
    w, b = sd.array("w", w_shape), sd.vector("b", w_shape[0])
    for shape in (x_shape, ("N", x_shape[1], *"HW"[:rank])):
        x = sd.array("x", shape)
        near(run(conv(x, w, b, **options), [x, w, b], data, weights, shift, target=target), want, terms)
    x = sd.array("x", x_shape[1:])
    near(run(conv(x, w, b, **options), [x, w, b], data[0], weights, shift, target=target), want[0], terms)


@TARGETS
def test_an_image_against_scipy(target):
    image, kernel = RNG.uniform(-1, 1, (13, 17)), RNG.uniform(-1, 1, (3, 5))
    x = sd.matrix("x", "H", "W")
    got = run(sd.conv2d(x[None], kernel[None, None])[0], [x], image, target=target)
    near(got, scipy.signal.correlate2d(image, kernel, "valid"), 15)


@TARGETS
@pytest.mark.parametrize(("x_shape", "w_shape", "options"), [CASES[k] for k in (1, 2, 6)], ids=str)
def test_derivatives_are_those_of_a_bilinear_function(x_shape, w_shape, options, target):
    conv = sd.conv1d if len(w_shape) == 3 else sd.conv2d
    x, w = sd.array("x", x_shape), sd.array("w", w_shape)
    y = conv(x, w, **options)
    data, weights, x_dot, w_dot = (RNG.uniform(-1, 1, s) for s in (x_shape, w_shape, x_shape, w_shape))
    y_bar = RNG.uniform(-1, 1, y.shape)
    forward = run(sd.jvp(y, [x, w], [x_dot, w_dot]), [x, w], data, weights, target=target)
    parts = [run(y, [x, w], *pair, target=target) for pair in ((x_dot, weights), (data, w_dot))]
    near(forward, parts[0] + parts[1], 2 * int(np.prod(w_shape[1:])))
    x_bar, w_bar = (run(g, [x, w], data, weights, target=target) for g in sd.vjp(y, [x, w], y_bar))
    # <y_bar, J dot> = <J' y_bar, dot>
    assert abs((y_bar * parts[0]).sum() - (x_bar * x_dot).sum()) < 64 * EPS * y.size**0.5 * w_bar.size
    assert abs((y_bar * parts[1]).sum() - (w_bar * w_dot).sum()) < 64 * EPS * y.size**0.5 * w_bar.size


def test_the_graph_depends_on_the_kernel_only():
    w = sd.array("w", (4, 3, 3, 3))
    counts = {
        sd.gradient(sd.sum(sd.conv2d(sd.array("x", (n, 3, h, h + 1)), w, padding=1) ** 2), w).count_ops()
        for n, h in itertools.product((1, 100), (8, 500))
    }
    assert len(counts) <= 2  # one instance needs no transposition


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda x, w: sd.conv1d(x, w[:, :2]), "multiple of 1"),
        (lambda x, w: sd.conv1d(x, w, groups=2), "groups"),
        (lambda x, w: sd.conv1d(x, w, stride=0), "at least 1"),
        (lambda x, w: sd.conv1d(x, w, padding="full"), "'valid' or 'same'"),
        (lambda x, w: sd.conv1d(x, w, padding="same", stride=2), "needs stride 1"),
        (lambda x, w: sd.conv1d(x, w, dilation=9), "does not fit"),
        (lambda x, w: sd.conv1d(x, w, np.ones(3)), "one bias for each of 4"),
        (lambda x, w: sd.conv2d(x, w), "3 or 4 axes"),
        (lambda x, w: sd.conv1d(x, sd.array("u", (4, 3, "k"))), "known ints"),
        (lambda x, w: sd.conv1d(x, w, stride=(1, 2)), "one int or 1"),
        (lambda x, w: sd.convolve(x, [1.0, 2.0]), "two vectors"),
        (lambda x, w: sd.convolve(sd.vector("a", "n"), sd.vector("b", "m"), "same"), "which vector is longer"),
        (lambda x, w: sd.convolve([1.0], [2.0], "half"), "modes"),
    ],
)
def test_wrong_input_names_what_to_do(build, message):
    with pytest.raises(sd.ShapeError, match=message):
        build(sd.array("x", (2, 3, 8)), sd.array("w", (4, 3, 3)))
