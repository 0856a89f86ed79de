"""The elementwise primitives: one block holds everything known about one function.

Derivatives at kinks are members of the subdifferential: |x|'(0) = 0, a tie of maximum and minimum is shared
equally, floor and sign have derivative 0. `partials(y, *x)` gets the result too: exp' is y itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.ir.node import Node, const
from symdiff.ir.primitive import Elementwise, cast


def _mp(name: str) -> Callable[..., Any]:
    """Return an mpmath function that is looked up when it is called: mpmath loads late."""

    def call(*args: Any) -> Any:
        import mpmath

        return getattr(mpmath, name)(*args)

    return call


def _sp(name: str) -> Callable[..., Any]:
    """Return a scipy.special function that is looked up when it is called: SciPy loads late."""

    def call(*args: Any) -> Any:
        from scipy import special

        return getattr(special, name)(*args)

    return call


def _mp_sign(x: Any) -> Any:
    return x if x != x else type(x)(int(x > 0) - int(x < 0))


def _mp_div(x: Any, y: Any) -> Any:
    if y == 0:
        return x * math.nan if x == 0 or x != x else math.copysign(math.inf, x)
    return x / y


def _mp_mod(x: Any, y: Any) -> Any:
    if x != x or y != y:
        return x + y
    if y == 0 or abs(x) == math.inf:
        return x * math.nan
    if abs(y) == math.inf:
        return x if x == 0 or (x > 0) == (y > 0) else y
    return x % y


def _mp_rem(x: Any, y: Any) -> Any:
    return _mp_mod(x, abs(y)) if x >= 0 else -_mp_mod(-x, abs(y))


def _mp_gamma_like(name: str, at_zero: float, at_pole: float) -> Callable[..., Any]:
    """Return an mpmath function of the gamma family with NumPy's values at the poles, where mpmath raises."""

    def call(x: Any) -> Any:
        if x <= 0 and x != -math.inf and x == int(x):
            return at_zero if x == 0 else at_pole
        return _mp("log")(abs(_mp("gamma")(x))) if name == "gammaln" else _mp(name)(x)

    return call


def _first_order(value: Callable[..., Any], slopes: Callable[..., tuple[Any, ...]]) -> Callable[..., Any]:
    """Extend a real function to x + ih by its first-order Taylor term, where no complex version exists."""

    def call(*z: Any) -> Any:
        real = [np.real(a) for a in z]
        return value(*real) + 1j * sum(d * np.imag(a) for d, a in zip(slopes(*real), z, strict=True))

    return call


def _by_real(choose: Callable[..., Any]) -> Callable[..., Any]:
    """Extend a comparison to x + ih by comparing the real parts."""
    return lambda *z: choose(*(np.real(a) for a in z))


def _is(node: Node, value: float) -> bool:
    """Whether a node is this literal."""
    return node.op.name == "const" and float(node.params["value"]) == value


HUGE = (-1e3, 1e3)
UNIT = (-0.95, 0.95)
POSITIVE = (1e-3, 1e3)
ANY = (-4.0, 4.0)

# --- arithmetic -------------------------------------------------------------

