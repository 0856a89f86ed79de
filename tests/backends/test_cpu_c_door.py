"""Functions called by C: through ctypes, from SciPy's integrators and zero finders, inside njit."""

import ctypes
import gc

import mpmath
import numpy as np
import pytest
import scipy.integrate
import scipy.ndimage

import symdiff as sd

X, Y, Z = sd.symbols("x y z")
EPS = np.finfo(float).eps


@pytest.mark.parametrize("n", [0, 1, 2, 5, 11])
def test_any_number_of_arguments(n):
    symbols = [sd.symbols(f"a{k}") for k in range(n)]
    f = sum((k + 1) * s for k, s in enumerate(symbols)) + sd.full((), 0.5)
    fn = sd.compile(f, symbols)
    values = [0.25 * k - 1 for k in range(n)]
    expected = sum((k + 1) * v for k, v in enumerate(values)) + 0.5
    assert fn.cfunc(*values) == expected
    table = (ctypes.c_double * max(n, 1))(*values)
    vector = fn._c_functions[1]
    assert vector(n, table) == expected


def test_the_address_is_called_by_c_when_everything_else_is_gone():
    fn = sd.compile(sd.exp(-X) * Y, [X, Y])
    c = fn.cfunc
    del fn
    gc.collect()
    raw = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double, ctypes.c_double)(ctypes.cast(c, ctypes.c_void_p).value)
    # one exp and one product
    np.testing.assert_allclose(raw(0.5, 3.0), 3 * np.exp(-0.5), rtol=2 * EPS)


def test_quad_without_python():
    fn = sd.compile(sd.exp(-(X**2)) * sd.cos(3 * X), [X])
    value, error = scipy.integrate.quad(fn.low_level_callable, -1, 2)
    exact = mpmath.quad(lambda x: mpmath.exp(-(x**2)) * mpmath.cos(3 * x), [-1, 0, 1, 2])
    assert abs(value - float(exact)) < max(error, 1e-13)


def test_quad_with_parameters():
    fn = sd.compile(sd.sin(X * Y) + Z, [X, Y, Z])
    value, _ = scipy.integrate.quad(fn.low_level_callable, 0, 1, args=(2.5, 0.75))
    # Gauss-Kronrod on an analytic function: rounding of 21 terms
    np.testing.assert_allclose(value, (1 - np.cos(2.5)) / 2.5 + 0.75, rtol=32 * EPS)


def test_nquad_calls_the_same():
    fn = sd.compile(X * Y**2, [X, Y])
    value, _ = scipy.integrate.nquad(fn.low_level_callable, [(0, 2), (0, 3)])
    np.testing.assert_allclose(value, 2 * 9, rtol=64 * EPS)


def test_arrays_that_come_with_the_function():
    weights = np.array([0.5, -1.25, 3.0])
    fn = sd.compile(sd.sum(weights * sd.stack([X, X * X, sd.sin(X)])), [X])
    np.testing.assert_allclose(fn.cfunc(0.75), fn(0.75), rtol=0)


def test_an_index_out_of_range_is_nan():
    table = sd.full((3,), 2.5)
    k = sd.astype(X, "int64")
    fn = sd.compile(sd.take(table * sd.arange(1, 4), k), [X])
    assert fn.cfunc(1.0) == 5.0
    assert np.isnan(fn.cfunc(7.0))


def test_numba_code_calls_it():
    import numba

    fn = sd.compile(X * Y + 1, [X, Y])
    c = fn.cfunc

    @numba.njit
    def total(n):
        s = 0.0
        for k in range(n):
            s += c(k * 0.5, 2.0) - fn(k * 0.5, 2.0)
        return s + fn(3.0, 0.5)

    assert total(7) == 2.5


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: sd.compile([X, Y], [X, Y]), "one number"),
        (lambda: sd.compile(sd.sum(sd.vector("v", "n")), [sd.vector("v", "n")]), "'v'"),
        (lambda: sd.compile(X < 0.5, [X]), "the result"),
        (lambda: sd.compile(X * 2, [X], dtype="float32"), "float32"),
        (lambda: sd.compile(X * 2, [X], target="reference"), "target='reference'"),
    ],
)
def test_refusals(make, match):
    with pytest.raises(sd.CompileError, match=match):
        _ = make().cfunc
