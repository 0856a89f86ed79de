"""Special functions against SciPy and mpmath, and where their derivatives meet."""

import mpmath
import numpy as np
import pytest
import scipy.special
import sympy as sp

import symdiff as sd

EPS = np.finfo(float).eps
POINTS = np.array([0.0, -0.0, 1e-300, 1e-8, 0.5, 1.0, 2.4048255576957724, 7.3, 40.0, 700.0, -0.5, -7.3, np.inf, np.nan])
ORDERS = (0, 1, 2, -1, 0.5, -0.5, 2.5, 13.7)


def run(f, x, values, target):
    return sd.compile(f, [x], target=target)(values)


@pytest.mark.parametrize("target", ["cpu", "reference"])
@pytest.mark.parametrize("name", ["jv", "yv", "iv", "kv", "ive", "kve"])
def test_functions_of_an_order_are_scipys(name, target):
    x = sd.symbols("x")
    fs = [getattr(sd, name)(v, x) for v in ORDERS]
    got = sd.compile(fs, [x], target=target)(POINTS)
    for v, values in zip(ORDERS, got, strict=True):
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(values, getattr(scipy.special, name)(float(v), POINTS))


@pytest.mark.parametrize("name", ["jn", "yn", "kn"])
def test_integer_orders(name):
    x = sd.symbols("x")
    positive = POINTS[4:9]
    got = sd.compile(getattr(sd, name)(3, x), [x])(positive)
    # Amos's routines lose a digit and a half, more where Y and J are small between their zeros.
    np.testing.assert_allclose(got, getattr(scipy.special, name)(3, positive), rtol=64 * EPS, atol=4 * EPS)
    with pytest.raises(sd.DTypeError, match="integer order"):
        getattr(sd, name)(0.5, x)


def test_derivatives_at_the_origin():
    x = sd.symbols("x")
    exact = {
        sd.j0: 0.0, sd.j1: 0.5, sd.i0: 0.0, sd.i1: 0.5, sd.i1e: 0.5,
        (lambda t: sd.jv(2, t)): 0.0, (lambda t: sd.iv(3, t)): 0.0,
    }  # fmt: skip
    for f, slope in exact.items():
        assert sd.compile(sd.diff(f(x), x), [x])(0.0) == slope


@pytest.mark.parametrize("order", [0, 0.5, 3])
def test_higher_derivatives_against_mpmath(order):
    x, at = sd.symbols("x"), 3.25
    for ours, exact in ((sd.jv, mpmath.besselj), (sd.kv, mpmath.besselk)):
        with mpmath.workdps(40):
            want = float(mpmath.diff(lambda t, f=exact: f(order, t), at, 3))
        got = sd.compile(sd.diff(ours(order, x), x, 3), [x])(at)
        # Amos's routines lose a digit and a half; each derivative takes a difference.
        assert abs(got - want) < 512 * EPS


def test_bessels_equation_holds():
    x = sd.symbols("x")
    at = np.linspace(0.5, 9.0, 18)
    for v in (0.0, 1.0, 2.5):
        for f, sign in ((sd.jv, 1), (sd.yv, 1), (sd.iv, -1), (sd.kv, -1)):
            y = f(v, x)
            rest = x**2 * sd.diff(y, x, 2) + x * sd.diff(y, x) + (sign * x**2 - v**2) * y
            got, size = sd.compile([rest, x**2 * y], [x])(at)
            # DLMF 10.2.1 and 10.25.1, to the roundings of their terms.
            np.testing.assert_allclose(got / (1 + np.abs(size)), 0, atol=512 * EPS)


@pytest.mark.parametrize("bad", ["0.5", None, True, np.nan, np.inf, [1.0, 2.0]])
def test_the_order_is_a_literal_number(bad):
    x = sd.symbols("x")
    with pytest.raises(sd.DTypeError):
        sd.jv(bad, x)
    with pytest.raises(sd.DTypeError, match="derivative by the order has no closed form"):
        sd.jv(x, x)


def test_text_latex_and_sympy():
    x, y = sd.symbols("x"), sp.Symbol("x")
    for f, text, latex, known in (
        (sd.jv(0.5, x), "jv(0.5, x)", r"J_{0.5}\left(x\right)", sp.besselj(sp.Rational(1, 2), y)),
        (sd.kv(2, x), "kv(2, x)", r"K_{2}\left(x\right)", sp.besselk(2, y)),
        (sd.j1(x), "j1(x)", r"J_{1}\left(x\right)", sp.besselj(1, y)),
    ):
        assert str(f) == text
        assert sd.parse(text) is f
        assert f.latex() == latex
        assert f.to_sympy() == known
    assert sd.from_sympy(sp.bessely(3, y)) is sd.yv(3, x)
    assert sd.parse("besseli(1.5, x)") is sd.iv(1.5, x)


def test_inverses_undo_their_functions():
    x = sd.symbols("x")
    inside = np.linspace(-2.5, 2.5, 11)
    for f in (sd.erfinv(sd.erf(x)), sd.erfcinv(sd.erfc(x)), sd.ndtri(sd.ndtr(x)), sd.logit(sd.expit(x))):
        value, slope = sd.compile([f, sd.diff(f, x)], [x])(inside)
        # The values near the ends of the interval have lost up to 1/f'(2.5) of their digits.
        np.testing.assert_allclose(value, inside, rtol=4000 * EPS, atol=64 * EPS)
        np.testing.assert_allclose(slope, 1, rtol=20_000 * EPS)


def test_tails_keep_their_digits():
    x = sd.symbols("x")
    f = sd.log_ndtr(x)
    value, slope = sd.compile([f, sd.diff(f, x)], [x])(-40.0)
    with mpmath.workdps(40):
        tail = mpmath.erfc(40 / mpmath.sqrt(2)) / 2
        np.testing.assert_allclose(value, float(mpmath.log(tail)), rtol=8 * EPS)
        np.testing.assert_allclose(slope, float(mpmath.npdf(-40) / tail), rtol=8 * EPS)
    np.testing.assert_array_equal(
        sd.compile(sd.erfcx(x), [x])(np.array([30.0, 1e10])), scipy.special.erfcx([30.0, 1e10])
    )