add = Elementwise(
    "add",
    doc="x + y.",
    evaluate_=np.add,
    reference=lambda x, y: x + y,
    samples=(HUGE, HUGE),
    partials=lambda r, x, y: (1, 1),
    native="add",
    kinds="promote",
    neutral=lambda x, y: y if _is(x, 0) else x if _is(y, 0) else None,
)
sub = Elementwise(
    "sub",
    doc="x - y.",
    evaluate_=np.subtract,
    reference=lambda x, y: x - y,
    samples=(HUGE, HUGE),
    partials=lambda r, x, y: (1, -1),
    native="sub",
    kinds="promote",
    neutral=lambda x, y: x if _is(y, 0) else -y if _is(x, 0) else None,
)
mul = Elementwise(
    "mul",
    doc="x * y.",
    evaluate_=np.multiply,
    reference=lambda x, y: x * y,
    samples=(HUGE, HUGE),
    partials=lambda r, x, y: (2 * x, None) if x is y else (y, x),
    native="mul",
    kinds="promote",
    neutral=lambda x, y: y if _is(x, 1) else x if _is(y, 1) else -y if _is(x, -1) else -x if _is(y, -1) else None,
)
div = Elementwise(
    "div",
    doc="x / y, true division.",
    evaluate_=np.divide,
    reference=_mp_div,
    samples=(HUGE, POSITIVE),
    partials=lambda r, x, y: (1 / y, -r / y),
    native="div",
    neutral=lambda x, y: x if _is(y, 1) else -x if _is(y, -1) else None,
)
neg = Elementwise(
    "neg",
    doc="-x.",
    evaluate_=np.negative,
    reference=lambda x: -x,
    samples=(HUGE,),
    partials=lambda r, x: (-1,),
    native="neg",
    kinds="promote",
    neutral=lambda x: x.args[0] if x.op is neg else None,
)
rem = Elementwise(
    "rem",
    doc="The remainder of the division rounded towards zero (C's fmod).",
    evaluate_=np.fmod,
    reference=_mp_rem,
    samples=((0.5, 9.0), (1.1, 3.0)),
    partials=lambda r, x, y: (1, (r - x) / y),
    native="rem",
    kinds="promote",
    complex_step=_first_order(np.fmod, lambda x, y: (1.0, -np.trunc(x / y))),
)
floor = Elementwise(
    "floor",
    doc="The largest integer below; derivative 0.",
    evaluate_=np.floor,
    reference=_mp("floor"),
    samples=(HUGE,),
    native="floor",
    complex_step=_by_real(np.floor),
    sympy="floor",
)
ceil = Elementwise(
    "ceil",
    doc="The smallest integer above; derivative 0.",
    evaluate_=np.ceil,
    reference=_mp("ceil"),
    samples=(HUGE,),
    native="ceil",
    complex_step=_by_real(np.ceil),
    sympy="ceiling",
)
trunc = Elementwise(
    "trunc",
    doc="x rounded towards zero; derivative 0.",
    evaluate_=np.trunc,
    reference=lambda x: _mp("floor")(x) if x > 0 else _mp("ceil")(x),
    samples=(HUGE,),
    native="trunc",
    complex_step=_by_real(np.trunc),
)
mod = Elementwise(
    "mod",
    doc="x - y*floor(x/y): the remainder with the sign of the divisor, as in Python.",
    evaluate_=np.mod,
    reference=_mp_mod,
    samples=((0.5, 9.0), (1.1, 3.0)),
    partials=lambda r, x, y: (1, (r - x) / y),
    expansion=lambda x, y: where(ne(rem(x, y), 0) & ((rem(x, y) < 0) ^ (y < 0)), rem(x, y) + y, rem(x, y)),
    kinds="promote",
    complex_step=_first_order(np.mod, lambda x, y: (1.0, -np.floor(x / y))),
    sympy="Mod",
)


def _abs_complex(z: Any) -> Any:
    return np.where(np.real(z) < 0, -z, z)


abs_ = Elementwise(
    "abs",
    doc="|x|; derivative sign(x), 0 at 0.",
    evaluate_=np.abs,
    reference=lambda x: abs(x),
    samples=(HUGE,),
    partials=lambda r, x: (sign(x),),
    native="abs",
    kinds="promote",
    complex_step=_abs_complex,
    sympy="Abs",
)
sign = Elementwise(
    "sign",
    doc="-1, 0 or 1; derivative 0.",
    evaluate_=np.sign,
    reference=_mp_sign,
    samples=(HUGE,),
    native="sign",
    kinds="promote",
    complex_step=_by_real(np.sign),
    sympy="sign",
)
maximum = Elementwise(
    "maximum",
    doc="The larger of two; NaN if one is NaN. The derivative at a tie is 1/2 for both.",
    evaluate_=np.maximum,
    reference=lambda x, y: x + y if x != x or y != y else max(x, y),
    samples=(HUGE, HUGE),
    partials=lambda r, x, y: (_share(x > y, x, y), _share(y > x, x, y)),
    native="max",
    kinds="promote",
    complex_step=lambda x, y: np.where(np.real(x) >= np.real(y), x, y),
    sympy="Max",
)
minimum = Elementwise(
    "minimum",
    doc="The smaller of two; NaN if one is NaN. The derivative at a tie is 1/2 for both.",
    evaluate_=np.minimum,
    reference=lambda x, y: x + y if x != x or y != y else min(x, y),
    samples=(HUGE, HUGE),
    partials=lambda r, x, y: (_share(x < y, x, y), _share(y < x, x, y)),
    native="min",
    kinds="promote",
    complex_step=lambda x, y: np.where(np.real(x) <= np.real(y), x, y),
    sympy="Min",
)


