"""Library calls as steps for numba-cuda: what each kernel does, and how many threads, launches and scratch it takes.

The device functions that steps are made of come from `functions` on a GPU and from `simulated` in the simulator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from symdiff.program.ir import Call


@dataclass(frozen=True, slots=True)
class CallFunctions:
    """The device functions of a library call.

    extents[k](words)                    its extents
    n_lines(words), place[k](words, line, i)   how many lines there are, and where entry i of one is in operand k
    cell[k](words, s, i, j)              where the entry of operand k at three indices is
    finish(words, s, i, j, x)            take the entry of a product
    get[k](words, i), put[k](words, i, x)      entry i of operand k, from where the operand begins
    shared(tile, i), share(tile, i, x)   numbers in shared memory
    noted(words, i), note(words, i, x)   numbers in the scratch; noted_word and note_word for integers
    root(x)                              a square root
    number(x)                            a float64 as a number of the call's kind, of type `kind`
    bits(x)                              the bits of a number as a float64's, or the integer itself
    """

    extents: tuple[Any, ...]
    n_lines: Any
    get: tuple[Any, ...]
    put: tuple[Any, ...]
    place: tuple[Any, ...]
    cell: tuple[Any, ...]
    finish: Any
    share: Any
    shared: Any
    note: Any
    noted: Any
    note_word: Any
    noted_word: Any
    root: Any
    number: Any
    bits: Any
    kind: Any


# The calls that go through an array line by line, and the axis along which a line runs.
LINES: Mapping[str, int] = {"recurrence": -2, "argsort": -1}


def line_axes(call: Call) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes that number the lines of a call, and the one along a line; all and none if it has no lines."""
    axes = tuple(range(len(call.extents)))
    if call.name not in LINES:
        return axes, ()
    along = axes[LINES[call.name]]
    return tuple(k for k in axes if k != along), (along,)
