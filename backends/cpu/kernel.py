"""Kernel: a program compiled for this CPU, called with arrays.

Compiled objects come from the kernel store when an equal program was compiled before, by any process.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import json
import math
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backends.cpu import trials
from backends.cpu.body import body_weight
from backends.cpu.codegen import PARALLEL_NANOSECONDS, codegen, layout_of
from backends.cpu.door import Door, Look, door
from backends.cpu.door_table import RELEASES, THREADED
from backends.cpu.gemm import NANOSECONDS
from backends.cpu.host import Library, build_object, optimised
from backends.cpu.layout import ALIGN, ARENA, CALLBACK_FAILED, INDEX_OUT_OF_RANGE, PARALLEL_FOR, STATUS, THREADS
from backends.cpu.machine import machine
from backends.cpu.threads import default_threads, parallel_for_address
from backends.cpu.tiles import Placed, Tile, place, shortlist
from backends.store import KernelStore, kernel_key
from symdiff.ir.dims import evaluate, product
from symdiff.ir.errors import CompileError, DomainError
from symdiff.program import memory, native, planes, reach
from symdiff.program.estimate import Estimate
from symdiff.program.ir import Call, Nest, Program, Rows, Statement, Sweep, walk
from symdiff.program.rows import in_rows
from symdiff.program.sweep import with_sweeps

# Operations: below, optimising costs nothing worth saving; above, LLVM's passes take longer than the program is worth.
_SMALL, _LARGE = 300, 20_000
# A nest of this many points runs too briefly for its loop to matter.
_FEW_POINTS = 64

# Run-time sizes that are remembered.
_MOST_PLANS = 256
# Nanoseconds of work from which on a call lets other Python threads run; handing the lock over takes a tenth of it.
LONG_NANOSECONDS = 5_000.0
# Arenas up to this size are taken anew for every call by the door.
_LARGEST_ARENA = 2**20

_Entry = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_Trial = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a call needs for given run-time sizes; `context` is the table with all that is known before."""

    context: np.ndarray
    results: tuple[tuple[int, ...], ...]
    arena_bytes: int
    may_use_threads: bool
    is_long: bool
    tiles: tuple[Tile, ...] = ()
    placed: Placed | None = None


# An array object holds the address of its data right behind the object header (numpy/ndarraytypes.h). Reading it
# there takes a tenth of the time of `__array_interface__`, which builds a dict.
_HEADER = object.__basicsize__
_read = ctypes.c_int64.from_address
_probe = np.empty(1)
_is_behind_header = sys.implementation.name == "cpython" and _read(id(_probe) + _HEADER).value == _probe.ctypes.data


def _address(array: np.ndarray) -> int:
    """The address of an array's data."""
    return _read(id(array) + _HEADER).value if _is_behind_header else array.ctypes.data


