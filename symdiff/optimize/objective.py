"""The function that is minimised, as expressions at any point: value, gradient, Hessian."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from symdiff.diff.jacobian import gradient, hessian, hvp
from symdiff.ir.dims import product
from symdiff.ir.graph import substitute
from symdiff.ir.node import PRIMITIVES, Node, const, make
from symdiff.ir.primitive import cast
from symdiff.ops.elementwise import abs_, maximum
from symdiff.ops.index import broadcast_to, concatenate, reshape, slice_
from symdiff.ops.reduce import max_, sum_

Arrays = tuple[Node, ...]
GRADIENT_NORM = "gradient norm"


@dataclass(frozen=True, slots=True)
class Point:
    """A point with what is known there: loss, gradient, and the gradient's infinity norm over all unknowns."""

    x: Arrays
    loss: Node
    grad: Arrays
    norm: Node


@dataclass(frozen=True, slots=True)
class Objective:
    """A scalar expression `f` and the symbols that are varied; everything else in `f` is fixed."""

    f: Node
    unknowns: Arrays

    @property
    def measure(self) -> str:
        """What the norm of a point is called."""
        return GRADIENT_NORM

    def is_nearer(self, new: Point, old: Point) -> Node:
        """Whether a point is nearer to a stationary one than another, where their losses agree to rounding."""
        return dot(new.grad, new.grad) < dot(old.grad, old.grad)

    def for_step(self, step: Node) -> Objective:
        """Return the function that a step sees: this one, unless the steps differ."""
        return self

    def at(self, x: Sequence[Node]) -> Point:
        """Return the point `x` with its loss and gradient, which share one graph."""
        grad = gradient(self.f, list(self.unknowns))
        loss, *grad = substitute([self.f, *grad], dict(zip(self.unknowns, x, strict=True)))
        return Point(tuple(x), loss, tuple(grad), infinity_norm(grad))

    def hessian(self, x: Sequence[Node]) -> Node:
        """Return the second derivatives at `x` as one square matrix in the order of `pack`."""
        sizes = [product(u.shape) for u in self.unknowns]
        rows = []
        for n, blocks in zip(sizes, hessian(self.f, list(self.unknowns)), strict=True):
            row = [reshape(b, shape=(n, m)) for m, b in zip(sizes, blocks, strict=True)]
            rows.append(concatenate(*row, axis=1))
        return substitute([concatenate(*rows, axis=0)], dict(zip(self.unknowns, x, strict=True)))[0]

    def product(self, x: Sequence[Node], v: Sequence[Node]) -> Arrays:
        """Return the Hessian at `x` times the direction `v`, both of the shapes of the unknowns."""
        marks = [
            make(PRIMITIVES["symbol"], (), {**u.params, "name": f"\0along{k}"}) for k, u in enumerate(self.unknowns)
        ]
        products = hvp(self.f, list(self.unknowns), marks)
        place = dict(zip((*self.unknowns, *marks), (*x, *v), strict=True))
        return tuple(substitute(products, place))


def infinity_norm(arrays: Sequence[Node]) -> Node:
    """Return the largest magnitude among all entries; NaN if one is NaN, 0 if there is none."""
    largest = [max_(abs_(a), axes=range(a.ndim)) for a in arrays]
    return reduce(maximum, largest) if largest else const(0.0)


def dot(a: Sequence[Node], b: Sequence[Node]) -> Node:
    """Return the inner product over all entries of all arrays."""
    return reduce(lambda s, t: s + t, (sum_(u * v, axes=range(u.ndim)) for u, v in zip(a, b, strict=True)))


def pack(arrays: Sequence[Node]) -> Node:
    """Return all entries as one vector, array after array in C order."""
    if not arrays:
        return broadcast_to(const(0.0), shape=(0,))
    return concatenate(*(reshape(a, shape=(product(a.shape),)) for a in arrays), axis=0)


def unpack(vector: Node, like: Sequence[Node]) -> Arrays:
    """Undo `pack`: cut a vector into arrays of the shapes and dtypes of `like`."""
    start, out = 0, []
    for a in like:
        n = product(a.shape)
        part = slice_(vector, starts=(start,), extents=(n,), steps=(1,))
        out.append(cast(reshape(part, shape=a.shape), a.dtype))
        start = n + start
    return tuple(out)
