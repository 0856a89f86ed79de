"""Exact solution of (shift - c*J) p = b by transforms along all axes but one, and elimination along that one.

Where the factors vary along one axis at most, the modes of the other axes part the equations into one tridiagonal
system for every mode. Its entries depend on the modes through the differences s_k = 2 cos(theta_k) - 2 alone,

    T = T_0 + s_1 T_1 + s_2 T_2 + …

so products of A with the lowest and the highest modes tell all of them. Half the transforms of a solution by
transforms along all axes are spared. Method: Hockney 1965; the elimination is Thomas's, without exchanges: T is
definite. What it makes of T, and the matrices of the modes, leave the loop over the steps where they do not change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, final

import numpy as np

from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node, const
from symdiff.ops.banded import moved
from symdiff.ops.bits import shift_right
from symdiff.ops.control import build_loop
from symdiff.ops.elementwise import eq, mod, where
from symdiff.ops.index import broadcast_to, reshape, slice_, take, transpose
from symdiff.ops.leaves import iota, size
from symdiff.ops.reduce import sum_
from symdiff.ops.rows import empty, set_row
from symdiff.pde.fourier import Kind
from symdiff.pde.linear import LinearSolver, System, Vector, ratio
from symdiff.pde.modes import Modes
from symdiff.pde.tridiagonal import eliminated

if TYPE_CHECKING:
    from symdiff.pde.structure import Structure

# Modes along a transformed axis. Measured on 512 x 512 points: 12 ms of processor time for a step of Crank-Nicolson, of
# which products with matrices, whose time grows with the modes, take 7; by fast transforms along both axes 15 ms.
MOST_MODES = 1000
_SAME = 1e-10  # relative difference of numbers that only rounding errors part


@final
@dataclass(frozen=True)
class Lines(LinearSolver):
    """`line` is the axis along which lines are eliminated, `kinds` are the kinds of sides of the other axes."""

    line: int
    kinds: tuple[Kind, ...]
    name = "lines"

    def describe(self) -> str:
        """The number of transforms."""
        many = "two axes" if len(self.kinds) > 1 else "one axis"
        return f"transforms along {many} and elimination along the other"

    def solve(self, system: System, b: Sequence[Node]) -> Vector:
        """Transform, eliminate and transform back."""
        return [_Solution(self, system).of(b[0], transposed=False)]

    def solve_transposed(self, system: System, b: Sequence[Node]) -> Vector:
        """A' = W V T' V^-1 W^-1 with the modes V and their weights W."""
        return [_Solution(self, system).of(b[0], transposed=True)]


class _Solution:
    """The parts of a solution; the line's axis comes first in all arrays."""

    def __init__(self, solver: Lines, system: System):
        self.system, self.shape = system, system.v[0].shape
        self.order = (solver.line, *(a for a in range(len(self.shape)) if a != solver.line))
        self.modes = [Modes(kind, self.shape[a]) for kind, a in zip(solver.kinds, self.order[1:], strict=True)]
        self.n = self.shape[solver.line]

    def of(self, b: Node, transposed: bool) -> Node:
        """Return p."""
        lower, middle, upper = self._bands
        if transposed:
            lower, upper = moved(upper, 0, -1), moved(lower, 0, 1)
        y, weight = transpose(b, perm=self.order), self._weight
        y = y / weight if transposed else y
        for k, m in enumerate(self.modes, 1):
            y = m.forward(y, k)
        y = eliminated(lower, middle, upper, y)
        for k, m in enumerate(self.modes, 1):
            y = m.backward(y, k)
        y = y * weight if transposed else y
        return transpose(y, perm=tuple(self.order.index(a) for a in range(len(self.order))))

    @cached_property
    def _weight(self) -> Node:
        out = const(1.0)
        for k, m in enumerate(self.modes, 1):
            out = out * self._on_axis(m.weights, k)
        return out

    def _on_axis(self, values: Node, k: int) -> Node:
        if not values.ndim:
            return values
        return reshape(values, shape=tuple(values.shape[0] if j == k else 1 for j in range(len(self.order))))

    @cached_property
    def _bands(self) -> list[Node]:
        """T: the diagonals below, on and above the main one, at every place of the line for every mode."""
        n, seen = self.n, self._seen
        i = iota(n=n)
        ones = (1,) * len(self.modes)
        out = []
        for offset in (-1, 0, 1):
            place = mod(i + (offset + 3), const(3, "int64")) * size(dim=n) + i
            rows = [reshape(take(s, place, axis=0), shape=(n, *ones)) for s in seen]
            band = rows[0]
            for k, (m, row) in enumerate(zip(self.modes, rows[1:], strict=True), 1):
                s, (low, high) = m.difference, m.ends
                share = ratio(s - take(s, low, axis=0), take(s, high, axis=0) - take(s, low, axis=0))
                band = band + self._on_axis(share, k) * (row - rows[0])
            out.append(broadcast_to(band, shape=(n, *(m.n for m in self.modes))))
        return out

    @cached_property
    def _seen(self) -> list[Node]:
        """Products of A with the sums of every third column, in one row after the other.

        With the lowest modes of all axes, and then, for each axis, with its highest mode instead.
        """
        n, count = self.n, 1 + len(self.modes)

        def turn(j: Node, rows: Node) -> list[Node]:
            # How often 3 is in j, for these few.
            axis = shift_right(j * 11, const(5, "int64"))
            p, dual = where(eq(mod(iota(n=n), const(3, "int64")), j - 3 * axis), 1.0, 0.0), const(1.0)
            p = self._on_axis(p, 0)
            for k, m in enumerate(self.modes, 1):
                is_high = eq(axis, const(k, "int64"))
                p = p * self._on_axis(_chosen(is_high, m.matrix, 1, m), k)
                dual = dual * self._on_axis(_chosen(is_high, m.inverse, 0, m), k)
            back = tuple(self.order.index(a) for a in range(len(self.order)))
            full = broadcast_to(p, shape=(n, *(m.n for m in self.modes)))
            (image,) = self.system.matvec([transpose(full, perm=back)])
            row = sum_(transpose(image, perm=self.order) * dual, axes=tuple(range(1, count)))
            return [j + 1, set_row(rows, row, j)]

        start = [const(0, "int64"), empty(shape=(3 * count, n), dtype="float64")]
        _, rows = build_loop(lambda j, _: j < 3 * count, turn, start, turns=3 * count)
        return [
            reshape(slice_(rows, starts=(3 * k, 0), extents=(3, n), steps=(1, 1)), shape=(3 * n,)) for k in range(count)
        ]


