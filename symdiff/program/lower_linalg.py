"""Lowering of linear algebra: calls of BLAS and LAPACK.

LAPACK overwrites its operands, so it gets copies, column by column as it wants them; what reads a result afterwards
reads it through strides. A stack of matrices is one call, which loops over them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from symdiff.ir.dims import Extent, Shape, multiply, product
from symdiff.ir.node import Node
from symdiff.program.block import Block, Lowerings
from symdiff.program.ir import Buffer, Call
from symdiff.program.lower_recurrence import in_memory
from symdiff.program.views import View, broadcast, c_strides, sliced, steps_forward, whole, write

# Columns that LAPACK's QR takes at a time (ILAENV's block size); its workspace is so many rows.
_QR_BLOCK = 32


def _matmul(block: Block, node: Node) -> None:
    """One product, or one for every matrix of a stack; an operand without the stack's axes serves all of it."""
    a, b = (_matrices(block, x, node.shape[:-2]) for x in node.args)
    target = block.dest.get(node) or block.pool.temp(node.shape, node.dtype)
    extents: tuple[Extent, ...] = (*node.shape[-2:], a.shape[-1], product(node.shape[:-2]))
    held = View(target.base, target.offset, (multiply(*node.shape[-2:]), node.shape[-1], 1), (extents[3], *extents[:2]))
    stage = max(block.ready[x] for x in node.args)
    block.emit(Call("gemm", (write(a), write(b), write(held)), extents, node.dtype), stage, node, target)


def _matrices(block: Block, node: Node, lead: Shape) -> View:
    """A view (stack, rows, columns) for BLAS: of each matrix's strides one is 1 and the other at least a row long."""
    view = block.buffered(node)
    count = product(lead)
    own = view.shape[:-2]
    if own != lead and any(d != 1 for d in own):
        view = broadcast(view, (*lead, *view.shape[-2:]))
        own = lead
    *steps, row, col = view.strides
    m, n = view.shape[-2:]
    straight = (col == 1 and steps_forward(row, view)) or (row == 1 and steps_forward(col, view))
    straight = straight or (view.is_contiguous() and 1 not in (m, n))
    step = _one_step(own, steps)
    if straight and step is not None:
        return View(view.base, view.offset, (step, row, col), (count, m, n))
    copied = block.pool.temp(view.shape, node.dtype)
    block.copy(view, copied, block.ready[node])
    ready = block.ready[node] + 1
    if view.shape == node.shape:
        block.know(node, copied, ready)
    block.ready[node] = max(block.ready[node], ready)
    step = 0 if all(d == 1 for d in own) else multiply(m, n)
    return View(copied.base, copied.offset, (step, n, 1), (count, m, n))


def _one_step(lead: Shape, steps: Sequence[Extent]) -> Extent | None:
    """The distance between matrices that follow one another; None if there is not one for the whole stack."""
    axes = [(d, s) for d, s in zip(lead, steps, strict=True) if d != 1]
    if not axes:
        return 0
    for (_, outer), (extent, inner) in itertools.pairwise(axes):
        if outer != multiply(extent, inner):
            return None
    return axes[-1][1]


def _columnwise(buffer: Buffer) -> View:
    """A buffer (…, columns, rows) as the matrices (…, rows, columns) that it holds column by column."""
    *lead, row, col = c_strides(buffer.shape)
    *extents, columns, rows = buffer.shape
    return View(buffer, 0, (*lead, col, row), (*extents, rows, columns))


def _packed(block: Block, shape: Shape, dtype: str, rows: Extent) -> View:
    """Memory for matrices of `shape` but for the number of their rows, column by column."""
    return _columnwise(block.pool.new((*shape[:-2], shape[-1], rows), dtype))


def _fill(block: Block, node: Node, target: View, start: Extent = 0) -> int:
    """Copy a node into some rows of `target`; returns the stage at which it is there."""
    rank = len(target.shape)
    place = sliced(target, (*(0,) * (rank - 2), start, 0), node.shape, (1,) * rank)
    strides = tuple(0 if d == 1 else s for d, s in zip(place.shape, place.strides, strict=True))
    block.copy(block.view(node), View(place.base, place.offset, strides, place.shape), block.ready[node])
    return block.ready[node] + 1


def _scratch(block: Block, count: Extent, dtype: str) -> View:
    return whole(block.pool.new((count,), dtype))


def _emit(
    block: Block, node: Node, operands: Sequence[View], extents: Sequence[Extent], stage: int, result: View,
    flags: tuple[str, ...] = (),
) -> None:  # fmt: skip
    """Emit the call of the node's name for all of its matrices."""
    accesses = tuple(write(whole(v.base)) for v in operands if isinstance(v.base, Buffer))
    call = Call(node.op.name, accesses, (product(node.shape[:-2]), *extents), node.dtype, flags)
    block.emit(call, stage, node, result)


