"""Recurrences, one thread for each line, and sorting, by merging runs of all lines at once."""

from __future__ import annotations

from typing import Any

from backends.cuda.calls import CallFunctions
from backends.cuda.grid import cuda
from backends.cuda.skeletons import Skeleton
from symdiff.program.ir import Call

_LARGEST = 2**63 - 1
_LOWEST = -(2**63)
# The bits of infinity: what is larger without its sign is NaN.
_INFINITY = 0x7FF0000000000000


def recurrence(f: CallFunctions, call: Call) -> Skeleton:
    """y_k = a_k y_(k-1) + b_k; operands are [a,] b, y. Neighbouring threads take neighbouring inner indices."""
    n_lines, n = f.n_lines, f.extents[-2]
    has_factor = len(call.operands) == 3
    # Without factors the first operand stands in for them and is not read.
    get_a, place_a = f.get[0], f.place[0]
    get_b, place_b, put_y, place_y = f.get[-2], f.place[-2], f.put[-1], f.place[-1]
    number = f.number

    def recurrence(turn: int, words: Any, tile: Any) -> None:
        line = cuda.grid(1)
        while line < n_lines(words):
            y = number(0.0)
            for k in range(n(words)):
                b = get_b(words, place_b(words, line, k))
                if k == 0:
                    y = b
                elif has_factor:
                    y = get_a(words, place_a(words, line, k)) * y + b
                else:
                    y = y + b
                put_y(words, place_y(words, line, k), y)
            line += cuda.gridsize(1)

    return recurrence


# --- argsort: integer keys that order as the numbers do, in two pairs (keys, order) of vectors in the scratch.


def open_keys(f: CallFunctions, call: Call) -> Skeleton:
    """Write every entry's key and number: NaN comes last, and zeros of either sign are equal."""
    n_lines, n, get, place, bits, note = f.n_lines, f.extents[-1], f.get[0], f.place[0], f.bits, f.note_word
    is_float = call.dtype.startswith("float")

    def open_keys(turn: int, words: Any, tile: Any) -> None:
        length = n(words)
        total = n_lines(words) * length
        i = cuda.grid(1)
        while i < total:
            line = i // length
            key = bits(get(words, place(words, line, i - line * length)))
            if is_float:
                if (key & _LARGEST) > _INFINITY:
                    key = _LARGEST
                elif (key & _LARGEST) == 0:
                    key = 0
                elif key < 0:
                    key = key ^ _LARGEST
            note(words, i, key)
            note(words, total + i, i - line * length)
            i += cuda.gridsize(1)

    return open_keys


def merge_runs(f: CallFunctions, call: Call) -> Skeleton:
    """Merge runs of 2**turn entries in pairs: each entry finds by bisection how many of the other run go before it.

    Of equal keys those of the left run go first, so the sort is stable.
    """
    n_lines, n, noted, note = f.n_lines, f.extents[-1], f.noted_word, f.note_word

    def merge_runs(turn: int, words: Any, tile: Any) -> None:
        length = n(words)
        total = n_lines(words) * length
        width = 1 << turn
        source, target = (turn % 2) * 2 * total, (1 - turn % 2) * 2 * total
        at = cuda.grid(1)
        while at < total:
            line = at // length
            i = at - line * length
            start = line * length
            key = noted(words, source + at)
            run = i // width
            is_left = run % 2 == 0
            other = min((run + 1) * width if is_left else (run - 1) * width, length)
            low, high = other, min(other + width, length)
            while low < high:
                middle = (low + high) // 2
                value = noted(words, source + start + middle)
                if value < key or (value == key and not is_left):
                    low = middle + 1
                else:
                    high = middle
            first = run * width if is_left else other
            place = start + first + (i - run * width) + (low - other)
            note(words, target + place, key)
            note(words, target + total + place, noted(words, source + total + at))
            at += cuda.gridsize(1)

    return merge_runs


def close_order(f: CallFunctions, call: Call) -> Skeleton:
    """Copy the order to where it belongs."""
    n_lines, n, noted, put, place = f.n_lines, f.extents[-1], f.noted_word, f.put[1], f.place[1]

    def close_order(turn: int, words: Any, tile: Any) -> None:
        length = n(words)
        total = n_lines(words) * length
        width, source = 1, 0
        while width < length:
            width *= 2
            source = 2 * total - source
        i = cuda.grid(1)
        while i < total:
            line = i // length
            put(words, place(words, line, i - line * length), noted(words, source + total + i))
            i += cuda.gridsize(1)

    return close_order