def _share(wins: Node, x: Node, y: Node) -> Node:
    return where(wins, 1.0, where(eq(x, y), 0.5, 0.0))


# --- powers, exponentials, logarithms ---------------------------------------


def _pow_partials(r: Node, x: Node, y: Node) -> tuple[Any, Any]:
    if y.op.name == "const":
        c = float(y.params["value"])
        return (c * x if c == 2 else c * x ** (c - 1), None)
    # y x^(y-1) is 0 * inf at x = 0, y = 0, and x^y log x is 0 * -inf at x = 0 < y; both derivatives are 0.
    return where(eq(y, 0), 0.0, y * x ** (y - 1)), where(eq(x, 0) & (y > 0), 0.0, r * log(x))


def _mp_pow(x: Any, y: Any) -> Any:
    if x == 1 or y == 0:
        return type(x)(1)
    if x != x or y != y:
        return x + y
    if abs(y) == math.inf:
        return type(x)(1) if x == -1 else math.inf if (abs(x) > 1) == (y > 0) else type(x)(0)
    if x == 0 and y < 0:
        return math.inf
    if x < 0 and y != int(y):
        return x * math.nan
    return x ** (int(y) if y == int(y) else y)


pow_ = Elementwise(
    "pow",
    doc="x ** y for real numbers; NaN for a negative base and a fractional exponent.",
    evaluate_=np.power,
    reference=_mp_pow,
    samples=((1e-2, 20.0), (-4.0, 4.0)),
    partials=_pow_partials,
    native="pow",
    complex_step=lambda x, y: np.power(x, y if np.any(np.imag(y)) else np.real(y)),
    neutral=lambda x, y: x if _is(y, 1) else const(1.0, x.dtype) if _is(y, 0) and not x.shape else None,
)
sqrt = Elementwise(
    "sqrt",
    doc="The square root.",
    evaluate_=np.sqrt,
    reference=_mp("sqrt"),
    samples=(POSITIVE,),
    partials=lambda r, x: (0.5 / r,),
    native="sqrt",
    sympy="sqrt",
)
cbrt = Elementwise(
    "cbrt",
    doc="The real cube root.",
    evaluate_=np.cbrt,
    reference=lambda x: _mp_sign(x) * _mp("cbrt")(abs(x)),
    samples=(POSITIVE,),
    partials=lambda r, x: (1 / (3 * r * r),),
    native="cbrt",
    complex_step=_first_order(np.cbrt, lambda x: (1 / (3 * np.cbrt(x) ** 2),)),
    sympy="cbrt",
)
hypot = Elementwise(
    "hypot",
    doc="sqrt(x**2 + y**2) without overflow; derivative 0 at the origin.",
    evaluate_=np.hypot,
    reference=_mp("hypot"),
    samples=(HUGE, HUGE),
    partials=lambda r, x, y: (where(eq(r, 0), 0.0, x / r), where(eq(r, 0), 0.0, y / r)),
    native="hypot",
    complex_step=lambda x, y: np.sqrt(x * x + y * y),
)
exp = Elementwise(
    "exp",
    doc="e ** x.",
    evaluate_=np.exp,
    reference=_mp("exp"),
    samples=((-20.0, 20.0),),
    partials=lambda r, x: (r,),
    native="exp",
    sympy="exp",
)
exp2 = Elementwise(
    "exp2",
    doc="2 ** x.",
    evaluate_=np.exp2,
    reference=lambda x: _mp("mpf")(2) ** x,
    samples=((-20.0, 20.0),),
    partials=lambda r, x: (r * math.log(2),),
    native="exp2",
)
expm1 = Elementwise(
    "expm1",
    doc="exp(x) - 1 without losing x when |x| << 1.",
    evaluate_=np.expm1,
    reference=_mp("expm1"),
    samples=(ANY,),
    partials=lambda r, x: (exp(x),),
    native="expm1",
)
log = Elementwise(
    "log",
    doc="The natural logarithm.",
    evaluate_=np.log,
    reference=lambda x: _mp("log")(x) if x > 0 else (-math.inf if x == 0 else math.nan),
    samples=(POSITIVE,),
    partials=lambda r, x: (1 / x,),
    native="log",
    sympy="log",
)
log2 = Elementwise(
    "log2",
    doc="The logarithm to base 2.",
    evaluate_=np.log2,
    reference=lambda x: _mp("log")(x) / _mp("log")(2),
    samples=(POSITIVE,),
    partials=lambda r, x: (1 / (x * math.log(2)),),
    native="log2",
    complex_step=lambda x: np.log(x) / math.log(2),
)
log10 = Elementwise(
    "log10",
    doc="The logarithm to base 10.",
    evaluate_=np.log10,
    reference=_mp("log10"),
    samples=(POSITIVE,),
    partials=lambda r, x: (1 / (x * math.log(10)),),
    native="log10",
)
log1p = Elementwise(
    "log1p",
    doc="log(1 + x) without losing x when |x| << 1.",
    evaluate_=np.log1p,
    reference=lambda x: _mp("log1p")(x) if x > -1 else (-math.inf if x == -1 else math.nan),
    samples=((-0.9, 4.0),),
    partials=lambda r, x: (1 / (1 + x),),
    native="log1p",
)
logaddexp = Elementwise(
    "logaddexp",
    doc="log(exp(x) + exp(y)) without overflow.",
    evaluate_=np.logaddexp,
    reference=lambda x, y: _mp("log")(_mp("exp")(x) + _mp("exp")(y)),
    samples=((-30.0, 30.0), (-30.0, 30.0)),
    partials=lambda r, x, y: (sigmoid(x - y), sigmoid(y - x)),
    # Equal infinities have no difference: there the larger is the answer.
    expansion=lambda x, y: where(eq(x, y), x + math.log(2), maximum(x, y) + log1p(exp(-abs_(x - y)))),
    complex_step=lambda x, y: np.where(
        np.real(x) > np.real(y), x + np.log1p(np.exp(y - x)), y + np.log1p(np.exp(x - y))
    ),
)

