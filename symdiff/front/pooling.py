"""Pooling with PyTorch's options: the maximum or the mean of every window of the last one or two axes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from symdiff.front.arrays import stack
from symdiff.front.functions import astype
from symdiff.front.literals import ones
from symdiff.front.padding import lowest, pad, with_zeros
from symdiff.front.windows import per_axis, windows
from symdiff.ir.errors import ShapeError
from symdiff.ir.node import Node, as_node, brief
from symdiff.ops.reduce import max_


def max_pool1d(
    x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> Node:
    """Return the largest entry of every window of the last axis; NaN if one is NaN.

    The stride is the kernel's size unless it is given. With `ceil_mode` a last window may reach over the end. The
    derivative of a tie is shared equally, as that of `max` (PyTorch gives it to the first).

    >>> from symdiff.front.symbols import array
    >>> max_pool1d(array("x", ("N", 3, 8)), 2).shape
    (N, 3, 4)
    """
    return _max_pool(1, x, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool2d(
    x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> Node:
    """Return the largest entry of every window of the last two axes; options as in `max_pool1d`, ints or pairs."""
    return _max_pool(2, x, kernel_size, stride, padding, dilation, ceil_mode)


def avg_pool1d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Node:
    """Return the mean of every window of the last axis.

    The stride is the kernel's size unless it is given. Padding counts as zeros, or not at all without
    `count_include_pad`. With `ceil_mode` a last window may reach over the end; what is beyond does not count.

    >>> from symdiff.front.symbols import array
    >>> avg_pool1d(array("x", ("N", 3, 8)), 3, stride=1, padding=1).shape
    (N, 3, 8)
    """
    return _avg_pool(1, x, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Node:
    """Return the mean of every window of the last two axes; options as in `avg_pool1d`, ints or pairs.

    `divisor_override` divides the sums by this number instead.
    """
    return _avg_pool(2, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _max_pool(rank: int, x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> Node:
    node = _checked(rank, x)
    sizes, steps, border = _options(rank, node, kernel, stride, padding)
    apart = per_axis(dilation, rank, 1, "dilation", node)
    beyond = _beyond(node, sizes, steps, border, apart) if ceil_mode else (0,) * rank
    widths = [(0, 0)] * (node.ndim - rank) + [(p, p + b) for p, b in zip(border, beyond, strict=True)]
    padded = pad(node, widths, constant_values=lowest(node.dtype)) if any(w != (0, 0) for w in widths) else node
    return max_(stack(windows(padded, sizes, steps, apart)), axes=(0,))


def _avg_pool(
    rank: int, x: Any, kernel: Any, stride: Any, padding: Any, ceil_mode: bool, with_border: bool, divisor: Any
) -> Node:
    node = _checked(rank, x)
    if not node.dtype.startswith("float"):
        node = astype(node, "float64")
    sizes, steps, border = _options(rank, node, kernel, stride, padding)
    beyond = _beyond(node, sizes, steps, border, (1,) * rank) if ceil_mode else (0,) * rank
    inner = [(p, p) for p in border]
    outer = [(0, b) for b in beyond]
    lead = [(0, 0)] * (node.ndim - rank)
    total = _sums(with_zeros(with_zeros(node, [*lead, *inner]), [*lead, *outer]), sizes, steps)
    if divisor is not None:
        if not isinstance(divisor, int) or divisor == 0:
            raise ShapeError(
                f"divisor_override for {brief(node)} ({node.line}) is an int other than 0, got {divisor!r}."
            )
        return total / divisor
    entries = reduce(lambda a, b: a * b, sizes)
    if with_border and not any(beyond):
        return total / entries
    # How many entries of a window count: the same sum over ones, zeros where nothing counts.
    inside = ones(node.shape[node.ndim - rank :], node.dtype)
    if with_border:
        inside = ones(tuple(d + 2 * p for d, p in zip(inside.shape, border, strict=True)), node.dtype)
    else:
        inside = with_zeros(inside, inner)
    return total / _sums(with_zeros(inside, outer), sizes, steps)


def _sums(x: Node, sizes: Sequence[int], steps: Sequence[int]) -> Node:
    return reduce(lambda a, b: a + b, windows(x, sizes, steps, (1,) * len(sizes)))


def _checked(rank: int, x: Any) -> Node:
    node = as_node(x)
    if node.ndim < rank:
        raise ShapeError(f"Pooling over {rank} axes got {brief(node)} ({node.line}) with {node.ndim}.")
    return node


def _options(
    rank: int, x: Node, kernel: Any, stride: Any, padding: Any
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    sizes = per_axis(kernel, rank, 1, "kernel size", x)
    steps = sizes if stride is None else per_axis(stride, rank, 1, "stride", x)
    border = per_axis(padding, rank, 0, "padding", x)
    for k, p in zip(sizes, border, strict=True):
        if 2 * p > k:
            # A window would lie in the border alone.
            raise ShapeError(
                f"The padding for {brief(x)} ({x.line}) is at most half the kernel's size {k}, got {padding!r}."
            )
    return sizes, steps, border


def _beyond(
    x: Node, sizes: Sequence[int], steps: Sequence[int], border: Sequence[int], apart: Sequence[int]
) -> tuple[int, ...]:
    """Return how far a last window reaches over the padded end, if it starts inside the array or before it."""
    out = []
    for d, k, s, p, a in zip(x.shape[x.ndim - len(sizes) :], sizes, steps, border, apart, strict=True):
        if not isinstance(d, int):
            raise ShapeError(
                f"ceil_mode for {brief(x)} ({x.line}) needs a known extent, got the run-time size {d}; pad it instead."
            )
        reach = a * (k - 1) + 1
        last = -(-max(d + 2 * p - reach, 0) // s) * s
        if last >= d + p:
            last -= s
        out.append(max(last + reach - (d + 2 * p), 0))
    return tuple(out)


__all__ = ["avg_pool1d", "avg_pool2d", "max_pool1d", "max_pool2d"]
