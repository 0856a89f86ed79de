"""Views and moves: broadcast, reshape, transpose, slice, embed, concatenate, take, scatter_add.

All are linear in the array. Transposes come in pairs: slice and embed, take and scatter_add, broadcast and sum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from symdiff.ir.dims import Extent, Shape, as_shape, broadcast_shapes, product, shape_text
from symdiff.ir.errors import DomainError, DTypeError, ShapeError
from symdiff.ir.node import PRIMITIVES, Node, as_node, brief, const, make, promote
from symdiff.ir.primitive import Linear, Params, Structured, cast


def unbroadcast(x: Node, shape: Shape) -> Node:
    """Return the transpose of broadcasting `shape` to `x.shape`: the sum over the repeated entries."""
    if x.shape == shape:
        return x
    lead = x.ndim - len(shape)
    axes = tuple(k for k in range(x.ndim) if k < lead or (shape[k - lead] == 1 and x.shape[k] != 1))
    return reshape(PRIMITIVES["sum"](x, axes=axes), shape=shape)


class _BroadcastTo(Linear):
    name = "broadcast_to"
    doc = "Repeat along new leading axes and axes of extent 1."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        x, shape = args[0], params["shape"]
        if broadcast_shapes(x.shape, shape) != shape:
            raise ShapeError(f"{brief(x)} does not broadcast to {shape_text(shape)}.")
        return shape, x.dtype

    def evaluate(self, params: Params, *values: Any) -> Any:
        return np.broadcast_to(values[0], params["shape"])

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        return unbroadcast(x_bar, node.args[0].shape)

    def batch(self, node: Node, args: Sequence[Node], batched: Sequence[bool]) -> Node:
        (x,) = args
        shape = node.params["shape"]
        pad = len(shape) - (x.ndim - 1)
        x = reshape(x, shape=(x.shape[0], *(1,) * pad, *x.shape[1:]))
        return self(x, shape=(x.shape[0], *shape))

    def __call__(self, *args: Any, **params: Any) -> Node:
        x, shape = as_node(args[0]), as_shape(params["shape"])
        return x if x.shape == shape else make(self, (x,), {"shape": shape})


class _Reshape(Linear):
    name = "reshape"
    doc = "The same entries in C order under another shape; one extent may be -1."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        x, shape = args[0], params["shape"]
        if product(x.shape) != product(shape):
            raise ShapeError(
                f"{brief(x)} cannot be reshaped to {shape_text(shape)}: {product(x.shape)} against {product(shape)} "
                "entries."
            )
        return shape, x.dtype

    def evaluate(self, params: Params, *values: Any) -> Any:
        return np.reshape(values[0], params["shape"])

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        return self(x_bar, shape=node.args[0].shape)

    def batch(self, node: Node, args: Sequence[Node], batched: Sequence[bool]) -> Node:
        return self(args[0], shape=(args[0].shape[0], *node.params["shape"]))

    def __call__(self, *args: Any, **params: Any) -> Node:
        x, shape = as_node(args[0]), params["shape"]
        shape = shape if isinstance(shape, (tuple, list)) else (shape,)
        if any(isinstance(d, int) and d == -1 for d in shape):
            shape = _infer_extent(x, tuple(shape))
        shape = as_shape(tuple(shape))
        if x.shape == shape:
            return x
        if x.op is self:
            return self(x.args[0], shape=shape)
        return make(self, (x,), {"shape": shape})


def _infer_extent(x: Node, shape: tuple[Any, ...]) -> Shape:
    known = as_shape(tuple(d for d in shape if d != -1))
    total, part = product(x.shape), product(known)
    missing: Extent | None = None
    if len(known) != len(shape) - 1:
        raise ShapeError(f"Only one extent of a new shape may be -1, got {shape}.")
    if part == 1:
        missing = total
    elif isinstance(total, int) and isinstance(part, int):
        missing = total // part if part and total % part == 0 else None
    else:
        # Cancel the known extents against those of x, numbers as one product: (n, m, 6) to (-1, m, 3) leaves 2*n.
        rest = [d for d in x.shape if not isinstance(d, int)]
        number = math.prod(d for d in x.shape if isinstance(d, int))
        for d in known:
            if isinstance(d, int) and d and number % d == 0:
                number //= d
            elif d in rest:
                rest.remove(d)
            else:
                break
        else:
            missing = product((*rest, number))
    if missing is None:
        raise ShapeError(f"{brief(x)} cannot be reshaped to {shape}: the extent -1 is not determined.")
    return tuple(missing if isinstance(d, int) and d == -1 else d for d in shape)


class _Transpose(Linear):
    name = "transpose"
    doc = "Permute the axes: axis k of the result is axis perm[k] of x."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        x, perm = args[0], params["perm"]
        if sorted(perm) != list(range(x.ndim)):
            raise ShapeError(f"{perm} is not a permutation of the axes of {brief(x)}.")
        return tuple(x.shape[p] for p in perm), x.dtype

    def evaluate(self, params: Params, *values: Any) -> Any:
        return np.transpose(values[0], params["perm"])

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        perm = node.params["perm"]
        return self(x_bar, perm=tuple(perm.index(i) for i in range(len(perm))))

    def batch(self, node: Node, args: Sequence[Node], batched: Sequence[bool]) -> Node:
        return self(args[0], perm=(0, *(p + 1 for p in node.params["perm"])))

    def __call__(self, *args: Any, **params: Any) -> Node:
        x, perm = as_node(args[0]), tuple(params["perm"])
        if x.op is self and sorted(perm) == list(range(x.ndim)):
            inner = x.params["perm"]
            x, perm = x.args[0], tuple(inner[p] for p in perm)
        return x if perm == tuple(range(x.ndim)) else make(self, (x,), {"perm": perm})


class _Slice(Linear):
    name = "slice"
    doc = "x[start : start + (extent - 1)*step + 1 : step] along every axis; a step may be negative."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        x = args[0]
        starts, extents, steps = params["starts"], params["extents"], params["steps"]
        if not len(starts) == len(extents) == len(steps) == x.ndim:
            raise ShapeError(f"A slice of {brief(x)} names all of its axes.")
        for axis, (d, start, extent, step) in enumerate(zip(x.shape, starts, extents, steps, strict=True)):
            last = start + (extent - 1) * step
            for index in (start, last):
                out = isinstance(index, int) and isinstance(d, int) and not 0 <= index < d
                if out and extent != 0:
                    raise ShapeError(f"Index {index} is out of range for axis {axis} of {brief(x)}.")
        return tuple(extents), x.dtype

    def evaluate(self, params: Params, *values: Any) -> Any:
        (x,) = values
        starts, extents, steps = (params[name] for name in ("starts", "extents", "steps"))
        for start, extent, step, d in zip(starts, extents, steps, np.shape(x), strict=True):
            last = start + (extent - 1) * step
            if extent < 0 or (extent > 0 and not (0 <= start < d and 0 <= last < d)):
                raise DomainError(f"A slice from {start} to {last} is out of range for an axis of extent {d}.")
        index = []
        for start, extent, step in zip(params["starts"], params["extents"], params["steps"], strict=True):
            stop = start + extent * step
            index.append(slice(start, None if stop < 0 else stop, step) if extent > 0 else slice(0, 0))
        return x[tuple(index)]

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        p = node.params
        return embed(x_bar, shape=node.args[0].shape, starts=p["starts"], steps=p["steps"])

    def batch(self, node: Node, args: Sequence[Node], batched: Sequence[bool]) -> Node:
        p, n = node.params, args[0].shape[0]
        return self(args[0], starts=(0, *p["starts"]), extents=(n, *p["extents"]), steps=(1, *p["steps"]))

    def __call__(self, *args: Any, **params: Any) -> Node:
        x = as_node(args[0])
        starts, extents, steps = (tuple(params[k]) for k in ("starts", "extents", "steps"))
        if extents == x.shape and all(s == 0 for s in starts) and all(s == 1 for s in steps):
            return x
        return make(self, (x,), {"starts": starts, "extents": extents, "steps": steps})


class _Embed(Linear):
    name = "embed"
    doc = "Zeros of a given shape with x written at start, start + step, …: the transpose of slice."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        if not len(params["shape"]) == len(params["starts"]) == len(params["steps"]) == args[0].ndim:
            raise ShapeError(f"embed of {brief(args[0])} names all of its axes.")
        return params["shape"], args[0].dtype

    def evaluate(self, params: Params, *values: Any) -> Any:
        (x,) = values
        out = np.zeros(params["shape"], dtype=x.dtype)
        index = []
        for start, extent, step in zip(params["starts"], x.shape, params["steps"], strict=True):
            stop = start + extent * step
            index.append(slice(start, None if stop < 0 else stop, step) if extent > 0 else slice(0, 0))
        out[tuple(index)] = x
        return out

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        p = node.params
        return slice_(x_bar, starts=p["starts"], extents=node.args[0].shape, steps=p["steps"])

    def batch(self, node: Node, args: Sequence[Node], batched: Sequence[bool]) -> Node:
        p, n = node.params, args[0].shape[0]
        return self(args[0], shape=(n, *p["shape"]), starts=(0, *p["starts"]), steps=(1, *p["steps"]))


class _Concatenate(Structured):
    name = "concatenate"
    doc = "Join arrays along an axis."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        axis = params["axis"]
        first = args[0].shape
        if not 0 <= axis < len(first):
            raise ShapeError(f"Axis {axis} is not an axis of {brief(args[0])}.")
        total: Extent = 0
        for x in args:
            if x.ndim != len(first) or any(k != axis and x.shape[k] != d for k, d in enumerate(first)):
                every = ", ".join(shape_text(a.shape) for a in args)
                raise ShapeError(f"Shapes {every} cannot be joined along axis {axis}.")
            total = x.shape[axis] + total
        return (*first[:axis], total, *first[axis + 1 :]), args[0].dtype

    def evaluate(self, params: Params, *values: Any) -> Any:
        return np.concatenate(values, axis=params["axis"])

    def offsets(self, node: Node) -> list[Extent]:
        """The start of each argument along the axis."""
        out: list[Extent] = [0]
        for x in node.args[:-1]:
            out.append(x.shape[node.params["axis"]] + out[-1])
        return out

    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        if all(t is None for t in tangents):
            return None
        filled = [zeros_like(x) if t is None else t for x, t in zip(node.args, tangents, strict=True)]
        return self(*filled, axis=node.params["axis"])

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        axis, shape = node.params["axis"], node.args[k].shape
        start = self.offsets(node)[k]
        starts = tuple(start if a == axis else 0 for a in range(len(shape)))
        return slice_(x_bar, starts=starts, extents=shape, steps=(1,) * len(shape))

    def batch(self, node: Node, args: Sequence[Node], batched: Sequence[bool]) -> Node:
        n = next(a.shape[0] for a, b in zip(args, batched, strict=True) if b)
        full = [a if b else broadcast_to(a, shape=(n, *a.shape)) for a, b in zip(args, batched, strict=True)]
        return self(*full, axis=node.params["axis"] + 1)

    def __call__(self, *args: Any, **params: Any) -> Node:
        nodes = [as_node(a) for a in args]
        if not nodes:
            raise ShapeError("concatenate needs at least one array.")
        dtype = promote(*(n.dtype for n in nodes))
        if len(nodes) == 1:
            return nodes[0]
        return make(self, tuple(cast(n, dtype) for n in nodes), {"axis": params["axis"]})


def zeros_like(x: Node) -> Node:
    """An array of zeros of the shape and dtype of `x`."""
    return broadcast_to(const(0, x.dtype), shape=x.shape)


class _Take(Linear):
    name = "take"
    doc = "x[..., index, ...] along an axis; negative indices count from the end."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        x, index = args
        axis = params["axis"]
        if not 0 <= axis < x.ndim:
            raise ShapeError(f"Axis {axis} is not an axis of {brief(x)}.")
        if index.dtype != "int64":
            raise DTypeError(f"An index has dtype int64, got {index.dtype}.")
        return (*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]), x.dtype

    def evaluate(self, params: Params, *values: Any) -> Any:
        x, index = values
        try:
            return np.take(x, np.asarray(index, dtype=np.int64), axis=params["axis"])
        except IndexError as error:
            raise DomainError(f"take: {error}.") from None

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        x, index = node.args
        return scatter_add(x_bar, index, axis=node.params["axis"], extent=x.shape[node.params["axis"]])

    def batch(self, node: Node, args: Sequence[Node], batched: Sequence[bool]) -> Node:
        x, index = args
        axis = node.params["axis"]
        if not batched[1]:
            return self(x, index, axis=axis + 1)
        return _take_rows(x, index, axis, batched[0])


def _take_rows(x: Node, index: Node, axis: int, x_batched: bool) -> Node:
    """Take with one index array per instance: over the flattened (instance, axis) pairs."""
    n, m = index.shape[0], index.ndim
    if not x_batched:
        taken = take(x, index, axis=axis)
        return transpose(taken, perm=(axis, *(k for k in range(taken.ndim) if k != axis)))
    perm = (0, axis + 1, *(k for k in range(1, x.ndim) if k != axis + 1))
    moved = transpose(x, perm=perm)
    extent = moved.shape[1]
    flat = reshape(moved, shape=(product((n, extent)), *moved.shape[2:]))
    taken = take(flat, _flat_index(index, extent), axis=0)
    back = (0, *range(m, m + axis), *range(1, m), *range(m + axis, taken.ndim))
    return transpose(taken, perm=back)


def _flat_index(index: Node, extent: Extent) -> Node:
    """Number the (instance, index) pairs; an index out of range stays out of range, not another instance's entry."""
    from symdiff.ops.leaves import iota

    where = PRIMITIVES["where"]
    n = index.shape[0]
    instance = reshape(iota(n=n), shape=(n, *(1,) * (index.ndim - 1)))
    wrapped = where(index < 0, index + extent, index)
    is_legal = (wrapped >= 0) & (wrapped < extent)
    return where(is_legal, wrapped + instance * extent, cast(as_node(product((n, extent))), "int64"))


