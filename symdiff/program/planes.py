"""planes: the nest that computes a piece of a sweep on one plane of a tile, or on a few next to each other.

The plane's number, the tile's first point and its extents are run-time sizes, so one function serves all planes of
all tiles. Every plane of a swept array that the nest reads or writes is a buffer, whose entry 0 is the tile's first
point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from symdiff.ir.dims import Extent, as_extent, multiply
from symdiff.program.ir import Access, Affine, Buffer, Const, Guard, Instr, Load, Nest, Op, Piece, Store, Sweep

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

    def nest(self, piece: Piece, n: int = 1) -> tuple[Nest, tuple[Plane, ...]]:
        """Return the nest of a piece over the axes 1, 2, … on `n` planes at once, and the planes that it uses.

        What several of the planes read or compute is there once.
        """
        used: dict[Plane, None] = {}
        body: dict[object, Instr] = {}
        stores: list[Store] = []
        for k in range(n):
            number = self._add(piece, k, body, used)
            for s in piece.stores:
                offsets = [int(d) for d in s.access.strides]  # a piece's stores are at numbers
                plane = Plane(s.access.buffer, offsets[0] + k, False)
                used[plane] = None
                stores.append(replace(s, value=number[s.value], access=self._access(plane, offsets)))
        space = tuple(as_extent(count(a)) for a in range(1, self.rank))
        return Nest(space, tuple(body.values()), tuple(stores), (), ()), tuple(used)

    def _add(self, piece: Piece, k: int, body: dict[object, Instr], used: dict[Plane, None]) -> list[int]:
        """Add the instructions for the k-th plane to `body`; return their numbers there."""
        reads = {r.value: r for r in piece.reads}
        place = {key: i for i, key in enumerate(body)}
        numbers: list[int] = []
        for j, instr in enumerate(piece.body):
            if j in reads:
                r = reads[j]
                plane = Plane(r.buffer, r.offsets[0] + k, r.old)
                used[plane] = None
                instr = Load(self._access(plane, r.offsets), r.buffer.dtype)
            elif isinstance(instr, Op):
                instr = replace(instr, args=tuple(numbers[a] for a in instr.args))
            else:
                instr = self._on_plane(instr, k)
            # 0.0 and -0.0 are equal, but not the same.
            key = (instr, str(instr.value)) if isinstance(instr, Const) else instr
            if key not in place:
                place[key] = len(body)
                body[key] = instr
            numbers.append(place[key])
        return numbers

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
        for move, step in zip(offsets[1:], steps, strict=True):
            offset = offset + multiply(move, step)
        return Access(self.buffer(plane), offset, tuple(steps))

    def _on_plane(self, instr: Instr, k: int) -> Instr:
        match instr:
            case Load():
                return replace(instr, access=self._moved(instr.access, k))
            case Affine():
                offset, coefs = self._shift(instr.offset, instr.coefs, k)
                return replace(instr, offset=offset, coefs=coefs, guards=self._guards(instr.guards, k))
            case Const():
                return replace(instr, guards=self._guards(instr.guards, k))
            case _:
                return instr

    def _moved(self, access: Access, k: int) -> Access:
        offset, strides = self._shift(access.offset, access.strides, k)
        return replace(access, offset=offset, strides=strides, guards=self._guards(access.guards, k))

    def _guards(self, guards: Sequence[Guard], k: int) -> tuple[Guard, ...]:
        moved = [self._shift(g.offset, g.coefs, k) for g in guards]
        return tuple(replace(g, offset=o, coefs=c) for g, (o, c) in zip(guards, moved, strict=True))

    def _shift(self, offset: Extent, coefs: tuple[Extent, ...], k: int) -> tuple[Extent, tuple[Extent, ...]]:
        """From points, k planes further, to the indices of the plane's loops."""
        offset = offset + multiply(coefs[0], as_extent(PLANE) + k)
        for a in range(1, self.rank):
            offset = offset + multiply(coefs[a], as_extent(low(a)))
        return offset, coefs[1:]
