"""Reductions over axes: sum, prod, max, min.

`axes` is a sorted tuple of non-negative ints; the reduced axes disappear.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symdiff.ir.dims import Extent, Shape, product, shape_text
from symdiff.ir.errors import DerivativeError, DomainError, ShapeError
from symdiff.ir.node import Node, as_node, brief, const, make
from symdiff.ir.primitive import Params, Structured, cast
from symdiff.ops.elementwise import div, eq, where
from symdiff.ops.index import broadcast_to, reshape


def keep_axes(node: Node, shape: Shape, axes: Sequence[int]) -> Node:
    """Put the reduced `axes` back as extents 1, so that a reduced node broadcasts against the full `shape`."""
    return reshape(node, shape=tuple(1 if k in axes else d for k, d in enumerate(shape)))


class _Reduce(Structured):
    """Shape, batching and NumPy's value; the derivative is the subclass's own."""

    ufunc: Any
    empty: float | None

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        (x,) = args
        axes = params["axes"]
        if any(not 0 <= a < x.ndim for a in axes) or len(set(axes)) != len(axes):
            raise ShapeError(f"Axes {axes} are not axes of {brief(x)}.")
        if self.empty is None and any(x.shape[a] == 0 for a in axes):
            raise ShapeError(f"{self.name} over an empty axis of {shape_text(x.shape)} has no value.")
        return tuple(d for k, d in enumerate(x.shape) if k not in axes), x.dtype

    def evaluate(self, params: Params, *values: Any) -> Any:
        (x,) = values
        out = self.ufunc.reduce(x, axis=params["axes"]) if params["axes"] else x
        # Object arrays reduced to a scalar come back as bare numbers.
        if not isinstance(out, np.ndarray):
            wrapped = np.empty((), dtype=np.asarray(x).dtype)
            wrapped[()] = out
            return wrapped
        return out

    def batch(self, node: Node, args: Sequence[Node], batched: Sequence[bool]) -> Node:
        return self(args[0], axes=tuple(a + 1 for a in node.params["axes"]))

    def __call__(self, *args: Any, **params: Any) -> Node:
        x = as_node(args[0])
        if x.dtype == "bool":
            x = cast(x, "int64")
        return make(self, (x,), {"axes": tuple(sorted(params["axes"]))}) if params["axes"] else x


class _Sum(_Reduce):
    name = "sum"
    doc = "The sum over axes, in a fixed block tree: the same for any number of threads."
    ufunc, empty = np.add, 0.0

    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        return None if tangents[0] is None else self(tangents[0], axes=node.params["axes"])

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        shape = node.args[0].shape
        return broadcast_to(keep_axes(x_bar, shape, node.params["axes"]), shape=shape)


class _Prod(_Reduce):
    name = "prod"
    doc = "The product over axes."
    ufunc, empty = np.multiply, 1.0

    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        """d prod(x) = sum_k (product of the others)_k dx_k, the others as prefix times suffix products.

        Dividing prod(x) by x_k would give 0/0 at a zero entry, so the others are products over a matrix
        whose diagonal is replaced by ones: quadratic work, and right for any number of zeros.
        """
        if tangents[0] is None:
            return None
        x, axes = node.args[0], node.params["axes"]
        flat, rest = _flatten_axes(x, axes)
        flat_dot, _ = _flatten_axes(tangents[0], axes)
        n = flat.shape[-1]
        from symdiff.ops.leaves import iota

        index = iota(n=n)
        diagonal = eq(reshape(index, shape=(n, 1)), reshape(index, shape=(1, n)))
        ones = const(1.0, x.dtype)
        matrix = where(diagonal, ones, reshape(flat, shape=(*rest, 1, n)))
        others = self(matrix, axes=(len(rest) + 1,))
        return sum_(others * flat_dot, axes=(len(rest),))

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        raise DerivativeError("prod is not linear.")


def _flatten_axes(x: Node, axes: Sequence[int]) -> tuple[Node, Shape]:
    """Move `axes` last and merge them; returns the array and the shape of the other axes."""
    from symdiff.ops.index import transpose

    others = [k for k in range(x.ndim) if k not in axes]
    rest = tuple(x.shape[k] for k in others)
    n: Extent = product(tuple(x.shape[k] for k in axes))
    return reshape(transpose(x, perm=(*others, *axes)), shape=(*rest, n)), rest


class _Extreme(_Reduce):
    """max or min: the derivative of a tie is shared equally among the entries that attain it."""

    empty = None

    def __init__(self, name: str, ufunc: Any):
        self.name, self.ufunc = name, ufunc
        self.doc = f"The {name}imum over axes; NaN if one entry is NaN. A tie's derivative is shared equally."
        super().__init__()

    def evaluate(self, params: Params, *values: Any) -> Any:
        (x,) = values
        if any(x.shape[a] == 0 for a in params["axes"]):
            raise DomainError(f"{self.name} over an empty axis of an array of shape {x.shape} has no value.")
        if np.iscomplexobj(x):
            return self._by_real(x, params["axes"])
        return super().evaluate(params, x)

    def _by_real(self, x: Any, axes: tuple[int, ...]) -> Any:
        """For x + ih: the entry whose real part is extreme; a tie averages, which its derivative does too."""
        hit = np.real(x) == self.ufunc.reduce(np.real(x), axis=axes, keepdims=True)
        return np.sum(np.where(hit, x, 0), axis=axes) / np.sum(hit, axis=axes)

    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        if tangents[0] is None:
            return None
        x, axes = node.args[0], node.params["axes"]
        hit = cast(eq(x, keep_axes(node, x.shape, axes)), node.dtype)
        weight = div(hit, keep_axes(sum_(hit, axes=axes), x.shape, axes))
        return sum_(weight * tangents[0], axes=axes)

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        raise DerivativeError(f"{self.name} is not linear.")


sum_ = _Sum()
prod = _Prod()
max_ = _Extreme("max", np.maximum)
min_ = _Extreme("min", np.minimum)
REDUCTIONS = (sum_, prod, max_, min_)