# --- trigonometric and hyperbolic -------------------------------------------

sin = Elementwise(
    "sin", doc="The sine.", evaluate_=np.sin, reference=_mp("sin"), samples=((-50.0, 50.0),),
    partials=lambda r, x: (cos(x),), native="sin", sympy="sin",
)  # fmt: skip
cos = Elementwise(
    "cos", doc="The cosine.", evaluate_=np.cos, reference=_mp("cos"), samples=((-50.0, 50.0),),
    partials=lambda r, x: (-sin(x),), native="cos", sympy="cos",
)  # fmt: skip
tan = Elementwise(
    "tan", doc="The tangent.", evaluate_=np.tan, reference=_mp("tan"), samples=((-1.4, 1.4),),
    partials=lambda r, x: (1 + r * r,), native="tan", sympy="tan",
)  # fmt: skip
arcsin = Elementwise(
    "arcsin", doc="The inverse sine.", evaluate_=np.arcsin, reference=_mp("asin"), samples=(UNIT,),
    partials=lambda r, x: (1 / sqrt((1 - x) * (1 + x)),), native="asin", sympy="asin",
)  # fmt: skip
arccos = Elementwise(
    "arccos", doc="The inverse cosine.", evaluate_=np.arccos, reference=_mp("acos"), samples=(UNIT,),
    partials=lambda r, x: (-1 / sqrt((1 - x) * (1 + x)),), native="acos", sympy="acos",
)  # fmt: skip
arctan = Elementwise(
    "arctan", doc="The inverse tangent.", evaluate_=np.arctan, reference=_mp("atan"), samples=(HUGE,),
    partials=lambda r, x: (1 / (1 + x * x),), native="atan", sympy="atan",
)  # fmt: skip
arctan2 = Elementwise(
    "arctan2",
    doc="The angle of the point (x, y) for arguments (y, x).",
    evaluate_=np.arctan2,
    reference=_mp("atan2"),
    samples=(HUGE, POSITIVE),
    partials=lambda r, y, x: (x / (x * x + y * y), -y / (x * x + y * y)),
    native="atan2",
    complex_step=_first_order(np.arctan2, lambda y, x: (x / (x * x + y * y), -y / (x * x + y * y))),
    sympy="atan2",
)
sinh = Elementwise(
    "sinh", doc="The hyperbolic sine.", evaluate_=np.sinh, reference=_mp("sinh"), samples=(ANY,),
    partials=lambda r, x: (cosh(x),), native="sinh", sympy="sinh",
)  # fmt: skip
cosh = Elementwise(
    "cosh", doc="The hyperbolic cosine.", evaluate_=np.cosh, reference=_mp("cosh"), samples=(ANY,),
    partials=lambda r, x: (sinh(x),), native="cosh", sympy="cosh",
)  # fmt: skip
tanh = Elementwise(
    "tanh", doc="The hyperbolic tangent.", evaluate_=np.tanh, reference=_mp("tanh"), samples=(ANY,),
    # (1 - r)(1 + r) rounds once where 1 - r*r cancels.
    partials=lambda r, x: ((1 - r) * (1 + r),), native="tanh", sympy="tanh",
)  # fmt: skip
arcsinh = Elementwise(
    "arcsinh", doc="The inverse hyperbolic sine.", evaluate_=np.arcsinh, reference=_mp("asinh"), samples=(HUGE,),
    partials=lambda r, x: (1 / hypot(1, x),), native="asinh", sympy="asinh",
)  # fmt: skip
arccosh = Elementwise(
    "arccosh", doc="The inverse hyperbolic cosine.", evaluate_=np.arccosh, reference=_mp("acosh"),
    samples=((1.05, 1e3),), partials=lambda r, x: (1 / sqrt((x - 1) * (x + 1)),), native="acosh", sympy="acosh",
)  # fmt: skip
arctanh = Elementwise(
    "arctanh", doc="The inverse hyperbolic tangent.", evaluate_=np.arctanh, reference=_mp("atanh"), samples=(UNIT,),
    partials=lambda r, x: (1 / ((1 - x) * (1 + x)),), native="atanh", sympy="atanh",
)  # fmt: skip

