"""Iterative solution of A x = b where A is only known as a function, as a loop in the IR."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from symdiff.ir.node import Node, const
from symdiff.ops.control import while_loop
from symdiff.ops.elementwise import eq, where
from symdiff.ops.index import zeros_like
from symdiff.ops.reduce import sum_
from symdiff.pde.semidiscrete import total

Vector = list[Node]
MatVec = Callable[[Sequence[Node]], Vector]


class Solved(NamedTuple):
    """The solution, and |b - A x|^2 / |b|^2 computed from it anew (0 where b is 0)."""

    x: Vector
    residual2: Node


def dot(a: Sequence[Node], b: Sequence[Node]) -> Node:
    """Return the inner product of two vectors, each a list of arrays."""
    return total([sum_(x * y, axes=tuple(range(x.ndim))) for x, y in zip(a, b, strict=True)])


def ratio(a: Node, b: Node) -> Node:
    """Return a / b, and 0 where b is 0: an exact solution ends the iteration instead of making NaN."""
    zero = eq(b, 0.0)
    return where(zero, const(0.0), a / where(zero, const(1.0), b))


def _axpy(x: Sequence[Node], c: Node, y: Sequence[Node]) -> Vector:
    return [u + c * v for u, v in zip(x, y, strict=True)]


def bicgstab(matvec: MatVec, b: Sequence[Node], tol: float, max_iterations: int) -> Solved:
    """Solve A x = b from x = 0 until the iterated residual is at most tol*|b|.

    Needs A nonsingular; it need not be symmetric (one-sided formulas at the sides make it so).
    Method: van der Vorst 1992. The shadow residual starts anew when it has become orthogonal to the residual.
    """
    n = len(b)
    limit = tol * tol * dot(b, b)

    def going(k: Node, rr: Node, rho: Node, *vectors: Node) -> Node:
        return (k < max_iterations) & (rr > limit)

    def turn(k: Node, rr: Node, rho: Node, *vectors: Node) -> list[Node]:
        x, r, shadow, p = (list(vectors[j * n : (j + 1) * n]) for j in range(4))
        v = matvec(p)
        alpha = ratio(rho, dot(shadow, v))
        s = _axpy(r, -alpha, v)
        w = matvec(s)
        omega = ratio(dot(w, s), dot(w, w))
        x = _axpy(_axpy(x, alpha, p), omega, s)
        r = _axpy(s, -omega, w)
        rr, rho_next = dot(r, r), dot(shadow, r)
        beta = ratio(rho_next, rho) * ratio(alpha, omega)
        lost = rho_next * rho_next <= 1e-24 * (rr * dot(shadow, shadow))
        p = [where(lost, ri, ri + beta * (pi - omega * vi)) for ri, pi, vi in zip(r, p, v, strict=True)]
        shadow = [where(lost, ri, si) for ri, si in zip(r, shadow, strict=True)]
        return [k + 1, rr, where(lost, rr, rho_next), *x, *r, *shadow, *p]

    zeros, bb = [zeros_like(u) for u in b], dot(b, b)
    _, _, _, *vectors = while_loop(going, turn, [const(0, "int64"), bb, bb, *zeros, *b, *b, *b])
    x = vectors[:n]
    left = _axpy(b, const(-1.0), matvec(x))
    return Solved(x, ratio(dot(left, left), bb))
