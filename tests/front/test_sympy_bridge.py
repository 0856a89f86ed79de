"""from_sympy and to_sympy against SymPy's own numbers, and their cost on large graphs."""

import numpy as np
import pytest
import sympy as sp

import symdiff as sd
from symdiff.ir.interpret import interpret
from symdiff.ir.literals import Literal
from symdiff.ops.elementwise import ELEMENTWISE
from symdiff.ops.elementwise.bessel import OF_ORDER
from tests.counting import lines_run

X, Y = sp.symbols("x y")
POINTS = [(0.37, 1.9), (0.81, 2.4)]

EXPRESSIONS = [
    X - 1, 2 - X, -X / 2, -2 * X * Y, Y / (3 * X**2), X - Y / 3, sp.sqrt(X) / Y, 1 / sp.sqrt(X),
    X ** sp.Rational(1, 3), X**-Y, 2**X,
    sp.pi * sp.E**X + sp.Float("0.1") + sp.Rational(1, 3), -X - Y, X * (Y + 1) - 3 * X * Y / 7, sp.EulerGamma * X,
    sp.GoldenRatio + X,
    sp.sin(X), sp.cos(X), sp.tan(X), sp.asin(X), sp.acos(X), sp.atan(X), sp.sinh(X), sp.cosh(X), sp.tanh(X),
    sp.asinh(X), sp.acosh(Y), sp.atanh(X),
    sp.sec(X), sp.csc(X), sp.cot(X), sp.sech(X), sp.csch(X), sp.coth(X), sp.asec(Y), sp.acsc(Y), sp.acot(X),
    sp.asech(X), sp.acsch(X), sp.acoth(Y),
    sp.exp(-(X**2)) * sp.log(Y), sp.atan2(X, -Y), sp.Mod(-X, Y), sp.floor(Y), sp.ceiling(X), sp.Abs(X - Y),
    sp.sign(X - Y), sp.frac(Y),
    sp.Max(X, Y, 1), sp.Min(X, Y, 1), sp.Heaviside(X - Y), sp.Heaviside(X - Y, 1), sp.sinc(X), sp.factorial(X),
    sp.erf(X), sp.erfc(X), sp.gamma(X), sp.loggamma(Y), sp.digamma(Y), sp.polygamma(0, Y), sp.polygamma(2, Y),
    sp.Piecewise((X, X > 1), (Y, X > 0.5), (0, True)),
    sp.Piecewise((X, sp.And(X > 0.5, Y < 3)), (Y, sp.Or(X < 0.1, sp.Not(Y > 2))), (3, True)),
    sp.Piecewise((1, sp.Ne(X, 2)), (2, True)), sp.Piecewise((1, sp.Eq(X, 2)), (2, True)),
    sp.Piecewise((1, sp.Xor(X > 0.5, Y > 2)), (2, True)),
]  # fmt: skip


def value_of(node, x, y):
    symbols = {"x": x, "y": y}
    return interpret([node], {s: symbols[s.params["name"]] for s in node.free_symbols})[0]


@pytest.mark.parametrize("expr", EXPRESSIONS, ids=str)
@pytest.mark.parametrize(("x", "y"), POINTS)
def test_values_and_round_trip(expr, x, y):
    exact = float(expr.subs({X: sp.Float(x, 30), Y: sp.Float(y, 30)}).evalf(20))
    f = sd.from_sympy(expr)
    # 64 eps: a few library functions of moderate slope.
    np.testing.assert_allclose(value_of(f, x, y), exact, rtol=64 * np.finfo(float).eps)
    back = f.to_sympy()
    np.testing.assert_allclose(
        float(back.subs({X: sp.Float(x, 30), Y: sp.Float(y, 30)}).evalf(20)), exact, rtol=64 * np.finfo(float).eps
    )


SAME = [
    X - 1, -X / 2, Y / (3 * X**2), sp.sqrt(X) / Y, X ** sp.Rational(1, 3), sp.exp(-(X**2)) * sp.sin(Y), sp.Max(1, X, Y),
    sp.Heaviside(X), X * (Y + 1) - 3 * X * Y / 7, sp.Piecewise((X, X > 0), (0, True)), sp.polygamma(2, X), sp.pi * X,
]  # fmt: skip


@pytest.mark.parametrize("expr", SAME, ids=str)
def test_round_trip_is_the_same_sympy_expression(expr):
    assert sd.from_sympy(expr).to_sympy() == expr


@pytest.mark.parametrize("primitive", [p for p in ELEMENTWISE if p.name not in ("isnan", "isfinite")], ids=str)
def test_every_primitive_has_a_sympy_form_of_the_same_value(primitive):
    rng = np.random.default_rng(7)
    symbols = [
        sd.array(
            f"a{k}", (), "bool" if primitive.kinds == "logic" or (primitive.name == "where" and k == 0) else "float64"
        )
        for k in range(primitive.n_args)
    ]
    params = {"polygamma": {"n": 2}, "cast": {"dtype": "int64"}}.get(primitive.name, {})
    params |= {"v": Literal(1.5)} if primitive in OF_ORDER else {}
    f = primitive(*symbols, **params)
    for _ in range(3):
        values = [
            bool(rng.integers(2)) if s.dtype == "bool" else float(rng.uniform(*r))
            for s, r in zip(symbols, primitive.samples, strict=True)
        ]
        got = f.to_sympy().subs(
            {
                sp.Symbol(s.params["name"]): (sp.true if v is True else sp.false if v is False else sp.Float(v, 40))
                for s, v in zip(symbols, values, strict=True)
            }
        )
        exact = interpret([f], dict(zip(symbols, values, strict=True)), "mpmath")[0].item()
        if f.dtype == "bool":
            assert bool(got) == bool(exact)
        else:
            np.testing.assert_allclose(float(got.evalf(30)), float(exact), rtol=4 * np.finfo(float).eps)


