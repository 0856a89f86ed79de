"""sealed: compiled functions found in the kernel store by the graph as it was written.

    key     the graph, which inputs are mapped, and the identity of compiler and processor
    value   the machine code as an image, and what a call has to know: shapes, sizes, the work of its statements

A `Kernel` finds its object by the program, which passes and scheduling have to make first; with a sealed function
none of that happens, and neither LLVM nor the passes are imported: a process has its first result after a few
milliseconds. Programs that come with arrays, Python functions or conditions on sizes are not sealed.
"""

from __future__ import annotations

import ctypes
import functools
import marshal
import math
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from backends.cpu.door import Door, Look, door
from backends.cpu.door_table import RELEASES, THREADED
from backends.cpu.identity import identity
from backends.cpu.image import Image, Loaded
from backends.cpu.symbols import address_of
from backends.cpu.threads import default_threads, parallel_for_address
from backends.cpu.words import ALIGN, ARENA, INDEX_OUT_OF_RANGE, PARALLEL_FOR, STATUS, THREADS
from backends.store import KernelStore, kernel_key
from symdiff.ir.dims import CeilDiv, Dim, Extent, evaluate
from symdiff.ir.errors import DomainError
from symdiff.ir.fingerprint import fingerprint
from symdiff.ir.node import Node

# Written into every key: the form of what is stored.
_VERSION = "1"
# Larger code takes LLVM a fraction of the time that it takes here to relocate.
_LARGEST = 2**20
_Entry = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


# The work of a statement in nanoseconds: a space, how long each of its points takes, whether threads may share it.
Work = tuple[tuple[Extent, ...], float, bool]


class Seal(NamedTuple):
    """What a call of a program has to know.

    A nest of more than `parallel` nanoseconds is run by several threads; a program of more than `long` lets other
    Python threads run.
    """

    sizes: tuple[str, ...]
    outputs: tuple[tuple[str, tuple[Extent, ...]], ...]
    slots: tuple[tuple[Extent, ...], ...]
    words: int
    work: tuple[Work, ...]
    parallel: float
    long: float


def key_of(roots: Sequence[Node], inputs: Sequence[Node], mapped: Sequence[bool]) -> str | None:
    """Return the key of a graph, or None where it cannot have one."""
    known = identity() if _store().limit > 0 else None
    text = None if known is None else fingerprint(roots, inputs)
    return None if known is None or text is None else kernel_key("sealed", _VERSION, known, str(list(mapped)), text)


def find(key: str, threads: int | None) -> Sealed | None:
    """Return the function stored under a key."""
    data = _store().get(key)
    if data is None:
        return None
    sizes, outputs, slots, words, work, parallel, long, image = marshal.loads(data)
    seal = Seal(
        sizes,
        tuple((dtype, tuple(map(_read, shape))) for dtype, shape in outputs),
        tuple(tuple(map(_read, slot)) for slot in slots),
        words,
        tuple((tuple(map(_read, space)), each, shared) for space, each, shared in work),
        parallel,
        long,
    )
    return Sealed(seal, Image(*image), threads)


def keep(key: str, seal: Seal | None, code: bytes) -> None:
    """Store a function; nothing happens for one that cannot be sealed."""
    from backends.cpu.linker import link

    image = link(code) if seal is not None and len(code) <= _LARGEST else None
    if seal is None or image is None:
        return
    outputs = tuple((dtype, tuple(map(_write, shape))) for dtype, shape in seal.outputs)
    slots = tuple(tuple(map(_write, slot)) for slot in seal.slots)
    work = tuple((tuple(map(_write, space)), each, shared) for space, each, shared in seal.work)
    fields: Any = (seal.sizes, outputs, slots, seal.words, work, seal.parallel, seal.long, tuple(image))
    _store().put(key, marshal.dumps(fields))


