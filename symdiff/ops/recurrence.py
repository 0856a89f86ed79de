"""recurrence: y_k = a_k y_(k-1) + b_k along an axis, from which running sums and products come.

The recurrence is linear in b. With S the shift (S y)_k = y_(k-1), y = (I - diag(a) S)^-1 b, so its transpose is
(I - S' diag(a))^-1: the same recurrence from the end, where entry k takes a_(k+1) y_(k+1). Both directions are
one primitive, and each is the other's transpose with the same a.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symdiff.ir.dims import Shape, broadcast_shapes
from symdiff.ir.errors import DerivativeError, DTypeError, ShapeError
from symdiff.ir.node import Node, as_node, brief, make, promote
from symdiff.ir.primitive import Params, Structured, cast
from symdiff.ops.index import broadcast_to, embed, slice_


class _Recurrence(Structured):
    name = "recurrence"
    doc = "y_k = a_k y_(k-1) + b_k along an axis; reverse: y_k = a_(k+1) y_(k+1) + b_k. The first y is its b."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        a, b = args
        if a.shape != b.shape or not 0 <= params["axis"] < b.ndim:
            raise ShapeError(f"{brief(a)} and {brief(b)} have no recurrence along axis {params['axis']}.")
        if a.dtype != b.dtype or b.dtype == "bool":
            raise DTypeError(f"A recurrence works in one number type, got {a.dtype} and {b.dtype}.")
        return b.shape, b.dtype

    def evaluate(self, params: Params, *values: Any) -> Any:
        a, b = (np.moveaxis(v, params["axis"], 0) for v in values)
        out = np.array(b, dtype=np.result_type(a, b), copy=True)
        n = len(out)
        for k in range(1, n):
            if params["reverse"]:
                out[n - 1 - k] += a[n - k] * out[n - k]
            else:
                out[k] += a[k] * out[k - 1]
        return np.moveaxis(out, 0, params["axis"])

    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        """Return y_dot, which obeys the same recurrence with b_dot_k + a_dot_k y_(k-1) in place of b_k."""
        a_dot, b_dot = tangents
        axis, reverse = node.params["axis"], node.params["reverse"]
        total = b_dot
        if a_dot is not None:
            # Reversed, entry k takes what stands at k + 1: a_dot_(k+1) y_(k+1).
            term = shift(a_dot * node, axis, -1) if reverse else a_dot * shift(node, axis, 1)
            total = term if b_dot is None else term + b_dot
        return None if total is None else self(node.args[0], total, axis=axis, reverse=reverse)

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        if k == 0:
            raise DerivativeError(f"recurrence ({node.line}) is not linear in its factors.")
        return self(node.args[0], x_bar, axis=node.params["axis"], reverse=not node.params["reverse"])

    def batch(self, node: Node, args: Sequence[Node], batched: Sequence[bool]) -> Node:
        n = next(x.shape[0] for x, b in zip(args, batched, strict=True) if b)
        full = [x if b else broadcast_to(x, shape=(n, *x.shape)) for x, b in zip(args, batched, strict=True)]
        return self(*full, axis=node.params["axis"] + 1, reverse=node.params["reverse"])

    def __call__(self, *args: Any, **params: Any) -> Node:
        a, b = (as_node(x) for x in args)
        dtype = promote(a.dtype, b.dtype)
        dtype = "int64" if dtype == "bool" else dtype
        shape = broadcast_shapes(a.shape, b.shape)
        full = tuple(broadcast_to(cast(x, dtype), shape=shape) for x in (a, b))
        return make(self, full, {"axis": params["axis"], "reverse": params["reverse"]})


def shift(x: Node, axis: int, by: int) -> Node:
    """Move the entries by one place, 1 or -1, along an axis; a zero comes in at the end that gets free.

    Written through one entry more, so that an axis without entries stays legal.
    """
    n = x.shape[axis]
    longer = tuple(d + 1 if k == axis else d for k, d in enumerate(x.shape))
    rank = x.ndim
    forward, back = (tuple(int(k == axis and by == s) for k in range(rank)) for s in (1, -1))
    wide = embed(x, shape=longer, starts=forward, steps=(1,) * rank)
    extents = tuple(n if k == axis else d for k, d in enumerate(x.shape))
    return slice_(wide, starts=back, extents=extents, steps=(1,) * rank)


recurrence = _Recurrence()

__all__ = ["recurrence", "shift"]