class Kernel:
    """A compiled program. `address` is that of `void entry(context)`; `store` is by default that of the process."""

    def __init__(self, program: Program, threads: int | None = None, store: KernelStore | None = None):
        self.program = program = in_rows(with_sweeps(program))
        self._sweeps = tuple(s for s in program.statements if isinstance(s, Sweep))
        self.layout, _ = layout_of(program)
        self.threads = default_threads() if threads is None else threads
        self.text = str(program)
        self._store = _store() if store is None else store
        data, self.from_store = self._store.get_or_build(self.key, self._build)
        head, _, code = data.partition(b"\0")
        self.code = code
        self._library = Library(code, json.loads(head))
        self.address = self._library.address("entry")
        self._entry = _Entry(self.address)
        self._plans: dict[tuple[int, ...], _Plan] = {}
        calls = [s for s in walk(program.statements) if isinstance(s, Call)]
        self._callbacks = tuple(dict.fromkeys(c.callback for c in calls if c.callback is not None))
        self._local = threading.local()

    @property
    def key(self) -> str:
        """The content hash under which the object is stored."""
        return kernel_key(self.text, machine().key, _code_version())

    def _build(self) -> bytes:
        text, symbols = self._llvm()
        return json.dumps(symbols).encode() + b"\0" + build_object(text, self.effort)

    def _llvm(self) -> tuple[str, list[str]]:
        module, _ = codegen(self.program)
        return str(module), module.externals()

    @property
    def effort(self) -> int:
        """How hard LLVM should try: see `host.optimised`."""
        statements = list(walk(self.program.statements))
        nests = [s for s in statements if isinstance(s, Nest)]
        operations = sum(len(n.body) for n in nests)
        # Plain numbers run once through straight-line code: nothing to optimise, and a prompt waits for the answer.
        plain = all(isinstance(s, Nest) and not s.space for s in statements)
        if operations > _LARGE or plain:
            return 0
        points = [product(n.space) for n in nests]
        brief = all(isinstance(p, int) and p <= _FEW_POINTS for p in points)
        if brief and operations > _SMALL:
            return 0
        # Known sizes decide at once which of a nest's ways are taken; what is left goes into one function.
        return 1 if self.program.sizes else 2

    def door(self, n_in: int, n_out: int, form: str) -> Door | None:
        """The fast way in for calls like earlier ones, of this kernel and others; None where there is none."""
        return door(n_in, n_out, form)

    def teach(self, way_in: Door, inputs: Sequence[Look], outputs: Sequence[Look], sizes: Mapping[str, int]) -> None:
        """Teach a door the calls that look like this one, which went through."""
        plan = self._plan(sizes)
        # What calls Python needs its lock and may come back here; large arenas and tiles are kept from call to call.
        if self._callbacks or plan.arena_bytes > _LARGEST_ARENA or plan.placed is not None:
            return
        context, first = plan.context.copy(), ARENA + 1 + len(self.program.sizes)
        data = [_address(a) for a in self.program.data]
        first_data = first + len(inputs)
        context[first_data : first_data + len(data)] = data
        mode = RELEASES * plan.is_long | THREADED * plan.may_use_threads
        way_in.learn(inputs, outputs, self.address, mode, plan.arena_bytes, context, first, first_data + len(data))

    def facts(self) -> dict[str, str]:
        """What `Function.explain` tells of the code."""
        here = machine()
        rule = f"nests of more than {PARALLEL_NANOSECONDS / 1000:.0f} us of work, in blocks that depend on sizes only"
        return {
            "object": f"{len(self.code)} bytes, {'from the kernel store' if self.from_store else 'compiled now'}",
            "LLVM effort": str(self.effort),
            "lanes": f"{here.lanes_f64} float64, {here.cpu_name}, vector maths: {here.vector_library or 'none'}",
            "threads": "one" if self.threads == 1 else f"{rule}; {self.threads or 'all'} threads",
        }

    def estimates(self, sizes: Mapping[str, int]) -> tuple[Estimate | None, dict[int, Estimate]]:
        """The least that a run takes for these sizes, or None where loops make turns; its statements by identity."""
        from backends.cpu.limits import limits

        plan, program = self._plan(sizes), self.program
        most = limits(self.threads if plan.may_use_threads else 1)
        counted = [s for s in walk(program.statements) if isinstance(s, Nest) or _is_product(s)]
        found = {id(s): most.of_statement(s, program, sizes, plan.arena_bytes) for s in counted}
        for s, tile in zip(self._sweeps, plan.tiles, strict=True):
            if tile.depth:
                found[id(s)] = most.of_sweep(s, tile.depth, tile.widths, program, sizes, plan.arena_bytes)
        whole = all(isinstance(s, (Nest, Rows)) or _is_product(s) for s in program.statements)
        return most.of_program(program, sizes, plan.arena_bytes) if whole else None, found

    def njit(self, names: Sequence[str], single: bool) -> Any:
        """The function for the user's own Numba code, taking arguments of these names. Imports Numba."""
        from backends.cpu.numba_door import njit

        if self._callbacks:
            named = ", ".join(repr(c.name) for c in self._callbacks)
            raise CompileError(f"A function that calls Python ({named}) cannot be used inside njit.")
        return njit(self, names, single)

    def inspect(self, what: str) -> str:
        """Return the optimised LLVM text or the machine code as assembly."""
        if what not in ("llvm", "asm"):
            raise CompileError(f"target='cpu' has 'llvm' and 'asm', and no {what!r}; use target='cuda'.")
        module, target = optimised(self._llvm()[0], self.effort)
        return str(module) if what == "llvm" else target.emit_assembly(module)

    def __call__(
        self, arrays: Sequence[np.ndarray], sizes: Mapping[str, int], out: Sequence[np.ndarray] | None = None
    ) -> list[np.ndarray]:
        """Run on C-contiguous arrays in the order of the program's inputs; returns the outputs.

        Raises DomainError when an index was out of range; the outputs are then not to be used.
        """
        plan = self._plan(sizes)
        if out is None:
            out = [np.empty(shape, b.dtype) for shape, b in zip(plan.results, self.program.outputs, strict=True)]
        self._run(plan, arrays, out)
        return list(out)

    def _run(self, plan: _Plan, arrays: Sequence[np.ndarray], out: Sequence[np.ndarray]) -> None:
        context = plan.context.copy()
        memory = self._memory(plan.arena_bytes)  # held until the call is over
        self._enter(context, memory, plan.may_use_threads, [*arrays, *self.program.data, *out])
        if plan.placed is not None:
            self._enter_tiles(context, plan.placed)
        self._entry(_address(context))
        if context[STATUS] == INDEX_OUT_OF_RANGE:
            raise DomainError("An index is out of range for its axis; every index i needs -extent <= i < extent.")
        if context[STATUS] == CALLBACK_FAILED:
            for callback in self._callbacks:
                callback.raise_failure()

    def _enter(
        self, context: np.ndarray, memory: np.ndarray, may_use_threads: bool, arrays: Sequence[np.ndarray]
    ) -> None:
        """Enter the arena's memory, the threads, and the arrays of inputs, data and outputs."""
        context[ARENA] = -(-_address(memory) // ALIGN) * ALIGN
        if may_use_threads:
            context[PARALLEL_FOR] = parallel_for_address(self.threads)
        first = ARENA + 1 + len(self.program.sizes)
        context[first : first + len(arrays)] = [_address(a) for a in arrays]

    def _enter_tiles(self, context: np.ndarray, placed: Placed) -> None:
        """Enter the tiles and the memory of their planes."""
        base = -(-_address(self._tile_memory(placed.n_bytes)) // ALIGN) * ALIGN
        for word, number in placed.numbers:
            context[word] = number
        for word, offset in placed.offsets:
            context[word] = base + offset

    def _plan(self, sizes: Mapping[str, int]) -> _Plan:
        key = tuple(sizes[name] for name in self.program.sizes)
        plan = self._plans.get(key)
        if plan is not None:
            return plan
        self.program.check(sizes)
        results = tuple(tuple(evaluate(d, sizes) for d in b.shape) for b in self.program.outputs)
        context = np.zeros(self.layout.words, np.int64)
        context[THREADS] = self.threads
        context[ARENA + 1 : ARENA + 1 + len(key)] = key
        longest, total = self._work(sizes, self.program.statements)
        may_use_threads = self.threads > 1 and longest > PARALLEL_NANOSECONDS
        tiles = self._tiles(sizes, context, may_use_threads)
        placed = self._placed(tiles, sizes)
        arena_bytes, is_long = self.layout.arena_bytes(sizes), total > LONG_NANOSECONDS
        plan = _Plan(context, results, arena_bytes, may_use_threads, is_long, tiles, placed)
        if len(self._plans) >= _MOST_PLANS:
            self._plans.clear()
        self._plans[key] = plan
        return plan

    def _work(self, sizes: Mapping[str, int], statements: tuple[Statement, ...]) -> tuple[float, float]:
        """Nanoseconds on one thread, roughly: of the longest nest or product, and of all; loops may be endless.

        Helpers are started only where the first pays for them.
        """
        longest = total = 0.0
        for s in walk(statements):
            if isinstance(s, Nest):
                work = math.prod(evaluate(e, sizes) for e in s.space) * body_weight(s.body) / machine().lanes_f64
                longest = longest if s.serial else max(longest, work)
            elif isinstance(s, Call) and s.name == "gemm":
                work = math.prod(evaluate(e, sizes) for e in s.extents) * NANOSECONDS
                longest = max(longest, work)
            elif isinstance(s, Rows):
                longest = max(longest, self._work(sizes, tuple(m.statement for m in s.members))[1])
                continue  # its members follow
            else:
                work = math.inf
            total += work
        return longest, total

    def _placed(self, tiles: Sequence[Tile], sizes: Mapping[str, int]) -> Placed | None:
        if all(tile.depth == 0 for tile in tiles):
            return None
        return place(self._sweeps, self.layout.sweeps, tiles, sizes, max(self.threads, 1))

    def _tiles(self, sizes: Mapping[str, int], context: np.ndarray, may_use_threads: bool) -> tuple[Tile, ...]:
        """Choose the tiles of the sweeps: by the model, and by a trial where it leaves a choice."""
        found = [shortlist(s, sizes, max(self.threads, 1)) for s in self._sweeps]
        points = [math.prod(evaluate(e, sizes) for _, e in s.domain) for s in self._sweeps]
        if not any(map(trials.is_open, found, points)):
            return tuple(tiles[0][1] for tiles in found)
        key = kernel_key(trials.label(self.text, sizes, self.threads), machine().key, _code_version())

        def measure() -> bytes:
            chosen = [
                self._fastest(k, tiles, sizes, context, may_use_threads) if trials.is_open(tiles, n) else tiles[0][1]
                for k, (tiles, n) in enumerate(zip(found, points, strict=True))
            ]
            return json.dumps([trials.to_words(tile) for tile in chosen]).encode()

        return tuple(trials.from_words(words) for words in json.loads(self._store.get_or_build(key, measure)[0]))

    def _fastest(
        self, k: int, found: Sequence[tuple[float, Tile]], sizes: Mapping[str, int], context: np.ndarray, shared: bool
    ) -> Tile:
        """Time a sweep on arrays of ones; what it writes goes to this thread's memory, as in a call."""
        program = self.program
        given = program.inputs[: len(program.inputs) - len(program.data)]
        inputs, outputs = (
            [np.ones(tuple(evaluate(d, sizes) for d in b.shape), b.dtype) for b in buffers]
            for buffers in (given, program.outputs)
        )
        arrays = [*inputs, *program.data, *outputs]
        memory = self._memory(self.layout.arena_bytes(sizes))

        def run(tile: Tile, count: int) -> None:
            mine = context.copy()
            self._enter(mine, memory, shared, arrays)
            placed = self._placed([tile if j == k else Tile(0, ()) for j in range(len(self._sweeps))], sizes)
            if placed is not None:
                self._enter_tiles(mine, placed)
            _Trial(self._library.address(f"tiles{k}" if tile.depth else f"turn{k}"))(count, _address(mine))

        extents = [evaluate(e, sizes) for _, e in self._sweeps[k].domain]
        return trials.fastest(found, run, extents, max(self.threads, 1))

    def _tile_memory(self, n_bytes: int) -> np.ndarray:
        """Memory for the planes of tiles, which this thread keeps between calls: all 0 at first."""
        held = getattr(self._local, "tiles", None)
        if held is None or held.nbytes < n_bytes + ALIGN:
            held = self._local.tiles = np.zeros(n_bytes + ALIGN, np.uint8)
        return held

    def _memory(self, n_bytes: int) -> np.ndarray:
        """Memory for the arena, which this thread keeps between calls. Temporaries are not cleared."""
        # A line more than it needs: the address of an empty buffer at the end is read from, though not used.
        if self._callbacks:
            # A Python function that is called may call this function again, which must not write to the same memory.
            return np.empty(n_bytes + 2 * ALIGN, np.uint8)
        held = getattr(self._local, "memory", None)
        if held is None or held.nbytes < n_bytes + 2 * ALIGN:
            held = self._local.memory = np.empty(n_bytes + 2 * ALIGN, np.uint8)
        return held


def _is_product(s: Statement) -> bool:
    return isinstance(s, Call) and s.name == "gemm"


@functools.cache
def _store() -> KernelStore:
    return KernelStore()


@functools.cache
def _code_version() -> str:
    """A hash of the code generators: an object made by other code is never taken for one of this code."""
    here = Path(__file__).parent
    digest = hashlib.blake2b(digest_size=16)
    used = map(Path, (memory.__file__, native.__file__, planes.__file__, reach.__file__))
    for path in [*sorted([*here.glob("*.py"), here.parent / "emit.py"]), *used]:
        digest.update(path.read_bytes())
    return digest.hexdigest()
