"""A CUDA driver in Python: C functions with the driver's signatures, memory of the host, and a list of what was asked.

Kernels are not run: they are noted with their parameters. What a test wants to go wrong is set beforehand.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import symdiff as sd
from backends.cuda.compile import Code, Resources
from backends.cuda.driver import SIGNATURES
from backends.cuda.kernel import Kernel

CONTEXT, POOL, MODULE, EVENT, STREAM, GRAPH = 0x100, 0x200, 0x300, 0x400, 0x500, 0x600
OUT_OF_MEMORY = 2
NAMES = {2: b"CUDA_ERROR_OUT_OF_MEMORY", 3: b"CUDA_ERROR_NOT_INITIALIZED", 719: b"CUDA_ERROR_LAUNCH_FAILED"}


@dataclass
class Launch:
    """A kernel that was started."""

    name: str
    blocks: int
    threads: int
    stream: int
    words: list[int]


def aligned(n_bytes: int) -> np.ndarray:
    """Memory that begins where memory of a GPU may begin."""
    whole = np.zeros(n_bytes + 256, np.uint8)
    return whole[-whole.ctypes.data % 256 :][:n_bytes]


@dataclass
class FakeDriver:
    """A machine with GPUs. `status` makes functions fail; `free` is what the system has beside the pool.

    `on_launch` is called for every kernel that starts; those on the stream that is captured start with their graph.
    """

    n_gpus: int = 1
    name: str = "NVIDIA H200"
    version: int = 13020
    free: int = 2**30
    attributes: dict[int, int] = field(default_factory=lambda: {16: 132, 75: 9, 76: 0, 115: 1})
    status: dict[str, int] = field(default_factory=dict)
    log: list[tuple[Any, ...]] = field(default_factory=list)
    launches: list[Launch] = field(default_factory=list)
    held: dict[int, np.ndarray] = field(default_factory=dict)
    reserved: int = 0
    contexts: list[int] = field(default_factory=list)
    symbols: list[bytes] = field(default_factory=list)
    parameters: dict[str, int] = field(default_factory=dict)
    on_launch: Callable[[Launch], None] = lambda launch: None
    captured: list[Launch] | None = None
    graphs: list[list[Launch]] = field(default_factory=list)

    def functions(self) -> dict[str, Any]:
        """The driver's functions, which take C arguments."""
        made = {name: ctypes.CFUNCTYPE(ctypes.c_int, *types) for name, types in SIGNATURES.items()}
        return {name: kind(self._function(name.partition("_v")[0])) for name, kind in made.items()}

    def asked(self, name: str) -> list[tuple[Any, ...]]:
        """The plain numbers among the arguments of every call of a function."""
        return [entry[1:] for entry in self.log if entry[0] == name]

    @property
    def used(self) -> int:
        """The bytes that are allocated."""
        return sum(a.nbytes for a in self.held.values())

    def _function(self, name: str) -> Callable[..., int]:
        answer = getattr(self, f"_{name}", None)

        def function(*args: Any) -> int:
            if name in self.status:
                return self.status[name]
            self.log.append((name, *(a for a in args if isinstance(a, int))))
            return int((answer(*args) if answer else 0) or 0)

        return function

    # --- what functions answer: pointers come as pointers, all else as numbers --------------

    def _cuDriverGetVersion(self, out: Any) -> None:
        out[0] = self.version

    def _cuGetErrorName(self, status: int, out: Any) -> None:
        out[0] = NAMES.get(status, b"CUDA_ERROR_UNKNOWN")

    def _cuDeviceGetCount(self, out: Any) -> None:
        out[0] = self.n_gpus

    def _cuDeviceGet(self, out: Any, ordinal: int) -> None:
        out[0] = ordinal

    def _cuDeviceGetName(self, text: int, size: int, device: int) -> None:
        ctypes.memmove(text, self.name.encode() + b"\0", len(self.name) + 1)

    def _cuDeviceGetAttribute(self, out: Any, which: int, device: int) -> None:
        out[0] = self.attributes[which]

    def _cuDevicePrimaryCtxRetain(self, out: Any, device: int) -> None:
        out[0] = CONTEXT + device

    def _cuCtxGetCurrent(self, out: Any) -> None:
        out[0] = self.contexts[-1] if self.contexts else None

    def _cuCtxGetDevice(self, out: Any) -> None:
        out[0] = self.contexts[-1] - CONTEXT

    def _cuCtxPushCurrent(self, context: int) -> None:
        self.contexts.append(context)

    def _cuCtxPopCurrent(self, out: Any) -> None:
        out[0] = self.contexts.pop()

    def _cuMemGetInfo(self, free: Any, total: Any) -> None:
        free[0], total[0] = self.free, self.free + self.reserved

    def _cuMemPoolCreate(self, out: Any, props: int) -> None:
        out[0] = POOL

    def _cuMemPoolGetAttribute(self, pool: int, which: int, value: int) -> None:
        ctypes.c_uint64.from_address(value).value = {5: self.reserved, 7: self.used}[which]

    def _cuMemPoolTrimTo(self, pool: int, least: int) -> None:
        self.free, self.reserved = self.free + self.reserved - self.used, self.used

    def _cuMemAllocFromPoolAsync(self, out: Any, n_bytes: int, pool: int, stream: int) -> int:
        array = aligned(n_bytes)
        grown = max(self.used + n_bytes - self.reserved, 0)
        if grown > self.free:
            return OUT_OF_MEMORY
        self.free, self.reserved = self.free - grown, self.reserved + grown
        self.held[array.ctypes.data] = array
        out[0] = array.ctypes.data
        return 0

    def _cuMemFreeAsync(self, address: int, stream: int) -> None:
        del self.held[address]

    def _cuMemcpyHtoDAsync(self, to: int, at: int, n_bytes: int, stream: int) -> None:
        ctypes.memmove(to, at, n_bytes)

    _cuMemcpyDtoHAsync = _cuMemcpyDtoDAsync = _cuMemcpyHtoDAsync

    def _cuMemsetD8Async(self, at: int, value: int, n_bytes: int, stream: int) -> None:
        ctypes.memset(at, value, n_bytes)

    def _cuPointerGetAttribute(self, out: int, which: int, address: int) -> None:
        ctypes.c_int.from_address(out).value = 0

    def _cuModuleLoadData(self, out: Any, image: int) -> None:
        out[0] = MODULE

    def _cuModuleGetFunction(self, out: Any, module: int, name: bytes) -> None:
        self.symbols.append(name)
        out[0] = MODULE + len(self.symbols)

    def _cuEventCreate(self, out: Any, flags: int) -> None:
        out[0] = EVENT

    def _cuLaunchKernel(self, function: int, *rest: Any) -> None:
        blocks, _, _, threads, _, _, _, stream, pointers = rest[:9]
        name = self.symbols[function - MODULE - 1].decode()
        places = (ctypes.c_uint64 * self.parameters[name]).from_address(pointers)
        words = [ctypes.c_int64.from_address(p).value for p in places]
        self._start(Launch(name, blocks, threads, stream, words))

    def _start(self, launch: Launch) -> None:
        if launch.stream == STREAM:
            assert self.captured is not None
            self.captured.append(launch)
            return
        self.launches.append(launch)
        self.on_launch(launch)

    def _cuStreamCreate(self, out: Any, flags: int) -> None:
        out[0] = STREAM

    def _cuStreamBeginCapture(self, stream: int, mode: int) -> None:
        assert stream == STREAM
        self.captured = []

    def _cuStreamEndCapture(self, stream: int, out: Any) -> None:
        assert stream == STREAM
        assert self.captured is not None
        self.graphs.append(self.captured)
        self.captured = None
        out[0] = GRAPH + len(self.graphs)

    def _cuGraphInstantiateWithFlags(self, out: Any, graph: int, flags: int) -> None:
        out[0] = graph

    def _cuGraphLaunch(self, graph: int, stream: int) -> None:
        for launch in self.graphs[graph - GRAPH - 1]:
            self._start(replace(launch, stream=stream))


def fake_code(self: Kernel, capability: tuple[int, int], names: Sequence[str]) -> Code:
    """Code without machine code: kernels have their own names as symbols."""
    used = {name: Resources(40, 0, 0) for name in names}
    return Code(capability, (13, 2), tuple(names), used, "", b"cubin")


def compiled(fake: FakeDriver, outputs: Any, inputs: Any) -> Any:
    fn = sd.compile(outputs, inputs, target="cuda")
    know(fake, fn.kernel)
    return fn


def know(fake: FakeDriver, kernel: Kernel) -> None:
    """Tell the driver how many parameters kernels have."""
    fake.parameters |= {name: 1 + kernel.layout(s).count for name, (s, _) in kernel.kernels.items()}
