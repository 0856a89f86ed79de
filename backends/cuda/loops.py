"""loops: the turns of a loop are launched ahead; the host looks only now and then whether they were needed.

The condition of turn t writes a flag of its own, and the kernels of the turn do nothing where it is down; neither then
does the condition of the next. So a chunk of turns needs no word from the device, and the flags tell how many ran.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from symdiff.program.ir import Buffer, Loop, Statement

MOST_AHEAD = 64
"""Turns of the largest chunk: chunks grow as the loop goes on, so no more turns are launched in vain than ran."""


Pairs = Sequence[tuple[Buffer, Buffer]]


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

    def capture(self, work: Callable[[], None]) -> int | None:
        """Return a graph of what `work` launches, without running it; None where it cannot be recorded."""

    def replay(self, graph: int) -> None:
        """Launch what a graph recorded."""

    def forget(self, graph: int) -> None:
        """Let a graph go, whose launches have been waited for."""


@dataclass(frozen=True, slots=True)
class Turns:
    """How a loop's turns are made: `body` in every turn, with an exchange of the buffers in `swaps`.

    Behind every `depth` turns comes what they make together: `record(k)` keeps what it needs of the k-th of them,
    `together(go)` launches it, with the flags of the turns from `go` on, and the buffers in `states` are exchanged.
    """

    body: Sequence[Statement]
    swaps: Pairs
    depth: int = 1
    record: Callable[[int], None] | None = None
    together: Callable[[int], None] | None = None
    states: Pairs = ()


def run_loop(loop: Loop, run: Run, go: int, turns: Turns | None = None) -> None:
    """Run a loop, if the flag at `go` is up; turn by turn unless told otherwise."""
    how = turns or Turns(loop.body, loop.swaps)
    home = run.addresses[loop.flag.id]
    chunks = _Chunks(loop, how, run, go)
    chunk, goes_on = 1, True
    try:
        while goes_on:
            flags = run.lower_flags()
            chunks.launch(chunk, flags)
            n = chunk * how.depth
            up = run.read_flags(n + 1)
            done = up.index(False) if False in up else n
            _exchange(how.swaps, run, n - done)
            _exchange(how.states, run, chunk - -(-done // how.depth))
            run.finish_flags()
            goes_on = all(up)
            chunk = min(2 * chunk, MOST_AHEAD // how.depth)
    finally:
        chunks.forget()
    run.addresses[loop.flag.id] = home


class _Chunks:
    """Launches chunks of turns: those of the largest size as a graph when they come again.

    A launch from here takes some microseconds, one in a graph about one.
    """

    def __init__(self, loop: Loop, how: Turns, run: Run, go: int):
        self.loop, self.how, self.run, self.go = loop, how, run, go
        self.graphs: dict[tuple[int, ...], int | None] = {}
        self.seen: set[tuple[int, ...]] = set()
        self.exchanged = [b for pair in (*how.swaps, *how.states) for b in pair]
        # A loop inside asks the device, and that cannot be recorded.
        self.is_plain = not any(isinstance(s, Loop) for s in (*loop.cond, *how.body))

    def launch(self, chunk: int, flags: Sequence[int]) -> None:
        """Launch so many times the turns that are made together."""
        addresses = self.run.addresses
        if not self.is_plain:
            self._launch(chunk, flags)
            return
        key = (chunk, *(addresses[b.id] for b in self.exchanged))
        if key in self.seen and key not in self.graphs:
            before = dict(addresses)
            self.graphs[key] = self.run.capture(lambda: self._launch(chunk, flags))
            addresses |= before
        self.seen.add(key)
        graph = self.graphs.get(key)
        if graph is None:
            self._launch(chunk, flags)
            return
        self.run.replay(graph)
        _exchange(self.how.swaps, self.run, chunk * self.how.depth)
        _exchange(self.how.states, self.run, chunk)

    def forget(self) -> None:
        """Let the graphs go."""
        for graph in self.graphs.values():
            if graph is not None:
                self.run.forget(graph)

    def _launch(self, chunk: int, flags: Sequence[int]) -> None:
        loop, run = self.loop, self.run
        run.addresses[loop.flag.id] = flags[0]
        # The state has not changed since the last chunk asked, so asking again has the same answer.
        run.launch_all(loop.cond, self.go)
        for turn in range(chunk * self.how.depth):
            _turn(loop, self.how, run, flags, turn)


def _turn(loop: Loop, how: Turns, run: Run, flags: Sequence[int], turn: int) -> None:
    """Launch a turn ahead and its condition, and what it ends."""
    k = turn % how.depth
    run.launch_all(how.body, flags[turn])
    if how.record is not None:
        how.record(k)
    _exchange(how.swaps, run)
    run.addresses[loop.flag.id] = flags[turn + 1]
    run.launch_all(loop.cond, flags[turn])
    if k == how.depth - 1 and how.together is not None:
        how.together(flags[turn - k])
        _exchange(how.states, run)


def _exchange(pairs: Pairs, run: Run, times: int = 1) -> None:
    """Exchange buffers; done twice, nothing has changed: no buffer is in two pairs."""
    if times % 2:
        for x, y in pairs:
            run.addresses[x.id], run.addresses[y.id] = run.addresses[y.id], run.addresses[x.id]
