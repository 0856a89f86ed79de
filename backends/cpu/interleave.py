"""Interleaved stores: the columns of a narrow array, written side by side.

    out[i, 0] = a_i, out[i, 1] = b_i, out[i, 2] = c_i   ->   one store of a0 b0 c0 a1 b1 c1 …

Lane by lane, or with a scatter instruction, every number is a store of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backends.cpu.memory import Memory, Point
from symdiff.program.ir import Store

# Wider rows fill cache lines by themselves, and their shuffles take long to compile.
_WIDEST = 4


def columns(stores: Sequence[Store]) -> list[tuple[Store, ...]]:
    """Group stores: those that write all columns of a narrow array together, the others alone."""
    out: list[tuple[Store, ...]] = []
    k = 0
    while k < len(stores):
        first = stores[k].access
        width = first.strides[-1] if first.strides else 0
        group = tuple(stores[k : k + width]) if isinstance(width, int) and 2 <= width <= _WIDEST else ()
        if len(group) == width and group and all(_follows(s, stores[k], c) for c, s in enumerate(group)):
            out.append(group)
            k += len(group)
        else:
            out.append((stores[k],))
            k += 1
    return out


def _follows(s: Store, first: Store, column: int) -> bool:
    a, b = s.access, first.access
    plain = not s.add and not a.gathers and not a.guards and a.buffer.dtype != "bool"
    return plain and a.buffer == b.buffer and a.strides == b.strides and a.offset == b.offset + column


def store_columns(memory: Memory, group: Sequence[Store], values: Sequence[Any], point: Point) -> None:
    """Write the lanes of `values`, one value for each column, as rows."""
    b, lanes = memory.frame.builder, memory.lanes.width
    wide = values[0]
    for k, value in enumerate(values[1:], start=1):
        # Behind the k columns so far comes one more, filled up to their length with anything.
        other = value if k == 1 else b.shuffle(value, value, [min(j, lanes - 1) for j in range(k * lanes)])
        wide = b.shuffle(wide, other, range((k + 1) * lanes))
    n = len(values)
    rows = b.shuffle(wide, wide, [j % n * lanes + j // n for j in range(n * lanes)])
    memory.store_run(rows, group[0].access, point)
