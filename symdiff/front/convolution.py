"""Convolutions: NumPy's `convolve`, and PyTorch's `conv1d` and `conv2d`.

conv1d and conv2d gather the windows into a matrix and multiply by the kernels: one matrix product for all
places, channels and instances (Chellapilla, Puri & Simard 2006). Their derivatives are again matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from symdiff.front.arrays import stack
from symdiff.front.functions import astype
from symdiff.front.padding import with_zeros
from symdiff.front.rearrange import cut, whole_number
from symdiff.front.windows import per_axis, windows
from symdiff.ir.dims import Extent, product, shape_text
from symdiff.ir.errors import ShapeError
from symdiff.ir.node import Node, as_node, brief, promote
from symdiff.ir.primitive import cast
from symdiff.ops import index, leaves, linalg
from symdiff.ops.reduce import sum_

# Longer kernels are gathered: one slice for each entry would make long code.
_LONGEST_UNROLLED = 32


def convolve(a: Any, v: Any, mode: str = "full") -> Node:
    """Return the convolution of two vectors, sum_j a_(i-j) v_j, as np.convolve.

    `mode` is "full" (n + m - 1 entries), "same" (as many as the longer vector has) or "valid" (where the vectors
    overlap fully). A vector of run-time size counts as the longer one.

    >>> from symdiff.front.symbols import vector
    >>> convolve(vector("a", "n"), vector("v", 3), "same").shape
    (n,)
    """
    nodes = [as_node(x) for x in (a, v)]
    for x in nodes:
        if x.ndim != 1 or x.shape[0] == 0:
            raise ShapeError(f"convolve takes two vectors with entries, got {brief(x)} ({x.line}).")
    if mode not in ("full", "same", "valid"):
        raise ShapeError(f"convolve knows the modes 'full', 'same' and 'valid', got {mode!r}.")
    dtype = promote(*(x.dtype for x in nodes))
    long, short = (cast(x, "int64" if dtype == "bool" else dtype) for x in nodes)
    if not isinstance(short.shape[0], int) or (isinstance(long.shape[0], int) and long.shape[0] < short.shape[0]):
        long, short = short, long
    n, m = long.shape[0], short.shape[0]
    if mode != "full" and not isinstance(m, int):
        raise ShapeError(
            f"convolve with mode {mode!r} must know which vector is longer; {brief(long)} and {brief(short)} both "
            "have run-time sizes: use mode 'full' and slice."
        )
    out = _full(long, short)
    if mode == "full":
        return out
    # As NumPy's correlate: of an even kernel's two middle places the earlier one.
    return cut(out, 0, (m - 1) // 2, n) if mode == "same" else cut(out, 0, m - 1, n - m + 1)


def _full(long: Node, short: Node) -> Node:
    n, m = long.shape[0], short.shape[0]
    if isinstance(m, int) and m <= _LONGEST_UNROLLED:
        padded = with_zeros(long, [(m - 1, m - 1)])
        terms = [cut(short, 0, j, 1) * cut(padded, 0, m - 1 - j, n + m - 1) for j in range(m)]
        return reduce(lambda x, y: x + y, terms)
    shape: tuple[Extent, ...] = (n + m - 1 + m - 1,)
    padded = index.embed(long, shape=shape, starts=(m - 1,), steps=(1,))
    i = index.reshape(leaves.iota(n=n + m - 1), shape=(n + m - 1, 1))
    j = index.reshape(leaves.iota(n=m), shape=(1, m))
    return sum_(index.take(padded, i - j + (m - 1), axis=0) * short, axes=(1,))


def conv1d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Node:
    """Slide kernels over the last axis, as PyTorch's conv1d (kernels are not reversed).

    Shapes: x (instances, channels, length) or (channels, length), weight (kernels, channels/groups, extent), bias
    (kernels,). `padding` is an int, "valid" or "same".

    >>> from symdiff.front.symbols import array
    >>> conv1d(array("x", ("N", 3, "L")), array("w", (8, 3, 5)), padding=2).shape
    (N, 8, L)
    """
    return _conv(1, x, weight, bias, stride, padding, dilation, groups)


def conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Node:
    """Slide kernels over the last two axes, as PyTorch's conv2d (kernels are not reversed).

    Shapes: x (instances, channels, height, width) or without instances, weight (kernels, channels/groups, height,
    width), bias (kernels,). Options are ints or pairs; `padding` may be "valid" or "same".

    >>> from symdiff.front.symbols import array
    >>> conv2d(array("x", ("N", 3, "H", "W")), array("w", (8, 3, 5, 5)), padding=2).shape
    (N, 8, H, W)
    """
    return _conv(2, x, weight, bias, stride, padding, dilation, groups)


def _conv(rank: int, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: Any) -> Node:
    given, kernels = (_float(as_node(v)) for v in (x, weight))
    if given.ndim not in (rank + 1, rank + 2) or kernels.ndim != rank + 2:
        raise ShapeError(
            f"conv{rank}d takes x with {rank + 1} or {rank + 2} axes and weight with {rank + 2}, got {brief(given)} "
            f"({given.line}) and {brief(kernels)} ({kernels.line})."
        )
    node = given if given.ndim == rank + 2 else index.reshape(given, shape=(1, *given.shape))
    n_groups = _groups(groups, node, kernels)
    extents = _known(kernels, rank)
    strides = per_axis(stride, rank, 1, "stride", given)
    apart = per_axis(dilation, rank, 1, "dilation", given)
    border = _border(padding, extents, strides, apart, given)
    padded = with_zeros(node, [(0, 0), (0, 0), *border])
    # Channels in front: the windows of all instances are then the columns of one matrix.
    moved = index.transpose(padded, perm=(1, 0, *range(2, rank + 2)))
    seen = stack(windows(moved, extents, strides, apart))
    out = _multiply(seen, kernels, n_groups)
    if bias is not None:
        shift = as_node(bias)
        if shift.shape != (kernels.shape[0],):
            raise ShapeError(f"conv{rank}d takes one bias for each of {kernels.shape[0]} kernels, got {brief(shift)}.")
        out = out + index.reshape(shift, shape=(1, kernels.shape[0], *(1,) * rank))
    return out if given is node else index.reshape(out, shape=out.shape[1:])


def _multiply(seen: Node, kernels: Node, n_groups: int) -> Node:
    """Multiply windows (entries, channels, instances, *places) by kernels; returns (instances, kernels, *places)."""
    entries, channels, n, *spots = seen.shape
    n_kernels, inner = kernels.shape[0], kernels.shape[1]
    rank = len(spots)
    rows = index.transpose(kernels, perm=(0, *range(2, rank + 2), 1))
    columns = product((n, *spots))
    if n_groups == 1:
        flat = index.reshape(seen, shape=(product((entries, channels)), columns))
        out = linalg.matmul(index.reshape(rows, shape=(n_kernels, product((entries, inner)))), flat)
    else:
        split = index.reshape(seen, shape=(entries, n_groups, inner, columns))
        apart = index.transpose(split, perm=(1, 0, 2, 3))
        flat = index.reshape(apart, shape=(n_groups, product((entries, inner)), columns))
        grouped = index.reshape(rows, shape=(n_groups, n_kernels // n_groups, product((entries, inner))))  # type: ignore[operator]  # checked to be an int
        out = linalg.matmul(grouped, flat)
    full = index.reshape(out, shape=(n_kernels, n, *spots))
    return index.transpose(full, perm=(1, 0, *range(2, rank + 2)))


def _float(x: Node) -> Node:
    return x if x.dtype.startswith("float") else astype(x, "float64")


def _groups(groups: Any, x: Node, kernels: Node) -> int:
    n = whole_number(groups, "The number of groups", x)
    channels, (n_kernels, inner) = x.shape[1], kernels.shape[:2]
    fits = n >= 1 and channels == inner * n
    if not fits or (n > 1 and (not isinstance(n_kernels, int) or n_kernels % n)):
        raise ShapeError(
            f"A convolution of {channels} channels in {n} groups needs weight of shape (multiple of {n}, "
            f"{channels}/{n}, ...), got {shape_text(kernels.shape)} for {brief(x)} ({x.line})."
        )
    return n


def _known(kernels: Node, rank: int) -> tuple[int, ...]:
    extents = kernels.shape[-rank:]
    if any(not isinstance(k, int) or k < 1 for k in extents):
        raise ShapeError(
            f"The extents of a kernel are known ints >= 1, got {shape_text(extents)} for {brief(kernels)} "
            f"({kernels.line})."
        )
    return extents  # type: ignore[return-value]  # ints, as just checked


def _border(
    padding: Any, kernel: Sequence[int], stride: Sequence[int], apart: Sequence[int], x: Node
) -> list[tuple[int, int]]:
    if isinstance(padding, str):
        if padding == "valid":
            return [(0, 0)] * len(kernel)
        if padding != "same":
            raise ShapeError(f"The padding for {brief(x)} ({x.line}) is an int, 'valid' or 'same', got {padding!r}.")
        if any(s != 1 for s in stride):
            raise ShapeError(f"padding='same' for {brief(x)} ({x.line}) needs stride 1, got {tuple(stride)}.")
        totals = [d * (k - 1) for k, d in zip(kernel, apart, strict=True)]
        return [(t // 2, t - t // 2) for t in totals]
    return [(p, p) for p in per_axis(padding, len(kernel), 0, "padding", x)]


__all__ = ["conv1d", "conv2d", "convolve"]