# --- activations ------------------------------------------------------------

sigmoid = Elementwise(
    "sigmoid",
    doc="1 / (1 + exp(-x)), without overflow.",
    evaluate_=_sp("expit"),
    reference=lambda x: 1 / (1 + _mp("exp")(-x)),
    samples=((-30.0, 30.0),),
    partials=lambda r, x: (r * sigmoid(-x),),
    expansion=lambda x: 1 / (1 + exp(-x)),
    complex_step=lambda x: 1 / (1 + np.exp(-x)),
)
softplus = Elementwise(
    "softplus",
    doc="log(1 + exp(x)), without overflow.",
    evaluate_=lambda x: np.logaddexp(0, x).astype(np.asarray(x).dtype),
    reference=lambda x: _mp("log1p")(_mp("exp")(x)),
    samples=((-30.0, 30.0),),
    partials=lambda r, x: (sigmoid(x),),
    expansion=lambda x: maximum(x, 0) + log1p(exp(-abs_(x))),
    complex_step=lambda x: np.where(np.real(x) > 0, x, 0) + np.log1p(np.exp(-_abs_complex(x))),
)
relu = Elementwise(
    "relu",
    doc="max(x, 0); derivative 0 at 0, as in PyTorch.",
    evaluate_=lambda x: np.maximum(x, 0),
    reference=lambda x: x if x != x else max(x, 0 * x),
    samples=(HUGE,),
    partials=lambda r, x: (where(x > 0, 1.0, 0.0),),
    expansion=lambda x: maximum(x, 0),
    complex_step=lambda x: np.where(np.real(x) > 0, x, 0),
)
heaviside = Elementwise(
    "heaviside",
    doc="0 below 0, 1 above, and the second argument at 0, as in NumPy; derivative 0 by the first.",
    evaluate_=np.heaviside,
    reference=lambda x, h: x if x != x else h if x == 0 else type(x)(int(x > 0)),
    samples=(HUGE, (0.0, 1.0)),
    partials=lambda r, x, h: (None, where(eq(x, 0), 1.0, 0.0)),
    expansion=lambda x, h: where(x > 0, 1.0, where(x < 0, 0.0, where(eq(x, 0), h, x))),
    complex_step=lambda x, h: np.where(np.real(x) > 0, 1.0, np.where(np.real(x) < 0, 0.0, h)),
    sympy="Heaviside",
)

