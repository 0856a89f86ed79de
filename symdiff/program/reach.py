"""reach: how pieces follow each other along axis 0, how far beyond a tile each goes, and which planes a tile keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from symdiff.ir.dims import Extent
from symdiff.program.boxes import need as require
from symdiff.program.ir import Access, Buffer, Piece, Ring

Old = Mapping[Buffer, Buffer]
"""The new array for each old one."""

_FAR = 1 << 20
# Points along an axis; instructions.
_THIN, _SHORT = 4, 75


def needed(pieces: Sequence[Piece], old: Old) -> list[Piece]:
    """Leave out what writes nothing that anybody reads."""
    used = set(old.values())
    kept: list[Piece] = []
    for p in reversed(pieces):
        if any(s.access.buffer in used for s in p.stores):
            used |= {r.buffer for r in p.reads}
            kept.insert(0, p)
    return kept


def delays(pieces: Sequence[Piece], old: Old) -> tuple[list[Piece], int]:
    """Let each piece follow those it reads, along axis 0; the lag does the same from turn to turn."""
    delay: list[int] = []
    for m, p in enumerate(pieces):
        least = 0
        for r in p.reads:
            if not r.old:
                known = [(k, w) for k in range(m) for w in writes(pieces[k], r.buffer)]
                require(bool(known))
                least = max(least, *(delay[k] + r.offsets[0] - w[0] for k, w in known))
        delay.append(least)
    lag = 0
    for m, p in enumerate(pieces):
        for r in p.reads:
            if r.old:
                writers = [(k, w) for k, q in enumerate(pieces) for w in writes(q, old[r.buffer])]
                lag = max(lag, *(delay[k] + r.offsets[0] - w[0] - delay[m] for k, w in writers))
    return [replace(p, delay=d) for p, d in zip(pieces, delay, strict=True)], lag


def halos(
    pieces: Sequence[Piece], old: Old, periods: Sequence[Extent | None]
) -> tuple[list[Piece], tuple[tuple[int, int], ...]]:
    """Go back from the points of a tile to those that each piece computes, and to those of the turn before."""
    rank = len(periods)
    need = {new: [(0, 0)] * rank for new in old.values()}
    reach = [(0, 0)] * rank
    out: list[Piece] = []
    for p in reversed(pieces):
        halo = [(-_FAR, -_FAR)] * rank
        for s in p.stores:
            if s.access.buffer in need:
                halo = [
                    (max(lo, below + w), max(hi, above - w))
                    for (lo, hi), (below, above), w in zip(halo, need[s.access.buffer], offsets(s.access), strict=True)
                ]
        for r in p.reads:
            here = [(lo - x, hi + x) for (lo, hi), x in zip(halo, r.offsets, strict=True)]
            if r.old:
                reach = _most(reach, here)
            else:
                need[r.buffer] = _most(need[r.buffer], here) if r.buffer in need else here
        out.insert(0, replace(p, halo=tuple(halo)))
    for p in out:
        for s in p.stores:
            # Points beyond a periodic side exist in tiles only, not in the arrays that the last turn writes.
            final = s.access.buffer in old.values()
            for period, h, w in zip(periods, p.halo, offsets(s.access), strict=True):
                require(not final or period is None or (h[0] - w <= 0 and h[1] + w <= 0))
    return out, tuple(reach)


def beyond(p: Piece, axis: int) -> tuple[int, int]:
    """How far a piece reads or writes beyond a tile in the last turn."""
    found = [r.offsets[axis] for r in p.reads] + [offsets(s.access)[axis] for s in p.stores]
    below, above = p.halo[axis]
    return below - min(found), above + max(found)


def slab(pieces: Sequence[Piece]) -> int:
    """The planes that a turn makes at every step: two rows share what they read, as long as their code stays short.

    Measured on Zen 3: a fifth less time than one by one in two dimensions; no less with three or four, whose addresses
    alone are more than there are registers. In three dimensions two take a tenth more: planes leave the second cache.
    """
    is_short = all(len(p.body) <= _SHORT for p in pieces)
    return 2 if is_short and all(len(p.lower) == 2 for p in pieces) else 1


def is_thin(p: Piece) -> bool:
    """Whether a piece has a few points only along an axis: it is part of a side."""
    spans = [end - first for first, end in zip(p.lower, p.upper, strict=True) if first is not None and end is not None]
    return any(isinstance(n, int) and n <= _THIN for n in spans)


def rings(pieces: Sequence[Piece], old: Old, lag: int, n: int) -> tuple[Ring, ...]:
    """The planes that a tile keeps of every array: from the first that writes one to the last that reads it.

    At every step `n` planes come in before the last one is read.
    """
    out = []
    arrays = dict.fromkeys(s.access.buffer for p in pieces for s in p.stores)
    before = {new: start for start, new in old.items()}
    for array in arrays:
        written = [p.delay - w[0] for p in pieces for w in writes(p, array)]
        later = [p.delay - r.offsets[0] for p in pieces for r in p.reads if r.buffer is before.get(array)]
        read = [p.delay - r.offsets[0] for p in pieces for r in p.reads if r.buffer is array]
        last = max([*read, *(x + lag for x in later), min(written)])
        taken = max(later) - min(later) + 1 if later else 1
        out.append(Ring(array, last - min(written) + n, taken + n - 1, min(later, default=0)))
    return tuple(out)


def offsets(access: Access) -> tuple[int, ...]:
    """The offsets of a piece's store: its strides stand for them."""
    return access.strides  # type: ignore[return-value]  # see `_Finder._piece`


def writes(p: Piece, array: Buffer) -> list[tuple[int, ...]]:
    """The offsets at which a piece writes an array."""
    return [offsets(s.access) for s in p.stores if s.access.buffer is array]


def _most(a: Sequence[tuple[int, int]], b: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(max(x[0], y[0]), max(x[1], y[1])) for x, y in zip(a, b, strict=True)]
