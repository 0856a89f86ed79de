"""planes: the nest that computes a piece of a sweep on one plane of a tile.

The plane's number, the tile's first point and its extents are run-time sizes, so one function serves all planes of
all tiles. Every plane of a swept array that the nest reads or writes is a buffer, whose entry 0 would be at point 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from symdiff.ir.dims import Extent, as_extent, multiply
from symdiff.program.ir import Access, Affine, Buffer, Const, Guard, Instr, Load, Nest, Piece, Sweep

PLANE = "plane"


@dataclass(frozen=True, slots=True)
class Plane:
    """A plane of a swept array, `offset` planes from the one that is computed; `old` is that of the turn before."""

    array: Buffer
    offset: int
    old: bool


def low(axis: int) -> str:
    """The name of the first point of a tile along an axis."""
    return f"low{axis}"


def count(axis: int) -> str:
    """The name of the number of points along an axis."""
    return f"count{axis}"


def pitch(array: Buffer, old: bool) -> str:
    """The name of the distance between rows of a plane, in elements."""
    return f"pitch{array.id}{'old' if old else ''}"


class Planes:
    """Numbers the planes that the pieces of a sweep use."""

    def __init__(self, sweep: Sweep, first_id: int):
        self.sweep, self.first_id = sweep, first_id
        self.rank = len(sweep.domain)
        self.buffers: dict[Plane, Buffer] = {}

    def nest(self, piece: Piece) -> tuple[Nest, tuple[Plane, ...]]:
        """Return the nest of a piece over the axes 1, 2, … and the planes that it uses."""
        used: dict[Plane, None] = {}
        reads = {r.value: r for r in piece.reads}
        body: list[Instr] = []
        for k, instr in enumerate(piece.body):
            if k in reads:
                r = reads[k]
                plane = Plane(r.buffer, r.offsets[0], r.old)
                used[plane] = None
                body.append(Load(self._access(plane, r.offsets), r.buffer.dtype))
            else:
                body.append(self._on_plane(instr))
        stores = []
        for s in piece.stores:
            offsets: Sequence[int] = s.access.strides  # type: ignore[assignment]  # a piece's stores are at offsets
            plane = Plane(s.access.buffer, offsets[0], False)
            used[plane] = None
            stores.append(replace(s, access=self._access(plane, offsets)))
        space = tuple(as_extent(count(a)) for a in range(1, self.rank))
        return Nest(space, tuple(body), tuple(stores), (), ()), tuple(used)

    def buffer(self, plane: Plane) -> Buffer:
        """The buffer that stands for a plane."""
        if plane not in self.buffers:
            number = self.first_id + len(self.buffers)
            self.buffers[plane] = Buffer(number, plane.array.shape[1:], plane.array.dtype, "temp")
        return self.buffers[plane]

    def _access(self, plane: Plane, offsets: Sequence[int]) -> Access:
        steps: list[Extent] = [1] * (self.rank - 1)
        if self.rank == 3:
            steps[0] = as_extent(pitch(plane.array, plane.old))
        offset: Extent = 0
        for a, step in enumerate(steps, start=1):
            offset = offset + multiply(as_extent(low(a)) + offsets[a], step)
        return Access(self.buffer(plane), offset, tuple(steps))

    def _on_plane(self, instr: Instr) -> Instr:
        match instr:
            case Load():
                return replace(instr, access=self._moved(instr.access))
            case Affine():
                offset, coefs = self._shift(instr.offset, instr.coefs)
                return replace(instr, offset=offset, coefs=coefs, guards=tuple(map(self._guard, instr.guards)))
            case Const():
                return replace(instr, guards=tuple(map(self._guard, instr.guards)))
            case _:
                return instr

    def _moved(self, access: Access) -> Access:
        offset, strides = self._shift(access.offset, access.strides)
        return replace(access, offset=offset, strides=strides, guards=tuple(map(self._guard, access.guards)))

    def _guard(self, g: Guard) -> Guard:
        offset, coefs = self._shift(g.offset, g.coefs)
        return replace(g, offset=offset, coefs=coefs)

    def _shift(self, offset: Extent, coefs: tuple[Extent, ...]) -> tuple[Extent, tuple[Extent, ...]]:
        """From points to the indices of the plane's loops."""
        offset = offset + multiply(coefs[0], as_extent(PLANE))
        for a in range(1, self.rank):
            offset = offset + multiply(coefs[a], as_extent(low(a)))
        return offset, coefs[1:]
