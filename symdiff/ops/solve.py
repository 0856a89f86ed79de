"""Linear systems: solve (general), triangular_solve, and the factored form in which programs solve.

    A x = b   =>   A x_dot = b_dot - A_dot x     (Giles 2008, section 2.3)

The transpose is a solve with A'. `lu` and `lu_solve` are what `passes.factorise` makes of `solve`: the primal,
its tangents and its adjoint then share one factorisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symdiff.ir.dims import Shape, multiply, shape_text
from symdiff.ir.errors import DerivativeError, ShapeError
from symdiff.ir.node import Node, brief, make
from symdiff.ir.primitive import Params
from symdiff.ops import by_entry
from symdiff.ops.index import broadcast_to, reshape, transpose
from symdiff.ops.matmul import floats, matmul, matrix_transpose
from symdiff.ops.square import Inner, Stacked, require_square, triangle


class _System(Stacked):
    """A x = b for right-hand sides of A's leading axes, (…, n, k); a single vector (n,) for a single matrix."""

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        a, b = args
        require_square(a, self.name)
        is_vector = a.ndim == 2 and b.ndim == 1
        fits = b.shape == a.shape[:1] if is_vector else b.shape[:-1] == a.shape[:-1] and b.ndim == a.ndim
        if not fits:
            raise ShapeError(
                f"{self.name}: {brief(b)} of shape {shape_text(b.shape)} is no right-hand side for {brief(a)} of shape "
                f"{shape_text(a.shape)}."
            )
        return b.shape, a.dtype

    def drift(self, node: Node, a_dot: Node) -> Node:
        """A_dot x."""
        raise NotImplementedError

    def jvp(self, node: Node, tangents: Sequence[Node | None]) -> Node | None:
        a_dot, right = tangents
        if a_dot is not None:
            drift = self.drift(node, a_dot)
            right = -drift if right is None else right - drift
        return None if right is None else make(self, (node.args[0], right), node.params)

    def batch(self, node: Node, args: Sequence[Node], batched: Sequence[bool]) -> Node:
        a, b = args
        if not batched[0]:
            return self._columns(node, a, b)
        if not batched[1]:
            b = broadcast_to(b, shape=(a.shape[0], *b.shape))
        if b.ndim == a.ndim:
            return make(self, (a, b), node.params)
        # A vector for each matrix is a column for each.
        return reshape(make(self, (a, reshape(b, shape=(*b.shape, 1))), node.params), shape=b.shape)

    def _columns(self, node: Node, a: Node, b: Node) -> Node:
        """Set the right-hand sides of one matrix side by side: (m, …, n, k) becomes (…, n, m*k)."""
        if b.ndim == a.ndim:  # vectors
            return transpose(make(self, (a, transpose(b, perm=(1, 0))), node.params), perm=(1, 0))
        m, *lead, n, k = b.shape
        rank = len(lead)
        perm = (*range(1, rank + 2), 0, rank + 2)
        wide = reshape(transpose(b, perm=perm), shape=(*lead, n, multiply(m, k)))
        solved = reshape(make(self, (a, wide), node.params), shape=(*lead, n, m, k))
        return transpose(solved, perm=(rank + 1, *range(rank + 1), rank + 2))

    def __call__(self, *args: Any, **params: Any) -> Node:
        return make(self, floats(*args), params)


class _Solve(_System):
    name = "solve"
    doc = "x with A x = b, by LU with partial pivoting; NaN where A is exactly singular."

    def evaluate(self, params: Params, *values: Any) -> Any:
        a, b = values
        if a.dtype == object:
            return _by_matrix(by_entry.solve, a, b)
        try:
            return np.linalg.solve(a, b)
        except np.linalg.LinAlgError:
            if a.ndim == 2:
                return by_entry.nan_like(b.shape, b)
            return by_entry.each(lambda m, r: self.evaluate(params, m, r), b.shape[-2:], a, b)

    def drift(self, node: Node, a_dot: Node) -> Node:
        return matmul(a_dot, node)

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        if k != 1:
            raise DerivativeError("solve is not linear in its matrix.")
        return self(matrix_transpose(node.args[0]), x_bar)


