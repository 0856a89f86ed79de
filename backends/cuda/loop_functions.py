"""Device functions of a loop that is one kernel, and what its record in memory holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from symdiff.program.ir import Buffer, Loop, walk

# Words of the record: how many blocks have come to a barrier so far; then what the host reads when the kernel has
# ended: whether the loop goes on, the turns made, and the addresses of the buffers that it exchanges.
ARRIVED, GOES_ON, TURNS, MOVED = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class LoopFunctions:
    """The device functions of a loop that is one kernel.

    arrive(words), arrived(words)             count a block at the barrier; how many have come
    report(words, goes_on, turns)             write the record
    flag(loop)(words)                         whether a loop goes on
    settle(loop)(words)                       lower its flag if an error was reported
    exchange(loop)(words) -> words            exchange the buffers of its state
    """

    arrive: Any
    arrived: Any
    report: Any
    flag: Callable[[Loop], Any]
    settle: Callable[[Loop], Any]
    exchange: Callable[[Loop], Any]


def moved_buffers(loop: Loop) -> tuple[Buffer, ...]:
    """The buffers that a loop and those in it exchange."""
    loops = [s for s in walk((loop,)) if isinstance(s, Loop)]
    return tuple(dict.fromkeys(b for one in loops for pair in one.swaps for b in pair))


def flags_of(loop: Loop) -> tuple[Buffer, ...]:
    """The flags of a loop and those in it.

    They lie in the record, behind the addresses: a thread may read its flag when others are in the body, which is
    free to use the flag's own memory for something else.
    """
    return tuple(s.flag for s in walk((loop,)) if isinstance(s, Loop))


def record_words(loop: Loop) -> int:
    """The length of a loop's record."""
    return MOVED + len(moved_buffers(loop)) + len(flags_of(loop))
