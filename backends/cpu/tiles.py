"""Tiles: how many turns of a sweep share a tile, and how large it is, from the sizes of the caches.

The model leaves a short list, of which `backends.cpu.trials` measures the fastest.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backends.cpu.body import body_weight
from backends.cpu.layout import ALIGN, DEPTH, LOCKS, RECORD, RINGS, SLOT_BYTES, SLOTS, SWEEP_WORDS
from backends.cpu.machine import machine
from backends.cpu.rings import takes
from symdiff.ir.dims import evaluate
from symdiff.program.ir import ITEMSIZE, Sweep
from symdiff.program.reach import is_thin

_DEPTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
_MOST_THREADS = 256
# What the model finds within a quarter of the best is worth a trial; it is rarely wrong by more.
_NEARLY, _LISTED = 1.25, 3
_L2, _L3 = 1 << 18, 1 << 23
# Nanoseconds of work, by `body_weight`, from which on threads share a nest.
_SHARED_WORK = 100_000.0
# Measured on two cores of Zen 3: the part of `body_weight` that an operation takes, nanoseconds that a plane costs
# beside its points, and bytes per nanosecond and thread: from memory, from the third cache in tiles and in long runs,
# and from the second one.
_OPERATION, _VISIT = 0.45, 10.0
_MEMORY, _FAR, _STREAM, _NEAR = 8.0, 20.0, 60.0, 60.0


@dataclass(frozen=True, slots=True)
class Tile:
    """`depth` turns on tiles of `widths` points along each axis."""

    depth: int
    widths: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Placed:
    """Words of a context: numbers, and offsets into memory of `n_bytes` that is all 0 at first."""

    numbers: tuple[tuple[int, int], ...]
    offsets: tuple[tuple[int, int], ...]
    n_bytes: int


def tile_bytes(sweep: Sweep, tile: Tile) -> int:
    """Return the memory that a tile keeps its planes in, as the task cuts it."""
    extents = [
        width + (tile.depth - 1) * (below + above) + under + over
        for width, (below, above), (under, over) in zip(tile.widths, sweep.reach, sweep.margin, strict=True)
    ]
    plane = math.prod(extents[1:-1]) * (-(-extents[-1] // 8) * 8)
    total = 0
    for ring in sweep.rings:
        planes = tile.depth * ring.planes + (ring.taken if takes(sweep) else 0)
        total += planes * plane * ITEMSIZE[ring.buffer.dtype]
    return total


def place(
    sweeps: Sequence[Sweep], words: Sequence[int], tiles: Sequence[Tile], sizes: Mapping[str, int], threads: int
) -> Placed:
    """Lay out the memory of all sweeps: locks first, so that nothing else is ever written there."""
    numbers, offsets = [], []
    at = len(sweeps) * threads * ALIGN
    for k, (sweep, first, tile) in enumerate(zip(sweeps, words, tiles, strict=True)):
        if tile.depth == 0:
            continue
        # An odd number of lines: planes of several threads then never fall on the same lines of the cache.
        slot = (-(-tile_bytes(sweep, tile) // ALIGN) | 1) * ALIGN
        kept = sum(-(-evaluate(b.n_bytes, sizes) // ALIGN) * ALIGN for b in sweep.recorded) * tile.depth
        numbers += [(first + DEPTH, tile.depth), (first + SLOTS, threads), (first + SLOT_BYTES, slot)]
        numbers += [(first + SWEEP_WORDS + a, w) for a, w in enumerate(tile.widths)]
        offsets += [(first + LOCKS, k * threads * ALIGN), (first + RECORD, at), (first + RINGS, at + kept)]
        at += kept + threads * slot
    return Placed(tuple(numbers), tuple(offsets), at)


def shortlist(sweep: Sweep, sizes: Mapping[str, int], threads: int) -> list[tuple[float, Tile]]:
    """Return the tiles that the model of the caches finds (nearly) best, the best first, one of each depth.

    Depth 0 stands for whole turns. Each comes with the nanoseconds that the model gives a point and turn.
    """
    extents = [evaluate(e, sizes) for _, e in sweep.domain]
    points = math.prod(extents)
    plain = Tile(0, tuple(extents))
    if points == 0 or threads > _MOST_THREADS:
        return [(0.0, plain)]
    found = [(plain_cost(sweep, points, threads), plain)]
    found += [(cost(sweep, tile, extents, threads), tile) for tile in _candidates(extents, threads)]
    best: dict[int, tuple[float, Tile]] = {}
    for ns, tile in found:
        if tile.depth not in best or ns < best[tile.depth][0]:
            best[tile.depth] = (ns, tile)
    ordered = sorted(best.values(), key=lambda item: item[0])
    return [(ns, tile) for ns, tile in ordered if ns <= _NEARLY * ordered[0][0]][:_LISTED]


def _candidates(extents: Sequence[int], threads: int) -> list[Tile]:
    """Tiles of several depths and widths; along axis 0 they are as long as threads leave them."""
    rank = len(extents)
    inner = [_widths(n, a == rank - 1) for a, n in enumerate(extents)][1:]
    found = []
    for widths in itertools.product(*inner):
        across = math.prod(-(-n // w) for n, w in zip(extents[1:], widths, strict=True))
        # One tile for each thread, or a few: a helper that is late then holds nobody up.
        wanted = {1} if threads == 1 else {k * threads for k in (1, 2, 4)}
        pieces = {max(1, min(-(-n // across), extents[0])) for n in wanted}
        found += [Tile(depth, (-(-extents[0] // n), *widths)) for depth in _DEPTHS for n in sorted(pieces)]
    return found


def plain_cost(sweep: Sweep, points: int, threads: int) -> float:
    """Return the nanoseconds of a point and turn without tiles, roughly: every piece goes through whole arrays."""
    here = machine()
    weights = [points * body_weight(p.body) / here.lanes_f64 for p in sweep.pieces]
    # As many bytes again for what is read of every array, and for reading what is about to be written.
    per_point = sum(3 * ITEMSIZE[r.buffer.dtype] for r in sweep.rings)
    held = points * sum(ITEMSIZE[r.buffer.dtype] for r in sweep.rings) + points * sum(
        ITEMSIZE[old.dtype] for old, _ in sweep.states
    )
    l2, l3 = here.cache("L2", _L2), here.cache("L3", _L3)
    speed = _NEAR if held < l2 else _STREAM if held < l3 else _MEMORY
    computed = _OPERATION * sum(weights) / points
    alone = threads if max(weights, default=0.0) < _SHARED_WORK else 1
    return (computed + per_point / speed) * alone


def _widths(n: int, last: bool) -> list[int]:
    """Fractions of an extent: even parts of at least `least` points."""
    least = 256 if last else 16
    return sorted({-(-n // k) for k in range(1, 17) if n // k >= least} | {n}, reverse=True)


def cost(sweep: Sweep, tile: Tile, extents: Sequence[int], threads: int) -> float:
    """Return the nanoseconds of a point and turn, roughly."""
    here = machine()
    computed = total = 0.0
    planes = 0
    for piece in sweep.pieces:
        if is_thin(piece):
            continue
        grown = 1.0
        for w, (below, above), (under, over) in zip(tile.widths, sweep.reach, piece.halo, strict=True):
            grown *= (w + (tile.depth - 1) / 2 * (below + above) + under + over) / w
        computed += grown * _OPERATION * body_weight(piece.body) / here.lanes_f64
        planes += len({(r.buffer, r.offsets[0]) for r in piece.reads}) + len(piece.stores)
        total += grown
    visited = _VISIT * (planes + 2) / math.prod(tile.widths[1:])
    size = sum(ITEMSIZE[old.dtype] for old, _ in sweep.states)
    edge = math.prod(
        (w + tile.depth * (below + above)) / w for w, (below, above) in zip(tile.widths, sweep.reach, strict=True)
    )
    # Read by every tile, written and read before it is written.
    memory = size * (edge + 2 + (2 * edge if takes(sweep) else 0)) / tile.depth / _MEMORY
    # What a turn reads and writes goes through the cache that holds the planes of a tile; all threads share the third.
    per_point = sum((1 + r.planes / 4) * ITEMSIZE[r.buffer.dtype] for r in sweep.rings)
    kept = tile_bytes(sweep, tile)
    is_near, is_far = kept <= here.cache("L2", _L2) * 0.9, kept * threads <= here.cache("L3", _L3) / 2
    through = total / max(len(sweep.pieces), 1) * per_point / (_NEAR if is_near else _FAR if is_far else _MEMORY)
    busy = math.prod(-(-n // w) for n, w in zip(extents, tile.widths, strict=True))
    # With several tiles for each thread one that is held up keeps nobody waiting for long.
    idle = -(-busy // threads) * threads / busy * (1.0 if threads == 1 else 1.0 + 0.1 * threads / busy)
    shared = tile.depth * math.prod(extents) * computed / _OPERATION > _SHARED_WORK
    return (computed + visited + through + memory) * (idle if shared else threads)
