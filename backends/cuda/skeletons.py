"""Skeletons: the kernels' loops, blocks and barriers, written for numba-cuda.

A skeleton knows nothing of what a statement computes: that is in the device functions it is given, emitted LLVM on a
GPU and interpreted in the CUDA simulator. It is itself a device function `step(turn, words, tile)`: `words` is what
the host passes, `tile` the block's shared memory in words, and `turn` counts the launches of a step that has several.
A kernel is one step, or a whole loop of them: see `launch` and `resident`. Every loop's order depends on sizes
alone, so results do not depend on how many blocks run at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from backends.cuda.grid import cuda

Skeleton = Callable[[int, Any, Any], None]


@dataclass(frozen=True, slots=True)
class Functions:
    """The device functions of a nest. `acc` is a tuple with one word of bits per reduction.

    n_kept(words), n_reduced(words)          how many points the kept and the reduced axes have
    n_columns(words)                         the extent of the last kept axis
    run(kept, reduced, words)                the body at a point of a nest without reductions
    run_row(row, column, words)              the same, the last axis apart from the others
    run_wide(i, words)                       at neighbouring points, `width` of them
    is_aligned(words)                        whether all arrays begin where a vector does
    owner(kept, reduced, words)              the index to which a scatter adds a point
    clear(turn, i, words)                    set byte i of buffer `turn` of those that start at zero
    n_clear(turn, words)                     its number of bytes
    identity() -> acc                        before the first point
    accumulate(acc, kept, reduced, words) -> acc   after one more point
    combine(acc, acc) -> acc
    across(acc) -> acc                       those of a warp's threads combined, for its first thread
    save(tile, place, acc), fetch(tile, place) -> acc      in shared memory
    keep(words, place, acc), recall(words, place) -> acc   in the scratch
    write(acc, kept, words)                  store the results
    """

    n_kept: Any
    n_reduced: Any
    n_columns: Any
    run: Any
    run_row: Any
    run_wide: Any
    is_aligned: Any
    owner: Any
    clear: Any
    n_clear: Any
    identity: Any
    accumulate: Any
    combine: Any
    across: Any
    save: Any
    fetch: Any
    keep: Any
    recall: Any
    write: Any


def clear(f: Functions) -> Skeleton:
    """Set the buffers of a nest to zero that begin so, one per turn."""
    n_clear, set_byte = f.n_clear, f.clear

    def clear(turn: int, words: Any, tile: Any) -> None:
        i = cuda.grid(1)
        while i < n_clear(turn, words):
            set_byte(turn, i, words)
            i += cuda.gridsize(1)

    return clear


def map_points(f: Functions) -> Skeleton:
    """Run a nest without reductions, point by point: consecutive threads take consecutive points."""
    n_kept, run = f.n_kept, f.run

    def map_points(turn: int, words: Any, tile: Any) -> None:
        n = n_kept(words)
        i = cuda.grid(1)
        while i < n:
            run(i, 0, words)
            i += cuda.gridsize(1)

    return map_points


def map_vectors(f: Functions, width: int) -> Skeleton:
    """Run a nest of one axis, `width` neighbouring points by a thread: they are read and written as one vector.

    Arrays of other libraries may begin anywhere: with one that is not aligned to vectors all is done point by point.
    """
    n_kept, run, run_wide, is_aligned = f.n_kept, f.run, f.run_wide, f.is_aligned

    def map_vectors(turn: int, words: Any, tile: Any) -> None:
        n = n_kept(words)
        whole = n - n % width if is_aligned(words) else 0
        i = cuda.grid(1) * width
        while i < whole:
            run_wide(i, words)
            i += cuda.gridsize(1) * width
        i = whole + cuda.grid(1)
        while i < n:
            run(i, 0, words)
            i += cuda.gridsize(1)

    return map_vectors


def map_rows(f: Functions, threads: int, rows: int) -> Skeleton:
    """Run a nest of several axes: a block takes `rows` rows of `threads` points of the last axis.

    Threads then find their indices without a division, or with one less; those cost as much as a stencil.
    """
    n_kept, n_columns, run_row = f.n_kept, f.n_columns, f.run_row

    def map_rows(turn: int, words: Any, tile: Any) -> None:
        columns = max(n_columns(words), 1)
        n_rows = n_kept(words) // columns
        tiles = (columns + threads - 1) // threads
        groups = (n_rows + rows - 1) // rows
        job = cuda.blockIdx.x
        while job < tiles * groups:
            group = job // tiles
            column = (job - group * tiles) * threads + cuda.threadIdx.x
            if cuda.threadIdx.x < threads and column < columns:
                for row in range(group * rows, min(group * rows + rows, n_rows)):
                    run_row(row, column, words)
            job += cuda.gridDim.x

    return map_rows


def in_order(f: Functions) -> Skeleton:
    """Run a nest in index order, one thread for each independent line of it."""
    n_kept, n_reduced, run = f.n_kept, f.n_reduced, f.run

    def in_order(turn: int, words: Any, tile: Any) -> None:
        kept = cuda.grid(1)
        while kept < n_kept(words):
            for i in range(n_reduced(words)):
                run(kept, i, words)
            kept += cuda.gridsize(1)

    return in_order


def by_owner(f: Functions) -> Skeleton:
    """Scatter: all threads go through the indices, each adds what belongs to its own; terms keep their order."""
    n_kept, n_reduced, run, owner = f.n_kept, f.n_reduced, f.run, f.owner

    def by_owner(turn: int, words: Any, tile: Any) -> None:
        lines = n_kept(words)
        # Threads in excess of whole rows of lines have nothing to own.
        owners = max(cuda.gridsize(1) // max(lines, 1), 1)
        job = cuda.grid(1)
        while job < lines * owners:
            kept, mine = job % lines, job // lines
            for i in range(n_reduced(words)):
                if owner(kept, i, words) % owners == mine:
                    run(kept, i, words)
            job += cuda.gridsize(1)

    return by_owner


def reduce_by_thread(f: Functions) -> Skeleton:
    """Reduce with one thread per result: for many results of few terms each."""
    n_kept, n_reduced = f.n_kept, f.n_reduced
    identity, accumulate, write = f.identity, f.accumulate, f.write

    def reduce_by_thread(turn: int, words: Any, tile: Any) -> None:
        kept = cuda.grid(1)
        while kept < n_kept(words):
            acc = identity()
            for reduced in range(n_reduced(words)):
                acc = accumulate(acc, kept, reduced, words)
            write(acc, kept, words)
            kept += cuda.gridsize(1)

    return reduce_by_thread


def reduce_by_warp(f: Functions, warp: int) -> Skeleton:
    """Reduce with the threads of a warp per result: neighbouring threads take neighbouring terms."""
    n_kept, n_reduced = f.n_kept, f.n_reduced
    identity, accumulate, across, write = f.identity, f.accumulate, f.across, f.write

    def reduce_by_warp(turn: int, words: Any, tile: Any) -> None:
        kept = cuda.grid(1) // warp
        while kept < n_kept(words):
            acc = identity()
            for reduced in range(cuda.threadIdx.x % warp, n_reduced(words), warp):
                acc = accumulate(acc, kept, reduced, words)
            acc = across(acc)
            if cuda.threadIdx.x % warp == 0:
                write(acc, kept, words)
            kept += cuda.gridsize(1) // warp

    return reduce_by_warp


def tree(f: Functions, threads: int, lanes: int) -> Callable[[Any, Any], None]:
    """Combine what the threads of a block saved, `lanes` results at a time; all of them, and more, come here."""
    combine, save, fetch = f.combine, f.save, f.fetch
    groups = threads // lanes

    def tree(t: Any, tile: Any) -> None:
        cuda.syncthreads()
        half = groups // 2
        while half > 0:
            if t < half * lanes:
                save(tile, t, combine(fetch(tile, t), fetch(tile, t + half * lanes)))
            cuda.syncthreads()
            half //= 2

    return tree


def reduce_by_block(f: Functions, threads: int, lanes: int, n_parts: Any, tree: Any) -> Skeleton:
    """Reduce with blocks of `threads`, a power of two, that take `lanes` neighbouring results and part of their terms.

    Neighbouring threads have neighbouring results, or with one lane neighbouring terms. The groups of `lanes` threads
    take the part's terms in turn, and a binary `tree` adds up what they found.
    """
    kept_points, reduced_points = f.n_kept, f.n_reduced
    identity, accumulate = f.identity, f.accumulate
    save, fetch, keep = f.save, f.fetch, f.keep
    groups = threads // lanes

    def reduce_by_block(turn: int, words: Any, tile: Any) -> None:
        n_kept, n_reduced = kept_points(words), reduced_points(words)
        strips = (n_kept + lanes - 1) // lanes
        parts = n_parts(strips, n_reduced)
        t = cuda.threadIdx.x
        job = cuda.blockIdx.x
        while job < strips * parts:
            part = job // strips
            kept = (job - part * strips) * lanes + t % lanes
            acc = identity()
            reduced = part * groups + t // lanes
            # Threads beyond `threads` are there for other steps of a loop.
            while t < threads and kept < n_kept and reduced < n_reduced:
                acc = accumulate(acc, kept, reduced, words)
                reduced += parts * groups
            if t < threads:
                save(tile, t, acc)
            tree(t, tile)
            if t < lanes and kept < n_kept:
                keep(words, kept * parts + part, fetch(tile, t))
            # The next job's first writes must not overtake this read.
            cuda.syncthreads()
            job += cuda.gridDim.x

    return reduce_by_block


def combine_parts(f: Functions, parts_of: Any, warp: int) -> Skeleton:
    """Combine the blocks' partial results, of which there are `parts_of(words)`, the threads of a warp per result."""
    n_kept, identity, combine, across = f.n_kept, f.identity, f.combine, f.across
    recall, write = f.recall, f.write

    def combine_parts(turn: int, words: Any, tile: Any) -> None:
        parts = parts_of(words)
        kept = cuda.grid(1) // warp
        while kept < n_kept(words):
            acc = identity()
            for part in range(cuda.threadIdx.x % warp, parts, warp):
                acc = combine(acc, recall(words, kept * parts + part))
            acc = across(acc)
            if cuda.threadIdx.x % warp == 0:
                write(acc, kept, words)
            kept += cuda.gridsize(1) // warp

    return combine_parts


def parts_by_strips(f: Functions, n_parts: Callable[[int, int], int], lanes: int) -> Any:
    """The number of parts of a reduction by blocks that have `lanes` results each, as a function of words."""
    n_kept, n_reduced = f.n_kept, f.n_reduced

    def parts(words: Any) -> Any:
        return n_parts((n_kept(words) + lanes - 1) // lanes, n_reduced(words))

    return parts
