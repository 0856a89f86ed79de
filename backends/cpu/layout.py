"""The context of a call: one table of 64-bit words that every function of a program gets.

    word 0 address of parallel_for, or 0 · 1 status · 2 threads · 3 arena · then sizes · then buffer addresses
    then the words of each sweep (`backends.cpu.tiles`), 0 where the caller knows nothing of tiles

Temporary buffers lie in the arena, in slots that several of them use one after another (`symdiff.program.memory`), each
aligned to a cache line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from backends.cpu.words import ALIGN, ARENA, CALLBACK_FAILED, INDEX_OUT_OF_RANGE, OK, PARALLEL_FOR, STATUS, THREADS
from symdiff.program.ir import Buffer, Nest, Program, Rows, Sweep
from symdiff.program.memory import Slot, slots

__all__ = [
    "ALIGN", "ARENA", "CALLBACK_FAILED", "INDEX_OUT_OF_RANGE", "OK", "PARALLEL_FOR", "STATUS", "THREADS", "Layout",
]  # fmt: skip
_HEAD = 4


# The words of a sweep, followed by the width of a tile along each axis.
SWEEP_WORDS = 7
DEPTH, TURNS, SLOTS, LOCKS, RECORD, RINGS, SLOT_BYTES = range(SWEEP_WORDS)


class Words(Protocol):
    """Where sizes and buffers stand in a context."""

    def size_word(self, name: str) -> int:
        """The word that holds a run-time size."""

    def buffer_word(self, buffer: Buffer) -> int:
        """The word that holds a buffer's address."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each size, buffer and sweep of a program stands in the context."""

    sizes: tuple[str, ...]
    inputs: tuple[Buffer, ...]
    outputs: tuple[Buffer, ...]
    slots: tuple[Slot, ...]
    words: int
    sweeps: tuple[int, ...] = ()

    @staticmethod
    def of(program: Program, scratch: Sequence[tuple[Nest | Rows, tuple[Buffer, ...]]]) -> Layout:
        """Lay out a program with the scratch buffers that the code of its nests and rows needs."""
        n_temps = len(program.temps) + sum(len(buffers) for _, buffers in scratch)
        n_buffers = len(program.inputs) + len(program.outputs) + n_temps
        words = _HEAD + len(program.sizes) + n_buffers
        sweeps = []
        for s in program.statements:
            if isinstance(s, Sweep):
                sweeps.append(words)
                words += SWEEP_WORDS + len(s.domain)
        memory = slots(program, scratch)
        return Layout(program.sizes, program.inputs, program.outputs, memory, words, tuple(sweeps))

    @property
    def n_sweep_words(self) -> int:
        """The number of words of sweeps, which are the last ones."""
        return self.words - self.sweeps[0] if self.sweeps else 0

    def size_word(self, name: str) -> int:
        """The word that holds a run-time size."""
        return _HEAD + self.sizes.index(name)

    def buffer_word(self, buffer: Buffer) -> int:
        """The word that holds a buffer's address; buffers are numbered from 0 without gaps."""
        return _HEAD + len(self.sizes) + buffer.id

    def arena_bytes(self, sizes: Mapping[str, int]) -> int:
        """The memory that the temporary buffers need for these sizes."""
        return sum(-(-s.n_bytes(sizes) // ALIGN) * ALIGN for s in self.slots)
