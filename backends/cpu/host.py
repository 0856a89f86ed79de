"""host: LLVM text to an object file, an object file to addresses; and Numba's threads.

The optimised object is what the kernel store keeps; loading it takes about a millisecond. Numba is imported
when a program first wants threads, not before.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from backends.cpu.machine import machine
from symdiff.ir.errors import CompileError

_lock = threading.Lock()


def _target(level: int) -> Any:
    import llvmlite.binding as llvm

    here = machine()
    return llvm.Target.from_triple(here.triple).create_target_machine(
        cpu=here.cpu_name, features=here.features, opt=level, reloc="pic", codemodel="small", jit=True
    )


def optimised(text: str, effort: int) -> tuple[Any, Any]:
    """Return the optimised LLVM module of a text, and the target machine to emit it with.

    `effort` 0 is for straight-line code, which the passes have made lean already: LLVM only chooses instructions,
    in a fifth of the time and without a measurable loss. 2 is for loops; 1 for programs too large for 2.
    """
    import llvmlite.binding as llvm

    target = _target(effort)
    module = llvm.parse_assembly(text)
    module.data_layout = str(target.target_data)
    module.verify()
    if effort > 0:
        tuning = llvm.create_pipeline_tuning_options(speed_level=effort)
        # Lanes are explicit; LLVM's own vectoriser would only change rounding between positions.
        tuning.slp_vectorization = False
        tuning.loop_vectorization = False
        builder = llvm.create_pass_builder(target, tuning)
        builder.getModulePassManager().run(module, builder)
    return module, target


def build_object(text: str, effort: int) -> bytes:
    """Compile LLVM text to an object file."""
    with _lock:
        module, target = optimised(text, effort)
        return target.emit_object(module)


class Library:
    """A loaded object file; `address` gives its functions. The code lives as long as this object."""

    def __init__(self, data: bytes, symbols: Iterable[str]):
        import llvmlite.binding as llvm

        for symbol in symbols:
            address = resolve(symbol)
            if address:
                llvm.add_symbol(symbol, address)
        with _lock:
            self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target(1))
            self._engine.add_object_file(llvm.object_file.ObjectFileRef.from_data(data))
            self._engine.finalize_object()

    def address(self, name: str) -> int:
        """The address of a function."""
        return self._engine.get_function_address(name)


def resolve(symbol: str) -> int | None:
    """Return the address of a library routine, or None for one that LLVM finds by itself (libm, libmvec).

    Raises CompileError for a symbol that nobody has: LLVM would end the process at it.
    """
    import llvmlite.binding as llvm

    room, dot, name = symbol.partition(".")
    if dot and room in ("blas", "lapack"):
        return _capsule(f"scipy.linalg.cython_{room}", name)
    if dot and room == "scipy":
        return _capsule("scipy.special.cython_special", f"__pyx_fuse_1{name}")
    if llvm.address_of_symbol(symbol):
        return None
    try:
        return ctypes.cast(getattr(ctypes.pythonapi, symbol), ctypes.c_void_p).value
    except AttributeError:
        raise CompileError(f"The C function {symbol!r} is not in this process's libraries.") from None


@functools.cache
def _capsule(module: str, name: str) -> int:
    """The address in one of the capsules that Cython modules export."""
    import importlib

    capsule = importlib.import_module(module).__pyx_capi__[name]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return int(api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule)))


# --- threads ------------------------------------------------------------------

_forked = False


def _after_fork() -> None:
    # OpenMP's threads do not survive a fork, and a parallel region in the child would end it: run serially there.
    # A lock that another thread held at the fork stays locked in the child for ever.
    global _forked, _lock
    _forked = True
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def parallel_for_address(n_threads: int | None) -> int:
    """Return the address of `parallel_for(task, n, context)`, or 0 where one thread is all there is.

    None stands for Numba's own number of threads: NUMBA_NUM_THREADS, or the cores there are.
    """
    if n_threads == 1 or _forked or machine().cores == 1:
        return 0
    from backends.cpu.threads import parallel_for

    return parallel_for.address


_one_at_a_time = threading.Lock()


@functools.cache
def _needs_lock() -> bool:
    """Whether Numba runs on its own "workqueue", which ends the process when two threads use it at once."""
    import numba

    numba.get_num_threads()  # starts the threads; the layer is chosen then
    return numba.threading_layer() == "workqueue"


@contextlib.contextmanager
def threads_of(n_threads: int | None) -> Iterator[int]:
    """Let Numba use `n_threads` threads inside the block, at most as many as it started; None leaves it as it is.

    Gives the address of `parallel_for`, or 0 where the call is to run on its own thread.
    """
    address = parallel_for_address(n_threads)
    if not address:
        yield 0
        return
    import numba

    locked = _needs_lock()
    if locked and not _one_at_a_time.acquire(blocking=False):
        # Results do not depend on the number of threads, so there is no need to wait.
        yield 0
        return
    before = numba.get_num_threads()
    try:
        if n_threads is not None:
            numba.set_num_threads(min(n_threads, numba.config.NUMBA_NUM_THREADS))
        yield address
    finally:
        numba.set_num_threads(before)
        if locked:
            _one_at_a_time.release()
