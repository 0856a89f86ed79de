"""Dense linear algebra: matmul, solve, cholesky."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symdiff.ir.dims import Shape, broadcast_shapes, shape_text
from symdiff.ir.errors import DerivativeError, ShapeError
from symdiff.ir.node import Node, as_node, brief, const, make, promote
from symdiff.ir.primitive import Params, Structured, cast
from symdiff.ops.elementwise import where
from symdiff.ops.index import reshape, transpose, unbroadcast
from symdiff.ops.leaves import iota


def matrix_transpose(x: Node) -> Node:
    """Swap the last two axes."""
    perm = list(range(x.ndim))
    perm[-1], perm[-2] = perm[-2], perm[-1]
    return transpose(x, perm=tuple(perm))


class _MatMul(Structured):
    name = "matmul"
    doc = "The matrix product with NumPy's rules for vectors and leading axes."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        a, b = args
        if not a.ndim or not b.ndim:
            raise ShapeError(f"@ needs arrays, got {brief(a)} and {brief(b)}; use * with scalars.")
        inner_a, inner_b = a.shape[-1], b.shape[-2] if b.ndim > 1 else b.shape[0]
        if inner_a != inner_b:
            raise ShapeError(
                f"{brief(a)} @ {brief(b)}: the inner extents {inner_a} and {inner_b} differ; {shape_text(a.shape)} @ "
                f"{shape_text(b.shape)}."
            )
        lead = broadcast_shapes(a.shape[:-2], b.shape[:-2])
        rows = a.shape[-2:-1] if a.ndim > 1 else ()
        cols = b.shape[-1:] if b.ndim > 1 else ()
        return (*lead, *rows, *cols), a.dtype

    def evaluate(self, params: Params, *values: Any) -> Any:
        return np.asarray(np.matmul(*values))

    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        (a, b), (a_dot, b_dot) = node.args, tangents
        left = None if a_dot is None else self(a_dot, b)
        right = None if b_dot is None else self(a, b_dot)
        return right if left is None else left if right is None else left + right

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        a, b = node.args
        # Vectors become matrices of one row or column, so one formula serves: A_bar = Y_bar B', B_bar = A' Y_bar.
        a2 = reshape(a, shape=(1, *a.shape)) if a.ndim == 1 else a
        b2 = reshape(b, shape=(*b.shape, 1)) if b.ndim == 1 else b
        lead = broadcast_shapes(a2.shape[:-2], b2.shape[:-2])
        y2 = reshape(x_bar, shape=(*lead, a2.shape[-2], b2.shape[-1]))
        if k == 0:
            if b.ndim == 1:
                out = y2 * b  # outer product: (…, m, 1) * (k,)
            else:
                out = self(y2, matrix_transpose(b2))
            return reshape(unbroadcast(out, a2.shape), shape=a.shape)
        if a.ndim == 1:
            out = reshape(a, shape=(*a.shape, 1)) * y2
        elif b.ndim == 1 and a.ndim == 2:
            return self(matrix_transpose(a), x_bar)
        else:
            out = self(matrix_transpose(a2), y2)
        return reshape(unbroadcast(out, b2.shape), shape=b.shape)

    def batch(self, node: Node, args: Sequence[Node], batched: Sequence[bool]) -> Node:
        (a, b), (a_b, b_b) = args, batched
        core_a, core_b = (n.shape for n in node.args)
        if a_b and not b_b and len(core_a) == 1 and len(core_b) <= 2:
            return self(a, b)
        if b_b and not a_b and len(core_b) == 1 and len(core_a) == 2:
            return self(b, matrix_transpose(a))
        # General case: vectors become matrices, leading axes are aligned, the product is batched.
        a2 = _as_matrix(a, len(core_a), a_b, row=True)
        b2 = _as_matrix(b, len(core_b), b_b, row=False)
        rank = max(len(core_a), len(core_b), 2)
        a2 = _pad_rank(a2, rank, a_b)
        b2 = _pad_rank(b2, rank, b_b)
        out = self(a2, b2)
        n = (a2 if a_b else b2).shape[0]
        return reshape(out, shape=(n, *node.shape))

    def __call__(self, *args: Any, **params: Any) -> Node:
        a, b = (as_node(x) for x in args)
        dtype = promote(a.dtype, b.dtype, "float32" if "float32" in (a.dtype, b.dtype) else "float64")
        return make(self, (cast(a, dtype), cast(b, dtype)))


def _as_matrix(x: Node, core: int, batched: bool, row: bool) -> Node:
    if core > 1:
        return x
    lead = x.shape[:1] if batched else ()
    return reshape(x, shape=(*lead, 1, x.shape[-1]) if row else (*lead, x.shape[-1], 1))


def _pad_rank(x: Node, rank: int, batched: bool) -> Node:
    if not batched:
        return x
    missing = rank - (x.ndim - 1)
    return reshape(x, shape=(x.shape[0], *(1,) * missing, *x.shape[1:]))


def _require_square(a: Node, what: str) -> None:
    if a.ndim != 2 or a.shape[0] != a.shape[1]:
        raise ShapeError(f"{what} needs a square matrix, got {brief(a)}.")


class _Solve(Structured):
    name = "solve"
    doc = "x with A x = b, by LU with partial pivoting; NaN where A is exactly singular."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        a, b = args
        _require_square(a, "solve")
        if b.ndim not in (1, 2) or b.shape[0] != a.shape[0]:
            raise ShapeError(f"solve: {brief(b)} is no right-hand side for {brief(a)}.")
        return b.shape, a.dtype

    def evaluate(self, params: Params, *values: Any) -> Any:
        a, b = values
        if a.dtype == object:
            return _mp_solve(a, b)
        try:
            return np.linalg.solve(a, b)
        except np.linalg.LinAlgError:
            return np.full(b.shape, np.nan, dtype=b.dtype)

    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        # A x = b  =>  A x_dot = b_dot - A_dot x.
        a, (a_dot, b_dot) = node.args[0], tangents
        right = b_dot
        if a_dot is not None:
            drift = matmul(a_dot, node)
            right = -drift if right is None else right - drift
        return None if right is None else self(a, right)

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        if k != 1:
            raise DerivativeError("solve is not linear in its matrix.")
        return self(matrix_transpose(node.args[0]), x_bar)

    def batch(self, node: Node, args: Sequence[Node], batched: Sequence[bool]) -> Node:
        (a, b), (a_b, _) = args, batched
        if a_b:
            raise DerivativeError(f"solve ({node.line}) with one matrix per instance is not implemented.")
        # All right-hand sides side by side: (n, m, r) -> (m, n*r).
        n, m = b.shape[0], b.shape[1]
        if b.ndim == 2:
            return transpose(self(a, transpose(b, perm=(1, 0))), perm=(1, 0))
        r = b.shape[2]
        wide = reshape(transpose(b, perm=(1, 0, 2)), shape=(m, n * r))
        return transpose(reshape(self(a, wide), shape=(m, n, r)), perm=(1, 0, 2))

    def __call__(self, *args: Any, **params: Any) -> Node:
        a, b = (as_node(x) for x in args)
        dtype = promote(a.dtype, b.dtype, "float32" if "float32" in (a.dtype, b.dtype) else "float64")
        return make(self, (cast(a, dtype), cast(b, dtype)))


def _mp_solve(a: Any, b: Any) -> Any:
    import mpmath

    x = mpmath.lu_solve(mpmath.matrix(a.tolist()), mpmath.matrix(b.reshape(len(b), -1).tolist()[:]))
    out = np.empty(b.shape, dtype=object)
    out.reshape(len(b), -1)[...] = np.array(x.tolist(), dtype=object)
    return out


class _Cholesky(Structured):
    name = "cholesky"
    doc = "The lower triangular L with L L' = A, from the lower half of A; NaN if A is not positive definite."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        _require_square(args[0], "cholesky")
        return args[0].shape, args[0].dtype

    def evaluate(self, params: Params, *values: Any) -> Any:
        (a,) = values
        if a.dtype == object or np.iscomplexobj(a):
            return _factor_by_entry(a)
        try:
            return np.linalg.cholesky(a)
        except np.linalg.LinAlgError:
            return np.full(a.shape, np.nan, dtype=a.dtype)

    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        # L_dot = L Phi(L^-1 A_dot L^-T), Phi = lower half with the diagonal halved (Murray 2016, eq. 8).
        if tangents[0] is None:
            return None
        a_dot = tangents[0]
        n = node.shape[0]
        rows, cols = reshape(iota(n=n), shape=(n, 1)), reshape(iota(n=n), shape=(1, n))
        half, one, zero = (const(v, node.dtype) for v in (0.5, 1.0, 0.0))
        phi = where(rows > cols, one, where(rows < cols, zero, half))
        # Only the lower half of A is read, so its tangent is the symmetric matrix with that lower half.
        strict = where(rows > cols, one, zero) * a_dot
        symmetric = where(rows >= cols, one, zero) * a_dot + matrix_transpose(strict)
        left = solve(node, symmetric)
        middle = matrix_transpose(solve(node, matrix_transpose(left)))
        return matmul(node, phi * middle)

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        raise DerivativeError("cholesky is not linear.")

    def batch(self, node: Node, args: Sequence[Node], batched: Sequence[bool]) -> Node:
        raise DerivativeError(f"cholesky ({node.line}) of several matrices at once is not implemented.")


def _factor_by_entry(a: Any) -> Any:
    """Factor mpmath numbers, or x + ih: L L' = A without the conjugation of LAPACK, which is not analytic."""
    out = np.zeros_like(a)
    for i, j in np.ndindex(a.shape):
        if j > i:
            continue
        rest = a[i, j] - sum(out[i, k] * out[j, k] for k in range(j))
        if i != j:
            out[i, j] = rest / out[j, j]
        elif np.real(rest) > 0:
            out[i, j] = rest**0.5
        else:
            return np.full_like(a, np.nan)
    return out


matmul = _MatMul()
solve = _Solve()
cholesky = _Cholesky()
LINALG = (matmul, solve, cholesky)

__all__ = ["LINALG", "cholesky", "matmul", "matrix_transpose", "solve"]
