"""Determinants: det, adjugate, and log|det| with the sign apart.

    d det(A) = tr(adj(A) dA)      d log|det(A)| = tr(A^-1 dA)      (Jacobi; Magnus & Neudecker 2019, section 8.3)

The adjugate is a polynomial in the entries, so det has the right derivative at singular matrices of any rank.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symdiff.ir.dims import Extent, Shape
from symdiff.ir.node import Node, as_node, const
from symdiff.ir.primitive import Params, cast
from symdiff.ops import by_entry
from symdiff.ops.elementwise import abs_, eq, sqrt, where
from symdiff.ops.index import broadcast_to, reshape
from symdiff.ops.matmul import matmul, matrix_transpose
from symdiff.ops.reduce import sum_
from symdiff.ops.solve import solve
from symdiff.ops.square import Square, grid, identity


def trace(a: Node) -> Node:
    """Return the sums of the diagonals of square matrices."""
    row, col = grid(a.shape[-1])
    return sum_(where(eq(row, col), a, const(0.0, a.dtype)), axes=(a.ndim - 2, a.ndim - 1))


def inverse(a: Node) -> Node:
    """Return the inverses of square matrices."""
    return solve(a, broadcast_to(identity(a.shape[-1], a.dtype), shape=a.shape))


def _as_matrices(x: Node) -> Node:
    """Numbers, one for each matrix of a stack, so that they broadcast against the matrices."""
    return reshape(x, shape=(*x.shape, 1, 1))


def _pivots(a: Any) -> tuple[Any, int]:
    """The diagonal of U and the sign of the permutation in P A = L U."""
    factors, rows = by_entry.lu(a)
    return np.diagonal(factors), (-1) ** sum(p != k for k, p in enumerate(rows))


class _Det(Square):
    name = "det"
    doc = "The determinant, by LU with partial pivoting."

    def core(self, n: Extent) -> Shape:
        return ()

    def evaluate(self, params: Params, *values: Any) -> Any:
        (a,) = values
        if a.dtype != object:
            return np.asarray(np.linalg.det(a))
        return by_entry.each(lambda m: _product(*_pivots(m)), (), a)

    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        if tangents[0] is None:
            return None
        cofactors = matrix_transpose(adjugate(node.args[0]))
        return sum_(cofactors * tangents[0], axes=(cofactors.ndim - 2, cofactors.ndim - 1))


def _product(pivots: Any, sign: int) -> Any:
    out = sign
    for u in pivots:
        out = out * u
    return out


class _Adjugate(Square):
    name = "adjugate"
    doc = "The transposed matrix of cofactors, adj(A) A = det(A) I, right for singular matrices of any rank too."

    def core(self, n: Extent) -> Shape:
        return (n, n)

    def evaluate(self, params: Params, *values: Any) -> Any:
        (a,) = values
        return by_entry.each(_adjugate, a.shape[-2:], a)

    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        (a,), (a_dot,) = node.args, tangents
        if a_dot is None:
            return None
        n = a.shape[-1]
        unit = identity(n, a.dtype)
        t_dot = _as_matrices(trace(a_dot))
        # For n <= 3 Cayley–Hamilton gives the adjugate as a polynomial: 1, tr(A) I - A, A² - tr(A) A + …
        if n in (0, 1):
            return None
        if n == 2:
            return t_dot * unit - a_dot
        if n == 3:
            t, both = _as_matrices(trace(a)), matmul(a, a_dot)
            rest = t * t_dot - _as_matrices(trace(both))
            return both + matmul(a_dot, a) - t_dot * a - t * a_dot + rest * unit
        return self._general(node, a, a_dot)

    def _general(self, node: Node, a: Node, a_dot: Node) -> Node:
        """adj = det A^-1, so adj_dot = (adj tr(adj A_dot) - adj A_dot adj) / det.

        NaN where A is singular to working precision: the difference then has no right digits.
        """
        size = [sqrt(sum_(m * m, axes=(m.ndim - 2, m.ndim - 1))) for m in (a, node)]
        d = det(a)
        eps = float(np.finfo(a.dtype).eps)
        least = cast(as_node(a.shape[-1]), a.dtype) * const(eps, a.dtype) * size[0] * size[1]
        safe = where(abs_(d) > least, d, const(np.nan, a.dtype))
        part = matmul(node, a_dot)
        return (node * _as_matrices(trace(part)) - matmul(part, node)) / _as_matrices(safe)


def _adjugate(a: Any) -> Any:
    """adj(A) = det(P) adj(U) L^-1 P from P A = L U; see `_adjugate_upper`."""
    factors, rows = by_entry.lu(a)
    n = len(a)
    sign = (-1) ** sum(p != k for k, p in enumerate(rows))
    left = _adjugate_upper(factors) * sign
    # X L = left is L' X' = left'.
    out = by_entry.substitute(factors.T, left.T, False, True).T.copy()
    for k in range(n - 1, -1, -1):
        if rows[k] != k:
            out[:, [k, rows[k]]] = out[:, [rows[k], k]]
    return out


def _adjugate_upper(u: Any) -> Any:
    """The adjugate of the upper triangle of `u`, without divisions.

    U adj(U) = det(U) I, solved backwards: adj(U)_ij = prod_{k<i} u_kk c_ij prod_{k>j} u_kk with c_jj = 1 and
    c_ij = -(u_{i,i+1} c_{i+1,j} + u_{i+1,i+1} (u_{i,i+2} c_{i+2,j} + u_{i+2,i+2} (…))), as a Horner scheme.
    """
    n = len(u)
    out = u * 0
    for j in range(n):
        c = u[:, j] * 0
        c[j] = c[j] + 1
        for i in range(j - 1, -1, -1):
            total = u[i, j] * c[j]
            for k in range(j - 1, i, -1):
                total = u[i, k] * c[k] + u[k, k] * total
            c[i] = -total
        after = u[0, 0] * 0 + 1
        for k in range(j + 1, n):
            after = after * u[k, k]
        for i in range(j + 1):
            out[i, j] = c[i] * after
            after = after * u[i, i]
    return out


class _LogAbsDet(Square):
    name = "logabsdet"
    doc = "log|det(A)|, -inf for a singular matrix."

    def core(self, n: Extent) -> Shape:
        return ()

    def evaluate(self, params: Params, *values: Any) -> Any:
        (a,) = values
        if by_entry.is_plain(a):
            return np.asarray(np.linalg.slogdet(a)[1])
        return by_entry.each(_log_size, (), a)

    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        if tangents[0] is None:
            return None
        slopes = inverse(matrix_transpose(node.args[0]))
        return sum_(slopes * tangents[0], axes=(slopes.ndim - 2, slopes.ndim - 1))


def _log_size(a: Any) -> Any:
    pivots, _ = _pivots(a)
    if any(u == 0 for u in pivots):
        return -np.inf
    log: Callable[[Any], Any] = np.log
    if a.dtype == object:
        import mpmath

        log = mpmath.log
    # The logarithm of x + ih for x < 0 is that of -x - ih: the real function's continuation.
    return sum((log(u if u.real > 0 else -u) for u in pivots), start=a.ravel()[:1].sum() * 0)


class _DetSign(Square):
    name = "detsign"
    doc = "The sign of det(A): -1, 0 or 1. Its derivative is 0."

    def core(self, n: Extent) -> Shape:
        return ()

    def evaluate(self, params: Params, *values: Any) -> Any:
        (a,) = values
        if by_entry.is_plain(a):
            sign, size = np.linalg.slogdet(a)
            return np.where(np.isnan(size), size, sign)
        return by_entry.each(_sign, (), a)

    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        return None


def _sign(a: Any) -> Any:
    pivots, sign = _pivots(a)
    for u in pivots:
        sign *= int(u.real > 0) - int(u.real < 0)
    return sign + a.ravel()[:1].sum() * 0


det = _Det()
adjugate = _Adjugate()
logabsdet = _LogAbsDet()
detsign = _DetSign()
