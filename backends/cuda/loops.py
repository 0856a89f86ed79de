"""loops: the turns of a loop are launched ahead; the host looks only now and then whether they were needed.

The condition of turn t writes a flag of its own, and the kernels of the turn do nothing where it is down; neither then
does the condition of the next. So a chunk of turns needs no word from the device, and the flags tell how many ran.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from symdiff.program.ir import Loop, Statement

MOST_AHEAD = 64
"""Turns of the largest chunk: chunks grow as the loop goes on, so no more turns are launched in vain than ran."""


class Run(Protocol):
    """What a loop needs of a call that runs."""

    addresses: dict[int, int]

    def launch_all(self, statements: Sequence[Statement], go: int) -> None:
        """Launch statements in order, which do nothing where the flag at `go` is down."""

    def lower_flags(self) -> list[int]:
        """Set `MOST_AHEAD` + 1 flags of the loop's depth to 0; returns their addresses."""

    def read_flags(self, n: int) -> list[bool]:
        """Wait for the device and read the first n flags. Raises DomainError where a kernel reported an error."""

    def finish_flags(self) -> None:
        """Give the flags back."""


def run_loop(loop: Loop, run: Run, go: int) -> None:
    """Run a loop, if the flag at `go` is up."""
    home = run.addresses[loop.flag.id]
    chunk = 1
    goes_on = True
    while goes_on:
        flags = run.lower_flags()
        run.addresses[loop.flag.id] = flags[0]
        # The state has not changed since the last chunk asked, so asking again has the same answer.
        run.launch_all(loop.cond, go)
        for turn in range(chunk):
            run.launch_all(loop.body, flags[turn])
            _exchange(loop, run)
            run.addresses[loop.flag.id] = flags[turn + 1]
            run.launch_all(loop.cond, flags[turn])
        up = run.read_flags(chunk + 1)
        done = up.index(False) if False in up else chunk
        for _ in range(chunk - done):
            _exchange(loop, run)
        run.finish_flags()
        goes_on = all(up)
        chunk = min(2 * chunk, MOST_AHEAD)
    run.addresses[loop.flag.id] = home


def _exchange(loop: Loop, run: Run) -> None:
    """Exchange the buffers of a loop's state; done twice, nothing has changed: no buffer is in two pairs."""
    for x, y in loop.swaps:
        run.addresses[x.id], run.addresses[y.id] = run.addresses[y.id], run.addresses[x.id]