def _chosen(is_high: Node, matrix: Node, axis: int, m: Modes) -> Node:
    low, high = m.ends
    return take(matrix, where(is_high, high, low), axis=axis)


def lines_for(structure: Structure) -> Lines | None:
    """Return the solver for the equations, with the longest axis that can be that of the lines; None if none can."""
    kinds = structure.kinds
    if len(kinds) < 2 or len(structure.semi.problem.fields) > 1 or kinds.count(None) > 1 or not structure.is_regular:
        return None
    others = [a for a, kind in enumerate(kinds) if kind is None] or range(len(kinds))
    axes = [a for a in others if not structure.semi.problem.is_periodic(structure.semi.axes[a])]
    axes.sort(key=lambda a: -structure.solver.grid.shape[a])
    return next((Lines(a, _transformed(kinds, a)) for a in axes if _fits(structure, a)), None)


def _transformed(kinds: Sequence[Kind | None], line: int) -> tuple[Kind, ...]:
    return tuple(kind for a, kind in enumerate(kinds) if kind and a != line)


def _fits(structure: Structure, line: int) -> bool:
    """Whether T exists and is as the formula above says, for Jacobians on a small grid."""
    kinds = _transformed(structure.kinds, line)
    for matrix, _ in structure.jacobians:
        shape = structure.shapes[0]
        d = len(shape)
        held = matrix.reshape(*shape, *shape)
        tables = []
        for a, kind in zip((a for a in range(d) if a != line), kinds, strict=True):
            modes = Modes(kind, shape[a])
            v, inverse, s = (np.asarray(x) for x in interpret([modes.matrix, modes.inverse, modes.difference], {}))
            held = np.moveaxis(np.tensordot(inverse, held, (1, a)), 0, a)
            held = np.moveaxis(np.tensordot(held, v, (d + a, 0)), -1, d + a)
            tables.append(s)
        order = [line, *(a for a in range(d) if a != line)]
        n, m = shape[line], len(matrix) // shape[line]
        held = held.transpose(*order, *(d + a for a in order)).reshape(n, m, n, m)
        if not _is_parted(held, tables):
            return False
    return True


def _is_parted(held: np.ndarray, tables: Sequence[np.ndarray]) -> bool:
    """Whether entries [i, mode, i', mode'] are tridiagonal, and affine in the differences of the modes."""
    size_ = np.abs(held).max()
    n, m = held.shape[:2]
    t = held[:, range(m), :, range(m)]  # mode, i, i'
    rest = held.copy()
    rest[:, range(m), :, range(m)] = 0.0
    reach = np.abs(np.subtract.outer(np.arange(n), np.arange(n))) > 1
    mesh = np.meshgrid(*tables, indexing="ij")
    columns = np.stack([np.ones(m), *(s.ravel() for s in mesh)], axis=1)
    flat = t.reshape(m, -1)
    affine = columns @ np.linalg.lstsq(columns, flat, rcond=None)[0]
    worst = max(np.abs(rest).max(), np.abs(t[:, reach]).max(initial=0.0), np.abs(affine - flat).max())
    return bool(worst <= _SAME * size_)
