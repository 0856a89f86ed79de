"""Direct solution of (shift - c*J) p = b in one dimension, where J has few diagonals.

The unknowns of all fields at one grid point follow one another, so J has as many diagonals as its formulas reach.
Along a periodic axis point n - 1 is a neighbour of point 0: the order 0, n - 1, 1, n - 2, … keeps all neighbours
near, with twice as many diagonals and no corners.

A column of A is A e_q. Columns that lie further apart than there are diagonals touch no common row, so a product of A
with their sum shows all of them: 2*reach + 1 products give the matrix (Curtis, Powell & Reid 1974).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from symdiff.ir.dims import Extent, multiply
from symdiff.ir.node import Node, const
from symdiff.ops.banded import banded_solve, transposed_bands
from symdiff.ops.bits import shift_right
from symdiff.ops.control import build_loop
from symdiff.ops.elementwise import eq, mod, where
from symdiff.ops.index import broadcast_to, concatenate, embed, reshape, slice_, take
from symdiff.ops.leaves import iota, size
from symdiff.ops.rows import empty, set_row
from symdiff.pde.layout import grid_size
from symdiff.pde.linear import LinearSolver, System, Vector
from symdiff.pde.semidiscrete import Semidiscrete


@final
@dataclass(frozen=True)
class Banded(LinearSolver):
    """`reach` is how far from the main diagonal an entry can lie, in the order of `_joined`."""

    reach: int
    name = "banded"

    def describe(self) -> str:
        """The number of diagonals."""
        return f"elimination along {2 * self.reach + 1} diagonals"

    def solve(self, system: System, b: Sequence[Node]) -> Vector:
        """Find the diagonals of A and eliminate."""
        semi = system.semi
        right = reshape(_joined(semi, b), shape=(_count(semi), 1))
        x = banded_solve(self._diagonals(system), right, lower=self.reach)
        return _parted(semi, reshape(x, shape=(_count(semi),)))

    def solve_transposed(self, system: System, b: Sequence[Node]) -> Vector:
        """Eliminate along the diagonals of A'."""
        semi, diagonals = system.semi, transposed_bands(self._diagonals(system), self.reach)
        right = reshape(_joined(semi, b), shape=(_count(semi), 1))
        return _parted(semi, reshape(banded_solve(diagonals, right, lower=self.reach), shape=(_count(semi),)))

    def _diagonals(self, system: System) -> Node:
        semi, width = system.semi, 2 * self.reach + 1
        n = _count(semi)
        inside = _joined(semi, [broadcast_to(const(1.0), shape=x.shape) for x in system.v])

        def turn(j: Node, rows: Node) -> list[Node]:
            comb = where(eq(mod(iota(n=n), const(width, "int64")), j), 1.0, 0.0)
            seen = _joined(semi, system.matvec(_parted(semi, comb)))
            return [j + 1, set_row(rows, where(eq(inside, 1.0), seen, comb), j)]

        start = [const(0, "int64"), empty(shape=(width, n), dtype="float64")]
        _, rows = build_loop(lambda j, _: j < width, turn, start, turns=width)
        # Entry [i, i + k - reach] stands in row i of the product with the comb of column i + k - reach.
        i = reshape(iota(n=n), shape=(1, n))
        k = reshape(iota(n=width), shape=(width, 1))
        comb = mod(i + k + (width - self.reach), const(width, "int64"))
        flat = reshape(rows, shape=(multiply(width, n),))
        return take(flat, comb * size(dim=n) + i, axis=0)


def _count(semi: Semidiscrete) -> Extent:
    return multiply(len(semi.problem.fields), grid_size(semi.axes[0]))


def _joined(semi: Semidiscrete, blocks: Sequence[Node]) -> Node:
    """Return the unknowns of all fields as one vector, 0 at points that are no unknowns."""
    n, columns = grid_size(semi.axes[0]), []
    for u, block in zip(semi.problem.fields, blocks, strict=True):
        full = embed(block, shape=(n,), starts=(semi.layout[u].starts[0],), steps=(1,))
        columns.append(reshape(full, shape=(n, 1)))
    points = concatenate(*columns, axis=1)
    if _is_periodic(semi):
        q = iota(n=n)
        half = shift_right(q, const(1, "int64"))
        is_even = eq(mod(q, const(2, "int64")), const(0, "int64"))
        points = take(points, where(is_even, half, size(dim=n) - 1 - half), axis=0)
    return reshape(points, shape=(_count(semi),))


def _parted(semi: Semidiscrete, vector: Node) -> Vector:
    """Undo `_joined`."""
    n, m = grid_size(semi.axes[0]), len(semi.problem.fields)
    points = reshape(vector, shape=(n, m))
    if _is_periodic(semi):
        i = iota(n=n)
        points = take(points, where(2 * i < size(dim=n), 2 * i, 2 * (size(dim=n) - 1 - i) + 1), axis=0)
    out = []
    for k, u in enumerate(semi.problem.fields):
        layout = semi.layout[u]
        (extent,) = layout.extents
        cut = slice_(points, starts=(layout.starts[0], k), extents=(extent, 1), steps=(1, 1))
        out.append(reshape(cut, shape=(extent,)))
    return out


def _is_periodic(semi: Semidiscrete) -> bool:
    return semi.problem.is_periodic(semi.axes[0])
