"""Special functions under SciPy's names: Bessel functions, inverses of the error functions, beta."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.front.functions import public, sigmoid
from symdiff.ir.errors import DTypeError
from symdiff.ir.literals import Literal
from symdiff.ir.node import Node, as_node
from symdiff.ir.primitive import Elementwise
from symdiff.ops import elementwise as ops

j0 = public("j0", ops.j0)
j1 = public("j1", ops.j1)
y0 = public("y0", ops.y0)
y1 = public("y1", ops.y1)
i0 = public("i0", ops.i0)
i1 = public("i1", ops.i1)
i0e = public("i0e", ops.i0e)
i1e = public("i1e", ops.i1e)
k0 = public("k0", ops.k0)
k1 = public("k1", ops.k1)
k0e = public("k0e", ops.k0e)
k1e = public("k1e", ops.k1e)
erfinv = public("erfinv", ops.erfinv)
erfcinv = public("erfcinv", ops.erfcinv)
erfcx = public("erfcx", ops.erfcx)
ndtri = public("ndtri", ops.ndtri)
log_ndtr = public("log_ndtr", ops.log_ndtr)
beta = public("beta", ops.beta)
betaln = public("betaln", ops.betaln)
logit = public("logit", ops.logit)
expit = sigmoid


def _of_order(primitive: Elementwise) -> Callable[[Any, Any], Node]:
    """Return the public function of a primitive with a literal order."""

    def function(v: Any, x: Any) -> Node:
        return primitive(x, v=order(v, primitive.name))

    function.__name__ = function.__qualname__ = primitive.name
    function.__doc__ = f"{primitive.doc} The order v is a literal real number."
    function.__module__ = __name__
    return function


def order(v: Any, name: str) -> Literal:
    """Read the order of a Bessel function. Raises DTypeError for anything but a finite literal number."""
    node = None if isinstance(v, (bool, np.bool_, str)) else as_node(v)
    if node is None or node.op.name != "const" or not math.isfinite(node.params["value"]):
        raise DTypeError(
            f"{name}(v, x) takes a finite number as its order v, got {v!r}; the derivative by the order has no closed "
            "form, so it cannot be an expression."
        )
    return Literal(node.params["value"])


jv = _of_order(ops.jv)
yv = _of_order(ops.yv)
iv = _of_order(ops.iv)
kv = _of_order(ops.kv)
ive = _of_order(ops.ive)
kve = _of_order(ops.kve)


def jn(n: Any, x: Any) -> Node:
    """The Bessel function of the first kind J_n(x) of integer order: `jv` under SciPy's other name."""
    return jv(_whole(n, "jn"), x)


def yn(n: Any, x: Any) -> Node:
    """The Bessel function of the second kind Y_n(x) of integer order, for x > 0."""
    return yv(_whole(n, "yn"), x)


def kn(n: Any, x: Any) -> Node:
    """The modified Bessel function of the second kind K_n(x) of integer order, for x > 0."""
    return kv(_whole(n, "kn"), x)


def _whole(n: Any, name: str) -> Literal:
    value = order(n, name)
    if not float(value).is_integer():
        raise DTypeError(f"{name}(n, x) takes an integer order, got {n!r}; {name[0]}v(v, x) takes any real one.")
    return value


def ndtr(x: Any) -> Node:
    """Return the normal distribution's function, the probability of a value below x.

    >>> from symdiff.front.symbols import symbols
    >>> str(ndtr(symbols("x")))
    '0.5*erfc(-0.7071067811865476*x)'
    """
    return 0.5 * ops.erfc(-math.sqrt(0.5) * as_node(x))


ORDERED: dict[str, Callable[[Any, Any], Node]] = {
    f.__name__: f for f in (jv, yv, iv, kv, ive, kve)
}  # fmt: skip
"""The functions with an order in front, by name."""
