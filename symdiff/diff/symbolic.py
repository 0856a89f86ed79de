"""Symbolic differentiation: a readable formula."""

from __future__ import annotations

from typing import Any

from symdiff.diff.forward import jvp_nodes
from symdiff.diff.wrt import as_function, as_symbol
from symdiff.ir.dims import shape_text
from symdiff.ir.errors import DerivativeError, ShapeError
from symdiff.ir.node import Node, brief, const
from symdiff.passes.tidy import read_order, tidy


def diff(f: Any, x: Any, n: int = 1) -> Node:
    """Return the `n`-th derivative of `f` by the scalar symbol `x` as a formula.

    Shapes: that of `f`. Raises: DerivativeError if `x` is not a real symbol, ShapeError if it is an array.

    >>> import symdiff as sd
    >>> x = sd.symbols("x")
    >>> print(sd.diff(sd.sin(x) * x, x))
    x*cos(x) + sin(x)
    """
    out, x = as_function(f), as_symbol(x)
    if x.shape != ():
        raise ShapeError(
            f"diff takes a scalar symbol, got {brief(x)} of shape {shape_text(x.shape)}; use gradient or jacobian."
        )
    if not isinstance(n, int) or isinstance(n, bool) or n < 0:
        raise DerivativeError(f"The order of a derivative is an int >= 0, got {n!r}.")
    for _ in range(n):
        (out,) = tidy(jvp_nodes([out], [x], [const(1.0, x.dtype)]))
    return read_order([out])[0]
