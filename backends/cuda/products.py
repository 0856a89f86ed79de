"""Matrix products without a library: blocks of the result, their rows and columns in shared memory.

A block computes a square of `edge * per` rows and columns, a thread `per` by `per` entries of it in registers
(Volkov & Demmel 2008); terms are added in order, so a result does not depend on how many blocks run at once.
"""

from __future__ import annotations

from typing import Any

from backends.cuda.calls import CallFunctions
from backends.cuda.grid import cuda
from backends.cuda.skeletons import Skeleton


def gemm(f: CallFunctions, edge: int, per: int) -> Skeleton:
    """C = A B for every matrix of a stack, whose entries go through `finish`; `edge`² threads of a block work."""
    height, width, inner, count = f.extents
    (get_a, get_b, _), (cell_a, cell_b, _), finish = f.get, f.cell, f.finish
    share, shared, number, kind = f.share, f.shared, f.number, f.kind
    side, threads, entries = edge * per, edge * edge, per * per

    def gemm(turn: int, words: Any, tile: Any) -> None:
        m, n, depth = height(words), width(words), inner(words)
        across = (n + side - 1) // side
        squares = across * ((m + side - 1) // side)
        t = cuda.threadIdx.x
        total = cuda.local.array(entries, kind)
        job = cuda.blockIdx.x
        while job < squares * count(words):
            s = job // squares
            i0 = ((job - s * squares) // across) * side
            j0 = ((job - s * squares) % across) * side
            for e in range(entries):
                total[e] = number(0.0)
            for k0 in range(0, depth, edge):
                for e in range(per):
                    place = t + e * threads
                    if t < threads:
                        i, k = i0 + place // edge, k0 + place % edge
                        a = get_a(words, cell_a(words, s, i, k)) if i < m and k < depth else number(0.0)
                        share(tile, place, a)
                        k, j = k0 + place // side, j0 + place % side
                        b = get_b(words, cell_b(words, s, k, j)) if k < depth and j < n else number(0.0)
                        share(tile, side * edge + place, b)
                cuda.syncthreads()
                if t < threads:
                    for k in range(edge):
                        for p in range(per):
                            a = shared(tile, (t // edge + p * edge) * edge + k)
                            for q in range(per):
                                b = shared(tile, side * edge + k * side + t % edge + q * edge)
                                total[p * per + q] += a * b
                cuda.syncthreads()
            if t < threads:
                for p in range(per):
                    for q in range(per):
                        i, j = i0 + t // edge + p * edge, j0 + t % edge + q * edge
                        if i < m and j < n:
                            finish(words, s, i, j, total[p * per + q])
            job += cuda.gridDim.x

    return gemm
