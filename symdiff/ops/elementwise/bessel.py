"""Bessel functions of real order and argument, from SciPy: Amos's routines, Cephes's for the orders 0 and 1.

The order v is a literal number, for derivatives by the order have no closed form (DLMF 10.15). Derivatives by
the argument are the recurrences DLMF 10.6.1 and 10.29.1. Scaled functions have the growth taken out:
ive = exp(-|x|) I_v(x), kve = exp(x) K_v(x).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.ir.literals import Literal
from symdiff.ir.node import Node
from symdiff.ir.primitive import Elementwise
from symdiff.ops.elementwise.arithmetic import sign
from symdiff.ops.elementwise.values import first_order, mp, sp

Slope = Callable[[float, Any, Node], Any]
_POSITIVE = (0.4, 9.0)


def _reference(name: str, scale: Callable[[Any], Any] | None = None) -> Callable[..., Any]:
    """The mpmath function of order v; at infinities and NaN, where mpmath raises, the limit that SciPy gives."""

    def call(x: Any, v: float) -> Any:
        if not math.isfinite(x):
            short = {"besselj": "jv", "bessely": "yv", "besseli": "iv", "besselk": "kv"}[name]
            return mp("mpf")(float(sp(short + ("e" if scale else ""))(float(v), float(x))))
        value = mp(name)(mp("mpf")(float(v)), x)
        return value if scale is None else value * scale(x)

    return call


def _of_order(
    name: str, doc: str, slope: Slope, reference: Callable[..., Any], derivative: Callable[..., Any]
) -> Elementwise:
    """A function of a literal order; `slope(v, value, x)` is its derivative, `derivative(v, x)` that in SciPy's terms.

    SciPy's own functions of complex arguments lose the part that is linear in a tiny h.
    """
    value = sp(name)
    return Elementwise(
        name,
        doc=doc,
        evaluate_=lambda x, v: value(float(v), x),
        reference=reference,
        samples=(_POSITIVE,),
        partials=lambda r, x: (slope(float(r.params["v"]), r, x),),
        native=f"scipy.{name}",
        complex_step=lambda z, v: first_order(
            lambda x: value(float(v), x), lambda x: (derivative(float(v), x),)
        )(z),
    )  # fmt: skip


def _half(function: Callable[..., Node], v: float, x: Node, other: int) -> Node:
    """(f_(v-1) + other f_(v+1)) / 2; at v = 0 both terms are f_1 but for the sign."""
    if v == 0:
        return function(x, v=Literal(1.0)) * other
    return (function(x, v=Literal(v - 1)) + other * function(x, v=Literal(v + 1))) / 2


jv: Elementwise = _of_order(
    "jv",
    "The Bessel function of the first kind J_v(x).",
    lambda v, r, x: _half(jv, v, x, -1),
    _reference("besselj"),
    sp("jvp"),
)
yv: Elementwise = _of_order(
    "yv",
    "The Bessel function of the second kind Y_v(x), for x > 0.",
    lambda v, r, x: _half(yv, v, x, -1),
    _reference("bessely"),
    sp("yvp"),
)
iv: Elementwise = _of_order(
    "iv",
    "The modified Bessel function of the first kind I_v(x).",
    lambda v, r, x: _half(iv, v, x, 1),
    _reference("besseli"),
    sp("ivp"),
)
kv: Elementwise = _of_order(
    "kv",
    "The modified Bessel function of the second kind K_v(x), for x > 0.",
    lambda v, r, x: -_half(kv, v, x, 1),
    _reference("besselk"),
    sp("kvp"),
)
ive: Elementwise = _of_order(
    "ive",
    "exp(-|x|) I_v(x), which does not overflow.",
    lambda v, r, x: _half(ive, v, x, 1) - sign(x) * r,
    _reference("besseli", lambda x: mp("exp")(-abs(x))),
    lambda v, x: (sp("ive")(v - 1, x) + sp("ive")(v + 1, x)) / 2 - np.sign(x) * sp("ive")(v, x),
)
kve: Elementwise = _of_order(
    "kve",
    "exp(x) K_v(x), which does not underflow, for x > 0.",
    lambda v, r, x: r - _half(kve, v, x, 1),
    _reference("besselk", lambda x: mp("exp")(x)),
    lambda v, x: sp("kve")(v, x) - (sp("kve")(v - 1, x) + sp("kve")(v + 1, x)) / 2,
)


def _of_known_order(name: str, general: Elementwise, v: float, slope: Callable[[Any, Node], Any]) -> Elementwise:
    """The faster function of order 0 or 1."""
    value = sp(name)
    assert general.complex_step is not None
    extended = general.complex_step
    return Elementwise(
        name,
        doc=f"{general.doc} The order is {v:.0f}.",
        evaluate_=value,
        reference=lambda x: general.reference(x, v),
        samples=general.samples,
        partials=lambda r, x: (slope(r, x),),
        native=f"scipy.{name}",
        complex_step=lambda z: extended(z, v),
    )


_TWO = Literal(2.0)
# (f_0 + f_2)/2 rather than f_0 - f_1/x, which is 0/0 at the origin.
j0: Elementwise = _of_known_order("j0", jv, 0.0, lambda r, x: -j1(x))
j1: Elementwise = _of_known_order("j1", jv, 1.0, lambda r, x: (j0(x) - jv(x, v=_TWO)) / 2)
y0: Elementwise = _of_known_order("y0", yv, 0.0, lambda r, x: -y1(x))
y1: Elementwise = _of_known_order("y1", yv, 1.0, lambda r, x: (y0(x) - yv(x, v=_TWO)) / 2)
i0: Elementwise = _of_known_order("i0", iv, 0.0, lambda r, x: i1(x))
i1: Elementwise = _of_known_order("i1", iv, 1.0, lambda r, x: (i0(x) + iv(x, v=_TWO)) / 2)
k0: Elementwise = _of_known_order("k0", kv, 0.0, lambda r, x: -k1(x))
k1: Elementwise = _of_known_order("k1", kv, 1.0, lambda r, x: -(k0(x) + kv(x, v=_TWO)) / 2)
i0e: Elementwise = _of_known_order("i0e", ive, 0.0, lambda r, x: i1e(x) - sign(x) * r)
i1e: Elementwise = _of_known_order("i1e", ive, 1.0, lambda r, x: (i0e(x) + ive(x, v=_TWO)) / 2 - sign(x) * r)
k0e: Elementwise = _of_known_order("k0e", kve, 0.0, lambda r, x: r - k1e(x))
k1e: Elementwise = _of_known_order("k1e", kve, 1.0, lambda r, x: r - (k0e(x) + kve(x, v=_TWO)) / 2)

OF_ORDER: tuple[Elementwise, ...] = (jv, yv, iv, kv, ive, kve)
"""Those with a parameter v."""

__all__ = [
    "OF_ORDER", "i0", "i0e", "i1", "i1e", "iv", "ive", "j0", "j1", "jv", "k0", "k0e", "k1", "k1e", "kv", "kve",
    "y0", "y1", "yv",
]  # fmt: skip
