"""Conjugate gradients and BiCGStab as loops in the IR, preconditioned by an operator that is easy to invert."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from symdiff.ir.node import Node, const
from symdiff.ops.control import while_loop
from symdiff.ops.elementwise import where
from symdiff.ops.index import zeros_like
from symdiff.pde.averaged import Averaged
from symdiff.pde.linear import LinearSolver, System, Vector, axpy, dot, ratio
from symdiff.pde.multigrid import Multigrid
from symdiff.pde.weights import weighed, weighed_solve

Preconditioner = Averaged | Multigrid
MatVec = Callable[[Sequence[Node]], Vector]
# The tolerance on the residual relative to the right-hand side, and the limit of iterations.
TOLERANCE = 1e-12
ITERATIONS = 5000


@final
@dataclass(frozen=True)
class BiCGStab(LinearSolver):
    """For any operator. Method: van der Vorst 1992, with `preconditioner` from the right."""

    preconditioner: Preconditioner | None = None
    name = "bicgstab"

    def solve(self, system: System, b: Sequence[Node]) -> Vector:
        """Iterate until the residual is at most 1e-12 of `b`."""
        found = bicgstab(system.matvec, b, TOLERANCE, ITERATIONS, _easy(self.preconditioner, system))
        return _if_better(system, found, b)

    def solve_transposed(self, system: System, b: Sequence[Node]) -> Vector:
        """Iterate with A'; the preconditioner is nearly its own transpose."""
        return bicgstab(system.transposed_matvec, b, TOLERANCE, ITERATIONS, _easy(self.preconditioner, system))

    def describe(self) -> str:
        """The iteration and its preconditioner."""
        return f"BiCGStab{_by(self.preconditioner)}"


@final
@dataclass(frozen=True)
class ConjugateGradients(LinearSolver):
    """For operators that are self-adjoint in the inner product with `weights`. Method: Hestenes & Stiefel 1952."""

    preconditioner: Preconditioner | None = None
    name = "cg"

    def solve(self, system: System, b: Sequence[Node]) -> Vector:
        """Iterate until the residual is at most 1e-12 of `b`."""
        weights = weighed(system)
        return cg(system.matvec, b, TOLERANCE, ITERATIONS, _easy(self.preconditioner, system), weights)

    def solve_transposed(self, system: System, b: Sequence[Node]) -> Vector:
        """A' = W A W^-1 with the weights W."""
        return weighed_solve(self, system, b)

    def describe(self) -> str:
        """The iteration and its preconditioner."""
        return f"conjugate gradients{_by(self.preconditioner)}"


PLAIN = BiCGStab()


def _easy(preconditioner: Preconditioner | None, system: System) -> MatVec:
    return list if preconditioner is None else preconditioner.inverse(system)


def _if_better(system: System, x: Vector, b: Sequence[Node]) -> Vector:
    """Return x, and 0 where that leaves a smaller residual.

    Rounding errors are no image of a singular operator: an iteration for them runs away.
    """
    left = [u - v for u, v in zip(b, system.matvec(x), strict=True)]
    is_better = dot(left, left) <= dot(b, b)  # written so that NaN is not
    return [where(is_better, u, 0.0) for u in x]


def _by(preconditioner: Preconditioner | None) -> str:
    return "" if preconditioner is None else f", preconditioned by {preconditioner.describe()}"


def cg(matvec: MatVec, b: Sequence[Node], tol: float, max_iterations: int, easy: MatVec, weights: Vector) -> Vector:
    """Solve A x = b from x = 0 until the iterated residual is at most tol*|b|; `easy` is the preconditioner."""
    n = len(b)
    limit = tol * tol * dot(b, b)

    def inner(x: Sequence[Node], y: Sequence[Node]) -> Node:
        return dot([w * u for w, u in zip(weights, x, strict=True)], y)

    def going(k: Node, rr: Node, rz: Node, *vectors: Node) -> Node:
        return (k < max_iterations) & (rr > limit)

    def turn(k: Node, rr: Node, rz: Node, *vectors: Node) -> list[Node]:
        x, r, p = (list(vectors[j * n : (j + 1) * n]) for j in range(3))
        v = matvec(p)
        alpha = ratio(rz, inner(p, v))
        x, r = axpy(x, alpha, p), axpy(r, -alpha, v)
        z = easy(r)
        rz_next = inner(r, z)
        return [k + 1, dot(r, r), rz_next, *x, *r, *axpy(z, ratio(rz_next, rz), p)]

    zeros, z = [zeros_like(u) for u in b], easy(b)
    _, _, _, *vectors = while_loop(going, turn, [const(0, "int64"), dot(b, b), inner(b, z), *zeros, *b, *z])
    return vectors[:n]


def bicgstab(matvec: MatVec, b: Sequence[Node], tol: float, max_iterations: int, easy: MatVec) -> Vector:
    """Solve A x = b from x = 0 until the iterated residual is at most tol*|b|; `easy` is the preconditioner.

    Needs A nonsingular; it need not be symmetric (one-sided formulas at the sides make it so). The shadow residual
    starts anew when it has become orthogonal to the residual.
    """
    n = len(b)
    limit = tol * tol * dot(b, b)

    def going(k: Node, rr: Node, rho: Node, *vectors: Node) -> Node:
        return (k < max_iterations) & (rr > limit)

    def turn(k: Node, rr: Node, rho: Node, *vectors: Node) -> list[Node]:
        x, r, shadow, p = (list(vectors[j * n : (j + 1) * n]) for j in range(4))
        p_easy = easy(p)
        v = matvec(p_easy)
        alpha = ratio(rho, dot(shadow, v))
        s = axpy(r, -alpha, v)
        s_easy = easy(s)
        w = matvec(s_easy)
        omega = ratio(dot(w, s), dot(w, w))
        x = axpy(axpy(x, alpha, p_easy), omega, s_easy)
        r = axpy(s, -omega, w)
        rr, rho_next = dot(r, r), dot(shadow, r)
        beta = ratio(rho_next, rho) * ratio(alpha, omega)
        lost = rho_next * rho_next <= 1e-24 * (rr * dot(shadow, shadow))
        p = [where(lost, ri, ri + beta * (pi - omega * vi)) for ri, pi, vi in zip(r, p, v, strict=True)]
        shadow = [where(lost, ri, si) for ri, si in zip(r, shadow, strict=True)]
        return [k + 1, rr, where(lost, rr, rho_next), *x, *r, *shadow, *p]

    zeros, bb = [zeros_like(u) for u in b], dot(b, b)
    _, _, _, *vectors = while_loop(going, turn, [const(0, "int64"), bb, bb, *zeros, *b, *b, *b])
    return vectors[:n]
