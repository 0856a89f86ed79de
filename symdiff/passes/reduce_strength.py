"""reduce_strength: replace operations by cheaper ones of the same value.

    x**3 -> x*x*x     x**0.5 -> sqrt(x)     x**-2 -> 1/(x*x)     x/4 -> 0.25*x

Needs: nothing.  Keeps: shape, dtype, source line; the value to within n/2 ulp for x**n.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from symdiff.ir.graph import transform
from symdiff.ir.node import Node, const
from symdiff.ops import elementwise as el

# Powers by repeated squaring lose half an ulp a product; beyond this the C library's pow is as fast.
LARGEST_POWER = 8
_LARGEST_EXPONENT = {"float64": 1000, "float32": 100}


def reduce_strength(roots: Sequence[Node]) -> list[Node]:
    """Apply the rules above to every node under `roots`."""
    return transform(roots, _reduce)


def _reduce(node: Node) -> Node:
    if node.op is el.pow_ and node.args[1].op.name == "const":
        return _power(node, node.args[0], float(node.args[1].params["value"]))
    if node.op is el.div and node.args[1].op.name == "const":
        divisor = float(node.args[1].params["value"])
        # Only a power of two has an exact reciprocal, and only one that is far from overflow.
        mantissa, exponent = math.frexp(divisor)
        if abs(mantissa) == 0.5 and abs(exponent) < _LARGEST_EXPONENT[node.dtype]:
            return node.args[0] * const(1 / divisor, node.dtype)
    return node


def _power(node: Node, base: Node, exponent: float) -> Node:
    if exponent == 0.5:
        # pow(-inf, 0.5) is +inf and pow(-0.0, 0.5) is +0.0, unlike sqrt; neither is a number anyone asks for.
        return el.sqrt(base)
    if exponent == int(exponent) if math.isfinite(exponent) else False:
        n = int(exponent)
        if 1 <= abs(n) <= LARGEST_POWER:
            power = _repeated(base, abs(n))
            return power if n > 0 else const(1.0, node.dtype) / power
    return node


def _repeated(base: Node, n: int) -> Node:
    out: Node | None = None
    square = base
    while n:
        if n & 1:
            out = square if out is None else out * square
        n >>= 1
        if n:
            square = square * square
    assert out is not None
    return out
