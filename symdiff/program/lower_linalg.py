"""Lowering of linear algebra: calls of BLAS and LAPACK."""

from __future__ import annotations

from symdiff.ir.dims import Extent
from symdiff.ir.node import Node
from symdiff.program.block import Block, Lowerings
from symdiff.program.ir import Call
from symdiff.program.views import View, c_strides, steps_forward, whole, write


def _matmul(block: Block, node: Node) -> None:
    a, b = (_matrix(block, x) for x in node.args)
    target = block.pool.temp(node.shape, node.dtype)
    extents: tuple[Extent, ...] = (node.shape[0], node.shape[1], a.shape[1])
    stage = max(block.ready[x] for x in node.args)
    block.emit(Call("gemm", (write(a), write(b), write(target)), extents, node.dtype), stage, node, target)


def _matrix(block: Block, node: Node) -> View:
    """A view that BLAS can take: one of its strides is 1 and the other no smaller than its rows are long."""
    view = block.buffered(node)
    row, col = view.strides
    m, n = view.shape
    if (col == 1 and steps_forward(row, view)) or (row == 1 and steps_forward(col, view)):
        return view
    if view.is_contiguous() and 1 not in (m, n):
        return view
    copied = block.pool.temp(node.shape, node.dtype)
    block.copy(view, copied, block.ready[node])
    block.know(node, copied, block.ready[node] + 1)
    return View(copied.base, 0, (n, 1), node.shape)


def _cholesky(block: Block, node: Node) -> None:
    matrix = block.own_copy(node.args[0])
    stage = block.ready[node.args[0]] + 1
    block.emit(Call("cholesky", (write(matrix),), (node.shape[0],), node.dtype), stage, node, matrix)


def _solve(block: Block, node: Node) -> None:
    """LAPACK overwrites its operands: it gets copies, the right-hand sides column by column."""
    matrix, b = node.args
    n, columns = b.shape[0], b.shape[1] if b.ndim == 2 else 1
    copied = block.own_copy(matrix)
    held = block.pool.new((columns, n), b.dtype)
    one = c_strides(held.shape)[1] or 0
    result = View(held, 0, (one, n if columns != 1 else 0) if b.ndim == 2 else (one,), b.shape)
    block.copy(block.view(b), result, block.ready[b])
    pivots = whole(block.pool.new((n,), "int64"))
    call = Call("solve", (write(copied), write(whole(held)), write(pivots)), (n, columns), node.dtype)
    block.emit(call, max(block.ready[matrix], block.ready[b]) + 1, node, result)


LINALG: Lowerings = {"matmul": _matmul, "cholesky": _cholesky, "solve": _solve}