class _ScatterAdd(Linear):
    name = "scatter_add"
    doc = "Zeros with x added at the indices of an axis, in index order: the transpose of take."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        x, index = args
        axis = params["axis"]
        if x.shape[axis : axis + index.ndim] != index.shape:
            raise ShapeError(
                f"scatter_add: {brief(x)} does not hold an index of shape {shape_text(index.shape)} at axis {axis}."
            )
        return (*x.shape[:axis], params["extent"], *x.shape[axis + index.ndim :]), x.dtype

    def evaluate(self, params: Params, *values: Any) -> Any:
        x, index = values
        axis = params["axis"]
        lead, tail = x.shape[:axis], x.shape[axis + index.ndim :]
        out = np.zeros((*lead, params["extent"], *tail), dtype=x.dtype)
        rows = np.reshape(x, (*lead, index.size, *tail))
        where = (slice(None),) * axis
        for j, i in enumerate(index.ravel()):
            if not -params["extent"] <= i < params["extent"]:
                raise DomainError(f"scatter_add: index {i} is out of range for an axis of extent {params['extent']}.")
            out[(*where, i)] += rows[(*where, j)]
        return out

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        return take(x_bar, node.args[1], axis=node.params["axis"])

    def batch(self, node: Node, args: Sequence[Node], batched: Sequence[bool]) -> Node:
        x, index = args
        axis, extent = node.params["axis"], node.params["extent"]
        if not batched[1]:
            return self(x, index, axis=axis + 1, extent=extent)
        # One index array per instance: scatter into (instance, axis) pairs, with the axis moved to the front.
        n, m = index.shape[0], index.ndim - 1
        if not batched[0]:
            x = broadcast_to(x, shape=(n, *x.shape))
        core = tuple(range(axis + 1, axis + 1 + m))
        front = transpose(x, perm=(0, *core, *(k for k in range(1, x.ndim) if k not in core)))
        flat = self(front, _flat_index(index, extent), axis=0, extent=product((n, extent)))
        split = reshape(flat, shape=(n, extent, *flat.shape[1:]))
        return transpose(split, perm=(0, *range(2, axis + 2), 1, *range(axis + 2, split.ndim)))


broadcast_to = _BroadcastTo()
reshape = _Reshape()
transpose = _Transpose()
slice_ = _Slice()
embed = _Embed()
concatenate = _Concatenate()
take = _Take()
scatter_add = _ScatterAdd()
INDEXING = (broadcast_to, reshape, transpose, slice_, embed, concatenate, take, scatter_add)

__all__ = ["INDEXING", "unbroadcast", "zeros_like", *(p.name for p in INDEXING if p.name != "slice")]
