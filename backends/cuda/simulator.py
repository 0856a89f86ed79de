"""simulator: numba-cuda's simulator with the methods of `device.Gpu`: memory is NumPy's, threads are Python's.

Memory is looked up by the address where an array begins, so a kernel that leaves its array is an IndexError.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from backends.cuda.memory import Plan

Kernels = Mapping[str, Callable[..., None]]


def is_simulated() -> bool:
    """Whether kernels run in numba-cuda's simulator, on the CPU: NUMBA_ENABLE_CUDASIM=1."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")


class Simulator:
    """A GPU that is none; make one with `simulator()`. Calls run one after another: streams have no meaning."""

    is_simulated = True
    name, ordinal, capability, multiprocessors = "numba-cuda's simulator", 0, (9, 0), 1

    def __init__(self) -> None:
        self.memory: dict[int, np.ndarray] = {}
        self._graphs: dict[int, list[Callable[[], None]]] = {}
        self._captured: list[Callable[[], None]] | None = None

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        yield

    def free_bytes(self, needed: int) -> tuple[int, int]:
        """What the process may still take is the operating system's to say."""
        return needed, needed

    def allocate(self, n_bytes: int, stream: int) -> int:
        array = np.zeros(n_bytes, np.uint8)
        self.memory[array.ctypes.data] = array
        return array.ctypes.data

    def free(self, address: int, stream: int) -> None:
        end = address + self.memory[address].nbytes
        for place in [p for p in self.memory if address <= p < end]:
            del self.memory[place]

    def know(self, base: int, plan: Plan, arrays: Sequence[Any]) -> None:
        """Note what lies where in the memory of a call, and the arrays that others hold."""
        whole = self.memory[base]
        places = [(plan.offsets[i], max(plan.n_bytes[i], 8)) for i in plan.offsets]
        places += [(plan.control + k, plan.control_bytes - k) for k in range(8, plan.control_bytes, 8)]
        places += [(plan.record + k, plan.record_bytes - k) for k in range(0, plan.record_bytes, 8)]
        for offset, n in (*places, (plan.scratch, max(plan.scratch_bytes, 8))):
            known = self.memory.get(base + offset)
            # Of buffers that use one slot in turn, the largest.
            if known is None or known.nbytes < n:
                self.memory[base + offset] = whole[offset : offset + n]
        for a in arrays:
            if a.nbytes and a.address not in self.memory:
                held = (ctypes.c_uint8 * a.nbytes).from_address(a.address)
                self.memory[a.address] = np.frombuffer(held, np.uint8)

    def upload(self, address: int, array: np.ndarray, stream: int) -> None:
        self.memory[address][: array.nbytes] = array.reshape(-1).view(np.uint8)

    def download(self, address: int, array: np.ndarray, stream: int) -> None:
        if array.nbytes:
            array.reshape(-1).view(np.uint8)[...] = self.memory[address][: array.nbytes]

    def copy(self, to: int, address: int, n_bytes: int, stream: int) -> None:
        def copy() -> None:
            self.memory[to][:n_bytes] = self.memory[address][:n_bytes]

        if n_bytes:
            self._now_or_later(copy)

    def zero(self, address: int, n_bytes: int, stream: int) -> None:
        self.memory[address][:n_bytes] = 0

    def synchronise(self, stream: int) -> None:
        """Everything is done when it is asked for."""

    def wait(self, stream: int, other: int) -> None:
        """Everything is done when it is asked for."""

    def launch(
        self,
        image: Kernels,
        name: str,
        blocks: int,
        threads: int,
        words: np.ndarray,
        stream: int,
        together: bool = False,
    ) -> None:
        from numba import cuda

        turn, *rest = words.tolist()

        def run() -> None:
            with warnings.catch_warnings():
                # Numba warns of small grids: small arrays are no mistake.
                warnings.simplefilter("ignore")
                cuda.jit(image[name])[blocks, threads](turn, tuple(rest))

        self._now_or_later(run)

    def capture(self, work: Callable[[int], None]) -> int:
        """Keep what `work` puts on a stream, without running it."""
        self._captured = []
        try:
            work(0)
            self._graphs[len(self._graphs)] = self._captured
        finally:
            self._captured = None
        return len(self._graphs) - 1

    def replay(self, graph: int, stream: int) -> None:
        for work in self._graphs[graph]:
            work()

    def forget(self, graph: int) -> None:
        self._graphs[graph] = []

    def _now_or_later(self, work: Callable[[], None]) -> None:
        if self._captured is None:
            work()
        else:
            self._captured.append(work)

    def most_together(self, image: Kernels, name: str, threads: int) -> int:
        """Blocks run one after another here, so none may wait for another one."""
        return 1


@functools.cache
def simulator() -> Simulator:
    """Return the simulator of this process."""
    return Simulator()
