"""Rows of arrays at an index that is known only at run time: `set_row`, and memory without a value, `empty`.

They hold what a loop collects: row t of a stack is written in turn t. Programs write the row in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symdiff.ir.dims import Shape, shape_text
from symdiff.ir.errors import DerivativeError, DomainError, DTypeError, ShapeError
from symdiff.ir.node import PRIMITIVES, Node, as_node, brief, make
from symdiff.ir.primitive import Constant, Params, Structured, cast
from symdiff.ops.index import broadcast_to, take, zeros_like


class _SetRow(Structured):
    name = "set_row"
    doc = "x with x[index] replaced by a row; a negative index counts from the end."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        x, row, index = args
        if not x.ndim or x.shape[1:] != row.shape:
            raise ShapeError(f"{brief(x)} has no rows of shape {shape_text(row.shape)}.")
        if index.shape != () or index.dtype != "int64":
            raise DTypeError(f"The index of a row is a scalar int64, got {brief(index)} of dtype {index.dtype}.")
        return x.shape, x.dtype

    def evaluate(self, params: Params, *values: Any) -> Any:
        x, row, index = values
        # Memory without a value comes as real zeros, whatever numbers the rows have.
        out = np.array(x, dtype=np.result_type(x, row))
        try:
            # Into a view: an object array would keep a scalar's array of shape () itself as its entry.
            out[int(index), ...] = row
        except IndexError as error:
            raise DomainError(f"set_row: {error}.") from None
        return out

    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        x_dot, row_dot, _ = tangents
        if x_dot is None and row_dot is None:
            return None
        x, row, index = node.args
        return self(zeros_like(x) if x_dot is None else x_dot, zeros_like(row) if row_dot is None else row_dot, index)

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        _, row, index = node.args
        return self(x_bar, zeros_like(row), index) if k == 0 else take(x_bar, index, axis=0)

    def batch(self, node: Node, args: Sequence[Node], batched: Sequence[bool]) -> Node:
        x, row, index = args
        n = next(a.shape[0] for a, b in zip(args, batched, strict=True) if b)
        x, row = (a if b else broadcast_to(a, shape=(n, *a.shape)) for a, b in zip((x, row), batched[:2], strict=True))
        if batched[2]:
            return _set_rows(x, row, index)
        perm = (1, 0, *range(2, x.ndim))
        transpose = PRIMITIVES["transpose"]
        return transpose(self(transpose(x, perm=perm), row, index), perm=perm)

    def __call__(self, *args: Any, **params: Any) -> Node:
        x, row, index = (as_node(a) for a in args)
        return make(self, (x, cast(row, x.dtype), cast(index, "int64")))


def _set_rows(x: Node, row: Node, index: Node) -> Node:
    """One index per instance: choose by comparing with all of them."""
    from symdiff.ops.leaves import iota

    n, m = x.shape[0], x.shape[1]
    reshape, where, eq = (PRIMITIVES[name] for name in ("reshape", "where", "eq"))
    units = (1,) * (x.ndim - 2)
    # Taken from the places themselves, an index out of range is an error.
    wrapped = take(iota(n=m), index, axis=0)
    hit = eq(reshape(wrapped, shape=(n, 1, *units)), reshape(iota(n=m), shape=(1, m, *units)))
    return where(hit, reshape(row, shape=(n, 1, *row.shape[1:])), x)


class _Empty(Constant):
    """Memory that is written before it is read; the interpreter fills it with zeros."""

    name = "empty"
    doc = "An array without defined entries."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        return params["shape"], params["dtype"]

    def evaluate(self, params: Params, *values: Any) -> Any:
        return np.zeros(params["shape"], dtype=params["dtype"])

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        raise DerivativeError("empty has no arguments.")

    def __call__(self, *args: Any, **params: Any) -> Node:
        return make(self, (), params)


set_row = _SetRow()
empty = _Empty()
