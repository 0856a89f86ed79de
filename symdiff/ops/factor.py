"""Factorisations: cholesky and qr."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symdiff.ir.dims import Extent, Shape, shape_text
from symdiff.ir.errors import DerivativeError, ShapeError
from symdiff.ir.node import Node, brief, const, make
from symdiff.ir.primitive import Params
from symdiff.ops import by_entry
from symdiff.ops.elementwise import where
from symdiff.ops.matmul import floats, matmul, matrix_transpose
from symdiff.ops.solve import triangular_solve
from symdiff.ops.square import Inner, Square, Stacked, grid, symmetric


class _Cholesky(Square):
    name = "cholesky"
    doc = "The lower triangular L with L L' = A, from the lower half of A; NaN if A is not positive definite."

    def core(self, n: Extent) -> Shape:
        return (n, n)

    def evaluate(self, params: Params, *values: Any) -> Any:
        (a,) = values
        if not by_entry.is_plain(a):
            return by_entry.each(by_entry.cholesky, a.shape[-2:], a)
        try:
            return np.linalg.cholesky(a)
        except np.linalg.LinAlgError:
            if a.ndim == 2:
                return by_entry.nan_like(a.shape, a)
            return by_entry.each(lambda m: self.evaluate(params, m), a.shape[-2:], a)

    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        """L_dot = L Phi(L^-1 A_dot L^-T), Phi = lower half with the diagonal halved (Murray 2016, eq. 8).

        Only the lower half of A is read, so its tangent is the symmetric matrix with that lower half.
        """
        (a_dot,) = tangents
        if a_dot is None:
            return None
        row, col = grid(node.shape[-1])
        half, one, zero = (const(v, node.dtype) for v in (0.5, 1.0, 0.0))
        phi = where(row > col, one, where(row < col, zero, half))
        left = triangular_solve(node, symmetric(a_dot))
        middle = matrix_transpose(triangular_solve(node, matrix_transpose(left)))
        return matmul(node, phi * middle)


class _QRPart(Stacked):
    """One factor of A = Q R, (…, m, n) with m >= n, R upper triangular with a non-negative diagonal."""

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        (a,) = args
        if a.ndim < 2:
            raise ShapeError(f"qr needs a matrix, got {brief(a)} of shape {shape_text(a.shape)}.")
        m, n = a.shape[-2:]
        if isinstance(m, int) and isinstance(n, int) and m < n:
            raise ShapeError(f"{self.name} needs at least as many rows as columns, got {shape_text(a.shape)}.")
        return self.part(a.shape), a.dtype

    def part(self, shape: Shape) -> Shape:
        """The shape of this factor of a matrix of `shape`."""
        raise NotImplementedError

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        raise DerivativeError(f"{self.name} is not linear.")

    def batch(self, node: Node, args: Sequence[Node], batched: Sequence[bool]) -> Node:
        return make(self, tuple(args))

    def __call__(self, *args: Any, **params: Any) -> Node:
        return make(self, floats(*args))


def _halves(a: Node, a_dot: Node) -> tuple[Node, Node]:
    """Return X = A_dot R^-1 and the upper triangular R_dot R^-1.

    A_dot = Q_dot R + Q R_dot, so with S = Q'X:  S = Q'Q_dot + R_dot R^-1, an antisymmetric and an upper triangular
    matrix. The strict lower half of S is the former's, which gives its upper half too; the rest of S is
    R_dot R^-1 = upper(S) + strict_lower(S)' (Walter & Lehmann 2010, section 3; Seeger et al. 2017).
    """
    q, r = qr_q(a), qr_r(a)
    x = matrix_transpose(triangular_solve(r, matrix_transpose(a_dot), lower=False, transposed=True))
    s = matmul(matrix_transpose(q), x)
    row, col = grid(r.shape[-1])
    upper = where(row < col, s + matrix_transpose(s), where(row > col, const(0.0, a.dtype), s))
    return x, upper


class _QRQ(_QRPart):
    name = "qr_q"
    doc = "The factor Q of A = Q R, with orthonormal columns; R has a non-negative diagonal."

    def part(self, shape: Shape) -> Shape:
        return shape

    def evaluate(self, params: Params, *values: Any) -> Any:
        return _factors(values[0])[0]

    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        # Q_dot = (A_dot - Q R_dot) R^-1 = X - Q (R_dot R^-1).
        if tangents[0] is None:
            return None
        x, upper = _halves(node.args[0], tangents[0])
        return x - matmul(node, upper)


class _QRR(_QRPart):
    name = "qr_r"
    doc = "The upper triangular factor R of A = Q R, with a non-negative diagonal."

    def part(self, shape: Shape) -> Shape:
        return (*shape[:-2], shape[-1], shape[-1])

    def evaluate(self, params: Params, *values: Any) -> Any:
        return _factors(values[0])[1]

    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        if tangents[0] is None:
            return None
        return matmul(_halves(node.args[0], tangents[0])[1], node)


def _factors(a: Any) -> tuple[Any, Any]:
    m, n = a.shape[-2:]
    if m < n:
        raise ShapeError(f"qr needs at least as many rows as columns, got {m} and {n}.")
    if not by_entry.is_plain(a):
        q = by_entry.each(lambda x: by_entry.qr(x)[0], (m, n), a)
        return q, by_entry.each(lambda x: by_entry.qr(x)[1], (n, n), a)
    finite = np.isfinite(a).all(axis=(-2, -1), keepdims=True)
    zero, nan = (np.asarray(number, dtype=a.dtype) for number in (0, np.nan))
    q, r = np.linalg.qr(np.where(finite, a, zero))
    turned = np.diagonal(r, axis1=-2, axis2=-1) < 0
    q, r = np.where(turned[..., None, :], -q, q), np.where(turned[..., :, None], -r, r)
    return np.where(finite, q, nan), np.where(finite, np.triu(r), nan)


class _QR(Inner):
    name = "qr"
    doc = "Q with R below, (…, m + n, n): what both factors are taken from."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        (a,) = args
        m, n = a.shape[-2:]
        return (*a.shape[:-2], m + n, n), a.dtype

    def evaluate(self, params: Params, *values: Any) -> Any:
        return np.concatenate(_factors(values[0]), axis=-2)


cholesky = _Cholesky()
qr_q = _QRQ()
qr_r = _QRR()
qr = _QR()
