"""run: the statements of a program, launched in order on one stream of a device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from backends.cuda.arrays import Device
from backends.cuda.batches import Batched
from backends.cuda.blas import blas, pays
from backends.cuda.fused import Fused
from backends.cuda.loops import MOST_AHEAD, run_loop
from backends.cuda.memory import Plan
from backends.cuda.resident_run import Resident, most_record_words
from backends.cuda.steps import Joined, Launched, Step
from backends.cuda.tiled_run import Tiling
from backends.cuda.words import GO, INDEX_OUT_OF_RANGE, SCRATCH, STATUS, Words
from symdiff.ir.errors import DomainError
from symdiff.program.ir import Call, Loop, Nest, Program, Statement

# Words of the control block: the status, a flag that is always up, the flags of each depth of loops, then a record.
_STATUS, _UP, _FLAGS = 0, 1, 2


class Launches(Protocol):
    """What a run needs to know of its kernel."""

    program: Program

    @property
    def residents(self) -> Mapping[int, Resident]:
        """The loops that may be one kernel each, by identity."""

    @property
    def tilings(self) -> Mapping[int, Tiling]:
        """The loops that may run tile by tile, by identity."""

    def joined(
        self, statements: Sequence[Statement], sizes: Mapping[str, int]
    ) -> Iterator[Nest | Call | Loop | Joined]:
        """Statements in order; those that are faster as one kernel as one."""

    def image(self, device: Device, sizes: Mapping[str, int], statements: Sequence[Statement] | None = None) -> Any:
        """The kernels that are loaded, once those of some statements are."""

    def layout(self, statement: Launched) -> Words:
        """The words that the kernels of a statement take."""

    def name(self, statement: Launched, step: Step) -> str:
        """The name of a step's kernel."""

    def steps(self, statement: Launched, sizes: Mapping[str, int]) -> Sequence[Step]:
        """What to launch for a statement."""


def control_bytes(statements: Sequence[Statement]) -> int:
    """The bytes of the control block of a program: status, flags, the record of a loop."""
    return 8 * (_record(statements) + most_record_words(statements))


def _record(statements: Sequence[Statement]) -> int:
    return _FLAGS + _depth(statements) * (MOST_AHEAD + 1)


def _depth(statements: Sequence[Statement]) -> int:
    return max((1 + _depth((*s.cond, *s.body)) for s in statements if isinstance(s, Loop)), default=0)


@dataclass(slots=True)
class Run:
    """One call: the device and its stream, where its memory begins, and the address of every buffer by its id."""

    kernel: Launches
    device: Device
    image: Any
    stream: int
    plan: Plan
    base: int
    addresses: dict[int, int]
    depth: int = 0

    def run(self, statements: Sequence[Statement]) -> None:
        """Launch a program; it may still run on the device afterwards."""
        block = np.zeros(self.plan.control_bytes // 8, np.int64)
        block[_UP] = 1
        self.device.upload(self._word(0), block, self.stream)
        self.launch_all(statements, self._word(_UP))

    def check(self) -> None:
        """Wait for the device. Raises: DomainError if a kernel reported an index out of range."""
        self._raise(self._read(1))

    # --- statements ---------------------------------------------------------------------

    def launch_all(self, statements: Sequence[Statement], go: int) -> None:
        """Launch statements in order, which do nothing where the flag at `go` is down."""
        for s in self.kernel.joined(statements, self.plan.sizes):
            match s:
                case Nest() | Call() | Batched() | Fused():
                    self._launch(s, go)
                case Loop():
                    resident = self.kernel.residents.get(id(s))
                    tiling = self.kernel.tilings.get(id(s))
                    if resident is not None and resident.pays(self.plan.sizes):
                        resident.run(self, go)
                    elif tiling is not None and tiling.pays(self.plan.sizes):
                        tiling.run(self.kernel, self, go)
                    else:
                        run_loop(s, self, go)

    def _launch(self, statement: Launched, go: int) -> None:
        if isinstance(statement, Call) and self._by_library(statement):
            return
        words = self.words(self.kernel.layout(statement), go)
        for step in self.kernel.steps(statement, self.plan.sizes):
            name = self.kernel.name(statement, step)
            for turn in range(step.turns):
                words[0] = turn
                self.device.launch(self.image, name, step.blocks, step.threads, words, self.stream)

    def _by_library(self, call: Call) -> bool:
        """Let cuBLAS make a product, if it is there and the product is worth it.

        It does not mind the go flag: what a product writes in a turn in vain is written anew before it is read.
        """
        if call.name != "gemm" or self.device.is_simulated or not pays(call, self.plan.sizes):
            return False
        library = blas()
        if library is not None:
            library.gemm(call, self.plan.sizes, self.addresses, self.device.ordinal, self.stream)
        return library is not None

    def words(self, layout: Words, go: int) -> np.ndarray:
        """The parameters of a kernel: the turn, then the words."""
        words = [0, *layout.filled(self.plan.sizes, self.addresses)]
        words[1 + STATUS], words[1 + GO] = self._word(_STATUS), go
        words[1 + SCRATCH] = self.base + self.plan.scratch
        return np.array(words, np.int64)

    # --- graphs -------------------------------------------------------------------------

    def capture(self, work: Callable[[], None]) -> int | None:
        """Return a graph of what `work` launches, without running it; None where it cannot be recorded."""
        stream = self.stream

        def onto(recording: int) -> None:
            self.stream = recording
            work()

        try:
            return self.device.capture(onto)
        finally:
            self.stream = stream

    def replay(self, graph: int) -> None:
        """Launch what a graph recorded."""
        self.device.replay(graph, self.stream)

    def forget(self, graph: int) -> None:
        """Let a graph go, whose launches have been waited for."""
        self.device.forget(graph)

    # --- flags of loops: those of a loop inside another are behind its own --------------

    def lower_flags(self) -> list[int]:
        """Set `MOST_AHEAD` + 1 flags of the loop's depth to 0; returns their addresses."""
        first = _FLAGS + self.depth * (MOST_AHEAD + 1)
        self.depth += 1
        self.device.zero(self._word(first), 8 * (MOST_AHEAD + 1), self.stream)
        return [self._word(first + k) for k in range(MOST_AHEAD + 1)]

    def read_flags(self, n: int) -> list[bool]:
        """Wait for the device and read the first n of the flags. Raises: DomainError if a kernel reported an error."""
        first = _FLAGS + (self.depth - 1) * (MOST_AHEAD + 1)
        block = self._read(first + n)
        self._raise(block)
        return [bool(word & 1) for word in block[first:].tolist()]

    def finish_flags(self) -> None:
        """Give the flags back."""
        self.depth -= 1

    # --- the record of a loop that is one kernel: one at a time runs -------------------------

    @property
    def record(self) -> int:
        """The address of the record."""
        return self._word(_record(self.kernel.program.statements))

    def read_record(self, n: int) -> np.ndarray:
        """Wait for the device and read n words of the record. Raises: DomainError if a kernel reported an error."""
        first = _record(self.kernel.program.statements)
        block = self._read(first + n)
        self._raise(block)
        return block[first:]

    def _read(self, n: int) -> np.ndarray:
        block = np.zeros(n, np.int64)
        self.device.download(self._word(0), block, self.stream)
        return block

    def _raise(self, block: np.ndarray) -> None:
        if block[_STATUS] == INDEX_OUT_OF_RANGE:
            raise DomainError("An index is out of range for its axis; every index i needs -extent <= i < extent.")

    def _word(self, k: int) -> int:
        return self.base + self.plan.control + 8 * k
