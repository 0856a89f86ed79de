"""sd.lambdify beside sympy.lambdify(modules="scipy"): same form, same numbers."""

import numpy as np
import pytest
import sympy as sp

import symdiff as sd

X, Y, Z = sp.symbols("x y z")
XS, YS = np.linspace(0.1, 2.2, 7), np.linspace(0.3, 3.0, 7)
# 64 eps: a few library functions, each good to a few ulp, against SymPy's generated NumPy code.
RTOL = 64 * np.finfo(float).eps

SCALARS = [
    sp.sin(X) * sp.exp(-Y), X / 3 - Y**3, sp.Piecewise((X, X > 1), (Y, sp.Rational(1, 2) < X), (0, True)),
    sp.Abs(X - Y), sp.Max(X, Y, 1), sp.Min(X, Y),
    sp.sign(X - Y), sp.Heaviside(X - 1), sp.Heaviside(X - X.subs(X, 1)), sp.erf(X), sp.erfc(Y), sp.gamma(X),
    sp.loggamma(Y), sp.atan2(X, Y), sp.Mod(X, Y),
    sp.sqrt(X) + X**-2, sp.floor(X) - sp.ceiling(Y), sp.polygamma(0, Y), sp.pi * X, X * 2, sp.Integer(3),
]  # fmt: skip


@pytest.fixture(params=["reference", "cpu"])
def target(request):
    return request.param


def same(ours, theirs):
    if isinstance(theirs, (list, tuple)):
        assert type(ours) is type(theirs)
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            same(a, b)
        return
    assert np.shape(ours) == np.shape(theirs)
    np.testing.assert_allclose(np.asarray(ours, float), np.asarray(theirs, float), rtol=RTOL, atol=RTOL)


@pytest.mark.parametrize("expr", SCALARS, ids=str)
def test_scalars_and_arrays(expr, target):
    ours, theirs = sd.lambdify([X, Y], expr, target=target), sp.lambdify([X, Y], expr, "scipy")
    for args in [(1.3, 0.7), (1, 2), (XS, YS), (XS[:, None], YS), (XS, 1.5), (0.4, YS)]:
        same(ours(*args), theirs(*args))
    assert isinstance(ours(1.3, 0.7), float)


@pytest.mark.parametrize(
    ("args", "expr", "values"),
    [
        (X, X**2, (3.0,)),
        ((X, Y), (X + Y, X * Y), (1.5, 2.5)),
        ([X, Y], [X, [Y, 2]], (1.5, 2.5)),
        ([X, (Y, Z)], X * Y - Z, (1.5, (2.5, 4.0))),
        ([[X, [Y]], Z], X * Y - Z, ((1.5, [2.5]), 4.0)),
        ([X, Y], sp.Matrix([[X, 1, Y], [Y, X * Y, 2]]), (1.5, 2.5)),
        ([X, Y], sp.ImmutableMatrix([[X], [Y]]), (1.5, 2.5)),
        ([X, Y], sp.Array([[[X], [Y]]]), (1.5, 2.5)),
        ([X], [], (1.0,)),
        ([], sp.pi, ()),
        ([X, Y], sp.Matrix([X, Y]).jacobian([X, Y]), (1.5, 2.5)),
    ],
    ids=str,
)
def test_forms(args, expr, values, target):
    theirs = sp.lambdify(args, expr, "scipy")(*values)
    ours = sd.lambdify(args, expr, target=target)(*values)
    same(ours, theirs)
    assert isinstance(ours, np.ndarray) == isinstance(theirs, np.ndarray)


def test_dictionaries_keep_their_keys(target):
    assert sd.lambdify([X], {"a": X * 2, "b": 3}, target=target)(2.0) == {"a": 4.0, "b": 3.0}


def test_matrix_of_arrays_adds_axes_at_the_end(target):
    out = sd.lambdify([X, Y], sp.Matrix([[X, 1], [Y, X * Y]]), target=target)(XS, 2.0)
    assert out.shape == (2, 2, 7)
    np.testing.assert_array_equal(out[1, 1], 2 * XS)
    np.testing.assert_array_equal(out[0, 1], 1)


def test_keywords_options_and_symdiff_expressions(target):
    x, y = sd.symbols("x y")
    f = sd.lambdify([x, Y], x / y + X, "numpy", cse=True, dummify=True, docstring_limit=None, target=target)
    assert f(3, 2) == f(x=3, y=2) == f(3, y=2) == 4.5
    assert sd.lambdify("x", X + 1, target=target)(2) == 3


def test_matrix_arguments(target):
    a = sp.MatrixSymbol("A", 2, 3)
    data = np.arange(6.0).reshape(2, 3)
    same(sd.lambdify([a, X], a[0, 1] * X, target=target)(data, 2.0), 2.0)
    same(sd.lambdify([sp.Matrix([X, Y])], X - Y, target=target)(np.array([[3.0], [1.0]])), 2.0)


def test_functions_and_derivatives_as_unknowns(target):
    t = sp.Symbol("t")
    u = sp.Function("u")(t)
    expr = u**2 + u.diff(t) * t
    assert sd.lambdify([t, u, u.diff(t)], expr, target=target)(2.0, 3.0, 5.0) == 19.0


def test_heaviside_is_a_half_at_zero(target):
    assert sd.lambdify(X, sp.Heaviside(X), target=target)(0.0) == 0.5


def test_wrong_use_is_named(target):
    with pytest.raises(sd.UnknownSymbolError, match="y"):
        sd.lambdify([X], X + Y, target=target)
    with pytest.raises(sd.DTypeError, match="twice"):
        sd.lambdify([X, X], X, target=target)
    with pytest.raises(sd.DTypeError):
        sd.lambdify([3], X, target=target)
    f = sd.lambdify([X, (Y, Z)], X + Y, target=target)
    with pytest.raises(TypeError, match="2 arguments, got 1"):
        f(1)
    with pytest.raises(sd.ShapeError, match="2 entries, got 3"):
        f(1, (1, 2, 3))
    with pytest.raises(TypeError, match="no argument w"):
        f(1, (2, 3), w=1)
