"""The linear systems of implicit steps and steady problems, and the interface of what solves them.

    A p = b,    A = shift - c*J(v, t),    J = dF/dv

F are the rates of the semidiscrete equations. A is never stored whole: J p is the exact derivative of F along p.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from symdiff.diff.forward import jvp_nodes
from symdiff.diff.reverse import vjp_nodes
from symdiff.ir.node import Node
from symdiff.ops.elementwise import eq, sqrt, where
from symdiff.ops.reduce import sum_
from symdiff.pde.fields import Side
from symdiff.pde.jets import added
from symdiff.pde.semidiscrete import Semidiscrete

Vector = list[Node]


@dataclass(frozen=True, eq=False)
class System:
    """A = shift - c*J at the unknowns `v` and the time `t`; `given` are the Dirichlet values there."""

    semi: Semidiscrete
    v: Vector
    t: Node
    given: dict[Side, Node]
    c: Node
    shift: float = 1.0

    @cached_property
    def rates(self) -> Vector:
        """F(v, t)."""
        blocks = dict(zip(self.semi.problem.fields, self.v, strict=True))
        return list(self.semi.rates(blocks, self.t, self.given).values())

    def matvec(self, p: Sequence[Node]) -> Vector:
        """Return A p."""
        along = jvp_nodes(self.rates, self.v, list(p))
        if not self.shift:
            return [-(self.c * y) for y in along]
        return [self.shift * x - self.c * y for x, y in zip(p, along, strict=True)]

    def transposed_matvec(self, p: Sequence[Node]) -> Vector:
        """Return A' p."""
        back = vjp_nodes(self.rates, self.v, list(p))
        return [self.shift * x - self.c * y for x, y in zip(p, back, strict=True)]


class LinearSolver(ABC):
    """A way to solve A p = b."""

    name: str

    @abstractmethod
    def solve(self, system: System, b: Sequence[Node]) -> Vector:
        """Return p; how well it solves the system is for the caller to see from its residual."""

    @abstractmethod
    def solve_transposed(self, system: System, b: Sequence[Node]) -> Vector:
        """Return p with A' p = b."""

    @abstractmethod
    def describe(self) -> str:
        """Say in a few words how it solves."""


def dot(a: Sequence[Node], b: Sequence[Node]) -> Node:
    """Return the inner product of two vectors, each a list of arrays."""
    return added([sum_(x * y, axes=tuple(range(x.ndim))) for x, y in zip(a, b, strict=True)])


def ratio(a: Node, b: Node) -> Node:
    """Return a / b, and 0 where b is 0: an exact solution ends an iteration instead of making NaN."""
    zero = eq(b, 0.0)
    return where(zero, 0.0, a / where(zero, 1.0, b))


def axpy(x: Sequence[Node], c: Node, y: Sequence[Node]) -> Vector:
    """Return x + c*y."""
    return [u + c * v for u, v in zip(x, y, strict=True)]


def relative_residual(system: System, p: Sequence[Node], b: Sequence[Node]) -> Node:
    """Return |b - A p| / |b|, 0 where b is 0."""
    left = [u - v for u, v in zip(b, system.matvec(p), strict=True)]
    return sqrt(ratio(dot(left, left), dot(b, b)))
