"""Symmetric eigenvalue problems: A = V diag(w) V', from the lower half of A, w in ascending order.

    w_dot = diag(V' A_dot V)      V_dot = V (F * (V' A_dot V)),  F_ij = 1/(w_j - w_i), 0 on the diagonal

(Magnus 1985; Giles 2008, section 3.1.) Eigenvalues and vectors are primitives of their own, so that what depends
on eigenvalues alone never meets F, which does not exist where eigenvalues are equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symdiff.ir.dims import Extent, Shape
from symdiff.ir.node import Node, as_node, const
from symdiff.ir.primitive import Params, cast
from symdiff.ops import by_entry
from symdiff.ops.elementwise import abs_, eq, where
from symdiff.ops.index import broadcast_to, reshape
from symdiff.ops.matmul import matmul, matrix_transpose
from symdiff.ops.reduce import max_, sum_
from symdiff.ops.square import Inner, Square, grid, require_square, symmetric

# An eigenvector's sign is free; ours makes its first large entry positive, large against its largest one. No
# vectors with a ratio near this occur among those of common matrices, so that rounding does not decide.
LARGE = 0.65


class _Eigenvalues(Square):
    name = "eigvalsh"
    doc = "The eigenvalues of a symmetric matrix in ascending order, from its lower half."

    def core(self, n: Extent) -> Shape:
        return (n,)

    def evaluate(self, params: Params, *values: Any) -> Any:
        return _eigh(values[0])[0]

    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        # With equal eigenvalues each by itself has no derivative; sums over them do, and get the right one.
        (a,), (a_dot,) = node.args, tangents
        if a_dot is None:
            return None
        v = eigvecsh(a)
        return sum_(v * matmul(symmetric(a_dot), v), axes=(v.ndim - 2,))


class _Eigenvectors(Square):
    name = "eigvecsh"
    doc = "The eigenvectors of a symmetric matrix as columns, in the order of the eigenvalues."

    def core(self, n: Extent) -> Shape:
        return (n, n)

    def evaluate(self, params: Params, *values: Any) -> Any:
        return _normalised(_eigh(values[0])[1])

    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        (a,), (a_dot,) = node.args, tangents
        if a_dot is None:
            return None
        inner = matmul(matrix_transpose(node), matmul(symmetric(a_dot), node))
        return matmul(node, _inverse_gaps(a) * inner)


def _inverse_gaps(a: Node) -> Node:
    """F_ij = 1/(w_j - w_i), 0 on the diagonal, NaN for eigenvalues that are equal to working precision.

    Eigenvalues are computed to n eps |w|_max: of a smaller gap no digit is right, and neither would be of F.
    """
    w = eigvalsh(a)
    n, dtype = a.shape[-1], a.dtype
    lead = a.shape[:-2]
    gaps = reshape(w, shape=(*lead, 1, n)) - reshape(w, shape=(*lead, n, 1))
    if n == 0:
        return gaps
    largest = reshape(max_(abs_(w), axes=(w.ndim - 1,)), shape=(*lead, 1, 1))
    least = largest * cast(as_node(n) * float(np.finfo(dtype).eps), dtype)
    row, col = grid(n)
    diagonal = broadcast_to(eq(row, col), shape=gaps.shape)
    lost = abs_(gaps) <= least
    one = const(1.0, dtype)
    inverse = where(lost, const(np.nan, dtype), one / where(lost, one, gaps))
    return where(diagonal, const(0.0, dtype), inverse)


def _eigh(a: Any) -> tuple[Any, Any]:
    n = a.shape[-1]
    if not by_entry.is_plain(a):
        w = by_entry.each(lambda m: by_entry.eigh(m)[0], (n,), a)
        return w, by_entry.each(lambda m: by_entry.eigh(m)[1], (n, n), a)
    read = np.where(np.tri(n, dtype=bool), a, 0)
    finite = np.asarray(np.isfinite(read).all(axis=(-2, -1), keepdims=True))
    zero, nan = (np.asarray(number, dtype=a.dtype) for number in (0, np.nan))
    try:
        w, v = np.linalg.eigh(np.where(finite, a, zero))
    except np.linalg.LinAlgError:  # no convergence
        return by_entry.nan_like(a.shape[:-1], a), by_entry.nan_like(a.shape, a)
    return np.where(finite[..., 0], w, nan), np.where(finite, v, nan)


def _normalised(v: Any) -> Any:
    """Fix the signs of eigenvectors; see LARGE."""
    out = v.copy()
    for index in np.ndindex(v.shape[:-2]):
        for j in range(v.shape[-1]):
            size = [abs(x.real) for x in v[index][:, j]]
            first = next((i for i, s in enumerate(size) if s > LARGE * max(size)), 0)
            if v[index][first, j].real < 0:
                out[index][:, j] = -v[index][:, j]
    return out


class _Eigh(Inner):
    name = "eigh"
    doc = "Eigenvalues in the first row and eigenvectors below, (…, n + 1, n): what both are taken from."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        (a,) = args
        require_square(a, "eigh")
        n = a.shape[-1]
        return (*a.shape[:-2], n + 1, n), a.dtype

    def evaluate(self, params: Params, *values: Any) -> Any:
        w, v = _eigh(values[0])
        return np.concatenate([w[..., None, :], _normalised(v)], axis=-2)


eigvalsh = _Eigenvalues()
eigvecsh = _Eigenvectors()
eigh = _Eigh()
