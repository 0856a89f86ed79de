"""Sums, products, rounding, signs, maximum and minimum."""

from __future__ import annotations

import math

import numpy as np

from symdiff.ir.node import Node
from symdiff.ir.primitive import Elementwise
from symdiff.ops.elementwise.logic import eq, ne, where
from symdiff.ops.elementwise.values import (
    ANY,
    HUGE,
    POSITIVE,
    abs_complex,
    by_real,
    first_order,
    is_literal,
    mp,
    mp_div,
    mp_mod,
    mp_rem,
    mp_sign,
)

add = Elementwise(
    "add",
    doc="x + y.",
    evaluate_=np.add,
    reference=lambda x, y: x + y,
    samples=(HUGE, HUGE),
    partials=lambda r, x, y: (1, 1),
    native="add",
    kinds="promote",
    neutral=lambda x, y: y if is_literal(x, 0) else x if is_literal(y, 0) else None,
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
    neutral=lambda x, y: x if is_literal(y, 0) else -y if is_literal(x, 0) else None,
)


def _unit_product(x: Node, y: Node) -> Node | None:
    for factor, other in ((x, y), (y, x)):
        if is_literal(factor, 1):
            return other
        if is_literal(factor, -1):
            return -other
    return None


mul = Elementwise(
    "mul",
    doc="x * y.",
    evaluate_=np.multiply,
    reference=lambda x, y: x * y,
    samples=(HUGE, HUGE),
    partials=lambda r, x, y: (2 * x, None) if x is y else (y, x),
    native="mul",
    kinds="promote",
    neutral=_unit_product,
)
div = Elementwise(
    "div",
    doc="x / y, true division.",
    evaluate_=np.divide,
    reference=mp_div,
    samples=(HUGE, POSITIVE),
    partials=lambda r, x, y: (1 / y, -r / y),
    native="div",
    neutral=lambda x, y: x if is_literal(y, 1) else -x if is_literal(y, -1) else None,
)
neg: Elementwise = Elementwise(
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
    reference=mp_rem,
    samples=((0.5, 9.0), (1.1, 3.0)),
    partials=lambda r, x, y: (1, (r - x) / y),
    native="rem",
    kinds="promote",
    complex_step=first_order(np.fmod, lambda x, y: (1.0, -np.trunc(x / y))),
)
floor = Elementwise(
    "floor",
    doc="The largest integer below; derivative 0.",
    evaluate_=np.floor,
    reference=mp("floor"),
    samples=(HUGE,),
    native="floor",
    complex_step=by_real(np.floor),
    sympy="floor",
)
ceil = Elementwise(
    "ceil",
    doc="The smallest integer above; derivative 0.",
    evaluate_=np.ceil,
    reference=mp("ceil"),
    samples=(HUGE,),
    native="ceil",
    complex_step=by_real(np.ceil),
    sympy="ceiling",
)
trunc = Elementwise(
    "trunc",
    doc="x rounded towards zero; derivative 0.",
    evaluate_=np.trunc,
    reference=lambda x: mp("floor")(x) if x > 0 else mp("ceil")(x),
    samples=(HUGE,),
    native="trunc",
    complex_step=by_real(np.trunc),
)
mod = Elementwise(
    "mod",
    doc="x - y*floor(x/y): the remainder with the sign of the divisor, as in Python.",
    evaluate_=np.mod,
    reference=mp_mod,
    samples=((0.5, 9.0), (1.1, 3.0)),
    partials=lambda r, x, y: (1, (r - x) / y),
    expansion=lambda x, y: where(ne(rem(x, y), 0) & ((rem(x, y) < 0) ^ (y < 0)), rem(x, y) + y, rem(x, y)),
    kinds="promote",
    complex_step=first_order(np.mod, lambda x, y: (1.0, -np.floor(x / y))),
    sympy="Mod",
)


abs_: Elementwise = Elementwise(
    "abs",
    doc="|x|; derivative sign(x), 0 at 0.",
    evaluate_=np.abs,
    reference=lambda x: abs(x),
    samples=(HUGE,),
    partials=lambda r, x: (sign(x),),
    native="abs",
    kinds="promote",
    complex_step=abs_complex,
    sympy="Abs",
)
sign: Elementwise = Elementwise(
    "sign",
    doc="-1, 0 or 1; derivative 0.",
    evaluate_=np.sign,
    reference=mp_sign,
    samples=(HUGE,),
    native="sign",
    kinds="promote",
    complex_step=by_real(np.sign),
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


isfinite = Elementwise(
    "isfinite",
    doc="Neither infinite nor NaN.",
    evaluate_=np.isfinite,
    reference=mp("isfinite"),
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


__all__ = [
    "abs_",
    "add",
    "ceil",
    "div",
    "floor",
    "isfinite",
    "isnan",
    "maximum",
    "minimum",
    "mod",
    "mul",
    "neg",
    "rem",
    "sign",
    "sub",
    "trunc",
]
