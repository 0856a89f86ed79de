"""Sums and lengths of vectors, as expressions."""

from __future__ import annotations

from symdiff.ir.node import Node, const
from symdiff.ir.primitive import cast
from symdiff.ops.elementwise import abs_, sqrt, where
from symdiff.ops.index import zeros_like
from symdiff.ops.reduce import max_, sum_


def total(v: Node) -> Node:
    """The sum of the entries."""
    return sum_(v, axes=(0,))


def largest(v: Node) -> Node:
    """The largest magnitude of an entry; 0 if there is none."""
    return max_(abs_(v), axes=(0,)) if v.shape != (0,) else const(0.0, v.dtype)


def count(v: Node) -> Node:
    """The number of entries, int64."""
    return cast(total(zeros_like(v) + 1.0), "int64")


def length(v: Node) -> Node:
    """The Euclidean length; squares of entries near the ends of the number range do not overflow."""
    top = largest(v)
    scale = where(top > 0, top, 1.0)
    return scale * sqrt(total((v / scale) ** 2))


__all__ = ["count", "largest", "length", "total"]
