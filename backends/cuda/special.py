"""Special functions that libdevice lacks: Python functions of float64 numbers, which numba-cuda compiles into kernels.

Bessel functions of orders below 2 are integrals whose integrands vanish doubly exponentially, so the trapezoidal rule
gives all digits (Trefethen & Weideman 2014, section 4); higher ones follow by recurrence, and the solutions that would
lose digits by ratios and the Wronskian. Time grows with the order: beyond a million the result is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_NAN, _INF = float("nan"), float("inf")
# Powers of e below which a term does not count.
_NEGLIGIBLE = -39.0
# Keeps a sum from vanishing.
_TINY = 1e-200
_MOST_ORDER = 1e6
# Arguments from which on the expansions for large ones have all digits, for orders below their roots.
_FAR = 1e6
# Arguments below which all digits are in the first term of the power series.
_FIRST_TERM = 1e-8
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def digamma(x: float) -> float:
    """psi(x), by recurrence to x >= 10 and Stirling's series (DLMF 5.5.2, 5.5.4 and 5.11.2)."""
    out = 0.0
    if x <= 0.0:
        fraction = x - math.floor(x)
        if fraction == 0.0:
            return -_INF if x == 0.0 else _NAN
        # Half a period off, the tangent is an exact zero and not a large number.
        out = 0.0 if fraction == 0.5 else -math.pi / math.tan(math.pi * fraction)
        x = 1.0 - x
    while x < 10.0:
        out -= 1.0 / x
        x += 1.0
    y = 1.0 / (x * x)
    series = 1 / 12 - y * (1 / 120 - y * (1 / 252 - y * (1 / 240 - y * (1 / 132 - y * (691 / 32760 - y / 12)))))
    return out + math.log(x) - 0.5 / x - y * series


# --- modified Bessel functions ------------------------------------------------------


def kve(v: float, x: float) -> float:
    """e^x K_v(x), from two orders below 2 upwards, in which direction K grows (DLMF 10.29.1 and 3.6(i))."""
    v = abs(v)
    if not x > 0.0 or not v <= _MOST_ORDER:
        return _INF if x == 0.0 and v == v else _NAN
    if x == _INF:
        return 0.0
    order = v - math.floor(v)
    here, above = _kve_low(order, x), _kve_low(order + 1.0, x)
    while order < v - 0.5 and here < _INF:
        here, above = above, here + 2.0 * (order + 1.0) / x * above
        order += 1.0
    return here


def _kve_low(v: float, x: float) -> float:
    """The same for 0 <= v < 2: the integral of e^(-x (cosh t - 1)) cosh(v t) over t > 0 (DLMF 10.32.9)."""
    if x > _FAR:
        return math.pi * _far(v, x, 1.0)
    h = min(0.2, 0.6 / math.sqrt(x + v + _TINY))
    top = min(math.asinh(v / x), 700.0)
    # At the largest term, which may be far from 0 and beyond the range of numbers.
    half = math.sinh(0.5 * top)
    shift = v * top - 2.0 * x * half * half
    total, t, k = 0.5 * (2.0 * math.exp(-shift)), h, 1.0
    while True:
        half = math.sinh(0.5 * t)
        fall = 2.0 * x * half * half
        rise = v * t - fall - shift
        total += math.exp(rise) + math.exp(-v * t - fall - shift)
        if t > top and rise < _NEGLIGIBLE:
            break
        k += 1.0
        t = k * h
    return 0.5 * h * total * math.exp(shift)


def _far(v: float, x: float, sign: float) -> float:
    """Hankel's expansions: e^-x I_v(x) with sign -1, and with 1 e^x K_v(x) / pi (DLMF 10.40.1, 10.40.2)."""
    term, total, k = 1.0, 1.0, 1.0
    while abs(term) > 1e-17 and k < 40.0:
        odd = 2.0 * k - 1.0
        term *= sign * (2.0 * v - odd) * (2.0 * v + odd) / (8.0 * k) / x
        total += term
        k += 1.0
    return total / math.sqrt(2.0 * math.pi) / math.sqrt(x)


def _ive(v: float, x: float) -> float:
    """e^-x I_v(x) for v, x > 0, from I_v K_(v+1) + I_(v+1) K_v = 1/x and the ratio of neighbours (DLMF 10.28.2).

    Far out, where the ratio needs many steps, by Hankel's expansion (DLMF 10.40.1); near 0 by one term of the series.
    """
    if x > _FAR and v * v < x:
        return _far(v, x, -1.0)
    if x < _FIRST_TERM:
        return (0.5 * x) ** v / math.gamma(v + 1.0) * (1.0 - x)
    ratio, k = 0.0, int(7.0 * math.sqrt(x)) + 30
    while k > 0:
        ratio = 1.0 / (2.0 * (v + k) / x + ratio)
        k -= 1
    return 1.0 / (x * (kve(v + 1.0, x) + ratio * kve(v, x)))


