"""The special functions of kernels as Python, with NumPy's functions for C's, against SciPy and mpmath."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special as sc

from backends.cuda import special

EPS = float(np.finfo(float).eps)
X = np.geomspace(1e-6, 150.0, 14)
ORDERS = (0.0, 0.3, 1.0, 2.5, 7.0, 33.7)
# Exponents and phases up to a hundred or so are rounded before the exponential or sine of them is taken.
RTOL = 1000 * EPS


@pytest.fixture(autouse=True)
def mathematics_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Functions that overflow to infinity, as C's do, where Python's raise."""
    names = ("exp", "log", "log1p", "sinh", "cosh", "tanh", "sin", "cos", "tan", "sqrt", "floor")
    functions = {name: getattr(np, name) for name in names}
    own = {"asinh": np.arcsinh, "atan": np.arctan, "erfc": sc.erfc, "lgamma": sc.gammaln, "gamma": sc.gamma}
    monkeypatch.setattr(special, "math", SimpleNamespace(pi=np.pi, **functions, **own))
    with np.errstate(all="ignore"):
        yield


@pytest.mark.parametrize("name", ["kv", "kve", "iv", "ive"])
def test_modified_bessel_functions(name: str) -> None:
    function, reference = getattr(special, name), getattr(sc, name)
    for v in ORDERS:
        for x in X:
            assert function(v, x) == pytest.approx(reference(v, x), rel=RTOL), (v, x)
            assert function(-v, x) == pytest.approx(reference(-v, x), rel=RTOL), (-v, x)


@pytest.mark.parametrize("name", ["jv", "yv"])
def test_bessel_functions(name: str) -> None:
    function, reference = getattr(special, name), getattr(sc, name)
    for v in ORDERS:
        for x in X:
            # Near their zeros the functions are small against what they oscillate between.
            size = abs(sc.hankel1(v, x)) if x > v else 0.0
            assert function(v, x) == pytest.approx(reference(v, x), rel=RTOL, abs=RTOL * size), (v, x)
            size = abs(sc.hankel1(-v, x))
            assert function(-v, x) == pytest.approx(reference(-v, x), rel=RTOL, abs=RTOL * size), (-v, x)


@pytest.mark.parametrize("v", [2.5, 33.7, 60.1, 120.9, 300.3])
def test_high_orders_around_the_turning_point(v: float) -> None:
    """From where they are smallest to where they oscillate, against mpmath, which loses hundreds of digits itself."""
    with mpmath.workdps(40 if v < 300 else 250):
        for x in np.concatenate([np.linspace(0.3 * v, 1.3 * v, 11), [v, 10 * v]]):
            exact = [float(f(v, x)) for f in (mpmath.besselj, mpmath.bessely)]
            found = special.jv(v, x), special.yv(v, x)
            size = np.hypot(*exact) if x > v else 0.0
            np.testing.assert_allclose(found, exact, rtol=200 * EPS, atol=200 * EPS * size)
            exact = [float(f(v, x) * mpmath.exp(s * x)) for f, s in ((mpmath.besseli, -1), (mpmath.besselk, 1))]
            np.testing.assert_allclose((special.ive(v, x), special.kve(v, x)), exact, rtol=200 * EPS)


def test_near_zero() -> None:
    """Where SciPy gives up the largest ones; the sums have thousands of terms."""
    exact = {"jv": mpmath.besselj, "yv": mpmath.bessely, "iv": mpmath.besseli, "kv": mpmath.besselk}
    for v in (0.0, 0.3, 0.5, 0.9, 1.0, 2.0, 2.5):
        for x in (1e-7, 1e-9, 1e-100, 1e-170, 1e-206, 1e-307, 1e-310):
            for name, function in exact.items():
                found, expected = getattr(special, name)(v, x), float(function(v, x))
                assert found == pytest.approx(expected, rel=10 * RTOL, abs=1e-300), (name, v, x)