@pytest.mark.parametrize("name", ["isnan", "isfinite"])
def test_what_sympy_has_not_is_named(name):
    with pytest.raises(sd.DTypeError, match=name):
        getattr(sd, name)(sd.symbols("x")).to_sympy()


def test_sympy_expressions_are_accepted_everywhere():
    x, w = sd.symbols("x"), sd.vector("w", 3)
    assert X * x is x * x
    assert x * X is x * x
    assert X + x is x + x
    assert X**x is x**x
    assert sp.Integer(2) * x is 2 * x
    assert sd.sin(X) is sd.sin(x)
    assert (x > X) is (x > x)
    assert (X * w).shape == (3,)
    assert sd.where(X > 0, X, 0) is sd.where(x > 0, x, 0)
    assert (x * w[0]).subs({X: Y**2}) is sd.symbols("y") ** 2 * w[0]
    assert sp.sin(x) == sp.sin(X)
    assert sp.sympify(x + 1) == X + 1
    assert sd.diff(sp.sin(X), X) is sd.cos(x)


def test_matrices():
    matrix = sp.Matrix([[X, 1, Y], [Y, X * Y, 2]])
    f = sd.from_sympy(matrix)
    assert f.shape == (2, 3)
    assert f.to_sympy() == matrix
    np.testing.assert_array_equal(value_of(f, 2.0, 3.0), [[2, 1, 3], [3, 6, 2]])
    assert sd.from_sympy(sp.Array([[[X], [Y]]])).shape == (1, 2, 1)
    a = sp.MatrixSymbol("A", 2, 3)
    node = sd.matrix("A", 2, 3)
    assert sd.from_sympy(a) is node
    assert sd.from_sympy(a[1, 2]) is node[1, 2]
    assert sd.from_sympy(2 * a.T * a).shape == (3, 3)


def test_arrays_of_known_shape_go_out_entry_by_entry():
    a, w = sd.matrix("A", 2, 3), sd.vector("w", 3)
    out = (a @ w).to_sympy()
    assert out.shape == (2, 1)
    assert out[1, 0] == sum(sp.MatrixSymbol("A", 2, 3)[1, k] * sp.MatrixSymbol("w", 3, 1)[k, 0] for k in range(3))
    assert sd.max(w).to_sympy().func is sp.Max
    assert sd.array("t", (2, 1, 2)).to_sympy().shape == (2, 1, 2)
    with pytest.raises(sd.DTypeError, match="run-time size"):
        sd.sum(sd.vector("v", "n")).to_sympy()
    with pytest.raises(sd.DTypeError, match="solve"):
        sd.solve(sd.matrix("B", 2, 2), sd.vector("b", 2)).to_sympy()


@pytest.mark.parametrize(
    ("expr", "name"),
    [(sp.zoo, "ComplexInfinity"), (sp.I * X, "ImaginaryUnit"), (sp.Integral(sp.sin(sp.sin(X)), X), "Integral"),
    (sp.Function("f")(X), "f"), (sp.Function("Max")(X), "Max"), (sp.hankel1(0, X), "hankel1"),
    (sp.Derivative(sp.Function("g")(X), X), "Derivative")],
    ids=str,
)  # fmt: skip
def test_unsupported_classes_are_named(expr, name):
    with pytest.raises(sd.ParseError, match=name):
        sd.from_sympy(1 + expr if name != "ComplexInfinity" else expr)


def test_dummies_of_one_name_stay_different():
    a, b = sp.Dummy("u"), sp.Dummy("u")
    assert len(sd.from_sympy(a - 2 * b).free_symbols) == 2


def shared(turns):
    """A graph of three operations a turn, whose tree form has 2**turns nodes."""
    x, y = sd.symbols("x y")
    f = x
    for _ in range(turns):
        f = sd.sin(f * y + f)
    return f


def test_large_shared_graphs_go_both_ways():
    f = shared(10_000)
    assert sd.from_sympy(f.to_sympy()) is f


def test_shared_graphs_are_linear_both_ways():
    short, long = shared(500), shared(2000)
    # SymPy's own work on a node grows a little with the ages of its caches: 4.6 times in all.
    assert lines_run(long.to_sympy) < 6 * lines_run(short.to_sympy)
    short, long = short.to_sympy(), long.to_sympy()
    assert lines_run(lambda: sd.from_sympy(long)) < 4.1 * lines_run(lambda: sd.from_sympy(short))


def test_wide_sums_are_linear():
    def wide(n):
        return sp.Add(*(k * X**k for k in range(n)))

    f = sd.from_sympy(wide(3000))
    assert f.count_ops() < 9001
    np.testing.assert_allclose(interpret([f], {sd.symbols("x"): 0.5}), 2.0, rtol=1e-14)  # x/(1 - x)^2
    short, long = wide(500), wide(2000)
    assert lines_run(lambda: sd.from_sympy(long)) < 5 * lines_run(lambda: sd.from_sympy(short))
    short, long = sd.from_sympy(short), sd.from_sympy(long)
    assert lines_run(long.to_sympy) < 5 * lines_run(short.to_sympy)
