"""Trials: of the tiles that the model of the caches leaves, the one that is fastest on scratch data.

The model cannot know what else a machine does with its caches: how threads share them, how well it reads ahead. The
choice is made once for a program, its sizes and the number of threads, and stays in the kernel store. It decides
nothing but time: a sweep gives the same bits on all tiles.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence

from backends.cpu.tiles import Tile

# Seconds that the trials of one sweep take, about; nanoseconds of a tile's turns below which no trial is made.
_PATIENCE, _WORTH = 0.2, 50_000.0
_FEWEST_ROUNDS, _MOST_ROUNDS = 2, 5
# By how much a measured tile must beat the model's, whose choice is the same in a noisy moment.
_BETTER = 0.9
# Tiles of a sweep that a trial makes, for each thread.
_TILES = 2

Run = Callable[[Tile, int], None]


def is_open(found: Sequence[tuple[float, Tile]], points: int) -> bool:
    """Whether the model leaves a choice that is worth a trial."""
    ns, tile = found[0]
    return len(found) > 1 and ns * max(tile.depth, 1) * points > _WORTH


def fastest(found: Sequence[tuple[float, Tile]], run: Run, extents: Sequence[int], threads: int) -> Tile:
    """Return the fastest tile of a short list.

    `run` makes the turns of so many tiles, one whole turn for depth 0. The candidates take turns, so that a
    disturbance meets them all, and the shortest time of a point and turn counts.
    """
    tiles = [tile for _, tile in found]
    counts = [min(_TILES * threads, _number(tile, extents)) for tile in tiles]
    run(tiles[0], counts[0])  # memory that is touched for the first time is slow
    began = time.perf_counter()
    best = [float("inf")] * len(tiles)
    for made in range(1, _MOST_ROUNDS + 1):
        for k, (tile, count) in enumerate(zip(tiles, counts, strict=True)):
            start = time.perf_counter()
            run(tile, count)
            best[k] = min(best[k], (time.perf_counter() - start) / _point_turns(tile, count, extents))
        if made >= _FEWEST_ROUNDS and time.perf_counter() - began > _PATIENCE:
            break
    first = min(range(len(tiles)), key=best.__getitem__)
    return tiles[first] if best[first] < _BETTER * best[0] else tiles[0]


def _number(tile: Tile, extents: Sequence[int]) -> int:
    return math.prod(-(-n // w) for n, w in zip(extents, tile.widths, strict=True)) if tile.depth else 1


def _point_turns(tile: Tile, count: int, extents: Sequence[int]) -> int:
    """The points of the first tiles, in C order, times their turns."""
    if not tile.depth:
        return math.prod(extents)
    total, grid = 0, [-(-n // w) for n, w in zip(extents, tile.widths, strict=True)]
    for k in range(count):
        points = 1
        for n, w, m in zip(reversed(extents), reversed(tile.widths), reversed(grid), strict=True):
            k, place = divmod(k, m)
            points *= min(w, n - place * w)
        total += points
    return total * tile.depth


def to_words(tile: Tile) -> list[int]:
    """Return a tile as a list of numbers, for the store."""
    return [tile.depth, *tile.widths]


def from_words(words: Sequence[int]) -> Tile:
    """Undo `to_words`."""
    return Tile(words[0], tuple(words[1:]))


def label(text: str, sizes: Mapping[str, int], threads: int) -> str:
    """Return what a choice depends on beside the machine."""
    return f"tiles for {dict(sorted(sizes.items()))} on {threads} threads\n{text}"
