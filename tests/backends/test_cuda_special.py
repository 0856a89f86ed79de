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
ORDERS = (0.0, 0.3, 1.0, 2.5, 7.0)
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


def test_every_function_of_scipy_has_a_kernel_or_is_in_libdevice() -> None:
    from symdiff.ops.elementwise import ELEMENTWISE

    needed = {op.native for op in ELEMENTWISE if op.native is not None and op.native.startswith("scipy.")}
    assert needed == set(special.SPECIAL) | set(special.LIBDEVICE)
