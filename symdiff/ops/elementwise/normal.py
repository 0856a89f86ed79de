"""The inverses of the error functions, their scaled form, and the normal distribution's functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.ir.primitive import Elementwise
from symdiff.ops.elementwise.exponential import exp
from symdiff.ops.elementwise.values import first_order, mp, sp

_HALF_ROOT_PI = math.sqrt(math.pi) / 2
_ROOT_2PI = math.sqrt(2 * math.pi)


def _inside(low: int, high: int, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Extend a rising function by its limits: infinite at the ends of its interval, NaN outside."""

    def call(x: Any) -> Any:
        if x in (low, high):
            return mp("mpf")(math.inf if x == high else -math.inf)
        return function(x) if low < x < high else mp("mpf")(math.nan)

    return call


def _mp_log_ndtr(x: Any) -> Any:
    """log of the probability below x, by that above x where it is the smaller one."""
    tail = mp("erfc")(abs(x) / mp("sqrt")(2)) / 2
    return mp("log1p")(-tail) if x > 0 else mp("log")(tail)


_mp_erfinv = _inside(-1, 1, mp("erfinv"))

erfinv: Elementwise = Elementwise(
    "erfinv",
    doc="The inverse of erf, for -1 < x < 1.",
    evaluate_=sp("erfinv"),
    reference=_mp_erfinv,
    samples=((-0.9, 0.9),),
    partials=lambda r, x: (_HALF_ROOT_PI * exp(r * r),),
    native="scipy.erfinv",
    complex_step=first_order(sp("erfinv"), lambda x: (_HALF_ROOT_PI * np.exp(sp("erfinv")(x) ** 2),)),
    sympy="erfinv",
)
erfcinv: Elementwise = Elementwise(
    "erfcinv",
    doc="The inverse of erfc, for 0 < x < 2; it keeps its digits for tiny x.",
    evaluate_=sp("erfcinv"),
    reference=lambda x: _mp_erfinv(1 - x),
    samples=((0.1, 1.9),),
    partials=lambda r, x: (-_HALF_ROOT_PI * exp(r * r),),
    native="scipy.erfcinv",
    complex_step=first_order(sp("erfcinv"), lambda x: (-_HALF_ROOT_PI * np.exp(sp("erfcinv")(x) ** 2),)),
)
erfcx: Elementwise = Elementwise(
    "erfcx",
    doc="exp(x**2) erfc(x), which does not underflow.",
    evaluate_=sp("erfcx"),
    reference=lambda x: mp("exp")(x * x) * mp("erfc")(x),
    samples=((-2.0, 2.0),),
    partials=lambda r, x: (2 * x * r - 1 / _HALF_ROOT_PI,),
    native="scipy.erfcx",
)
ndtri: Elementwise = Elementwise(
    "ndtri",
    doc="The inverse of the normal distribution's function (its quantile), for 0 < p < 1.",
    evaluate_=sp("ndtri"),
    reference=lambda p: mp("sqrt")(2) * _mp_erfinv(2 * p - 1),
    samples=((0.05, 0.95),),
    partials=lambda r, p: (_ROOT_2PI * exp(r * r / 2),),
    native="scipy.ndtri",
    complex_step=first_order(sp("ndtri"), lambda p: (_ROOT_2PI * np.exp(sp("ndtri")(p) ** 2 / 2),)),
)
log_ndtr: Elementwise = Elementwise(
    "log_ndtr",
    doc="The logarithm of the normal distribution's function, without underflow for large negative x.",
    evaluate_=sp("log_ndtr"),
    reference=_mp_log_ndtr,
    samples=((-6.0, 3.0),),
    # The density over the distribution: exp(-x**2/2)/sqrt(2 pi) / (exp(-x**2/2) erfcx(-x/sqrt(2))/2).
    partials=lambda r, x: (2 / _ROOT_2PI / erfcx(x * -math.sqrt(0.5)),),
    native="scipy.log_ndtr",
)

__all__ = ["erfcinv", "erfcx", "erfinv", "log_ndtr", "ndtri"]
