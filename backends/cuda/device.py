"""device: one GPU: its memory, its kernels, and what it says of itself. `simulator.Simulator` has the same methods.

Memory comes from a pool of its own that keeps what is freed, so calls of the same sizes ask the system once; another
library's arrays are never in it. Work is put on streams and in the order of its stream.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from backends.cuda.compile import Code
from backends.cuda.driver import Driver, driver
from backends.cuda.memory import Plan
from backends.cuda.words import MOST_WORDS
from symdiff.ir.errors import CapacityError, CompileError

OLDEST = (8, 0)
"""The least compute capability that kernels are made for."""

# The stream that waits for all others that do not ask to be left alone, and they for it.
LEGACY = 1

# CUdevice_attribute, CUpointer_attribute, CUmemPool_attribute and CUfunction_attribute by their numbers in cuda.h.
_MULTIPROCESSORS, _MAJOR, _MINOR, _POOLS = 16, 75, 76, 115
_POINTER_ORDINAL = 9
_RELEASE_THRESHOLD, _RESERVED, _USED = 4, 5, 7
_DISABLE_TIMING = 2
# CUstream_flags and CUstreamCaptureMode.
_NON_BLOCKING, _RELAXED = 1, 2


class _PoolProps(ctypes.Structure):
    """CUmemPoolProps of cuda.h: allocations on a device, for this process only."""

    _fields_ = [
        ("kind", ctypes.c_int),
        ("handles", ctypes.c_int),
        ("place", ctypes.c_int),
        ("ordinal", ctypes.c_int),
        ("security", ctypes.c_void_p),
        ("most", ctypes.c_size_t),
        ("rest", ctypes.c_ubyte * 56),
    ]


_PINNED, _ON_DEVICE = 1, 1


Image = Mapping[str, int]
"""Kernels on a device: the handles of their functions by name."""


class Gpu:
    """A GPU of this machine; make one with `gpu()`. Several threads may use it."""

    is_simulated = False

    def __init__(self, found: Driver, ordinal: int):
        self.driver, self.ordinal = found, ordinal
        device = found.number("cuDeviceGet", ordinal)
        text = ctypes.create_string_buffer(256)
        found.call("cuDeviceGetName", text, len(text), device)
        self.name = text.value.decode(errors="replace")
        self.capability = (self._attribute(_MAJOR, device), self._attribute(_MINOR, device))
        self.multiprocessors = self._attribute(_MULTIPROCESSORS, device)
        if self.capability < OLDEST:
            raise CompileError(
                f"The GPU {self.name} has compute capability {_dotted(self.capability)}, and target='cuda' makes "
                f"kernels for {_dotted(OLDEST)} (Ampere) and later; use target='cpu'."
            )
        if not self._attribute(_POOLS, device):
            raise CompileError(f"The GPU {self.name} has no memory pools, as on some virtual GPUs; use target='cpu'.")
        self._local = threading.local()
        # The context that CuPy, PyTorch, JAX and Numba use too.
        self._context = found.handle("cuDevicePrimaryCtxRetain", device)
        with self.active():
            self._pool = self._new_pool()

    def _attribute(self, which: int, device: int) -> int:
        return self.driver.number("cuDeviceGetAttribute", which, device)

    def _new_pool(self) -> int:
        props = _PoolProps(kind=_PINNED, place=_ON_DEVICE, ordinal=self.ordinal)
        pool = self.driver.handle("cuMemPoolCreate", ctypes.byref(props))
        everything = ctypes.c_uint64(2**64 - 1)
        self.driver.call("cuMemPoolSetAttribute", pool, _RELEASE_THRESHOLD, ctypes.byref(everything))
        return pool

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Make this GPU's context that of the thread for a while."""
        self.driver.call("cuCtxPushCurrent_v2", self._context)
        try:
            yield
        finally:
            self.driver.handle("cuCtxPopCurrent_v2")

    # --- memory ------------------------------------------------------------------

    def free_bytes(self, needed: int) -> tuple[int, int]:
        """The bytes that can be had, those kept in the pool among them, and the bytes of the whole GPU.

        Where the pool has all that is needed, the system is not asked, which takes longer than a launch.
        """
        pooled = self._pooled(_RESERVED) - self._pooled(_USED)
        if needed <= pooled:
            return pooled, pooled
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self.driver.call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return free.value + pooled, total.value

    def _pooled(self, which: int) -> int:
        out = ctypes.c_uint64()
        self.driver.call("cuMemPoolGetAttribute", self._pool, which, ctypes.byref(out))
        return out.value

    def allocate(self, n_bytes: int, stream: int) -> int:
        """Take memory for work on a stream; what the pool keeps in pieces too small goes back first if need be."""
        try:
            return self.driver.address("cuMemAllocFromPoolAsync", n_bytes, self._pool, stream)
        except CapacityError:
            self.driver.call("cuStreamSynchronize", stream)
            self.driver.call("cuMemPoolTrimTo", self._pool, 0)
            return self.driver.address("cuMemAllocFromPoolAsync", n_bytes, self._pool, stream)

    def free(self, address: int, stream: int) -> None:
        """Give memory back when the work on a stream up to now is done."""
        self.driver.call("cuMemFreeAsync", address, stream)

    def upload(self, address: int, array: np.ndarray, stream: int) -> None:
        """Copy a C-contiguous array to the device; it may change after the return unless it is page-locked."""
        if array.nbytes:
            self.driver.call("cuMemcpyHtoDAsync_v2", address, array.ctypes.data, array.nbytes, stream)

    def download(self, address: int, array: np.ndarray, stream: int) -> None:
        """Copy to a C-contiguous array when the work on the stream is done, and wait for it."""
        if array.nbytes:
            self.driver.call("cuMemcpyDtoHAsync_v2", array.ctypes.data, address, array.nbytes, stream)
        self.synchronise(stream)

    def copy(self, to: int, address: int, n_bytes: int, stream: int) -> None:
        """Copy on the device."""
        if n_bytes:
            self.driver.call("cuMemcpyDtoDAsync_v2", to, address, n_bytes, stream)

    def zero(self, address: int, n_bytes: int, stream: int) -> None:
        """Set bytes to 0."""
        if n_bytes:
            self.driver.call("cuMemsetD8Async", address, 0, n_bytes, stream)

    def know(self, base: int, plan: Plan, arrays: Sequence[Any]) -> None:
        """A GPU needs not be told what lies where."""

    # --- streams -------------------------------------------------------------------

    def synchronise(self, stream: int) -> None:
        """Wait for the work on a stream. Raises: CompileError for a kernel that failed."""
        self.driver.call("cuStreamSynchronize", stream)

    def wait(self, stream: int, other: int) -> None:
        """Let a stream wait for the work that is on another by now."""
        if stream == other:
            return
        event = self.driver.handle("cuEventCreate", _DISABLE_TIMING)
        self.driver.call("cuEventRecord", event, other)
        self.driver.call("cuStreamWaitEvent", stream, event, 0)
        self.driver.call("cuEventDestroy_v2", event)

    # --- kernels -------------------------------------------------------------------

    def load(self, code: Code) -> dict[str, int]:
        """Load compiled kernels. Raises: CompileError for a driver that is older than what compiled them."""
        if not code.cubin:
            return {}
        version = self.driver.number("cuDriverGetVersion")
        if version // 1000 < code.release[0]:
            raise CompileError(
                f"The driver of {self.name} is for CUDA {version // 1000}.{version % 1000 // 10}, and the kernels are "
                f"compiled by CUDA {code.release[0]}.{code.release[1]}. Install a newer driver, or "
                f"pip install 'numba-cuda[cu{version // 1000}]'."
            )
        module = self.driver.handle("cuModuleLoadData", code.cubin)
        return {name: self.driver.handle("cuModuleGetFunction", module, name.encode()) for name in code.kernels}

    def launch(
        self, image: Image, name: str, blocks: int, threads: int, words: np.ndarray, stream: int, together: bool = False
    ) -> None:
        """Start a kernel whose parameters are 64-bit words, which may change after the return.

        Blocks that run `together` may wait for each other: no more than `most_together`.
        """
        function, at = image[name], self._parameters(words)
        shape = (blocks, 1, 1, threads, 1, 1, 0)
        if together:
            self.driver.call("cuLaunchCooperativeKernel", function, *shape, stream, at)
        else:
            self.driver.call("cuLaunchKernel", function, *shape, stream, at, None)

    def _parameters(self, words: np.ndarray) -> int:
        """The address of the parameters' addresses, which stay the same for a thread: words are copied there."""
        held = getattr(self._local, "parameters", None)
        if held is None:
            space = np.zeros(1 + MOST_WORDS, np.int64)
            places = space.ctypes.data + 8 * np.arange(len(space), dtype=np.uint64)
            held = self._local.parameters = (space, places, places.ctypes.data)
        held[0][: len(words)] = words
        return held[2]

    # --- graphs: launches that are made again and again ---------------------------------

    def capture(self, work: Callable[[int], None]) -> int | None:
        """Return a graph of what `work(stream)` puts on a stream, without running it; None if it cannot be recorded.

        A stream of its own takes it, for the legacy stream cannot be recorded.
        """
        if not hasattr(self._local, "stream"):
            self._local.stream = self.driver.handle("cuStreamCreate", _NON_BLOCKING)
        stream, recorded = self._local.stream, ctypes.c_void_p()
        self.driver.call("cuStreamBeginCapture_v2", stream, _RELAXED)
        try:
            # Not all that a library does can be recorded, and a graph takes memory.
            with contextlib.suppress(CompileError, CapacityError):
                try:
                    work(stream)
                finally:
                    self.driver.call("cuStreamEndCapture", stream, ctypes.byref(recorded))
                return self.driver.handle("cuGraphInstantiateWithFlags", recorded, 0)
            return None
        finally:
            if recorded.value:
                self.driver.call("cuGraphDestroy", recorded)

    def replay(self, graph: int, stream: int) -> None:
        """Put what a graph recorded on a stream."""
        self.driver.call("cuGraphLaunch", graph, stream)

    def forget(self, graph: int) -> None:
        """Let a graph go."""
        self.driver.call("cuGraphExecDestroy", graph)

    def most_together(self, image: Image, name: str, threads: int) -> int:
        """The blocks of so many threads that run at the same time."""
        function = image[name]
        each = self.driver.number("cuOccupancyMaxActiveBlocksPerMultiprocessor", function, threads, 0)
        return each * self.multiprocessors


def _dotted(capability: tuple[int, int]) -> str:
    return ".".join(map(str, capability))


_lock = threading.Lock()


@functools.cache
def _gpu(ordinal: int) -> Gpu:
    return Gpu(driver(), ordinal)


def gpu(ordinal: int | None = None) -> Gpu:
    """Return a GPU by its number; without one, that of the thread's context, or the first.

    Raises: CompileError without a driver, without a GPU, or for one that is too old.
    """
    if ordinal is None:
        found = driver()
        ordinal = found.number("cuCtxGetDevice") if found.handle("cuCtxGetCurrent") else 0
    with _lock:
        return _gpu(ordinal)


def ordinal_of(address: int) -> int:
    """The number of the GPU that an address lies on. Raises: CompileError for an address on none."""
    out = ctypes.c_int()
    driver().call("cuPointerGetAttribute", ctypes.byref(out), _POINTER_ORDINAL, address)
    return out.value