def ive(v: float, x: float) -> float:
    """e^-|x| I_v(x); for a negative order I_-v = I_v + 2/pi sin(v pi) K_v (DLMF 10.27.2)."""
    whole = v == math.floor(v)
    if x != x or v != v or (x < 0.0 and not whole):
        return _NAN
    if x == 0.0:
        return 1.0 if v == 0.0 else 0.0 if v > 0.0 or whole else _INF
    size, order = abs(x), abs(v)
    if order > _MOST_ORDER:
        return 0.0 if order == _INF else _NAN
    out = _ive(order, size)
    if v < 0.0 and not whole:
        out += 2.0 / math.pi * _sin_pi(order) * kve(order, size) * math.exp(-2.0 * size)
    return -out if x < 0.0 and order % 2.0 == 1.0 else out


def _sin_pi(v: float) -> float:
    r = v % 2.0
    return math.sin(math.pi * r) if r < 1.0 else -math.sin(math.pi * (r - 1.0))


def _cos_pi(v: float) -> float:
    r = v % 2.0
    return math.sin(math.pi * (0.5 - r)) if r < 1.0 else math.sin(math.pi * (r - 1.5))


def iv(v: float, x: float) -> float:
    """I_v(x)."""
    return ive(v, x) * math.exp(abs(x))


def kv(v: float, x: float) -> float:
    """K_v(x)."""
    return kve(v, x) * math.exp(-x)


# --- Bessel functions ------------------------------------------------------------------


def _hankel(v: float, x: float) -> tuple[float, float]:
    """(J_v, Y_v)(x) for v, x > 0: H1_v = 2/(pi i) e^(-i v pi/2) K_v(-ix), K's integral along steepest descent.

    On t = u + i gd(u), cosh t = 1 + i sinh u tanh u: e^(ix cosh t) = e^(ix) e^(-x sinh u tanh u) does not oscillate.
    """
    h = min(0.15, 0.4 / math.sqrt(x + v + _TINY))
    top = min(math.asinh(v / x), 700.0)
    real, imaginary = 1.0, 1.0  # u = 0, by half
    u, k = h, 1.0
    while True:
        # x sinh u tanh u, whose middle part may be beyond the range of numbers.
        fall = x * math.sinh(0.5 * u) * math.cosh(0.5 * u) * 2.0 * math.tanh(u)
        angle, slope = math.atan(math.sinh(u)), 1.0 / math.cosh(u)
        rise, sink = math.exp(v * u - fall), math.exp(-v * u - fall)
        a, b = (rise + sink) * math.cos(v * angle), (rise - sink) * math.sin(v * angle)
        real += a - b * slope
        imaginary += b + a * slope
        if u > top and v * u - fall < _NEGLIGIBLE:
            break
        k += 1.0
        u = k * h
    # e^(i(x - v pi/2)) / i = sin(…) - i cos(…), each factor of its own so that no digit of x is lost.
    c, s = _cos_pi(0.5 * v), _sin_pi(0.5 * v)
    sine, cosine = math.sin(x) * c - math.cos(x) * s, math.cos(x) * c + math.sin(x) * s
    scale = h / math.pi
    return scale * (real * sine + imaginary * cosine), scale * (imaginary * sine - real * cosine)


def _both(v: float, x: float) -> tuple[float, float]:
    """(J_v, Y_v)(x) for v >= 0, x > 0: from two orders below 2 upwards (DLMF 10.6.1).

    Y grows beyond x, and up to there neither loses digits (DLMF 3.6(i)); below the turning point J follows from Y by
    the Wronskian (DLMF 10.5.2).
    """
    order = v - math.floor(v)
    j, y = _hankel(order, x)
    j_above, y_above = _hankel(order + 1.0, x)
    while order < v - 0.5 and abs(y) < _INF:
        step = 2.0 * (order + 1.0) / x
        j, j_above = j_above, step * j_above - j
        y, y_above = y_above, step * y_above - y
        order += 1.0
    if not abs(y) < _INF:
        return 0.0, -_INF
    if x < _FIRST_TERM:
        j = (0.5 * x) ** v / math.gamma(v + 1.0)
    elif x < v:
        ratio, k = 0.0, int(x) + 40
        while k > 0:
            ratio = 1.0 / (2.0 * (v + k) / x - ratio)
            k -= 1
        j = 2.0 / (math.pi * x) / (ratio * y - y_above)
    return j, y


def jv(v: float, x: float) -> float:
    """J_v(x); for a negative order J_-v = cos(v pi) J_v - sin(v pi) Y_v (DLMF 10.4.7)."""
    whole = v == math.floor(v)
    if x != x or v != v or (x < 0.0 and not whole):
        return _NAN
    if x == 0.0:
        return 1.0 if v == 0.0 else 0.0 if v > 0.0 or whole else _INF
    size, order = abs(x), abs(v)
    if order > _MOST_ORDER or size == _INF:
        return 0.0 if order == _INF and size < _INF else _NAN
    j, y = _both(order, size)
    is_odd = order % 2.0 == 1.0
    if v < 0.0:
        j = (-j if is_odd else j) if whole else _cos_pi(order) * j - _sin_pi(order) * y
    return -j if x < 0.0 and is_odd else j


