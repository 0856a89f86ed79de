"""A GPU of threads: the LLVM code that NVVM reads, compiled for the host, a thread of the system for each of CUDA's.

Barriers are the system's and warps hand each other numbers, so what the simulator leaves out is run: the emitted code,
libdevice's own functions, warps of 32 threads, several blocks that wait for each other. What is left to a GPU is what
NVIDIA's compilers make of this code.
"""

from __future__ import annotations

import ctypes
import functools
import json
import re
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import llvmlite.binding as llvm
import numpy as np

from backends.cuda import blas, device, driver, kernel, resident_run, run
from backends.cuda.compile import Code, Resources
from backends.cuda.geometry import Geometry
from tests.backends import nvvm_host
from tests.backends.cuda_driver import MODULE, STREAM, FakeDriver, Launch

LAUNCH_FAILED = 719
_BARRIER_BYTES = 64
WARP = 32


@functools.cache
def _system() -> ctypes.CDLL:
    return ctypes.CDLL(None)


@functools.cache
def _key() -> int:
    key = ctypes.c_uint()
    assert _system().pthread_key_create(ctypes.byref(key), None) == 0
    return key.value


@functools.cache
def _machine(effort: int) -> llvm.TargetMachine:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    features = llvm.get_host_cpu_features().flatten()
    return target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=features, opt=effort, jit=True)


def _object(texts: list[str], effort: int = 1) -> bytes:
    """Compile modules together with what they use of NVVM."""
    whole = llvm.parse_assembly("")
    for text in texts:
        whole.link_in(llvm.parse_assembly(text + nvvm_host.definitions(text, _key())))
    whole.triple, whole.data_layout = llvm.get_process_triple(), str(_machine(effort).target_data)
    whole.verify()
    return _machine(effort).emit_object(whole)


def _loaded(code: bytes) -> Any:
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine(1))
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    # Code stays: at the end of the process modules go in any order.
    engine._owned = True
    return engine


@functools.cache
def _libdevice() -> Any:
    """NVIDIA's functions, whose addresses all other code finds by their names."""
    text = nvvm_host.libdevice()
    engine = _loaded(_object([text], 0))
    for name in re.findall(r"^define [^@\n]*@(__nv_\w+)", text, re.MULTILINE):
        llvm.add_symbol(name, engine.get_function_address(name))
    return engine


# Small blocks of whole warps, and loops that all turn more than once.
GEOMETRY = Geometry(
    threads=64, most_blocks=3, short=4, many=64, terms_per_thread=2, most_parts=6,
    row_length=7, rows=2, product_edge=4, product_per=2, resident_blocks=3,
    batch=5, least_batches=1, shared=4096, least_tiles=2, lanes=8,
)  # fmt: skip


def as_it_is(text: str, capability: tuple[int, int]) -> str:
    """In the place of `compile.to_ptx`."""
    return text


def assemble(kernels: tuple[str, ...], text: str, capability: tuple[int, int]) -> Code:
    """In the place of `compile.assemble`: machine code of the host, behind its length and the number of parameters."""
    _libdevice()
    heads = {name: re.search(rf'^define void @"{name}"\((.*)\)', text, re.MULTILINE) for name in kernels}
    parameters = {name: found[1].count("i64 ") for name, found in heads.items() if found}
    doors = "".join(nvvm_host.opened(name, n) for name, n in parameters.items())
    data = _object([nvvm_host.translated(text) + doors]) if kernels else b""
    head = json.dumps({"parameters": parameters, "bytes": len(data)}).encode() + b"\0"
    used = {name: Resources(40, 0, 0) for name in kernels}
    return Code(capability, (13, 2), kernels, used, "", head + data if data else b"")


class Module:
    """Machine code that is loaded; every block that runs at once has shared memory, and so code, of its own."""

    def __init__(self, image: int):
        head = json.loads(ctypes.string_at(image))
        self.parameters: dict[str, int] = head["parameters"]
        start = image + len(ctypes.string_at(image)) + 1
        self._code = ctypes.string_at(start, head["bytes"])
        self._engines: list[Any] = []
        _libdevice()

    def address(self, symbol: str, block: int) -> int:
        """The address of a kernel for the block that is number `block` of those that run at once.

        There it is a function of the address of its words.
        """
        while len(self._engines) <= block:
            self._engines.append(_loaded(self._code))
        return int(self._engines[block].get_function_address(f"{symbol}.open"))


