"""How primitives get their values: mpmath and SciPy looked up late, complex steps, values at the edges.

`reference` functions follow NumPy where mpmath raises: at poles, at infinities, for NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.ir.node import Node


def mp(name: str) -> Callable[..., Any]:
    """Return an mpmath function that is looked up when it is called: mpmath loads late."""

    def call(*args: Any) -> Any:
        import mpmath

        return getattr(mpmath, name)(*args)

    return call


def sp(name: str) -> Callable[..., Any]:
    """Return a scipy.special function that is looked up when it is called: SciPy loads late."""

    def call(*args: Any) -> Any:
        from scipy import special

        return getattr(special, name)(*args)

    return call


def mp_sign(x: Any) -> Any:
    """The sign of an mpmath number; NaN stays."""
    return x if x != x else type(x)(int(x > 0) - int(x < 0))


def mp_div(x: Any, y: Any) -> Any:
    """x / y with infinities and NaN where mpmath raises."""
    if y == 0:
        return x * math.nan if x == 0 or x != x else math.copysign(math.inf, x)
    return x / y


def mp_mod(x: Any, y: Any) -> Any:
    """x mod y with the sign of y, as NumPy for infinities and zeros."""
    if x != x or y != y:
        return x + y
    if y == 0 or abs(x) == math.inf:
        return x * math.nan
    if abs(y) == math.inf:
        return x if x == 0 or (x > 0) == (y > 0) else y
    return x % y


def mp_rem(x: Any, y: Any) -> Any:
    """The remainder with the sign of x, as C's fmod."""
    return mp_mod(x, abs(y)) if x >= 0 else -mp_mod(-x, abs(y))


def mp_gamma_like(name: str, at_zero: float, at_pole: float) -> Callable[..., Any]:
    """Return an mpmath function of the gamma family with NumPy's values at the poles, where mpmath raises."""

    def call(x: Any) -> Any:
        if x <= 0 and x != -math.inf and x == int(x):
            return at_zero if x == 0 else at_pole
        return mp("log")(abs(mp("gamma")(x))) if name == "gammaln" else mp(name)(x)

    return call


def first_order(value: Callable[..., Any], slopes: Callable[..., tuple[Any, ...]]) -> Callable[..., Any]:
    """Extend a real function to x + ih by its first-order Taylor term, where no complex version exists."""

    def call(*z: Any) -> Any:
        real = [np.real(a) for a in z]
        return value(*real) + 1j * sum(d * np.imag(a) for d, a in zip(slopes(*real), z, strict=True))

    return call


def by_real(choose: Callable[..., Any]) -> Callable[..., Any]:
    """Extend a comparison to x + ih by comparing the real parts."""
    return lambda *z: choose(*(np.real(a) for a in z))


def abs_complex(z: Any) -> Any:
    """|x| for x + ih: the sign of the real part decides."""
    return np.where(np.real(z) < 0, -z, z)


def is_literal(node: Node, value: float) -> bool:
    """Whether a node is this literal."""
    return node.op.name == "const" and float(node.params["value"]) == value


HUGE = (-1e3, 1e3)
UNIT = (-0.95, 0.95)
POSITIVE = (1e-3, 1e3)
ANY = (-4.0, 4.0)