def test_far_out() -> None:
    for v in (0.0, 0.5, 4.3, 900.0):
        for x in (1e5, 3e6, 1e8):
            assert special.ive(v, x) == pytest.approx(sc.ive(v, x), rel=1e-13)
            assert special.kve(v, x) == pytest.approx(sc.kve(v, x), rel=1e-13)
        # SciPy gives up.
        for x in (1e20, 1e300):
            assert special.ive(v, x) == pytest.approx(1 / np.sqrt(2 * np.pi * x), rel=1e-13)
            assert special.kve(v, x) == pytest.approx(np.sqrt(np.pi / 2 / x), rel=1e-13)


@pytest.mark.parametrize("name", ["jv", "yv", "iv", "ive", "kv", "kve"])
def test_every_number_has_a_result(name: str) -> None:
    """No loop goes on for ever."""
    values = (0.0, -0.5, 2.0, 2e6, 1e300, 1e-300, 1e-310, 5e-324, np.inf, -np.inf, np.nan)
    for v in values:
        for x in values:
            found = getattr(special, name)(v, x)
            if np.isnan(v) or np.isnan(x):
                assert np.isnan(found)
            elif np.isinf(v) or np.isinf(x):
                assert np.isnan(found) or found in (0.0, np.inf, -np.inf)


def test_bessel_functions_at_the_ends_of_their_domains() -> None:
    for name in ("jv", "iv", "ive"):
        function, reference = getattr(special, name), getattr(sc, name)
        for v, x in ((0.0, 0.0), (2.0, 0.0), (0.5, 0.0), (3.0, -1.5), (2.0, -1.5), (-3.0, 1.5), (0.5, -1.0)):
            np.testing.assert_allclose(function(v, x), reference(v, x), rtol=RTOL)
    for name in ("yv", "kv", "kve"):
        function, reference = getattr(special, name), getattr(sc, name)
        for v, x in ((0.0, 0.0), (1.0, -0.5), (0.5, np.nan)):
            np.testing.assert_equal(function(v, x), reference(v, x))


def test_digamma() -> None:
    for x in (*X, -0.3, -2.5, -7.9, 1.4616321449683623):
        assert special.digamma(x) == pytest.approx(float(mpmath.digamma(x)), rel=8 * EPS, abs=8 * EPS)
    assert special.digamma(0.0) == -np.inf
    assert np.isnan(special.digamma(-3.0))


def test_log_ndtr() -> None:
    for x in (*-X, *X[X < 37]):
        # Its tail above is the small number 1 - ndtr, of erfc's digits.
        assert special.log_ndtr(x) == pytest.approx(sc.log_ndtr(x), rel=16 * EPS)


def test_beta_and_its_logarithm() -> None:
    sides = np.geomspace(1e-2, 1e4, 7)
    for a in sides:
        for b in sides:
            exact = float(mpmath.log(mpmath.beta(a, b)))
            # The logarithm near 1 and differences of terms up to it; then the exponential of the logarithm.
            assert special.betaln(a, b) == pytest.approx(exact, rel=16 * EPS, abs=16 * EPS)
            if exact > -600:
                assert special.beta(a, b) == pytest.approx(float(mpmath.beta(a, b)), rel=32 * EPS * (1 + abs(exact)))
    assert special.beta(-0.5, 1.7) == pytest.approx(sc.beta(-0.5, 1.7), rel=16 * EPS)


def test_logit() -> None:
    for p in np.linspace(0.001, 0.999, 29):
        exact = float(mpmath.log(mpmath.mpf(p) / (1 - mpmath.mpf(p))))
        assert special.logit(p) == pytest.approx(exact, rel=8 * EPS, abs=2 * EPS)


def test_libdevice_has_what_is_called_by_its_name_in_c() -> None:
    functions = pytest.importorskip("numba.cuda.libdevicefuncs", reason="pip install 'symdiff[cuda]'").functions
    assert {f"__nv_{name}{kind}" for name in special.C_FUNCTIONS for kind in ("", "f")} <= set(functions)


def test_every_function_of_scipy_has_a_kernel_or_is_in_libdevice() -> None:
    from symdiff.ops.elementwise import ELEMENTWISE

    needed = {op.native for op in ELEMENTWISE if op.native is not None and op.native.startswith("scipy.")}
    assert needed == set(special.SPECIAL) | set(special.LIBDEVICE)