@dataclass
class Threads(FakeDriver):
    """A driver whose kernels run, on threads."""

    modules: list[Module] = field(default_factory=list)
    functions_of: dict[str, Module] = field(default_factory=dict)
    at_once: bool = False

    def _cuModuleLoadData(self, out: Any, image: int) -> None:
        self.modules.append(Module(image))
        out[0] = MODULE + 2**32 * len(self.modules)

    def _cuModuleGetFunction(self, out: Any, module: int, name: bytes) -> None:
        found = self.modules[module // 2**32 - 1]
        # Programs may have the same symbols.
        symbol = f"{module // 2**32}:{name.decode()}"
        self.functions_of[symbol] = found
        self.parameters[symbol] = found.parameters[name.decode()]
        self.symbols.append(symbol.encode())
        out[0] = MODULE + len(self.symbols)

    def _cuOccupancyMaxActiveBlocksPerMultiprocessor(self, out: Any, function: int, threads: int, shared: int) -> None:
        out[0] = 1

    def _cuLaunchKernel(self, function: int, *rest: Any) -> int:
        return self._minded(lambda: super(Threads, self)._cuLaunchKernel(function, *rest))

    def _cuLaunchCooperativeKernel(self, function: int, *rest: Any) -> int:
        def launch() -> None:
            self.at_once = True
            super(Threads, self)._cuLaunchKernel(function, *rest)

        return self._minded(launch)

    def _cuGraphLaunch(self, graph: int, stream: int) -> int:
        return self._minded(lambda: super(Threads, self)._cuGraphLaunch(graph, stream))

    def _minded(self, launch: Callable[[], None]) -> int:
        """What goes wrong in here would be lost in the C function that this is for the caller."""
        try:
            launch()
        except Exception:
            traceback.print_exc()
            return LAUNCH_FAILED
        finally:
            self.at_once = False
        return 0

    def _start(self, launch: Launch) -> None:
        super()._start(launch)
        if launch.stream != STREAM:
            run_kernel(self.functions_of[launch.name], launch, self.at_once)


@functools.cache
def _launcher() -> Any:
    engine = _loaded(_object([nvvm_host.launcher(_key())]))
    address = engine.get_function_address("launch")
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)(address)


def _barrier(threads: int) -> Any:
    """A barrier of the system for some threads: its memory."""
    memory = ctypes.create_string_buffer(_BARRIER_BYTES)
    assert _system().pthread_barrier_init(memory, None, threads) == 0
    return memory


def run_kernel(module: Module, launch: Launch, at_once: bool) -> None:
    """Run a kernel: blocks one after another, or all at once where they wait for each other."""
    groups, n = (launch.blocks if at_once else 1), launch.threads
    words = np.array(launch.words, np.int64)
    tables, names = np.zeros((groups, n, nvvm_host.WORDS), np.int64), np.zeros(groups * n, np.int64)
    slots = np.zeros((groups, n), np.int32)
    held = []
    for g in range(groups):
        block, *warps = barriers = [_barrier(n), *(_barrier(min(WARP, n - first)) for first in range(0, n, WARP))]
        held += barriers
        shared = {
            nvvm_host.THREADS: n, nvvm_host.BLOCK: g, nvvm_host.BLOCKS: launch.blocks, nvvm_host.STEP: groups,
            nvvm_host.BLOCK_BARRIER: ctypes.addressof(block), nvvm_host.SLOTS: slots[g].ctypes.data,
            nvvm_host.KERNEL: module.address(launch.name.partition(":")[2], g),
            nvvm_host.PARAMETERS: words.ctypes.data,
        }  # fmt: skip
        for word, value in shared.items():
            tables[g, :, word] = value
        tables[g, :, nvvm_host.THREAD] = np.arange(n)
        tables[g, :, nvvm_host.WARP_BARRIER] = [ctypes.addressof(warps[t // WARP]) for t in range(n)]
    # Threads that wait for ever are for whoever started the process to end: only all can go on.
    assert _launcher()(tables.ctypes.data, groups * n, names.ctypes.data) == 0


def installed(geometry: Geometry = GEOMETRY) -> ExitStack:
    """Put a GPU of threads in the place of the machine's, until the stack is closed."""
    threads = Threads()
    stack = ExitStack()
    for module in (kernel, resident_run):
        stack.enter_context(mock.patch.object(module, "to_ptx", as_it_is))
        stack.enter_context(mock.patch.object(module, "assemble", assemble))
    stack.enter_context(mock.patch.object(driver, "library_functions", threads.functions))
    for module in (run, blas):
        stack.enter_context(mock.patch.object(module, "blas", return_value=None))
    stack.enter_context(mock.patch.object(kernel, "Geometry", return_value=geometry))
    for cached in (driver.driver, device._gpu):
        cached.cache_clear()
        stack.callback(cached.cache_clear)
    return stack