def yv(v: float, x: float) -> float:
    """Y_v(x); for a negative order Y_-v = sin(v pi) J_v + cos(v pi) Y_v (DLMF 10.4.7)."""
    order = abs(v)
    if not 0.0 < x < _INF or not order <= _MOST_ORDER:
        return -_INF if x == 0.0 and v == v else _NAN
    j, y = _both(order, x)
    if v < 0.0:
        # The sine of a whole multiple of pi is 0 here.
        y = (_sin_pi(order) * j if order != math.floor(order) else 0.0) + _cos_pi(order) * y
    return y


# --- probability --------------------------------------------------------------------------


def log_ndtr(x: float) -> float:
    """The logarithm of the normal distribution; far below 0 by its asymptotic series (DLMF 7.12.1)."""
    if x > -1.0:
        return math.log1p(-0.5 * math.erfc(x * math.sqrt(0.5)))
    if x > -14.0:
        return math.log(0.5 * math.erfc(-x * math.sqrt(0.5)))
    total, term, k = 1.0, 1.0, 1.0
    while k < 12.0:
        term *= -(2.0 * k - 1.0) / (x * x)
        total += term
        k += 1.0
    return -0.5 * x * x - math.log(-x) - _HALF_LOG_2PI + math.log(total)


def _remainder(x: float) -> float:
    """What log Gamma(x) exceeds (x - 1/2) log x - x + log(2 pi)/2 by, for x >= 10 (DLMF 5.11.1)."""
    y = 1.0 / (x * x)
    return (1 / 12 - y * (1 / 360 - y * (1 / 1260 - y * (1 / 1680 - y * (1 / 1188 - y * 691 / 360360))))) / x


def betaln(a: float, b: float) -> float:
    """log|B(a, b)|, without the cancellation of large logarithms (Didonato & Morris 1992)."""
    a, b = min(a, b), max(a, b)
    if a <= 0.0 or b < 10.0:
        return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    rest = _remainder(b) - _remainder(a + b)
    if a < 10.0:
        return math.lgamma(a) + rest + a - a * math.log(b) - (a + b - 0.5) * math.log1p(a / b)
    left = (a - 0.5) * math.log(a / (a + b)) - b * math.log1p(a / b)
    return left - 0.5 * math.log(b) + _HALF_LOG_2PI + rest + _remainder(a)


def beta(a: float, b: float) -> float:
    """B(a, b)."""
    if abs(a) < 20.0 and abs(b) < 20.0:
        return math.gamma(a) * (math.gamma(b) / math.gamma(a + b))
    return math.exp(betaln(a, b))


def logit(p: float) -> float:
    """log(p / (1 - p)), near 1/2 by what p differs from it."""
    if 0.3 <= p <= 0.65:
        s = 2.0 * (p - 0.5)
        return math.log1p(s) - math.log1p(-s)
    return math.log(p / (1.0 - p))


SPECIAL: Mapping[str, Any] = {
    "scipy.psi": digamma,
    "scipy.i0e": lambda x: ive(0.0, x),
    "scipy.i1e": lambda x: ive(1.0, x),
    "scipy.k0": lambda x: kv(0.0, x),
    "scipy.k0e": lambda x: kve(0.0, x),
    "scipy.k1": lambda x: kv(1.0, x),
    "scipy.k1e": lambda x: kve(1.0, x),
    "scipy.iv": iv,
    "scipy.ive": ive,
    "scipy.kv": kv,
    "scipy.kve": kve,
    "scipy.jv": jv,
    "scipy.yv": yv,
    "scipy.log_ndtr": log_ndtr,
    "scipy.beta": beta,
    "scipy.betaln": betaln,
    "scipy.logit": logit,
}
"""By the names that programs have for them."""

LIBDEVICE: Mapping[str, str] = {
    "scipy.j0": "j0",
    "scipy.j1": "j1",
    "scipy.y0": "y0",
    "scipy.y1": "y1",
    "scipy.i0": "cyl_bessel_i0",
    "scipy.i1": "cyl_bessel_i1",
    "scipy.erfinv": "erfinv",
    "scipy.erfcinv": "erfcinv",
    "scipy.erfcx": "erfcx",
    "scipy.ndtri": "normcdfinv",
}
"""What libdevice calls functions that have another name in SciPy."""

C_FUNCTIONS = frozenset({
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil", "cos", "cosh", "erf", "erfc", "exp",
    "exp2", "expm1", "fabs", "floor", "fmod", "hypot", "lgamma", "log", "log10", "log1p", "log2", "pow", "rint", "sin",
    "sinh", "sqrt", "tan", "tanh", "tgamma", "trunc",
})  # fmt: skip
"""What libdevice calls by the name that C has for it, for float64 and with an f for float32."""
