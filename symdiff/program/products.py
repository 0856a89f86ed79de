"""expand_products: write products with vectors and stacks of matrices as sums of elementwise products.

    A @ w -> sum(A * w, axis=1)     a @ B -> sum(a[:, None] * B, axis=0)

They then fuse with what surrounds them and are summed in the fixed block tree; products of two matrices stay
library calls.  Needs: nothing.  Keeps: value to rounding, shape, dtype, source line.
"""

from __future__ import annotations

from collections.abc import Sequence

from symdiff.ir.dims import Extent, Shape
from symdiff.ir.graph import transform
from symdiff.ir.node import Node
from symdiff.ops.index import reshape
from symdiff.ops.linalg import matmul, matrix_transpose
from symdiff.ops.reduce import sum_

# Up to this many entries on a side, a loop in registers beats the call of a library.
SMALL = 4


def expand_products(roots: Sequence[Node]) -> list[Node]:
    """Rewrite every product that is not one of two matrices."""
    return transform(roots, lambda node: _expand(node) if node.op is matmul else node)


def _expand(node: Node) -> Node:
    a, b = node.args
    if a.ndim == 2 and b.ndim == 2 and not _all_small((*a.shape, *b.shape)):
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


def _all_small(extents: tuple[Extent, ...]) -> bool:
    return all(isinstance(d, int) and d <= SMALL for d in extents)
