"""expand_products: write products with vectors, and of small matrices, as sums of elementwise products.

    A @ w -> sum(A * w, axis=1)     a @ B -> sum(a[:, None] * B, axis=0)

They then fuse with what surrounds them and are summed in the fixed block tree; products of two matrices, and of
stacks of larger ones, stay library calls.  Needs: nothing.  Keeps: value to rounding, shape, dtype, source line.
"""

from __future__ import annotations

from collections.abc import Sequence

from symdiff.ir.dims import Extent, Shape
from symdiff.ir.graph import transform
from symdiff.ir.node import Node
from symdiff.ops.index import reshape
from symdiff.ops.linalg import matmul, matrix_transpose
from symdiff.ops.reduce import sum_

# Up to this many entries on all sides, a loop in registers beats the call of a library; on one side of the matrices
# of a stack, where every matrix is a call.
SMALL, SMALL_IN_STACK = 4, 8


def expand_products(roots: Sequence[Node]) -> list[Node]:
    """Rewrite every product that does not pay for a call."""
    return transform(roots, lambda node: _expand(node) if node.op is matmul else node)


def _expand(node: Node) -> Node:
    a, b = node.args
    if _is_call(a, b):
        return node
    # Align to (…, rows, cols, inner): a as (…, rows, 1, inner), b transposed as (…, 1, cols, inner).
    b_t = b if b.ndim == 1 else matrix_transpose(b)
    rows: Shape = a.shape[-2:-1]
    cols: Shape = b_t.shape[-2:-1] if b.ndim > 1 else ()
    if rows and cols:
        a = reshape(a, shape=(*a.shape[:-1], 1, a.shape[-1]))
        b_t = reshape(b_t, shape=(*b_t.shape[:-2], 1, *b_t.shape[-2:]))
    elif rows and b_t.ndim > 1:
        b_t = reshape(b_t, shape=(*b_t.shape[:-1], 1, b_t.shape[-1]))
    product = a * b_t
    return sum_(product, axes=(product.ndim - 1,))


def _is_call(a: Node, b: Node) -> bool:
    if a.ndim < 2 or b.ndim < 2:
        return False
    sides: tuple[Extent, ...] = (*a.shape[-2:], b.shape[-1])
    known = [d for d in sides if isinstance(d, int)]
    if a.ndim == 2 and b.ndim == 2:
        return len(known) < len(sides) or max(known) > SMALL
    return min(known, default=SMALL_IN_STACK + 1) > SMALL_IN_STACK
