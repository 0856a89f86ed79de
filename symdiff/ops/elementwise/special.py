"""Activations, the error function and the gamma family."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from symdiff.ir.node import Node
from symdiff.ir.primitive import Elementwise
from symdiff.ops.elementwise.arithmetic import abs_, maximum
from symdiff.ops.elementwise.exponential import exp, log1p
from symdiff.ops.elementwise.logic import eq, where
from symdiff.ops.elementwise.values import HUGE, abs_complex, first_order, mp, mp_gamma_like, sp

sigmoid: Elementwise = Elementwise(
    "sigmoid",
    doc="1 / (1 + exp(-x)), without overflow.",
    evaluate_=sp("expit"),
    reference=lambda x: 1 / (1 + mp("exp")(-x)),
    samples=((-30.0, 30.0),),
    partials=lambda r, x: (r * sigmoid(-x),),
    expansion=lambda x: 1 / (1 + exp(-x)),
    complex_step=lambda x: 1 / (1 + np.exp(-x)),
)
softplus = Elementwise(
    "softplus",
    doc="log(1 + exp(x)), without overflow.",
    evaluate_=lambda x: np.logaddexp(0, x).astype(np.asarray(x).dtype),
    reference=lambda x: mp("log1p")(mp("exp")(x)),
    samples=((-30.0, 30.0),),
    partials=lambda r, x: (sigmoid(x),),
    expansion=lambda x: maximum(x, 0) + log1p(exp(-abs_(x))),
    complex_step=lambda x: np.where(np.real(x) > 0, x, 0) + np.log1p(np.exp(-abs_complex(x))),
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
logaddexp = Elementwise(
    "logaddexp",
    doc="log(exp(x) + exp(y)) without overflow.",
    evaluate_=np.logaddexp,
    reference=lambda x, y: mp("log")(mp("exp")(x) + mp("exp")(y)),
    samples=((-30.0, 30.0), (-30.0, 30.0)),
    partials=lambda r, x, y: (sigmoid(x - y), sigmoid(y - x)),
    # Equal infinities have no difference: there the larger is the answer.
    expansion=lambda x, y: where(eq(x, y), x + math.log(2), maximum(x, y) + log1p(exp(-abs_(x - y)))),
    complex_step=lambda x, y: np.where(
        np.real(x) > np.real(y), x + np.log1p(np.exp(y - x)), y + np.log1p(np.exp(x - y))
    ),
)


erf = Elementwise(
    "erf",
    doc="The error function.",
    evaluate_=sp("erf"),
    reference=mp("erf"),
    samples=((-3.0, 3.0),),
    partials=lambda r, x: (2 / math.sqrt(math.pi) * exp(-x * x),),
    native="erf",
    sympy="erf",
)
erfc = Elementwise(
    "erfc",
    doc="1 - erf(x) without cancellation.",
    evaluate_=sp("erfc"),
    reference=mp("erfc"),
    samples=((-3.0, 5.0),),
    partials=lambda r, x: (-2 / math.sqrt(math.pi) * exp(-x * x),),
    native="erfc",
    sympy="erfc",
)
gamma: Elementwise = Elementwise(
    "gamma",
    doc="The gamma function.",
    evaluate_=sp("gamma"),
    reference=mp_gamma_like("gamma", math.inf, math.nan),
    samples=((0.3, 12.0),),
    partials=lambda r, x: (r * digamma(x),),
    native="tgamma",
    # SciPy's gamma(x + ih) goes through exp and sin of pi x, which swallow a small h for x < 0.
    complex_step=first_order(sp("gamma"), lambda x: (sp("gamma")(x) * sp("digamma")(x),)),
    sympy="gamma",
)
gammaln: Elementwise = Elementwise(
    "gammaln",
    doc="log|gamma(x)|.",
    evaluate_=sp("gammaln"),
    reference=mp_gamma_like("gammaln", math.inf, math.inf),
    samples=((2.5, 60.0),),
    partials=lambda r, x: (digamma(x),),
    native="lgamma",
    # SciPy's loggamma(x + ih) has a multiple of i pi for x < 0.
    complex_step=first_order(sp("gammaln"), lambda x: (sp("digamma")(x),)),
    sympy="loggamma",
)
digamma: Elementwise = Elementwise(
    "digamma",
    doc="The logarithmic derivative of gamma.",
    evaluate_=sp("digamma"),
    reference=mp_gamma_like("digamma", -math.inf, math.nan),
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


polygamma: Elementwise = Elementwise(
    "polygamma",
    doc="The n-th derivative of digamma for n >= 1 and x > 0; NaN for x <= 0.",
    evaluate_=lambda x, n: np.where(np.asarray(x) > 0, sp("polygamma")(n, np.where(np.asarray(x) > 0, x, 1.0)), np.nan),
    reference=lambda x, n: mp("polygamma")(n, x),
    samples=((0.5, 60.0),),
    partials=lambda r, x: (polygamma(x, n=r.params["n"] + 1),),
    expansion=lambda x, n: where(
        x > 0, (-1.0) ** (n + 1) * float(math.factorial(n)) * _hurwitz(n + 1, where(x > 0, x, 1.0)), math.nan
    ),
    complex_step=lambda x, n: sp("polygamma")(n, np.real(x)) + 1j * np.imag(x) * sp("polygamma")(n + 1, np.real(x)),
)

beta: Elementwise = Elementwise(
    "beta",
    doc="gamma(a) gamma(b) / gamma(a + b).",
    evaluate_=sp("beta"),
    reference=mp("beta"),
    samples=((0.6, 6.0), (0.7, 5.0)),
    partials=lambda r, a, b: (r * (digamma(a) - digamma(a + b)), r * (digamma(b) - digamma(a + b))),
    native="scipy.beta",
    complex_step=first_order(
        sp("beta"), lambda a, b: tuple(sp("beta")(a, b) * (sp("psi")(c) - sp("psi")(a + b)) for c in (a, b))
    ),
    sympy="beta",
)
betaln: Elementwise = Elementwise(
    "betaln",
    doc="log|beta(a, b)|, without overflow.",
    evaluate_=sp("betaln"),
    reference=lambda a, b: mp("log")(abs(mp("beta")(a, b))),
    samples=((0.6, 6.0), (0.7, 5.0)),
    partials=lambda r, a, b: (digamma(a) - digamma(a + b), digamma(b) - digamma(a + b)),
    native="scipy.betaln",
    complex_step=first_order(sp("betaln"), lambda a, b: tuple(sp("psi")(c) - sp("psi")(a + b) for c in (a, b))),
)
logit = Elementwise(
    "logit",
    doc="log(p / (1 - p)), the inverse of sigmoid.",
    evaluate_=sp("logit"),
    reference=lambda p: mp("log")(p / (1 - p)),
    samples=((0.02, 0.98),),
    partials=lambda r, p: (1 / (p * (1 - p)),),
    native="scipy.logit",
    complex_step=lambda p: np.log(p / (1 - p)),
)


__all__ = [
    "beta",
    "betaln",
    "digamma",
    "erf",
    "erfc",
    "gamma",
    "gammaln",
    "heaviside",
    "logaddexp",
    "logit",
    "polygamma",
    "relu",
    "sigmoid",
    "softplus",
]