# --- special functions ------------------------------------------------------

erf = Elementwise(
    "erf",
    doc="The error function.",
    evaluate_=_sp("erf"),
    reference=_mp("erf"),
    samples=((-3.0, 3.0),),
    partials=lambda r, x: (2 / math.sqrt(math.pi) * exp(-x * x),),
    native="erf",
    sympy="erf",
)
erfc = Elementwise(
    "erfc",
    doc="1 - erf(x) without cancellation.",
    evaluate_=_sp("erfc"),
    reference=_mp("erfc"),
    samples=((-3.0, 5.0),),
    partials=lambda r, x: (-2 / math.sqrt(math.pi) * exp(-x * x),),
    native="erfc",
    sympy="erfc",
)
gamma = Elementwise(
    "gamma",
    doc="The gamma function.",
    evaluate_=_sp("gamma"),
    reference=_mp_gamma_like("gamma", math.inf, math.nan),
    samples=((0.3, 12.0),),
    partials=lambda r, x: (r * digamma(x),),
    native="tgamma",
    # SciPy's gamma(x + ih) goes through exp and sin of pi x, which swallow a small h for x < 0.
    complex_step=_first_order(_sp("gamma"), lambda x: (_sp("gamma")(x) * _sp("digamma")(x),)),
    sympy="gamma",
)
gammaln = Elementwise(
    "gammaln",
    doc="log|gamma(x)|.",
    evaluate_=_sp("gammaln"),
    reference=_mp_gamma_like("gammaln", math.inf, math.inf),
    samples=((2.5, 60.0),),
    partials=lambda r, x: (digamma(x),),
    native="lgamma",
    # SciPy's loggamma(x + ih) has a multiple of i pi for x < 0.
    complex_step=_first_order(_sp("gammaln"), lambda x: (_sp("digamma")(x),)),
    sympy="loggamma",
)
digamma = Elementwise(
    "digamma",
    doc="The logarithmic derivative of gamma.",
    evaluate_=_sp("digamma"),
    reference=_mp_gamma_like("digamma", -math.inf, math.nan),
    samples=((2.0, 60.0),),
    partials=lambda r, x: (polygamma(x, n=1),),
    native="scipy.psi",
    sympy="digamma",
)


def _hurwitz(s: int, q: Node) -> Node:
    """zeta(s, q) for q > 0 by Euler-Maclaurin summation after 10 terms (DLMF 25.11.5), 9 Bernoulli terms."""
    bernoulli = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798)
    n = 10
    total: Any = 0
    for k in reversed(range(n)):
        total = total + (q + k) ** -s
    a = q + n
    tail = a ** (1 - s) / (s - 1) + 0.5 * a**-s
    rising = float(s)
    for j, b in enumerate(bernoulli, start=1):
        tail = tail + b / math.factorial(2 * j) * rising * a ** (1 - s - 2 * j)
        rising *= (s + 2 * j - 1) * (s + 2 * j)
    return total + tail


polygamma = Elementwise(
    "polygamma",
    doc="The n-th derivative of digamma for n >= 1 and x > 0; NaN for x <= 0.",
    evaluate_=lambda x, n: np.where(
        np.asarray(x) > 0, _sp("polygamma")(n, np.where(np.asarray(x) > 0, x, 1.0)), np.nan
    ),
    reference=lambda x, n: _mp("polygamma")(n, x),
    samples=((0.5, 60.0),),
    partials=lambda r, x: (polygamma(x, n=r.params["n"] + 1),),
    expansion=lambda x, n: where(
        x > 0, (-1.0) ** (n + 1) * float(math.factorial(n)) * _hurwitz(n + 1, where(x > 0, x, 1.0)), math.nan
    ),
    complex_step=lambda x, n: _sp("polygamma")(n, np.real(x)) + 1j * np.imag(x) * _sp("polygamma")(n + 1, np.real(x)),
)