class _TriangularSolve(_System):
    name = "triangular_solve"
    doc = "x with T x = b, or T' x = b, T a triangle of A; NaN where its diagonal has a zero. The rest is not read."

    def evaluate(self, params: Params, *values: Any) -> Any:
        a, b = values
        lower, unit = params["lower"], params["unit"]
        if params["transposed"]:
            a, lower = np.swapaxes(a, -1, -2), not lower

        def one(t: Any, r: Any) -> Any:
            if not by_entry.is_plain(t, r):
                return by_entry.substitute(t, r, lower, unit)
            return _substitute(t, r, lower, unit)

        return _by_matrix(one, a, b)

    def drift(self, node: Node, a_dot: Node) -> Node:
        p = node.params
        t_dot = triangle(a_dot, p["lower"], strict=p["unit"])
        return matmul(matrix_transpose(t_dot) if p["transposed"] else t_dot, node)

    def transpose(self, node: Node, x_bar: Node, k: int) -> Node:
        if k != 1:
            raise DerivativeError("triangular_solve is not linear in its matrix.")
        return make(self, (node.args[0], x_bar), {**node.params, "transposed": not node.params["transposed"]})

    def __call__(self, *args: Any, **params: Any) -> Node:
        keys = ("lower", "transposed", "unit")
        return make(self, floats(*args), {key: bool(params.get(key, key == "lower")) for key in keys})


def _by_matrix(function: Any, a: Any, b: Any) -> Any:
    """Apply a function of (matrix, right-hand sides) to a stack of both, or to a matrix and a vector."""
    if b.ndim < a.ndim:
        return function(a, b[:, None])[:, 0]
    return function(a, b) if a.ndim == 2 else by_entry.each(function, b.shape[-2:], a, b)


def _substitute(t: Any, b: Any, lower: bool, unit: bool) -> Any:
    """Solve with a triangle of floating-point numbers, row by row."""
    n = len(t)
    if not unit and (np.diagonal(t) == 0).any():
        return by_entry.nan_like(b.shape, b)
    x = b.copy()
    for i in range(n) if lower else range(n - 1, -1, -1):
        rest = slice(0, i) if lower else slice(i + 1, n)
        x[i] -= t[i, rest] @ x[rest]
        if not unit:
            x[i] /= t[i, i]
    return x


class _LU(Inner):
    name = "lu"
    doc = "P A = L U in one array: L without its unit diagonal and U, then a row with the number of each row's partner."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        (a,) = args
        require_square(a, "lu")
        n = a.shape[-1]
        return (*a.shape[:-2], n + 1, n), a.dtype

    def evaluate(self, params: Params, *values: Any) -> Any:
        (a,) = values
        n = a.shape[-1]

        def one(m: Any) -> Any:
            factors, rows = by_entry.lu(m)
            return np.concatenate([factors, np.asarray(rows, dtype=m.dtype).reshape(1, n)])

        return by_entry.each(one, (n + 1, n), a)


class _LUSolve(Inner):
    name = "lu_solve"
    doc = "x with A x = b, or A' x = b, from lu(A); NaN where a pivot is zero."

    def infer(self, args: tuple[Node, ...], params: Params) -> tuple[Shape, str]:
        factors, b = args
        if b.ndim != factors.ndim or factors.shape[:-2] != b.shape[:-2] or factors.shape[-1] != b.shape[-2]:
            raise ShapeError(f"lu_solve: {brief(b)} is no right-hand side for factors of shape {factors.shape}.")
        return b.shape, b.dtype

    def evaluate(self, params: Params, *values: Any) -> Any:
        factors, b = values
        return by_entry.each(lambda f, r: _lu_solve(f, r, params["transposed"]), b.shape[-2:], factors, b)


def _lu_solve(packed: Any, b: Any, transposed: bool) -> Any:
    factors, rows = packed[:-1], [int(p.real) for p in packed[-1]]
    if (np.diagonal(factors) == 0).any():
        return by_entry.nan_like(b.shape, b)
    x = b.copy()
    if transposed:
        # A = P' L U, so A' x = b is U' y = b, L' z = y, x = P' z.
        x = by_entry.substitute(factors.T, x, True, False)
        x = by_entry.substitute(factors.T, x, False, True)
        order = list(enumerate(rows))[::-1]
    else:
        order = list(enumerate(rows))
    for k, p in order:
        x[[k, p]] = x[[p, k]]
    if not transposed:
        x = by_entry.substitute(factors, x, True, True)
        x = by_entry.substitute(factors, x, False, False)
    return x


solve = _Solve()
triangular_solve = _TriangularSolve()
lu = _LU()
lu_solve = _LUSolve()
