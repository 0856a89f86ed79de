"""Device functions of a sweep for the CUDA simulator: pieces are interpreted, shared memory has a word for a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from backends.cuda.simulated import Point, as_bits, as_number
from backends.cuda.tiled import TileFunctions
from backends.cuda.tiles import Places, Tile, recorded_bytes
from backends.cuda.words import GO, RECORD, Words
from symdiff.ir.dims import multiply, product
from symdiff.program.ir import Access, Buffer, Nest, Sweep

Word = Sequence[int]


def interpreted_sweep(sweep: Sweep, tile: Tile, layout: Words, memory: Mapping[int, np.ndarray]) -> TileFunctions:
    """Return the device functions of a sweep; `memory` has the bytes at every address."""
    places = Places(sweep, tile)
    sizes = Point(Nest((), (), (), (), ()), layout, memory)

    def n_turns(words: Word) -> int:
        flags = [memory[words[GO] + 8 * k][0] != 0 for k in range(tile.depth)]
        assert sorted(flags, reverse=True) == flags
        return sum(flags)

    def span(axis: int, words: Word) -> tuple[int, int]:
        first, extent = (sizes.extent(x, words) for x in sweep.domain[axis])
        return first, first + extent

    def bounds(at: Word, words: Word) -> tuple[int, ...]:
        k, _, _, *first, _, following = at
        piece, out = sweep.pieces[k], []
        for a in (0, 1):
            (under, over), (below, above) = piece.halo[a], sweep.reach[a]
            low = first[a] - following * below - under
            high = min(first[a] + tile.widths[a], span(a, words)[1]) + following * above + over
            lower, upper = piece.lower[a], piece.upper[a]
            if lower is not None and upper is not None:
                low, high = max(low, sizes.extent(lower, words)), min(high, sizes.extent(upper, words))
            out += [low, high]
        return tuple(out)

    def wrapped(axis: int, i: int, words: Word) -> int:
        first, end = span(axis, words)
        return first + (i - first) % (end - first) if sweep.periodic[axis] else i

    def inside(array: Buffer, indices: Sequence[int], words: Word) -> bool:
        return all(0 <= i < sizes.extent(d, words) for i, d in zip(indices, array.shape, strict=True))

    def point(nest: Nest, at: Word, table: Any) -> _TilePoint:
        return _TilePoint(nest, layout, memory, sweep, places, at, table)

    def take(at: Word, words: Word, table: Any) -> None:
        for old, _ in sweep.states:
            one = point(Nest(old.shape, (), (), (), ()), at, table)
            indices = [wrapped(a, i, words) for a, i in enumerate(at[1:3])]
            if inside(old, indices, words):
                value = one.load(Access(old, 0, (old.shape[1], 1)), indices, words, {})
                one.store(value, places.access(old, True), at[1:3], words, {})

    def give(at: Word, words: Word, table: Any) -> None:
        for old, new in sweep.states:
            one = point(Nest(new.shape, (), (), (), ()), at, table)
            if inside(new, at[1:3], words):
                value = one.load(places.access(old, True), at[1:3], words, {})
                one.store(value, Access(new, 0, (new.shape[1], 1)), at[1:3], words, {})

    return TileFunctions(
        n_turns=n_turns,
        domain=lambda words: (*span(0, words), *span(1, words)),
        bounds=bounds,
        take=take,
        run=lambda at, words, table: point(places.nests[at[0]], at, table).run(at[1:3], words) and None,
        give=give,
    )


class _TilePoint(Point):
    """A point of a tile: what lies in shared memory is read and written there, what was recorded as of its turn."""

    def __init__(
        self, nest: Nest, layout: Words, memory: Mapping[int, np.ndarray], sweep: Sweep, places: Places, at: Word,
        table: Any,
    ):  # fmt: skip
        super().__init__(nest, layout, memory)
        self.sweep, self.places, self.at, self.table = sweep, places, at, table
        self.of_buffer = {one.buffer: one for one in places.all.values()}

    def load(self, access: Access, indices: Sequence[int], words: Word, values: Mapping[int, Any]) -> Any:
        if access.buffer not in self.of_buffer:
            return super().load(access, indices, words, values)
        return as_number(int(self.table[self._word(access, indices, words)]), access.buffer.dtype)

    def store(self, value: Any, access: Access, indices: Sequence[int], words: Word, values: Mapping[int, Any]) -> None:
        if access.buffer not in self.of_buffer:
            super().store(value, access, indices, words, values)
        else:
            self.table[self._word(access, indices, words)] = as_bits(value, access.buffer.dtype)

    def _word(self, access: Access, indices: Sequence[int], words: Word) -> int:
        """The place of an access, which is inside of its array."""
        one, tile, (low, left, turn) = self.of_buffer[access.buffer], self.places.tile, self.at[3:6]
        rows, columns = tile.extents
        corner = (low - tile.before[0]) * columns + left - tile.before[1]
        place = self.affine(access.offset, access.strides, indices, words) - corner
        if not 0 <= place < rows * columns:
            raise IndexError(f"{one} is read or written at {place} of a tile with {rows} x {columns} points")
        return self.places.start(one, turn % 2) + place

    def _array(self, access: Access, words: Word) -> np.ndarray:
        at = words[RECORD] + 8 * len(self.sweep.checks) + self.at[5] * self.extent(recorded_bytes(self.sweep), words)
        for buffer in self.sweep.recorded:
            if buffer is access.buffer:
                return self.memory[at].view(buffer.dtype)
            at += self.extent(multiply(product(buffer.shape), 8), words)
        return super()._array(access, words)