# --- comparisons, logic, choice ---------------------------------------------


def _comparison(
    name: str, doc: str, compare: Callable[..., Any], native: str, reference: Callable[..., Any]
) -> Elementwise:
    return Elementwise(
        name, doc=doc, evaluate_=compare, reference=reference, samples=(ANY, ANY), native=native, kinds="bool",
        complex_step=_by_real(compare),
    )  # fmt: skip


lt = _comparison("lt", "x < y.", np.less, "lt", lambda x, y: x < y)
le = _comparison("le", "x <= y.", np.less_equal, "le", lambda x, y: x <= y)
gt = _comparison("gt", "x > y.", np.greater, "gt", lambda x, y: x > y)
ge = _comparison("ge", "x >= y.", np.greater_equal, "ge", lambda x, y: x >= y)
eq = _comparison(
    "eq", "x == y, entry by entry (the operator == compares expressions).", np.equal, "eq", lambda x, y: x == y
)
ne = _comparison("ne", "x != y, entry by entry.", np.not_equal, "ne", lambda x, y: x != y)


def _logic(name: str, doc: str, evaluate: Callable[..., Any], n: int) -> Elementwise:
    return Elementwise(
        name, doc=doc, evaluate_=evaluate, reference=evaluate, samples=((0.0, 1.0),) * n, native=name, kinds="logic"
    )


and_ = _logic("and", "x and y.", np.logical_and, 2)
or_ = _logic("or", "x or y.", np.logical_or, 2)
xor = _logic("xor", "One of x and y, not both.", np.logical_xor, 2)
not_ = _logic("not", "not x.", np.logical_not, 1)

isfinite = Elementwise(
    "isfinite",
    doc="Neither infinite nor NaN.",
    evaluate_=np.isfinite,
    reference=_mp("isfinite"),
    samples=(ANY,),
    expansion=lambda x: abs_(x) < math.inf,
    kinds="bool",
)
isnan = Elementwise(
    "isnan",
    doc="Not a number.",
    evaluate_=np.isnan,
    reference=lambda x: x != x,
    samples=(ANY,),
    expansion=lambda x: ne(x, x),
    kinds="bool",
)
where = Elementwise(
    "where",
    doc="x where the condition holds, else y. The branch not taken never contaminates a derivative.",
    evaluate_=lambda c, x, y: np.where(c, x, y),
    reference=lambda c, x, y: x if c else y,
    samples=((0.0, 1.0), ANY, ANY),
    partials=lambda r, c, x, y: (None, where(c, 1.0, 0.0), where(c, 0.0, 1.0)),
    native="where",
    kinds="where",
)


def _cast_reference(x: Any, dtype: str) -> Any:
    if dtype == "bool":
        return bool(x)
    # Integer data stay NumPy's in every arithmetic, and mpmath does not know NumPy's integers.
    return int(x) if dtype == "int64" else _mp("mpf")(int(x) if isinstance(x, (np.integer, np.bool_)) else x)


cast_ = Elementwise(
    "cast",
    doc="Conversion to another dtype, as NumPy's astype.",
    evaluate_=lambda x, dtype: np.asarray(x).astype(dtype),
    reference=_cast_reference,
    samples=(ANY,),
    partials=lambda r, x: (1 if x.dtype.startswith("float") and r.dtype.startswith("float") else None,),
    native="cast",
    kinds="cast",
    complex_step=lambda x, dtype: (
        np.asarray(x, dtype=complex) if dtype.startswith("float") else np.real(x).astype(dtype)
    ),
)

ELEMENTWISE: tuple[Elementwise, ...] = tuple(v for v in list(globals().values()) if isinstance(v, Elementwise))
"""Every elementwise primitive, in the order of this file."""

__all__ = ["ELEMENTWISE", "cast", "const", *(n for n, v in list(globals().items()) if isinstance(v, Elementwise))]
