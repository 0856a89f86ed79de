"""background: builds that go on while the program does, for `sd.compile(..., wait=False)`.

Two threads build at most, whatever is asked for; the others wait their turn. Passes and schedulers are Python and
share its lock with the program, so a build pauses between its steps while a call is being answered. LLVM runs beside
both. A build ends with the process: what is left of it is given up, but for a call of LLVM, which is waited for.
"""

from __future__ import annotations

import _imp
import atexit
import contextlib
import ctypes
import gc
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from symdiff.ir import node as nodes
from symdiff.ir.graph import made_order
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node
from symdiff.loader import Graph, Loaded, Loader

WORKERS = 2
# Graphs below are built about as fast as they are interpreted: a call waits.
_QUICK = 1000
# Seconds that a build stands back for calls, between two of its steps.
_PATIENCE = 0.2
# Seconds that a fork waits for the imports of builds.
_LONGEST_IMPORT = 5.0

# What runs a graph, and what was loaded for that: see `Loader.find`. A build calls its argument between its steps.
Found = tuple[Any, Loaded | None]
Build = Callable[[Callable[[], None]], Found]


class _Stop(SystemExit):
    """The process ends; a thread that it reaches behind its last line says nothing of it."""


class _Pool:
    """The threads of this process, and the calls that they give way to."""

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.threads: list[threading.Thread] = []
        self.lock = threading.Lock()
        self.calls = 0
        self.quiet = threading.Event()
        self.quiet.set()
        self.closing = False

    def submit(self, job: Callable[[], None]) -> None:
        with self.lock:
            self.jobs.put(job)
            if len(self.threads) < WORKERS:
                thread = threading.Thread(target=self._work, name="symdiff-build", daemon=True)
                self.threads.append(thread)
                thread.start()

    def _work(self) -> None:
        try:
            while (job := self.jobs.get()) is not None and not self.closing:
                job()
        except _Stop:
            return

    def pause(self) -> None:
        """Let calls go first; not for ever, where one follows the other."""
        if self.closing:
            raise _Stop
        self.quiet.wait(_PATIENCE)

    def enter(self) -> None:
        with self.lock:
            self.calls += 1
            self.quiet.clear()

    def leave(self) -> None:
        with self.lock:
            self.calls -= 1
            if not self.calls:
                self.quiet.set()

    def close(self) -> None:
        """Stop the threads: at the next line of Python, or when LLVM returns."""
        self.closing = True
        self.quiet.set()
        said = sys.unraisablehook
        # One that hits a thread in a finaliser is lost, and sent again.
        sys.unraisablehook = lambda lost: None if lost.exc_type is _Stop else said(lost)
        for _ in self.threads:
            self.jobs.put(None)
        for thread in self.threads:
            while thread.is_alive():
                ident = ctypes.c_ulong(thread.ident or 0)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(_Stop))
                thread.join(0.05)


_pool = _Pool()


class Pending:
    """Stands in for a kernel that is being built.

    A call before it is there is answered by the interpreter if the graph is so large that building takes longer.
    """

    def __init__(self, build: Build, outputs: Sequence[Node], inputs: Sequence[Node]):
        self._build, self._outputs, self._inputs = build, tuple(outputs), tuple(inputs)
        self._found: Found | None = None
        self._error: BaseException | None = None
        self._stable: list[Node] | None = None
        # A loop is interpreted turn by turn, for which there is no telling how long it takes.
        order = made_order(outputs)
        self._waits = len(order) < _QUICK or any(n.op.name == "while_loop" for n in order)
        self._start()

    def _start(self) -> None:
        self._process, self._done = os.getpid(), threading.Event()
        _pool.submit(self._run)

    def _run(self) -> None:
        enabled = gc.isenabled()
        gc.disable()  # as in the foreground: see `compile`
        try:
            self._found = self._build(_pool.pause)
        except _Stop:
            raise
        except BaseException as error:  # raised again at the next call
            self._error = error
        finally:
            if enabled:
                gc.enable()
        self._done.set()

    @property
    def ready(self) -> bool:
        """Whether the build is over."""
        if not self._done.is_set() and self._process != os.getpid():
            self._start()  # the thread has stayed with the process that this one was forked from
        return self._done.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the build is over; returns whether it is."""
        return self.ready or self._done.wait(timeout)

    def result(self) -> Found:
        """Return what was built, waiting for it. Raises what the build raised."""
        self.wait()
        if self._error is not None:
            raise self._error
        assert self._found is not None
        return self._found

    def teach(self, *call: Any) -> None:
        """Teach the door what the kernel does."""
        self.result()[0].teach(*call)

    def __call__(
        self, arrays: Sequence[np.ndarray], sizes: Mapping[str, int], out: Sequence[np.ndarray] | None = None
    ) -> list[np.ndarray]:
        """Evaluate like the kernel; with the formulas of `stabilise`, which the kernel's code has too."""
        if self.ready or self._waits:
            return list(self.result()[0](arrays, sizes, out))
        _pool.enter()
        try:
            if self._stable is None:
                from symdiff.passes import settle, stabilise

                self._stable = stabilise(settle(self._outputs))
            values = interpret(self._stable, dict(zip(self._inputs, arrays, strict=True)))
        finally:
            _pool.leave()
        if out is None:
            return [np.array(v, dtype=f.dtype) for f, v in zip(self._outputs, values, strict=True)]
        for target, value in zip(out, values, strict=True):
            target[...] = value
        return list(out)


class Later:
    """A loader that returns at once: kernels are made in the background."""

    is_later = True

    def __init__(self, loader: Loader):
        self._loader, self.target, self.threads = loader, loader.target, loader.threads

    def load(self, roots: Sequence[Node], symbols: Sequence[Node]) -> Loaded:
        """Make a kernel now."""
        return self._loader.load(roots, symbols)

    def find(
        self, roots: Sequence[Node], symbols: Sequence[Node], mapped: Sequence[bool], lift: Callable[[], Graph]
    ) -> tuple[Pending, None]:
        """Return what stands for the kernel."""
        graph = lift()

        def build(pause: Callable[[], None]) -> Found:
            return self._loader.find(roots, symbols, mapped, lambda: graph, pause)

        return Pending(build, *graph), None


# --- forks: a child has none of the threads, and every lock must be free in it ------------------------------------

_held = contextlib.ExitStack()


def _is_importing() -> bool:
    return any(getattr(getattr(m, "__spec__", None), "_initializing", False) for m in list(sys.modules.values()))


def _hold_imports() -> None:
    """Wait until no module is half imported, and let no import begin: a child would keep the half."""
    end = time.monotonic() + _LONGEST_IMPORT
    while True:
        _imp.acquire_lock()
        # A fork at the top of a module that is being imported would wait for itself.
        if not _is_importing() or time.monotonic() > end:
            _held.callback(_imp.release_lock)
            return
        _imp.release_lock()
        time.sleep(0.001)


def _before_fork() -> None:
    if _pool.threads:
        _hold_imports()
    # llvmlite lets one thread at a time into LLVM. A lock held elsewhere at the fork would stay locked in the child.
    llvm = sys.modules.get("llvmlite.binding.ffi")
    for lock in (_pool.lock, nodes.TABLE_LOCK, *([llvm.lib._lock] if llvm is not None else [])):
        _held.enter_context(lock)


def _in_child() -> None:
    global _pool
    _held.close()
    _pool = _Pool()


os.register_at_fork(before=_before_fork, after_in_parent=_held.close, after_in_child=_in_child)
atexit.register(lambda: _pool.close())
