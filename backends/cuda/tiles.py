"""tiles: several turns of a chain of stencils on one tile in a block's shared memory (overlapped tiles).

A tile is read with the points around it that its turns need; each turn computes less of these, until the last one
has made the tile itself (Nguyen, Satish, Chhugani, Kim & Dubey 2010). Memory is then read and written once for all
of them. How many pay is worked out from what the usual card does in a second; a tile has no more points than fit, so
its extents are known when code is made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from backends.cuda.cards import SHARED_RATE, USUAL, operations
from backends.cuda.geometry import Geometry
from symdiff.ir.dims import Extent, evaluate, multiply, product
from symdiff.program.coordinates import is_negative
from symdiff.program.ir import ITEMSIZE, Access, Buffer, Instr, Load, Nest, Piece, Store, Sweep
from symdiff.program.native import NATIVE
from symdiff.program.reach import is_thin

# What a tile gains at least: the model knows neither barriers nor how full a multiprocessor is.
_GAIN = 0.85
# Numbers from which on buffers stand for arrays in shared memory.
_FIRST_ID = 1 << 20


@dataclass(frozen=True, slots=True)
class Slot:
    """An array of a tile: `starts` are its bytes in shared memory; what turns hand on has two, used in turn."""

    array: Buffer
    starts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tile:
    """`depth` turns on `widths` points of each axis.

    Arrays have `extents` points, `before` of them in front of the tile. A point and turn takes `moved` bytes of global
    memory and `shared` ones of shared memory, and `arithmetic` seconds.
    """

    depth: int
    widths: tuple[int, int]
    extents: tuple[int, int]
    before: tuple[int, int]
    slots: tuple[Slot, ...]
    n_bytes: int
    moved: float = 0.0
    shared: float = 0.0
    arithmetic: float = 0.0

    @property
    def seconds(self) -> float:
        """The time of a point and turn: memory, shared memory or arithmetic, whichever takes longest."""
        return max(self.moved / USUAL.copy, self.shared / SHARED_RATE, self.arithmetic)

    def __str__(self) -> str:
        rows, columns = self.widths
        return f"tiles of {rows} x {columns} points, {self.depth} turns each, {self.n_bytes:,} bytes of shared memory"


@dataclass(frozen=True, slots=True)
class Tiled:
    """Some turns of a sweep on all its tiles: a statement of its own, for one kernel."""

    sweep: Sweep
    tile: Tile


def tile_of(sweep: Sweep, g: Geometry) -> Tile | None:
    """The tile with which a sweep is fastest; None where whole turns are as fast, or the arrays have three axes.

    The planes that a turn reads in three dimensions stay in the second cache of a GPU.
    """
    if len(sweep.domain) != 2:
        return None
    found = [t for depth in g.turns for columns in range(1, 17) if (t := _tile(sweep, g, depth, columns * g.lanes))]
    best = min(found, key=lambda t: t.seconds, default=None)
    return best if best is not None and best.seconds < _GAIN * _plain_seconds(sweep) else None


def fits(sweep: Sweep, tile: Tile, sizes: Mapping[str, int], g: Geometry) -> bool:
    """Whether a grid has tiles for all of a card; a tile is no larger than a period."""
    extents = [evaluate(e, sizes) for _, e in sweep.domain]
    is_large = all(n >= e for n, e in zip(extents, tile.extents, strict=True))
    return is_large and n_tiles(sweep, tile, sizes) >= g.least_tiles


def points(sweep: Sweep, sizes: Mapping[str, int]) -> int:
    """The points of a grid."""
    return math.prod(evaluate(e, sizes) for _, e in sweep.domain)


def n_tiles(sweep: Sweep, tile: Tile, sizes: Mapping[str, int]) -> int:
    """The tiles of a grid."""
    return math.prod(-(-evaluate(e, sizes) // w) for (_, e), w in zip(sweep.domain, tile.widths, strict=True))


def _tile(sweep: Sweep, g: Geometry, depth: int, columns: int) -> Tile | None:
    states = {new for _, new in sweep.states}
    arrays = {r.buffer: 2 if r.buffer in states else 1 for r in sweep.rings}
    point = sum(n * ITEMSIZE[a.dtype] for a, n in arrays.items())
    extents = (g.shared // (point * columns), columns)
    around = [(depth - 1) * sum(r) + sum(m) for r, m in zip(sweep.reach, sweep.margin, strict=True)]
    rows, inner = (e - a for e, a in zip(extents, around, strict=True))
    if min(rows, inner) < 1:
        return None
    first, second = ((depth - 1) * r[0] + m[0] for r, m in zip(sweep.reach, sweep.margin, strict=True))
    slots, start = [], 0
    # The largest numbers first: all are aligned then.
    for a, n in sorted(arrays.items(), key=lambda item: -ITEMSIZE[item[0].dtype]):
        size = extents[0] * extents[1] * ITEMSIZE[a.dtype]
        slots.append(Slot(a, tuple(start + k * size for k in range(n))))
        start += n * size
    return _estimated(sweep, Tile(depth, (rows, inner), extents, (first, second), tuple(slots), start))


def _estimated(sweep: Sweep, tile: Tile) -> Tile:
    """A tile with what a point and turn takes."""
    state = sum(ITEMSIZE[old.dtype] for old, _ in sweep.states)
    taken = math.prod(tile.extents) / math.prod(tile.widths)
    moved = state * (taken + 1) / tile.depth
    shared, arithmetic = moved, 0.0
    for p in (p for p in sweep.pieces if not is_thin(p)):
        grown = 1.0
        for w, reach, halo in zip(tile.widths, sweep.reach, p.halo, strict=True):
            grown *= (w + (tile.depth - 1) / 2 * sum(reach) + sum(halo)) / w
        shared += grown * sum(ITEMSIZE[x.dtype] for x in (*(r.buffer for r in p.reads), *_written(p)))
        arithmetic += grown * _arithmetic(p)
    return replace(tile, moved=moved, shared=shared, arithmetic=arithmetic)


def _plain_seconds(sweep: Sweep) -> float:
    """The time of a point and turn where every piece goes through whole arrays."""
    total = 0.0
    for p in (p for p in sweep.pieces if not is_thin(p)):
        moved = {*(r.buffer for r in p.reads), *_written(p)}
        total += max(sum(ITEMSIZE[b.dtype] for b in moved) / USUAL.copy, _arithmetic(p))
    return total


def _written(p: Piece) -> list[Buffer]:
    return [s.access.buffer for s in p.stores]


def _arithmetic(p: Piece) -> float:
    return operations(p.body, NATIVE) / USUAL.rate(max(ITEMSIZE[b.dtype] for b in _written(p)))


# --- a piece on a tile ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """A buffer that stands for an array in shared memory: `number` is that of its slot; `old` is of the turn before."""

    buffer: Buffer
    number: int
    old: bool


class Places:
    """The nests of a sweep's pieces on a tile: loop indices are grid points, arrays lie in shared memory.

    Entry (0, 0) of such an array is grid point (0, 0), wherever the tile is.
    """

    def __init__(self, sweep: Sweep, tile: Tile):
        self.tile = tile
        numbers = {slot.array: k for k, slot in enumerate(tile.slots)}
        keys = [*((new, False) for new in numbers), *((old, True) for old, _ in sweep.states)]
        self.new = dict(sweep.states)
        self.all: dict[tuple[Buffer, bool], Place] = {}
        for k, (array, is_old) in enumerate(keys):
            stand = Buffer(_FIRST_ID + k, tile.extents, array.dtype, "temp")
            self.all[array, is_old] = Place(stand, numbers[self.new[array] if is_old else array], is_old)
        self.nests = tuple(self._nest(p) for p in sweep.pieces)

    def access(self, array: Buffer, is_old: bool, offsets: tuple[Extent, ...] = (0, 0)) -> Access:
        """The access of an array that many points away."""
        pitch = self.tile.extents[1]
        rows, columns = offsets
        return Access(self.all[array, is_old].buffer, multiply(rows, pitch) + columns, (pitch, 1))

    def start(self, place: Place, is_odd: int) -> int:
        """The bytes where an array begins, in even or odd turns."""
        starts = self.tile.slots[place.number].starts
        return starts[(is_odd + (not place.old)) % len(starts)]

    def _nest(self, p: Piece) -> Nest:
        reads = {r.value: r for r in p.reads}
        body: list[Instr] = []
        for k, instr in enumerate(p.body):
            r = reads.get(k)
            body.append(instr if r is None else Load(self.access(r.buffer, r.old, r.offsets), r.buffer.dtype))
        stores = [Store(s.value, self.access(s.access.buffer, False, s.access.strides)) for s in p.stores]
        return Nest(self.tile.extents, tuple(body), tuple(stores), (), ())


def outer_nests(sweep: Sweep) -> list[Nest]:
    """Nests with the sizes and arrays of global memory that a sweep's kernel uses, to lay out its words."""
    nests = [Nest(tuple(d for b in sweep.recorded for d in b.shape), (), (), (), ())]
    for p in sweep.pieces:
        reads = {r.value for r in p.reads}
        bounds = tuple(x for x in (*p.lower, *p.upper) if x is not None)
        nests.append(Nest(bounds, tuple(i for k, i in enumerate(p.body) if k not in reads), (), (), ()))
    for old, new in sweep.states:
        whole = tuple(x for pair in sweep.domain for x in pair)
        load, store = (Access(b, 0, b.shape) for b in (old, new))
        nests.append(Nest((*whole, *new.shape), (Load(load, old.dtype),), (Store(0, store),), (), ()))
    return nests


