"""What primitives of matrices share: stacks of them, one square matrix, inner forms; and masks of triangles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symdiff.ir.dims import Extent, Shape
from symdiff.ir.errors import DerivativeError, ShapeError
from symdiff.ir.node import Node, brief, const, make
from symdiff.ir.primitive import Params, Structured
from symdiff.ops.elementwise import eq, where
from symdiff.ops.index import reshape
from symdiff.ops.leaves import iota
from symdiff.ops.matmul import floats, matrix_transpose


class Stacked(Structured):
    """A function of matrices that does every matrix of a stack by itself; the first argument's leading axes count."""


class Square(Stacked):
    """A function of one square matrix, or of each matrix of a stack; `core` is the shape of one result."""

    def core(self, n: Extent) -> Shape:
        """The shape of the result for one matrix of extent n."""
        raise NotImplementedError

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        (a,) = args
        require_square(a, self.name)
        return (*a.shape[:-2], *self.core(a.shape[-1])), a.dtype

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        raise DerivativeError(f"{self.name} is not linear.")

    def batch(self, node: Node, args: Sequence[Node], batched: Sequence[bool]) -> Node:
        return make(self, tuple(args))

    def __call__(self, *args: Any, **params: Any) -> Node:
        return make(self, floats(*args))


class Inner(Structured):
    """A form that `passes.factorise` makes after derivatives were taken: it has a value and no derivative."""

    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        raise DerivativeError(f"{self.name} ({node.line}) is made after derivatives are taken and has none itself.")

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        raise DerivativeError(f"{self.name} is not linear.")

    def batch(self, node: Node, args: Sequence[Node], batched: Sequence[bool]) -> Node:
        raise DerivativeError(f"{self.name} ({node.line}) is made after mapping; map the primitive that it stands for.")


def require_square(a: Node, what: str) -> None:
    """Raise ShapeError unless the last two axes have the same extent."""
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ShapeError(f"{what} needs a square matrix, got {brief(a)} of shape {a.shape}.")


def grid(n: Extent) -> tuple[Node, Node]:
    """Row and column numbers of an n×n matrix, of shapes (n, 1) and (1, n)."""
    return reshape(iota(n=n), shape=(n, 1)), reshape(iota(n=n), shape=(1, n))


def identity(n: Extent, dtype: str) -> Node:
    """The identity matrix."""
    row, col = grid(n)
    return where(eq(row, col), const(1.0, dtype), const(0.0, dtype))


def triangle(a: Node, lower: bool, strict: bool = False) -> Node:
    """One triangle of square matrices, zeros elsewhere; `strict` leaves out the diagonal."""
    row, col = grid(a.shape[-1])
    low, high = (col, row) if lower else (row, col)
    return where(low < high if strict else low <= high, a, const(0.0, a.dtype))


def symmetric(a: Node) -> Node:
    """The symmetric matrices whose lower halves are those of `a`."""
    row, col = grid(a.shape[-1])
    return where(row >= col, a, matrix_transpose(a))
