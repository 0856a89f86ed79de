"""batches: statements over the same rows, such as a loss and its gradient, as one kernel that reads the rows once.

    m = sum(X * w, 1); g = f(m); s = sum(X * g, 0)   ->   for batches of rows: m, g, s of the batch

A block takes a batch through all members before it takes the next, so its rows are in cache when they are read again.
Sums over the rows are kept for every part of them, a block's share, and combined in order; parts depend on sizes only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from backends.cuda.geometry import Geometry
from backends.cuda.words import extents_of, is_scatter, kept_axes, reduced_axes
from symdiff.ir.dims import Extent, evaluate, multiply, product
from symdiff.program.ir import Member, Nest, Rows

_MOST_SCRATCH = 2**26


@dataclass(frozen=True, slots=True)
class Batched:
    """Rows as a statement for kernels of their own; `nests` are its members in order."""

    rows: Rows

    @property
    def nests(self) -> tuple[Nest, ...]:
        return tuple(m.statement for m in self.rows.members if isinstance(m.statement, Nest))

    @property
    def parts(self) -> tuple[Nest, ...]:
        """The statements that this stands for."""
        return self.nests

    @property
    def sums(self) -> tuple[int, ...]:
        """The members that sum over the rows, by their numbers."""
        return tuple(k for k, m in enumerate(self.rows.members) if m.sums)


def batched(rows: Rows) -> Batched | None:
    """Rows as a statement, if every member goes through them in order of its points."""
    return Batched(rows) if all(_in_order(m, rows.extent) for m in rows.members) else None


def _in_order(member: Member, extent: Extent) -> bool:
    nest = member.statement
    if not isinstance(nest, Nest) or nest.serial or nest.zero or is_scatter(nest) or not nest.space:
        return False
    axes = reduced_axes(nest) if member.sums else kept_axes(nest)
    return bool(axes) and axes[0] == 0 and nest.space[0] == multiply(extent, member.factor)


def points_per_row(member: Member) -> Extent:
    """How many points of its first axes a member has in a row: of the reduced ones if it sums over the rows."""
    nest = member.statement
    assert isinstance(nest, Nest)
    axes = reduced_axes(nest) if member.sums else kept_axes(nest)
    return multiply(product(extents_of(nest, axes[1:])), member.factor)


def pays(statement: Batched, sizes: Mapping[str, int], g: Geometry) -> bool:
    """Whether there are rows enough for all of a card, and the parts' sums are few."""
    is_small = 8 * evaluate(scratch_starts(statement, g)[-1], sizes) <= _MOST_SCRATCH
    return is_small and evaluate(statement.rows.extent, sizes) >= g.least_batches * g.batch


def parts_of_rows(g: Geometry) -> Callable[[int], int]:
    """The blocks that share so many rows, as a function that kernels have."""
    batch, most = g.batch, g.most_parts

    def n_parts(n_rows: int) -> int:
        return max(1, min((n_rows + batch - 1) // batch, most))

    return n_parts


def scratch_starts(statement: Batched, g: Geometry) -> dict[int, Extent]:
    """Where in the scratch the partial sums of members begin, in words, and at last, by -1, where all end."""
    starts: dict[int, Extent] = {}
    at: Extent = 0
    for k in statement.sums:
        nest = statement.nests[k]
        starts[k] = at
        n_kept = product(extents_of(nest, kept_axes(nest)))
        at = at + multiply(n_kept, g.most_parts * len(nest.reductions))
    return starts | {-1: at}
