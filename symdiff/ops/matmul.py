"""matmul: the matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symdiff.ir.dims import Shape, broadcast_shapes, shape_text
from symdiff.ir.errors import ShapeError
from symdiff.ir.node import Node, as_node, brief, make, promote
from symdiff.ir.primitive import Params, Structured, cast
from symdiff.ops.index import reshape, transpose, unbroadcast


def floats(*args: Any) -> tuple[Node, ...]:
    """Convert to nodes of the one real dtype that the arguments promote to."""
    nodes = [as_node(x) for x in args]
    dtypes = [n.dtype for n in nodes]
    dtype = promote(*dtypes, "float32" if "float32" in dtypes else "float64")
    return tuple(cast(n, dtype) for n in nodes)


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
        return make(self, floats(*args))


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


matmul = _MatMul()
