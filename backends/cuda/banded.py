"""Linear systems with few diagonals: Gaussian elimination with partial pivoting, a thread for each system of a stack.

The same elimination as `backends.cpu.banded`: row i of the work array, in the scratch, holds the columns i - lower …
i + upper + lower, and zero rows behind the matrix spare all questions at its end.
"""

from __future__ import annotations

from typing import Any

from backends.cuda.calls import CallFunctions
from backends.cuda.grid import cuda
from backends.cuda.skeletons import Skeleton
from symdiff.program.ir import Call

_NAN = float("nan")


def banded_solve(f: CallFunctions, call: Call) -> Skeleton:
    """Solve in place; NaN if a pivot is zero. Operands: diagonals (lower + upper + 1, n), columns."""
    count, size, sides = f.extents
    get, get_x, put_x, number, note, noted = f.get[0], f.get[1], f.put[1], f.number, f.note, f.noted
    lower, upper = map(int, call.flags)
    diagonals, width = lower + upper + 1, 2 * lower + upper + 1

    def banded_solve(turn: int, words: Any, tile: Any) -> None:
        n, columns = size(words), sides(words)
        job = cuda.grid(1)
        while job < count(words):
            bands = job * n * diagonals
            x = job * (n + diagonals - 1) * columns
            work = job * (n + lower) * width
            for i in range(n * columns, (n + diagonals - 1) * columns):
                put_x(words, x + i, number(0.0))
            for i in range(n + lower):
                for d in range(width):
                    inside = d < diagonals and i < n and 0 <= i + d - lower < n
                    note(words, work + i * width + d, get(words, bands + d * n + i) if inside else number(0.0))
            singular = False
            for i in range(n):
                # Entry (r, c) is at work + r*width + lower + c - r.
                here = work + i * width + lower
                best, place = abs(noted(words, here)), 0
                for q in range(1, lower + 1):
                    entry = abs(noted(words, here + q * (width - 1)))
                    if entry > best:
                        best, place = entry, q
                if not best > 0.0:
                    singular = True
                if place > 0:
                    there = here + place * (width - 1)
                    for j in range(diagonals):
                        kept = noted(words, here + j)
                        note(words, here + j, noted(words, there + j))
                        note(words, there + j, kept)
                    for c in range(columns):
                        kept = get_x(words, x + i * columns + c)
                        put_x(words, x + i * columns + c, get_x(words, x + (i + place) * columns + c))
                        put_x(words, x + (i + place) * columns + c, kept)
                pivot = noted(words, here)
                for q in range(1, lower + 1):
                    below = here + q * (width - 1)
                    factor = noted(words, below) / pivot
                    for j in range(1, diagonals):
                        note(words, below + j, noted(words, below + j) - factor * noted(words, here + j))
                    for c in range(columns):
                        own, given = x + (i + q) * columns + c, x + i * columns + c
                        put_x(words, own, get_x(words, own) - factor * get_x(words, given))
            for back in range(n):
                i = n - 1 - back
                here = work + i * width + lower
                for c in range(columns):
                    value = get_x(words, x + i * columns + c)
                    for j in range(1, diagonals):
                        value -= noted(words, here + j) * get_x(words, x + (i + j) * columns + c)
                    put_x(words, x + i * columns + c, value / noted(words, here))
            i = 0
            while singular and i < n * columns:
                put_x(words, x + i, number(_NAN))
                i += 1
            job += cuda.gridsize(1)

    return banded_solve
