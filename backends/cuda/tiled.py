"""tiled: the skeleton of a sweep: a block makes several turns of a chain of stencils on a tile in shared memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backends.cuda.grid import cuda
from backends.cuda.skeletons import Skeleton
from backends.cuda.tiles import Tile


@dataclass(frozen=True, slots=True)
class TileFunctions:
    """The device functions of a sweep. `at` is (piece, row, column, tile's row, tile's column, turn, turns to follow).

    n_turns(words)                        how many turns to make, at most the depth
    domain(words)                         first row, end of the rows, first column, end of the columns of the grid
    bounds(at, words)                     the same of what a piece computes on the tile
    take(at, words, tile)                 read a point of the states from global memory
    run(at, words, tile)                  the piece at a point
    give(at, words, tile)                 write a point of the states after that many turns to global memory
    """

    n_turns: Any
    domain: Any
    bounds: Any
    take: Any
    run: Any
    give: Any


def sweep_tiles(f: TileFunctions, tile: Tile, waits: tuple[bool, ...], lanes: int) -> Skeleton:
    """Make turns tile by tile: neighbouring threads take neighbouring columns, each group of `lanes` a row."""
    n_turns, domain, bounds, take, run, give = f.n_turns, f.domain, f.bounds, f.take, f.run, f.give
    n_pieces, waiting = len(waits), sum(1 << k for k, wait in enumerate(waits) if wait)
    (width, breadth), (rows, columns), (above, before) = tile.widths, tile.extents, tile.before

    def sweep_tiles(turn: int, words: Any, tile: Any) -> None:
        turns = n_turns(words)
        first_row, end_row, first_column, end_column = domain(words)
        across = (end_column - first_column + breadth - 1) // breadth
        tiles = (end_row - first_row + width - 1) // width * across
        lane, group = cuda.threadIdx.x % lanes, cuda.threadIdx.x // lanes
        groups = cuda.blockDim.x // lanes
        job = cuda.blockIdx.x
        while job < tiles:
            low = first_row + job // across * width
            left = first_column + job % across * breadth
            for row in range(low - above + group, low - above + rows, groups):
                for column in range(left - before + lane, left - before + columns, lanes):
                    take((0, row, column, low, left, 0, turns), words, tile)
            cuda.syncthreads()
            for t in range(turns):
                for k in range(n_pieces):
                    start, end, begin, stop = bounds((k, 0, 0, low, left, t, turns - 1 - t), words)
                    for row in range(start + group, end, groups):
                        for column in range(begin + lane, stop, lanes):
                            run((k, row, column, low, left, t, turns - 1 - t), words, tile)
                    if waiting >> k & 1:
                        cuda.syncthreads()
            for row in range(low + group, min(low + width, end_row), groups):
                for column in range(left + lane, min(left + breadth, end_column), lanes):
                    give((0, row, column, low, left, turns, 0), words, tile)
            # The next tile's first points must not overtake these.
            cuda.syncthreads()
            job += cuda.gridDim.x

    return sweep_tiles
