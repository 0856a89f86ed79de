"""Skeletons of batches: what a member does with a batch of rows, and the kernel that takes batches through them all.

A member is a device function `member(at, words, tile)`, where `at` is (first row, end of the rows, part, parts).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from backends.cuda.grid import cuda
from backends.cuda.kinds import Inline, tile, tuple_of, void, words
from backends.cuda.skeletons import Functions, Skeleton

Batch = Callable[[Any, Any, Any], None]
BATCH = void(tuple_of(4), words, tile)


def map_batch(f: Functions, per_row: Any) -> Batch:
    """Run a nest without reductions on the points of some rows."""
    run = f.run

    def map_batch(at: Any, words: Any, tile: Any) -> None:
        each = per_row(words)
        i = at[0] * each + cuda.threadIdx.x
        while i < at[1] * each:
            run(i, 0, words)
            i += cuda.blockDim.x

    return map_batch


def reduce_batch(f: Functions, per_row: Any) -> Batch:
    """Reduce inside of rows, one thread per result."""
    n_reduced, identity, accumulate, write = f.n_reduced, f.identity, f.accumulate, f.write

    def reduce_batch(at: Any, words: Any, tile: Any) -> None:
        each = per_row(words)
        kept = at[0] * each + cuda.threadIdx.x
        while kept < at[1] * each:
            acc = identity()
            for reduced in range(n_reduced(words)):
                acc = accumulate(acc, kept, reduced, words)
            write(acc, kept, words)
            kept += cuda.blockDim.x

    return reduce_batch


def reduce_batch_by_warp(f: Functions, per_row: Any, warp: int) -> Batch:
    """Reduce inside of rows, the threads of a warp per result."""
    n_reduced, identity, accumulate = f.n_reduced, f.identity, f.accumulate
    across, write = f.across, f.write

    def reduce_batch_by_warp(at: Any, words: Any, tile: Any) -> None:
        each = per_row(words)
        kept = at[0] * each + cuda.threadIdx.x // warp
        while kept < at[1] * each:
            acc = identity()
            for reduced in range(cuda.threadIdx.x % warp, n_reduced(words), warp):
                acc = accumulate(acc, kept, reduced, words)
            acc = across(acc)
            if cuda.threadIdx.x % warp == 0:
                write(acc, kept, words)
            kept += cuda.blockDim.x // warp

    return reduce_batch_by_warp


def sum_batch(f: Functions, per_row: Any, threads: int, lanes: int, batch: int, tree: Any) -> Batch:
    """Reduce over some rows, `lanes` results at a time by `skeletons.tree`, and add to what the part has found."""
    n_kept, identity, accumulate, combine = f.n_kept, f.identity, f.accumulate, f.combine
    save, fetch, keep, recall = f.save, f.fetch, f.keep, f.recall
    groups = threads // lanes

    def sum_batch(at: Any, words: Any, tile: Any) -> None:
        low, high, part, parts = at
        each, n = per_row(words), n_kept(words)
        t = cuda.threadIdx.x
        for strip in range(0, n, lanes):
            kept = strip + t % lanes
            acc = identity()
            reduced = low * each + t // lanes
            while t < threads and kept < n and reduced < high * each:
                acc = accumulate(acc, kept, reduced, words)
                reduced += groups
            if t < threads:
                save(tile, t, acc)
            tree(t, tile)
            if t < lanes and kept < n:
                place = kept * parts + part
                # A part's first batch finds nothing to add to.
                if low < parts * batch:
                    keep(words, place, fetch(tile, t))
                else:
                    keep(words, place, combine(recall(words, place), fetch(tile, t)))
            # The next strip's first writes must not overtake this read.
            cuda.syncthreads()

    return sum_batch


def in_turn(members: Sequence[Batch], inline: Inline) -> Batch:
    """Members one after another on the same rows: what one wrote, all threads of the block see."""

    def both(first: Batch, second: Batch) -> Batch:
        def both(at: Any, words: Any, tile: Any) -> None:
            first(at, words, tile)
            cuda.syncthreads()
            second(at, words, tile)

        out: Batch = inline(both, BATCH)
        return out

    return functools.reduce(both, members)


def batches(members: Batch, n_rows: Any, n_parts: Any, batch: int) -> Skeleton:
    """Take batches of rows through all members; a part of the rows has every `n_parts`-th batch."""

    def batches(turn: int, words: Any, tile: Any) -> None:
        n = n_rows(words)
        parts = n_parts(n)
        part = cuda.blockIdx.x
        while part < parts:
            low = part * batch
            while low < n:
                members((low, min(low + batch, n), part, parts), words, tile)
                cuda.syncthreads()
                low += parts * batch
            part += cuda.gridDim.x

    return batches


def parts_by_rows(n_rows: Any, n_parts: Any) -> Any:
    """The number of parts of the rows, as a function of words."""

    def parts(words: Any) -> Any:
        return n_parts(n_rows(words))

    return parts
