"""Geometry: how many threads and blocks a kernel gets. It depends on sizes alone, and so do the results' bits."""

from __future__ import annotations

from dataclasses import dataclass

# What every GPU gives a block without being asked for more.
SHARED_BYTES = 48 * 1024
# Threads that run together and hand each other numbers.
WARP = 32


@dataclass(frozen=True, slots=True)
class Geometry:
    """Launch sizes. `threads` is a power of two.

    A reduction of at most `short` terms, or with at least `many` results, takes one thread per result; other
    reductions take blocks, one for every `terms_per_thread` terms of a thread but at most `most_parts` per launch.
    Where rows have at least `row_length` points, a block takes `rows` of them. In products a block has `product_edge`²
    threads, each with `product_per`² entries. A loop whose steps have at most `resident_blocks` is one kernel. Stencils
    make some of `turns` together on tiles in `shared` bytes, if a grid has at least `least_tiles`; `lanes` neighbouring
    threads go through a row of a tile or of a reduction. A `warp` of threads combines numbers by itself. Statements
    over the same rows go through them in batches of `batch`, if there are at least `least_batches`.
    """

    threads: int = 256
    most_blocks: int = 4096
    short: int = 64
    many: int = 16384
    terms_per_thread: int = 16
    most_parts: int = 1024
    row_length: int = 128
    rows: int = 8
    product_edge: int = 16
    product_per: int = 4
    resident_blocks: int = 512
    warp: int = WARP
    batch: int = 256
    least_batches: int = 128
    turns: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 8)
    shared: int = SHARED_BYTES
    least_tiles: int = 264
    lanes: int = 32

    def blocks(self, n: int) -> int:
        """The blocks for n independent points."""
        return max(1, min(-(-n // self.threads), self.most_blocks))

    def by_thread(self, n_kept: int, n_reduced: int) -> bool:
        """Whether a reduction takes one thread per result."""
        return n_reduced <= self.short or n_kept >= self.many

    def tree_threads(self, n_words: int) -> int:
        """The threads of a block whose tree holds `n_words` words per thread in shared memory."""
        threads = self.threads
        while threads > 1 and 8 * n_words * threads > SHARED_BYTES:
            threads //= 2
        return threads


# The simulator runs a CUDA thread as a Python thread: few of them, and loops that all turn more than once.
SIMULATED = Geometry(
    threads=4, most_blocks=3, short=4, many=64, terms_per_thread=2, most_parts=6,
    row_length=7, rows=2, product_edge=2, product_per=2, resident_blocks=2,
    warp=1, batch=5, least_batches=1, shared=4096, least_tiles=2, lanes=2,
)  # fmt: skip
