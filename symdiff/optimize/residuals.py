"""Sums of squares: the residuals, their Jacobian, and the linear problem that every step solves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.diff.jacobian import jacobian
from symdiff.front.linalg import qr, triangular_solve
from symdiff.ir.dims import product
from symdiff.ir.errors import DomainError
from symdiff.ir.graph import substitute
from symdiff.ir.node import Node, const
from symdiff.ops.elementwise import abs_, eq, isfinite, maximum, minimum, where
from symdiff.ops.index import broadcast_to, concatenate, reshape, transpose
from symdiff.ops.leaves import iota
from symdiff.ops.linalg import matmul
from symdiff.ops.reduce import max_, sum_
from symdiff.optimize.objective import Objective, Point, pack, unpack
from symdiff.optimize.vectors import total

# A damping this small against the columns of the Jacobian keeps a singular one solvable and changes no digit else.
_LEAST_DAMPING = 1e-12


@dataclass(frozen=True, slots=True)
class Residuals(Objective):
    """Half the sum of the squares of a vector; the norm of a point is the criterion of `least_squares`."""

    residuals: Node

    @property
    def measure(self) -> str:
        """What the norm of a point is called."""
        return "relative offset"

    def linear(self, x: Sequence[Node]) -> tuple[Node, Node]:
        """Return the residuals at `x` and their Jacobian, of shape (entries, unknowns)."""
        m = self.residuals.shape[0]
        columns = [reshape(jacobian(self.residuals, u), shape=(m, product(u.shape))) for u in self.unknowns]
        place = dict(zip(self.unknowns, x, strict=True))
        r, jac = substitute([self.residuals, concatenate(*columns, axis=1)], place)
        return r, jac

    def closest(self, x: Sequence[Node]) -> Node:
        """Return the step from `x` to the minimiser of the sum of squares of the linear residuals."""
        r, jac = self.linear(x)
        return nearest(jac, -r, const(_LEAST_DAMPING, r.dtype))[0]

    def at(self, x: Sequence[Node]) -> Point:
        """Return the point `x`."""
        r, jac = self.linear(x)
        step, along = nearest(jac, -r, const(_LEAST_DAMPING, r.dtype))
        size = sum_(r * r, axes=(0,)) ** 0.5
        cosine = where(size > 0, along / size, 0.0)
        relative = max_(abs_(step) / maximum(abs_(pack(x)), float(np.finfo(r.dtype).tiny)), axes=(0,))
        # A step that is no number says nothing; a cosine that is none ends the run.
        norm = where(isfinite(relative), minimum(cosine, relative), cosine)
        return Point(tuple(x), 0.5 * size * size, unpack(matmul(transpose(jac, perm=(1, 0)), r), x), norm)


def of_squares(rule: Any, objective: Objective) -> Residuals:
    """Return the objective as a sum of squares. Raises DomainError where it is no such."""
    if not isinstance(objective, Residuals):
        raise DomainError(f"{type(rule).__name__} minimises sums of squares: call least_squares with the residuals.")
    return objective


def nearest(jac: Node, right: Node, damping: Node, scale: Node | None = None) -> tuple[Node, Node]:
    """Return p that minimises |J p - right|² + damping |D p|², and the length of the part of `right` that J reaches.

    D has the diagonal `scale`, by default the lengths of the columns of J. Shapes: J (m, n), right (m,), p (n,).
    """
    n = jac.shape[1]
    lengths = column_lengths(jac)
    scale = where(lengths > 0, lengths, 1.0) if scale is None else scale
    row, col = reshape(iota(n=n), shape=(n, 1)), reshape(iota(n=n), shape=(1, n))
    below = where(eq(row, col), damping**0.5 * scale, const(0.0, jac.dtype))
    whole = concatenate(jac, below, axis=0)
    padded = concatenate(right, broadcast_to(const(0.0, jac.dtype), shape=(n,)), axis=0)
    q, r = qr(whole)
    turned = matmul(transpose(q, perm=(1, 0)), padded)
    return triangular_solve(r, turned, lower=False), total(turned * turned) ** 0.5


def column_lengths(a: Node) -> Node:
    """The Euclidean lengths of the columns."""
    return sum_(a * a, axes=(0,)) ** 0.5


__all__ = ["Residuals", "column_lengths", "nearest", "of_squares"]
