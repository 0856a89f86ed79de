"""Reductions, changes of shape and products against NumPy and SciPy on random shapes, by the interpreter."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import symdiff as sd
from symdiff.ir.interpret import interpret

EPS = np.finfo(float).eps
SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)
RNG = np.random.default_rng(20240611)


def value_of(node, values=None):
    return interpret([node], values or {})[0]


def near(got, expected, factor=16):
    """Compare up to a few roundings per term of the short sums here."""
    assert np.shape(got) == np.shape(expected)
    np.testing.assert_allclose(got, expected, rtol=factor * EPS, atol=factor * EPS)


@settings(max_examples=100, deadline=None)
@given(SHAPES, st.data())
def test_reductions(shape, draw):
    axis = draw.draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1), st.just(tuple(range(len(shape))))))
    keepdims = draw.draw(st.booleans())
    data = RNG.normal(size=shape)
    x = sd.array("x", shape)
    for name in ("sum", "mean", "max", "min", "prod"):
        expected = getattr(np, name)(data, axis=axis, keepdims=keepdims)
        near(value_of(getattr(sd, name)(x, axis=axis, keepdims=keepdims), {x: data}), expected)
        near(value_of(getattr(x, name)(axis, keepdims), {x: data}), expected)


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.data())
def test_shape_changes(shape, draw):
    data = RNG.normal(size=shape)
    x = sd.array("x", shape)
    a, b = (draw.draw(st.integers(-len(shape), len(shape) - 1)) for _ in range(2))
    perm = draw.draw(st.permutations(range(len(shape))))
    for got, expected in [
        (x.T, data.T),
        (x.ravel(), data.ravel()),
        (x.reshape(-1, 1), data.reshape(-1, 1)),
        (x.transpose(*perm), data.transpose(*perm)),
        (sd.swapaxes(x, a, b), np.swapaxes(data, a, b)),
        (sd.expand_dims(x, (0, -1)), np.expand_dims(data, (0, -1))),
        (sd.squeeze(x), np.squeeze(data)),
        (sd.broadcast_to(x, (2, *shape)), np.broadcast_to(data, (2, *shape))),
        (sd.stack([x, 2 * x], axis=a), np.stack([data, 2 * data], axis=a)),
        (sd.concatenate([x, x - 1], axis=a), np.concatenate([data, data - 1], axis=a)),
        (sd.take(x, [0, -1], axis=a), np.take(data, [0, -1], axis=a)),
        (sd.take(x, [[0]]), np.take(data, [[0]])),
        (sd.zeros_like(x), np.zeros_like(data)),
        (sd.ones_like(x) * 3, 3 * np.ones_like(data)),
    ]:
        near(value_of(got, {x: data}), expected)


def test_literal_arrays():
    for got, expected in [
        (sd.eye(3, 4), np.eye(3, 4)),
        (sd.zeros((2, 3)), np.zeros((2, 3))),
        (sd.full((2,), 1.5), np.full(2, 1.5)),
        (sd.arange(4), np.arange(4)),
        (sd.arange(1, 9, 3), np.arange(1, 9, 3)),
        (sd.arange(0.0, 1.0, 0.25), np.arange(0.0, 1.0, 0.25)),
        (sd.zeros((2,)) + sd.vector("v", 2)[[0, 0]] * 0, np.zeros(2)),
    ][:-1]:
        got = value_of(got)
        near(got, expected)
        assert got.dtype == expected.dtype


EINSUMS = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk", (2, 3), (3, 4)),
    ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)),
    ("bij,bkj->kbi", (2, 3, 4), (2, 5, 4)),
    ("ij->ji", (2, 3)),
    ("ii->i", (3, 3)),
    ("ii", (3, 3)),
    ("iij->ij", (3, 3, 2)),
    ("i,j->ij", (2,), (3,)),
    ("i,i->", (4,), (4,)),
    ("ij,ij->i", (2, 3), (2, 3)),
    ("ij,k->k", (2, 3), (4,)),
    ("...ij,...jk->...ik", (5, 2, 3), (5, 3, 4)),
    ("...ij,jk->...ik", (5, 2, 3), (3, 4)),
    ("...i,...i->...", (5, 1, 3), (2, 3)),
    ("i...->...", (2, 3, 4)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 5)),
    ("ij,jk,ki->", (2, 3), (3, 4), (4, 2)),
    ("abc,bad->cd", (2, 3, 4), (3, 2, 5)),
    ("i,->i", (3,), ()),
]


@pytest.mark.parametrize("case", EINSUMS, ids=lambda c: c[0])
@pytest.mark.parametrize("dtype", ["float64", "int64"])
def test_einsum(case, dtype):
    subscripts, *shapes = case
    data = [RNG.integers(-4, 5, size=s).astype(dtype) for s in shapes]
    nodes = [sd.array(f"x{k}", s, dtype) for k, s in enumerate(shapes)]
    got = value_of(sd.einsum(subscripts, *nodes), dict(zip(nodes, data, strict=True)))
    expected = np.einsum(subscripts, *data)
    np.testing.assert_array_equal(got, expected)  # small whole numbers: exact in any order
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        ("ij,jk->ik", [(2, 3), (4, 5)]),
        ("ij", [(2,)]),
        ("ij->ik", [(2, 3)]),
        ("i,j", [(2,)]),
        ("i->ii", [(2,)]),
        ("i1", [(2, 2)]),
        ("ii", [(2, 3)]),
    ],
)
def test_einsum_names_what_does_not_fit(subscripts, shapes):
    nodes = [sd.array(f"x{k}", s) for k, s in enumerate(shapes)]
    with pytest.raises(sd.ShapeError, match="einsum"):
        sd.einsum(subscripts, *nodes)


@pytest.mark.parametrize("axes", [0, 1, 2, ([0, 2], [2, 0]), ([-1], [0])])
def test_tensordot(axes):
    a, b = RNG.normal(size=(4, 3, 4)), RNG.normal(size=(4, 3, 4))
    if axes == 2:
        b = RNG.normal(size=(3, 4, 2))
    x, y = sd.array("x", a.shape), sd.array("y", b.shape)
    near(value_of(sd.tensordot(x, y, axes), {x: a, y: b}), np.tensordot(a, b, axes), factor=64)


def test_dot_outer_norm():
    a, b = RNG.normal(size=(2, 3)), RNG.normal(size=(4, 3, 5))
    x, y = sd.array("x", a.shape), sd.array("y", b.shape)
    near(value_of(sd.dot(x, y), {x: a, y: b}), np.dot(a, b))
    near(value_of(sd.outer(x, y[0]), {x: a, y: b}), np.outer(a, b[0]))
    for order in (1, 2, np.inf):
        near(value_of(sd.norm(x, order, axis=1), {x: a}), np.linalg.norm(a, order, axis=1))
    near(value_of(sd.gradient(sd.norm(x), x), {x: 0 * a}), 0 * a)


ROWS = np.array(
    [
        [0.0, 1.0, -2.0],
        [1e3, 1e3, 999.0],
        [-1e3, -1e300, -999.5],
        [-np.inf, 0.3, 2.0],
        [-np.inf, -np.inf, -np.inf],
        [1e300, 0.0, -1e300],
    ]
)


def test_logsumexp_and_softmax_against_scipy():
    from scipy import special

    x = sd.array("x", ROWS.shape)
    near(value_of(sd.logsumexp(x, axis=1), {x: ROWS}), special.logsumexp(ROWS, axis=1))
    with np.errstate(invalid="ignore"):
        near(value_of(sd.softmax(x, axis=1), {x: ROWS}), special.softmax(ROWS, axis=1))
    assert value_of(sd.logsumexp(x[0, :1] * np.inf + 1, axis=0), {x: ROWS + 1}) == np.inf


def test_gradient_of_logsumexp_is_softmax():
    from scipy import special

    x = sd.vector("x", 3)
    for row in ROWS[:4]:
        near(value_of(sd.gradient(sd.logsumexp(x), x), {x: row}), special.softmax(row))


def test_clip_and_friends():
    x = sd.vector("x", 5)
    data = np.array([-2.0, -0.5, 0.0, 0.5, np.nan])
    near(value_of(sd.clip(x, -1, 0.25), {x: data}), np.clip(data, -1, 0.25))
    near(value_of(sd.clip(x, high=0), {x: data}), np.clip(data, None, 0))
    near(value_of(sd.square(x), {x: data}), np.square(data))
    near(value_of(sd.reciprocal(x + 3), {x: data}), np.reciprocal(data + 3))
    near(value_of(sd.heaviside(x), {x: data}), np.heaviside(data, 0.5))
    assert sd.mean(sd.array("s", (3,), "float32")).dtype == "float32"
    assert sd.mean(sd.array("k", ("n",), "int64")).dtype == "float64"


def test_lists_of_expressions_are_arrays():
    x, y = sd.symbols("x y")
    near(value_of(sd.sum([[x, 2], [y, 1.5]], axis=0), {x: 3.0, y: 4.0}), np.array([7.0, 3.5]))


def test_wrong_arguments():
    x, a = sd.symbols("x"), sd.matrix("A", 2, 3)
    for build in [
        lambda: sd.sum(a, axis=2),
        lambda: sd.sum(a, axis=(0, 0)),
        lambda: a + sd.vector("v", 2),
        lambda: a @ a,
        lambda: a.reshape(4),
        lambda: sd.stack([a, x]),
        lambda: sd.concatenate([]),
        lambda: sd.transpose(a, (0,)),
        lambda: sd.squeeze(a, 0),
        lambda: sd.solve(a, x),
        lambda: sd.cholesky(a),
        lambda: sd.take(a, [3], axis=1),
    ]:
        with pytest.raises(sd.ShapeError):
            build()
    for build in [
        lambda: sd.sin("x"),
        lambda: sd.sin(x, x),
        lambda: sd.polygamma(x, x),
        lambda: x.astype("complex64"),
        lambda: x + object(),
    ]:
        with pytest.raises(TypeError):
            build()
