"""Skeletons: the kernels' loops, blocks and barriers, written for numba-cuda.

A skeleton knows nothing of what a nest computes: that is in the device functions it is given (`Functions`),
emitted LLVM on a GPU and interpreted in the CUDA simulator. Every loop's order depends on sizes alone, so results
do not depend on how many blocks run at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numba import cuda, types

Skeleton = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Functions:
    """The device functions of a nest. `acc` is a tuple with one word of bits per reduction.

    run(i, words)                            the body at a point of a nest without reductions
    identity() -> acc                        before the first point
    accumulate(acc, kept, reduced, words) -> acc   after one more point
    combine(acc, acc) -> acc
    save(table, place, acc), fetch(table, place) -> acc     in an array of words
    write(acc, kept, words)                  store the results
    """

    run: Any
    identity: Any
    accumulate: Any
    combine: Any
    save: Any
    fetch: Any
    write: Any


def map_points(f: Functions) -> Skeleton:
    """Run a nest without reductions, point by point: consecutive threads take consecutive points."""
    run = f.run

    def map_points(n: int, words: Any) -> None:
        i = cuda.grid(1)
        while i < n:
            run(i, words)
            i += cuda.gridsize(1)

    return map_points


def in_order(f: Functions) -> Skeleton:
    """Run a nest in index order on one thread: entries that several points add to get their terms in that order."""
    run = f.run

    def in_order(n: int, words: Any) -> None:
        if cuda.grid(1) == 0:
            for i in range(n):
                run(i, words)

    return in_order


def reduce_by_thread(f: Functions) -> Skeleton:
    """Reduce with one thread per result: for many results of few terms each."""
    identity, accumulate, write = f.identity, f.accumulate, f.write

    def reduce_by_thread(n_kept: int, n_reduced: int, words: Any) -> None:
        kept = cuda.grid(1)
        while kept < n_kept:
            acc = identity()
            for reduced in range(n_reduced):
                acc = accumulate(acc, kept, reduced, words)
            write(acc, kept, words)
            kept += cuda.gridsize(1)

    return reduce_by_thread


def reduce_by_block(f: Functions, threads: int, n_words: int) -> Skeleton:
    """Reduce with blocks of `threads` (a power of two), `n_parts` blocks per result.

    A thread takes every threads-th term of its part; the block adds its threads' results up as a binary tree.
    """
    identity, accumulate, combine, save, fetch = f.identity, f.accumulate, f.combine, f.save, f.fetch
    shared_words = threads * n_words

    def reduce_by_block(n_kept: int, n_reduced: int, n_parts: int, words: Any, partials: Any) -> None:
        tree = cuda.shared.array(shared_words, types.int64)
        t = cuda.threadIdx.x
        job = cuda.blockIdx.x
        while job < n_kept * n_parts:
            kept = job // n_parts
            acc = identity()
            reduced = (job - kept * n_parts) * threads + t
            while reduced < n_reduced:
                acc = accumulate(acc, kept, reduced, words)
                reduced += n_parts * threads
            save(tree, t, acc)
            cuda.syncthreads()
            half = threads // 2
            while half > 0:
                if t < half:
                    save(tree, t, combine(fetch(tree, t), fetch(tree, t + half)))
                cuda.syncthreads()
                half //= 2
            if t == 0:
                save(partials, job, fetch(tree, 0))
            # The next job's first writes must not overtake this read.
            cuda.syncthreads()
            job += cuda.gridDim.x

    return reduce_by_block


def combine_parts(f: Functions) -> Skeleton:
    """Combine the blocks' partial results in order, one thread per result, and store it."""
    combine, fetch, write = f.combine, f.fetch, f.write

    def combine_parts(n_kept: int, n_parts: int, words: Any, partials: Any) -> None:
        kept = cuda.grid(1)
        while kept < n_kept:
            acc = fetch(partials, kept * n_parts)
            for part in range(1, n_parts):
                acc = combine(acc, fetch(partials, kept * n_parts + part))
            write(acc, kept, words)
            kept += cuda.gridsize(1)

    return combine_parts


def clear(n: int, memory: Any) -> None:
    """Set n bytes to zero."""
    i = cuda.grid(1)
    while i < n:
        memory[i] = 0
        i += cuda.gridsize(1)
