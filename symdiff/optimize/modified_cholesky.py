"""The modified Cholesky factorisation: of a symmetric matrix, or of one near it that is positive definite."""

from __future__ import annotations

import numpy as np

from symdiff.front.linalg import triangular_solve
from symdiff.ir.node import Node, as_node, const
from symdiff.ir.primitive import cast
from symdiff.ops.control import while_loop
from symdiff.ops.elementwise import abs_, eq, gt, maximum, ne, sqrt, where
from symdiff.ops.index import broadcast_to, reshape, take, zeros_like
from symdiff.ops.leaves import iota
from symdiff.ops.linalg import matmul
from symdiff.ops.reduce import max_
from symdiff.ops.rows import set_row
from symdiff.optimize.vectors import largest


def modified_cholesky(a: Node) -> tuple[Node, Node]:
    """Return (L', d) with L diag(d) L' = A + E, E diagonal and >= 0, and 0 where A is clearly positive definite.

    Column j of the factorisation is that of A = L D L', but the pivot c_jj becomes

        d_j = max(|c_jj|, (max_i>j |c_ij| / beta)², delta),

    which bounds the entries of L sqrt(D) by beta. With beta² = max(gamma, xi / sqrt(n² - 1)), gamma and xi the largest
    magnitudes on and off the diagonal, a positive definite A passes as it is and E stays small otherwise. Rows and
    columns are not interchanged.

    Shapes: A (n, n), L' (n, n), d (n,). Cost: n products of a vector and a matrix.
    Method: Gill & Murray 1974; Nocedal & Wright 2006, section 3.4.
    """
    n = a.shape[0]
    size = cast(as_node(n), a.dtype)
    i = iota(n=n)
    row, col = reshape(i, shape=(n, 1)), reshape(i, shape=(1, n))
    gamma = max_(abs_(where(eq(row, col), a, 0.0)), axes=(0, 1))
    xi = max_(abs_(where(ne(row, col), a, 0.0)), axes=(0, 1))
    eps = float(np.finfo(a.dtype).eps)
    beta2 = maximum(maximum(gamma, xi / sqrt(maximum(size**2 - 1.0, 1.0))), eps)
    delta = eps * maximum(gamma + xi, 1.0)

    def column(j: Node, upper: Node, d: Node) -> list[Node]:
        # Rows of `upper` from j on are zero: the sum is over the columns before.
        c = take(a, j, axis=0) - matmul(d * take(upper, j, axis=1), upper)
        below = where(gt(i, j), c, 0.0)
        pivot = maximum(maximum(abs_(take(c, j, axis=0)), largest(below) ** 2 / beta2), delta)
        return [j + 1, set_row(upper, where(eq(i, j), 1.0, below / pivot), j), set_row(d, pivot, j)]

    blank = zeros_like(a)
    start = [const(0, "int64"), blank, broadcast_to(const(0.0, a.dtype), shape=(n,))]
    _, upper, d = while_loop(lambda j, *_: j < as_node(n), column, start)
    return upper, d


def modified_solve(a: Node, b: Node) -> Node:
    """Return the solution of (A + E) x = b for the matrix of `modified_cholesky`."""
    upper, d = modified_cholesky(a)
    y = triangular_solve(upper, b, lower=False, transposed=True, unit=True)
    return triangular_solve(upper, y / d, lower=False, unit=True)


__all__ = ["modified_cholesky", "modified_solve"]
