"""Powers, roots, exponentials and logarithms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from symdiff.ir.node import Node, const
from symdiff.ir.primitive import Elementwise
from symdiff.ops.elementwise.logic import eq, where
from symdiff.ops.elementwise.values import ANY, HUGE, POSITIVE, first_order, is_literal, mp, mp_sign


def _pow_partials(r: Node, x: Node, y: Node) -> tuple[Any, Any]:
    if y.op.name == "const":
        c = float(y.params["value"])
        if c == 0:  # an array of ones; 0 x^-1 would be 0 * inf at x = 0
            return None, None
        return (c * x if c == 2 else c * x ** (c - 1), None)
    # y x^(y-1) is 0 * inf at x = 0, y = 0, and x^y log x is 0 * -inf at x = 0 < y; both derivatives are 0.
    return where(eq(y, 0), 0.0, y * x ** (y - 1)), where(eq(x, 0) & (y > 0), 0.0, r * log(x))


def mp_pow(x: Any, y: Any) -> Any:
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
    reference=mp_pow,
    samples=((1e-2, 20.0), (-4.0, 4.0)),
    partials=_pow_partials,
    native="pow",
    complex_step=lambda x, y: np.power(x, y if np.any(np.imag(y)) else np.real(y)),
    neutral=lambda x, y: x if is_literal(y, 1) else const(1.0, x.dtype) if is_literal(y, 0) and not x.shape else None,
)
sqrt = Elementwise(
    "sqrt",
    doc="The square root.",
    evaluate_=np.sqrt,
    reference=mp("sqrt"),
    samples=(POSITIVE,),
    partials=lambda r, x: (0.5 / r,),
    native="sqrt",
    sympy="sqrt",
)
cbrt = Elementwise(
    "cbrt",
    doc="The real cube root.",
    evaluate_=np.cbrt,
    reference=lambda x: mp_sign(x) * mp("cbrt")(abs(x)),
    samples=(POSITIVE,),
    partials=lambda r, x: (1 / (3 * r * r),),
    native="cbrt",
    complex_step=first_order(np.cbrt, lambda x: (1 / (3 * np.cbrt(x) ** 2),)),
    sympy="cbrt",
)
hypot = Elementwise(
    "hypot",
    doc="sqrt(x**2 + y**2) without overflow; derivative 0 at the origin.",
    evaluate_=np.hypot,
    reference=mp("hypot"),
    samples=(HUGE, HUGE),
    partials=lambda r, x, y: (where(eq(r, 0), 0.0, x / r), where(eq(r, 0), 0.0, y / r)),
    native="hypot",
    complex_step=lambda x, y: np.sqrt(x * x + y * y),
)
exp: Elementwise = Elementwise(
    "exp",
    doc="e ** x.",
    evaluate_=np.exp,
    reference=mp("exp"),
    samples=((-20.0, 20.0),),
    partials=lambda r, x: (r,),
    native="exp",
    sympy="exp",
)
exp2 = Elementwise(
    "exp2",
    doc="2 ** x.",
    evaluate_=np.exp2,
    reference=lambda x: mp("mpf")(2) ** x,
    samples=((-20.0, 20.0),),
    partials=lambda r, x: (r * math.log(2),),
    native="exp2",
)
expm1 = Elementwise(
    "expm1",
    doc="exp(x) - 1 without losing x when |x| << 1.",
    evaluate_=np.expm1,
    reference=mp("expm1"),
    samples=(ANY,),
    partials=lambda r, x: (exp(x),),
    native="expm1",
)
log = Elementwise(
    "log",
    doc="The natural logarithm.",
    evaluate_=np.log,
    reference=lambda x: mp("log")(x) if x > 0 else (-math.inf if x == 0 else math.nan),
    samples=(POSITIVE,),
    partials=lambda r, x: (1 / x,),
    native="log",
    sympy="log",
)
log2 = Elementwise(
    "log2",
    doc="The logarithm to base 2.",
    evaluate_=np.log2,
    reference=lambda x: mp("log")(x) / mp("log")(2),
    samples=(POSITIVE,),
    partials=lambda r, x: (1 / (x * math.log(2)),),
    native="log2",
    complex_step=lambda x: np.log(x) / math.log(2),
)
log10 = Elementwise(
    "log10",
    doc="The logarithm to base 10.",
    evaluate_=np.log10,
    reference=mp("log10"),
    samples=(POSITIVE,),
    partials=lambda r, x: (1 / (x * math.log(10)),),
    native="log10",
)
log1p = Elementwise(
    "log1p",
    doc="log(1 + x) without losing x when |x| << 1.",
    evaluate_=np.log1p,
    reference=lambda x: mp("log1p")(x) if x > -1 else (-math.inf if x == -1 else math.nan),
    samples=((-0.9, 4.0),),
    partials=lambda r, x: (1 / (1 + x),),
    native="log1p",
)


__all__ = ["cbrt", "exp", "exp2", "expm1", "hypot", "log", "log1p", "log2", "log10", "pow_", "sqrt"]