def waits(sweep: Sweep) -> tuple[bool, ...]:
    """Whether threads wait for each other behind a piece: the next one reads or changes what was written meanwhile.

    Behind the last one they always do.
    """
    out: list[bool] = []
    since: list[Piece] = []
    for p, following in zip(sweep.pieces, (*sweep.pieces[1:], None), strict=True):
        since.append(p)
        out.append(following is None or any(_meets(q, following) for q in since))
        if out[-1]:
            since = []
    return tuple(out)


def _meets(p: Piece, later: Piece) -> bool:
    written = set(_written(p))
    reads = any(not r.old and r.buffer in written for r in later.reads)
    return reads or (bool(written & set(_written(later))) and not _apart(p, later))


def _apart(p: Piece, q: Piece) -> bool:
    """Whether two pieces have no point in common, on the grids that are large enough for a tile."""
    if len({s.access.strides for x in (p, q) for s in x.stores}) > 1:
        return False
    for low, end, other, last in zip(p.lower, p.upper, q.lower, q.upper, strict=True):
        # A periodic axis has no ends.
        if low is None or end is None or other is None or last is None:
            continue
        if not is_negative(other - end) or not is_negative(low - last):
            return True
    return False


def recorded_bytes(sweep: Sweep) -> Extent:
    """The bytes in which what a turn reads of those that run ahead is kept: eight for every entry."""
    total: Extent = 0
    for buffer in sweep.recorded:
        total = total + multiply(product(buffer.shape), 8)
    return total


def record_bytes(sweep: Sweep, tile: Tile, sizes: Mapping[str, int]) -> int:
    """The bytes that a sweep keeps: a word for each of its checks, then what is recorded of every turn."""
    return 8 * len(sweep.checks) + tile.depth * evaluate(recorded_bytes(sweep), sizes)
