"""Windows of an array: the entries under each place of a kernel that slides over the last axes.

A kernel of kh*kw places gives kh*kw strided slices, so a graph's size depends on the kernel and never on the data.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from symdiff.front.rearrange import whole_number
from symdiff.ir.dims import Extent, ceil_div
from symdiff.ir.errors import ShapeError
from symdiff.ir.node import Node, brief
from symdiff.ops import index


def per_axis(value: Any, rank: int, least: int, what: str, x: Node) -> tuple[int, ...]:
    """Read an option that is one int or one for each of the last `rank` axes. Raises ShapeError below `least`."""
    given = value if isinstance(value, (tuple, list)) else (value,) * rank
    if len(given) == 1:
        given = tuple(given) * rank
    if len(given) != rank:
        raise ShapeError(f"The {what} for {brief(x)} ({x.line}) is one int or {rank}, got {value!r}.")
    numbers = tuple(whole_number(v, f"The {what} for the windows", x) for v in given)
    if any(v < least for v in numbers):
        raise ShapeError(f"The {what} for {brief(x)} ({x.line}) is at least {least}, got {value!r}.")
    return numbers


def places(x: Node, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> tuple[Extent, ...]:
    """Return how many places the kernel has along each of the last axes. Raises ShapeError where it does not fit."""
    out: list[Extent] = []
    for d, k, s, apart in zip(x.shape[x.ndim - len(kernel) :], kernel, stride, dilation, strict=True):
        free = d - apart * (k - 1)
        if isinstance(free, int) and free < 1:
            raise ShapeError(
                f"A kernel of extent {apart * (k - 1) + 1} does not fit {brief(x)} ({x.line}), whose extent with "
                f"padding is {d}; pad it or take a smaller kernel."
            )
        out.append(ceil_div(free, s))
    return tuple(out)


def windows(x: Node, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> list[Node]:
    """Return, for each entry of the kernel in C order, what it meets at all of its places: arrays of one shape."""
    lead = x.ndim - len(kernel)
    extents = (*x.shape[:lead], *places(x, kernel, stride, dilation))
    steps = ((1,) * lead) + tuple(stride)
    return [
        index.slice_(
            x,
            starts=(0,) * lead + tuple(i * apart for i, apart in zip(entry, dilation, strict=True)),
            extents=extents,
            steps=steps,
        )
        for entry in itertools.product(*map(range, kernel))
    ]
