"""sd.parse: both spellings, hostile text, and parse(str(f)) is f."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symdiff as sd
from symdiff.front.vocabulary import FUNCTIONS
from symdiff.ir.interpret import interpret
from symdiff.ops.elementwise import ELEMENTWISE
from symdiff.ops.elementwise.bessel import OF_ORDER
from tests.counting import lines_run

X, Y = sd.symbols("x y")
# What stands in text under an operator or has a parameter of its own is built by hand below.
CALLABLE = [p for p in ELEMENTWISE if p.name not in ("cast", "polygamma") and p not in OF_ORDER]


def value_of(node, **values):
    return float(interpret([node], {s: values[s.params["name"]] for s in node.free_symbols})[0])


NUMBERS = st.one_of(
    st.integers(-20, 20),
    st.floats(-1e6, 1e6, allow_nan=False),
    st.sampled_from([0.1, 1e-300, 1e300, math.pi, math.e, -math.pi, 1 / 3, 2.0**53, 1e16, 123456789012345678.0]),
)


def grow(children):
    """Combine expressions by any primitive; literals alone fold to what the primitive gives."""

    def combine(pair):
        primitive, args = pair
        return primitive(*args[: primitive.n_args])

    return st.one_of(
        st.tuples(st.sampled_from(CALLABLE), st.tuples(children, children, children)).map(combine),
        children.map(lambda f: sd.polygamma(2, f)),
        st.tuples(st.sampled_from([sd.jv, sd.kve]), NUMBERS, children).map(lambda t: t[0](t[1], t[2])),
        children.map(lambda f: f.astype("int64")),
        children.map(lambda f: -f),
    )


LEAVES = st.tuples(st.sampled_from([X, Y]), NUMBERS)
EXPRESSIONS = st.recursive(
    st.one_of(st.sampled_from([X, Y]), LEAVES.map(lambda p: p[0] + p[1]), LEAVES.map(lambda p: p[1] * p[0])),
    grow,
    max_leaves=25,
)


@settings(max_examples=400, deadline=None)
@given(EXPRESSIONS)
def test_str_parses_back_to_the_identical_object(f):
    assert sd.parse(str(f)) is f, str(f)


@settings(max_examples=100, deadline=None)
@given(NUMBERS, NUMBERS)
def test_literals_keep_every_bit(a, b):
    f = sd.where(a < X, X**b, X % a)
    assert sd.parse(str(f)) is f


def test_derivatives_parse_back():
    f = sd.exp(-(X**2)) * sd.sin(Y) / (1 + X**2 * Y) - sd.log1p(sd.exp(-X * Y)) ** 3
    for g in [f, sd.diff(f, X), sd.diff(f, X, 2), *sd.gradient(f, [X, Y])]:
        assert sd.parse(str(g)) is g


def test_large_graphs_parse_back_by_their_named_lines():
    f = X
    for _ in range(150):
        f = sd.sin(f * f) + 0.5 * Y
    text = str(f)
    assert text.startswith("t0 = ")
    assert len(text.splitlines()) <= 201
    assert sd.parse(text) is f
    total = X
    for k in range(1500):
        total = total + k * Y**k
    assert sd.parse(str(total)) is total


def test_symbols_named_like_subexpressions_do_not_collide():
    f = sd.symbols("t0") + X
    for _ in range(120):
        f = sd.sin(f * f) + f
    assert sd.parse(str(f)) is f


def chain(n):
    f = X
    for _ in range(n):
        f = sd.sin(f) * f
    return f


def test_huge_graphs_print_short():
    f = chain(30_000)
    text = str(f)
    assert len(text) < 20_000
    assert "more lines; 60000 operations" in text
    assert len(f.latex()) < 20_000
    with pytest.raises(sd.ParseError):
        sd.parse(text)


@pytest.mark.parametrize("way", [str, sd.Expr.latex])
def test_printing_is_linear(way):
    short, long = chain(500), chain(2000)
    assert lines_run(lambda: way(long)) <= 4.1 * lines_run(lambda: way(short))


SPELLINGS = [
    ("sin(x)*y**2 + Piecewise((x, x > 0), (0, True))", lambda x, y: math.sin(x) * y**2 + max(x, 0)),
    ("Piecewise((1, x < 0), (2, (x >= 0) & (y < 1)), (3, True))", lambda x, y: 1 if x < 0 else 2 if y < 1 else 3),
    (
        "asin(x/9) + arcsin(x/9) + acos(x/9) - atan(x) + atan2(x, y)",
        lambda x, y: 2 * math.asin(x / 9) + math.acos(x / 9) - math.atan(x) + math.atan2(x, y),
    ),
    ("ln(x) + log(x, 10) + log10(x) + log1p(x)", lambda x, y: math.log(x) + 2 * math.log10(x) + math.log1p(x)),
    (
        "Max(x, y, 1) - Min(x, y) + maximum(x, 1) + max(y, 2)",
        lambda x, y: max(x, y, 1) - min(x, y) + max(x, 1) + max(y, 2),
    ),
    ("Abs(-x) + abs(y) + sign(-x) + Heaviside(x) + Heaviside(0*x)", lambda x, y: x + abs(y) - 1 + 1 + 0.5),
    (
        "gamma(x) + loggamma(x) + gammaln(x) + factorial(y) + erf(y)",
        lambda x, y: math.gamma(x) + 2 * math.lgamma(x) + math.gamma(y + 1) + math.erf(y),
    ),
    ("pi*E - -x**2 + (-x)**2 + 2**-y**2", lambda x, y: math.pi * math.e + x**2 + x**2 + 2 ** (-(y**2))),
    (
        "sec(x) + csc(x) + cot(x) + sech(y) + coth(y)",
        lambda x, y: 1 / math.cos(x) + 1 / math.sin(x) + 1 / math.tan(x) + 1 / math.cosh(y) + 1 / math.tanh(y),
    ),
    (
        "ceiling(x) + floor(y) + Mod(-x, y) + -x % y + trunc(-x)",
        lambda x, y: math.ceil(x) + math.floor(y) + 2 * (-x % y) + math.trunc(-x),
    ),
    (
        "where(0 < x < 3, 1, 2) + where(~(x > 0) | (x == y), 4, 8)",
        lambda x, y: (1 if 0 < x < 3 else 2) + (4 if not x > 0 or x == y else 8),
    ),
    ("where(not x > 9 and y > 0 or x < 0, 1, 2)", lambda x, y: 1 if (not x > 9 and y > 0) or x < 0 else 2),
    ("1e-3*x + .5 + 2.e1 + Rational(1, 3)", lambda x, y: 1e-3 * x + 20.5 + 1 / 3),
    ("x/y/2 - (x - (y - 1)) + 7 % 4", lambda x, y: x / y / 2 - (x - (y - 1)) + 3),
]


@pytest.mark.parametrize(("text", "formula"), SPELLINGS, ids=lambda c: c if isinstance(c, str) else "")
@pytest.mark.parametrize(("x", "y"), [(2.3, 0.7), (3.9, 1.6)])
def test_both_spellings_mean_the_formula(text, formula, x, y):
    f = sd.parse(text, {"x": X, "y": Y})
    # 64 eps: a dozen library functions, each good to an ulp or two, of results up to about 10.
    np.testing.assert_allclose(value_of(f, x=x, y=y), formula(x, y), rtol=64 * np.finfo(float).eps)


def test_integer_symbols_keep_their_type():
    n = sd.array("n", (), "int64")
    f = 2 * n + 3
    assert f.dtype == "int64"
    assert sd.parse(str(f), [n]) is f


def test_named_symbols_are_the_only_ones():
    assert sd.parse("x*k", [X, sd.symbols("k")]) is X * sd.symbols("k")
    with pytest.raises(sd.ParseError, match=r"alhpa.*did you mean 'alpha'"):
        sd.parse("alhpa*x", {"alpha": X, "x": X})


HOSTILE = [
    "", "   ", "\n", "x.y", "x.__class__", "().__class__", "f(x)", "__import__('os')", "__import__(x)",
    "lambda x: x", "lambda: 0",
    "[x for x in y]", "{x}", "(x for x in y)", "x[0]", "'a'", '"a"', 'f"{x}"', "b'a'", "x if y else z", "x := 3",
    "x = 3", "x;y",
    "import os", "exec(x)", "eval(x)", "open(x)", "print(x)", "9" * 500, "9" * 10**6, "9**9**9**9", "2**10**10",
    "1e400", "1e99999999",
    "(" * 10**5 + ")" * 10**5, "(" * 10**5, ")" * 10**5, "(" * 30000 + "x" + ")" * 30000,
    "sin(" * 20000 + "x" + ")" * 20000, "[" * 10**5,
    "-" * 99_999 + "x", "~" * 50_000 + "(x > 0)", "not " * 20_000 + "(x > 0)", "x**" * 30_000 + "x", "x" * 10**6,
    "x+" * 10**6, "\0", "x\0", "x + \0y",
    "2x", "x y", "x(2)", "pi(2)", "(x", "x)", "(x]", "x,y", "x,", "(x,)", "(x, y)", "()", "sin()", "sin(,)",
    "sin(x,,y)", "sin(x, y)", "sin(axis=1)",
    "*x", "x*", "x//y", "x<<2", "x>>2", "x@", "x^2", "x & y", "~x", "x and y", "1/0", "0**-1", "log(0)", "sqrt(-1)",
    "gamma(0)", "exp(1000)", "1j", "2j*x", "0x10",
    "1_000", "1__0", "1..2", "1.2.3", "x!", "x?", "$x", "x\\", "`x`", "#x", "x # y", "ﬁ", "x\u202e", "é\u0301",
    "Piecewise()", "Piecewise(x)", "Piecewise((x, y))",
    "Piecewise((x, x > 0, 1))", "sin((x, y))", "x + (x, y)", "polygamma(x, y)", "polygamma(-1, x)", "None",
    "yield x", "await x", "*x, y", "**x", "x: int",
    "t0 = x", "t0 = sin(\nx)", "sin = 3\nx = \n", "__x = 3\n__x", "x <> y", "x === y", "1 = 2",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=lambda t: ascii(t[:25]))
def test_hostile_text_is_refused_with_little_work(text):
    def refused():
        with pytest.raises(sd.ParseError):
            sd.parse(text)

    refused()  # imports what it needs
    assert lines_run(refused) < 15_000 + len(text)


@pytest.mark.parametrize("value", [None, 3, b"x", ["x"], X])
def test_only_strings_are_parsed(value):
    with pytest.raises(sd.ParseError, match="string"):
        sd.parse(value)


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet="xy019.e+-*/%()<>=!&|^~, \n'\"[]{}:;_@#\\\0sincoPw", max_size=60))
def test_random_text_gives_an_expression_or_a_parse_error(text):
    try:
        f = sd.parse(text)
    except sd.ParseError:
        return
    assert isinstance(f, sd.Expr)


def test_errors_point_to_the_place_and_help():
    with pytest.raises(sd.ParseError, match=r"arcsinn.*did you mean 'arcsin'.*position 4"):
        sd.parse("x + arcsinn(x)")
    with pytest.raises(sd.ParseError, match=r"\*\* for powers"):
        sd.parse("x^2")
    with pytest.raises(sd.ParseError, match=r"2\*x"):
        sd.parse("2x + 1")


def test_every_word_of_the_vocabulary_is_a_function():
    assert all(callable(f) for f in FUNCTIONS.values())
    assert {p.name for p in ELEMENTWISE if p.native and p.kinds == "float"} - set(FUNCTIONS) == {"div", "pow"} - set(
        FUNCTIONS
    )