class Sealed:
    """A stored function, called with arrays."""

    from_store = True

    def __init__(self, seal: Seal, image: Image, threads: int | None):
        self.seal = seal
        self.threads = default_threads() if threads is None else threads
        self._code = Loaded(image, address_of)
        self.address = self._code.address("entry")
        self._entry = _Entry(self.address)
        self._local = threading.local()

    def __call__(
        self, arrays: Sequence[np.ndarray], sizes: Mapping[str, int], out: Sequence[np.ndarray] | None = None
    ) -> list[np.ndarray]:
        """Run on C-contiguous arrays in the order of the program's inputs; returns the outputs.

        Raises DomainError when an index was out of range; the outputs are then not to be used.
        """
        if out is None:
            out = [np.empty(tuple(evaluate(d, sizes) for d in shape), dtype) for dtype, shape in self.seal.outputs]
        context, n_bytes, mode = self._context(sizes)
        memory = np.empty(n_bytes + 2 * ALIGN, np.uint8)
        context[ARENA] = -(-memory.ctypes.data // ALIGN) * ALIGN
        if mode & THREADED:
            context[PARALLEL_FOR] = parallel_for_address(self.threads)
        first = ARENA + 1 + len(self.seal.sizes)
        addresses = [a.ctypes.data for a in (*arrays, *out)]
        context[first : first + len(addresses)] = addresses
        self._entry(context.ctypes.data)
        if context[STATUS] == INDEX_OUT_OF_RANGE:
            raise DomainError("An index is out of range for its axis; every index i needs -extent <= i < extent.")
        return list(out)

    def _context(self, sizes: Mapping[str, int]) -> tuple[np.ndarray, int, int]:
        """The table of a call without addresses, the bytes of its arena and its mode."""
        seal = self.seal
        context = np.zeros(seal.words, np.int64)
        context[THREADS] = self.threads
        context[ARENA + 1 : ARENA + 1 + len(seal.sizes)] = [sizes[name] for name in seal.sizes]
        n_bytes = sum(-(-max(evaluate(e, sizes) for e in slot) // ALIGN) * ALIGN for slot in seal.slots)
        work = [
            (math.prod(evaluate(e, sizes) for e in space) * each, is_shared) for space, each, is_shared in seal.work
        ]
        shared = any(is_shared and nanoseconds > seal.parallel for nanoseconds, is_shared in work)
        is_long = sum(nanoseconds for nanoseconds, _ in work) > seal.long
        return context, n_bytes, RELEASES * is_long | THREADED * (shared and self.threads > 1)

    def door(self, n_in: int, n_out: int, form: str) -> Door | None:
        """The fast way in for calls like earlier ones, of this function and others; None where there is none."""
        return door(n_in, n_out, form)

    def teach(self, way_in: Door, inputs: Sequence[Look], outputs: Sequence[Look], sizes: Mapping[str, int]) -> None:
        """Teach a door the calls that look like this one, which went through."""
        context, n_bytes, mode = self._context(sizes)
        first = ARENA + 1 + len(self.seal.sizes)
        way_in.learn(inputs, outputs, self.address, mode, n_bytes, context, first, first + len(inputs))


def _write(extent: Extent) -> Any:
    """An extent as numbers, texts and tuples."""
    if isinstance(extent, int):
        return extent
    return tuple((tuple(_write_atom(a) for a in monomial), c) for monomial, c in extent.terms)


def _write_atom(atom: str | CeilDiv) -> Any:
    return atom if isinstance(atom, str) else (_write(atom.dim), atom.step)


def _read(written: Any) -> Extent:
    if isinstance(written, int):
        return written
    return Dim(tuple((tuple(map(_read_atom, monomial)), c) for monomial, c in written))


def _read_atom(written: Any) -> str | CeilDiv:
    if isinstance(written, str):
        return written
    dim = _read(written[0])
    assert isinstance(dim, Dim)
    return CeilDiv(dim, written[1])


@functools.cache
def _store() -> KernelStore:
    return KernelStore()