def _cholesky(block: Block, node: Node) -> None:
    matrix = block.own_copy(node.args[0])
    _emit(block, node, (matrix,), (node.shape[-1],), block.ready[node.args[0]] + 1, matrix)


def _lu(block: Block, node: Node) -> None:
    n = node.shape[-1]
    target = _packed(block, node.shape, node.dtype, n + 1)
    stage = _fill(block, node.args[0], target)
    _emit(block, node, (target, _scratch(block, n, "int64")), (n,), stage, target)


def _lu_solve(block: Block, node: Node) -> None:
    factors, b = node.args
    n, columns = b.shape[-2:]
    held, ready = block.view(factors), block.ready[factors]
    if not isinstance(held.base, Buffer) or held != _columnwise(held.base):
        # It came as a loop's state or an input, row by row.
        held = _packed(block, factors.shape, node.dtype, n + 1)
        ready = _fill(block, factors, held)
    target = _packed(block, b.shape, node.dtype, n)
    stage = max(ready, _fill(block, b, target))
    flags = ("transposed",) if node.params["transposed"] else ()
    _emit(block, node, (held, target, _scratch(block, n, "int64")), (n, columns), stage, target, flags)


def _triangular_solve(block: Block, node: Node) -> None:
    a, b = node.args
    is_vector = b.ndim < a.ndim
    n, columns = (b.shape[0], 1) if is_vector else b.shape[-2:]
    view, ready = block.view(a), block.ready[a]
    if not isinstance(view.base, Buffer) or view != whole(view.base):
        view, ready = block.own_copy(a), ready + 1
    target = _packed(block, (*a.shape[:-2], n, columns), node.dtype, n)
    result = View(target.base, 0, target.strides[:1], b.shape) if is_vector else target
    block.copy(block.view(b), result, block.ready[b])
    flags = tuple(key for key in ("lower", "transposed", "unit") if node.params[key])
    accesses = (write(view), write(whole(target.base)))  # type: ignore[arg-type]  # `_packed` makes a buffer
    call = Call(node.op.name, accesses, (product(a.shape[:-2]), n, columns), node.dtype, flags)
    block.emit(call, max(ready, block.ready[b] + 1), node, result)


def _banded_solve(block: Block, node: Node) -> None:
    """The routine works on rows that are as wide as elimination with exchanges makes them, some zero rows behind."""
    bands, b = node.args
    *lead, n, columns = b.shape
    count, lower = bands.shape[-2], node.params["lower"]
    assert isinstance(count, int)
    view, ready = in_memory(block, bands)
    if not isinstance(view.base, Buffer) or view != whole(view.base):
        view, ready = block.own_copy(bands), block.ready[bands] + 1
    target = whole(block.pool.new((*lead, n + (count - 1), columns), node.dtype))
    result = sliced(target, (0,) * b.ndim, node.shape, (1,) * b.ndim)
    block.copy(block.view(b), result, block.ready[b])
    work = _scratch(block, multiply(n + lower, count + lower), node.dtype)
    flags = (str(lower), str(count - 1 - lower))
    accesses = tuple(write(whole(v.base)) for v in (view, target, work) if isinstance(v.base, Buffer))
    call = Call(node.op.name, accesses, (product(node.shape[:-2]), n, columns), node.dtype, flags)
    block.emit(call, max(ready, block.ready[b] + 1), node, result)


def _eigh(block: Block, node: Node) -> None:
    """The workspace is what dsyevd asks for: 1 + 6n + 2n² numbers and 3 + 5n integers; n more for the eigenvalues."""
    n = node.shape[-1]
    target = _packed(block, node.shape, node.dtype, n + 1)
    stage = _fill(block, node.args[0], target, start=1)
    work = _scratch(block, multiply(2, multiply(n, n)) + multiply(7, n) + 1, node.dtype)
    _emit(block, node, (target, work, _scratch(block, multiply(5, n) + 3, "int64")), (n,), stage, target)


def _qr(block: Block, node: Node) -> None:
    (a,) = node.args
    m, n = a.shape[-2:]
    target = _packed(block, node.shape, node.dtype, node.shape[-2])
    stage = _fill(block, a, target)
    work = _scratch(block, multiply(_QR_BLOCK + 1, n), node.dtype)
    _emit(block, node, (target, work), (m, n), stage, target, ())


def _adjugate(block: Block, node: Node) -> None:
    n = node.shape[-1]
    factors, target = (_packed(block, node.shape, node.dtype, n) for _ in range(2))
    stage = _fill(block, node.args[0], factors)
    _emit(block, node, (factors, target, _scratch(block, n, "int64")), (n,), stage, target)


LINALG: Lowerings = {
    "matmul": _matmul,
    "cholesky": _cholesky,
    "lu": _lu,
    "lu_solve": _lu_solve,
    "triangular_solve": _triangular_solve,
    "banded_solve": _banded_solve,
    "eigh": _eigh,
    "qr": _qr,
    "adjugate": _adjugate,
}
