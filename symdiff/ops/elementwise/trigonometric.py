"""Trigonometric and hyperbolic functions and their inverses."""

from __future__ import annotations

import numpy as np

from symdiff.ir.primitive import Elementwise
from symdiff.ops.elementwise.exponential import hypot, sqrt
from symdiff.ops.elementwise.values import ANY, HUGE, POSITIVE, UNIT, first_order, mp

sin: Elementwise = Elementwise(
    "sin", doc="The sine.", evaluate_=np.sin, reference=mp("sin"), samples=((-50.0, 50.0),),
    partials=lambda r, x: (cos(x),), native="sin", sympy="sin",
)  # fmt: skip
cos: Elementwise = Elementwise(
    "cos", doc="The cosine.", evaluate_=np.cos, reference=mp("cos"), samples=((-50.0, 50.0),),
    partials=lambda r, x: (-sin(x),), native="cos", sympy="cos",
)  # fmt: skip
tan = Elementwise(
    "tan", doc="The tangent.", evaluate_=np.tan, reference=mp("tan"), samples=((-1.4, 1.4),),
    partials=lambda r, x: (1 + r * r,), native="tan", sympy="tan",
)  # fmt: skip
arcsin = Elementwise(
    "arcsin", doc="The inverse sine.", evaluate_=np.arcsin, reference=mp("asin"), samples=(UNIT,),
    partials=lambda r, x: (1 / sqrt((1 - x) * (1 + x)),), native="asin", sympy="asin",
)  # fmt: skip
arccos = Elementwise(
    "arccos", doc="The inverse cosine.", evaluate_=np.arccos, reference=mp("acos"), samples=(UNIT,),
    partials=lambda r, x: (-1 / sqrt((1 - x) * (1 + x)),), native="acos", sympy="acos",
)  # fmt: skip
arctan = Elementwise(
    "arctan", doc="The inverse tangent.", evaluate_=np.arctan, reference=mp("atan"), samples=(HUGE,),
    partials=lambda r, x: (1 / (1 + x * x),), native="atan", sympy="atan",
)  # fmt: skip
arctan2 = Elementwise(
    "arctan2",
    doc="The angle of the point (x, y) for arguments (y, x).",
    evaluate_=np.arctan2,
    reference=mp("atan2"),
    samples=(HUGE, POSITIVE),
    partials=lambda r, y, x: (x / (x * x + y * y), -y / (x * x + y * y)),
    native="atan2",
    complex_step=first_order(np.arctan2, lambda y, x: (x / (x * x + y * y), -y / (x * x + y * y))),
    sympy="atan2",
)
sinh: Elementwise = Elementwise(
    "sinh", doc="The hyperbolic sine.", evaluate_=np.sinh, reference=mp("sinh"), samples=(ANY,),
    partials=lambda r, x: (cosh(x),), native="sinh", sympy="sinh",
)  # fmt: skip
cosh: Elementwise = Elementwise(
    "cosh", doc="The hyperbolic cosine.", evaluate_=np.cosh, reference=mp("cosh"), samples=(ANY,),
    partials=lambda r, x: (sinh(x),), native="cosh", sympy="cosh",
)  # fmt: skip
tanh = Elementwise(
    "tanh", doc="The hyperbolic tangent.", evaluate_=np.tanh, reference=mp("tanh"), samples=(ANY,),
    # (1 - r)(1 + r) rounds once where 1 - r*r cancels.
    partials=lambda r, x: ((1 - r) * (1 + r),), native="tanh", sympy="tanh",
)  # fmt: skip
arcsinh = Elementwise(
    "arcsinh", doc="The inverse hyperbolic sine.", evaluate_=np.arcsinh, reference=mp("asinh"), samples=(HUGE,),
    partials=lambda r, x: (1 / hypot(1, x),), native="asinh", sympy="asinh",
)  # fmt: skip
arccosh = Elementwise(
    "arccosh", doc="The inverse hyperbolic cosine.", evaluate_=np.arccosh, reference=mp("acosh"),
    samples=((1.05, 1e3),), partials=lambda r, x: (1 / sqrt((x - 1) * (x + 1)),), native="acosh", sympy="acosh",
)  # fmt: skip
arctanh = Elementwise(
    "arctanh", doc="The inverse hyperbolic tangent.", evaluate_=np.arctanh, reference=mp("atanh"), samples=(UNIT,),
    partials=lambda r, x: (1 / ((1 - x) * (1 + x)),), native="atanh", sympy="atanh",
)  # fmt: skip


__all__ = [
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "cos",
    "cosh",
    "sin",
    "sinh",
    "tan",
    "tanh",
]
