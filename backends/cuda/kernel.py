"""Kernel: a program as CUDA kernels, called with arrays.

Compiled kernels come from the kernel store when an equal program was compiled before, by any process. A call puts
its statements on one stream, in order; between the first and the last of them data stays on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from backends.cuda import versions
from backends.cuda.arrays import Device, DeviceArray, View
from backends.cuda.availability import require_numba_cuda
from backends.cuda.batches import Batched
from backends.cuda.call import Call as Invocation
from backends.cuda.cards import USUAL, Card, card_of
from backends.cuda.compile import Code, assemble, lower_kernels, to_ptx
from backends.cuda.device import Gpu, gpu
from backends.cuda.explain import estimates, facts
from backends.cuda.fused import Fused
from backends.cuda.geometry import SIMULATED, Geometry
from backends.cuda.lower import lower
from backends.cuda.memory import Plan, plan
from backends.cuda.resident_run import residents
from backends.cuda.run import control_bytes
from backends.cuda.simulator import is_simulated, simulator
from backends.cuda.steps import Joined, Launched, Step, joined_pays, scratch_words, skeletons_of, steps_of
from backends.cuda.tiled_run import tilings
from backends.cuda.tiles import Tiled, outer_nests
from backends.cuda.words import Words
from backends.store import KernelStore, kernel_key
from symdiff.ir.errors import CompileError
from symdiff.program import memory
from symdiff.program.estimate import Estimate
from symdiff.program.ir import Call, Loop, Nest, Program, Statement, walk
from symdiff.program.touches import touches

_MOST_PLANS = 256  # sizes that are remembered


class Kernel:
    """A program compiled for a GPU. Without one it can be inspected but not called.

    Raises: CompileError when numba-cuda is not installed, and for a primitive that the target lacks.
    """

    def __init__(self, program: Program, geometry: Geometry | None = None, store: KernelStore | None = None):
        require_numba_cuda()
        self.program, joined = lower(program)
        self.geometry = geometry or (SIMULATED if is_simulated() else Geometry())
        self.joins = {id(j.parts[0]): j for j in joined}
        self.tilings = tilings(self.program, self.geometry)
        own = [s for s in walk(self.program.statements) if isinstance(s, (Nest, Call))]
        self.statements = [*own, *joined, *(s for t in self.tilings.values() for s in t.statements)]
        # What a kernel does together needs its memory at the same time, whether or not it pays for a call's sizes.
        self.slots = memory.slots(replace(self.program, statements=self._together(self.program.statements)))
        self.from_store = False
        # Without gathers nothing can be found wrong on the device, and a call need not wait for it.
        self.may_fail = any(t.access and t.access.gathers for s in own for t in touches(s))
        self._constants: dict[int, dict[int, DeviceArray]] = {}
        self._plans: dict[Any, Plan] = {}
        self._steps: dict[tuple[int, tuple[int, ...]], list[Step]] = {}
        self._places = {id(s): k for k, s in enumerate(self.statements)}
        self._layouts = [_words(s) for s in self.statements]
        self._lowered: dict[tuple[str, ...], str] = {}
        self._codes: dict[tuple[tuple[int, int], tuple[str, ...]], Code] = {}
        self._images: dict[int, dict[str, Any]] = {}
        self._store = versions.store() if store is None else store
        self.residents = residents(self)
        # Emitting the bodies finds what the target lacks now and not at the first call; once for all processes.
        self._store.get_or_build(self._key("complete"), lambda: self._llvm().encode()[:0])

    @property
    def kernels(self) -> dict[str, tuple[Launched, str]]:
        """The statement and the skeleton of every kernel, by its name."""
        parts = [(k, s, name) for k, s in enumerate(self.statements) for name in skeletons_of(s, self.geometry)]
        return {f"s{k}_{name}": (s, name) for k, s, name in parts}

    # --- what a run asks -------------------------------------------------------------

    def layout(self, statement: Launched) -> Words:
        """The words that the kernels of a statement take."""
        return self._layouts[self._places[id(statement)]]

    def name(self, statement: Launched, step: Step) -> str:
        """The name of a step's kernel."""
        return f"s{self._places[id(statement)]}_{step.skeleton}"

    def steps(self, statement: Launched, sizes: Mapping[str, int]) -> list[Step]:
        """What to launch for a statement."""
        key = (self._places[id(statement)], tuple(sizes[name] for name in self.program.sizes))
        if key not in self._steps:
            if len(self._steps) >= _MOST_PLANS * len(self.statements):
                self._steps.clear()
            self._steps[key] = steps_of(statement, sizes, self.geometry)
        return self._steps[key]

    def plan(self, sizes: Mapping[str, int], elsewhere: frozenset[int]) -> Plan:
        """Where everything of a call lies, but for the buffers `elsewhere`."""
        key = (tuple(sizes[name] for name in self.program.sizes), elsewhere)
        if key not in self._plans:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            scratch = max((8 * scratch_words(s, sizes, self.geometry) for s in self.statements), default=0)
            control = control_bytes(self.program.statements)
            record = max((t.record_bytes(sizes) for t in self.tilings.values()), default=0)
            self._plans[key] = plan(self.program, self.slots, control, scratch, record, sizes, elsewhere)
        return self._plans[key]

    def constants(self, device: Device) -> dict[int, DeviceArray]:
        """The program's literal arrays on a device, by the id of their buffers; they stay there."""
        if device.ordinal not in self._constants:
            data = self.program.data
            buffers = self.program.inputs[len(self.program.inputs) - len(data) :]
            pairs = zip(buffers, data, strict=True)
            self._constants[device.ordinal] = {b.id: DeviceArray.of(device, a.astype(b.dtype)) for b, a in pairs}
        return self._constants[device.ordinal]

    def image(
        self, device: Device, sizes: Mapping[str, int], statements: Sequence[Statement] | None = None
    ) -> Mapping[str, Any]:
        """The kernels on a device, once it has those of some statements, by default all that a call launches.

        What is missing for these sizes is compiled together and loaded.
        """
        held = self._images.setdefault(device.ordinal, {})
        needed = self._needed(sizes, self.program.statements if statements is None else statements)
        missing = tuple(name for name in needed if name not in held)
        if not missing:
            return held
        if isinstance(device, Gpu):
            held |= device.load(self.code(device.capability, missing))
        else:
            held |= self._sources(missing, device.memory)
        return held

    def _needed(self, sizes: Mapping[str, int], statements: Sequence[Statement]) -> dict[str, None]:
        launched = self._launched(statements, sizes)
        return dict.fromkeys(self.name(s, step) for s in launched for step in self.steps(s, sizes))

    def _together(self, statements: Sequence[Statement]) -> tuple[Statement, ...]:
        """Statements with those in the place of others that may run as one kernel."""
        out: list[Statement] = []
        for s in _joined(statements, self.joins, lambda joined: True):
            match s:
                case Batched() | Fused():
                    out.append(s.rows)
                case Loop() if id(s) in self.tilings:
                    out.append(self.tilings[id(s)].tiled.sweep)
                case Loop():
                    out.append(replace(s, cond=self._together(s.cond), body=self._together(s.body)))
                case _:
                    out.append(s)
        return tuple(out)

    def joined(
        self, statements: Sequence[Statement], sizes: Mapping[str, int]
    ) -> Iterator[Nest | Call | Loop | Joined]:
        """Statements in order; those that are faster as one kernel as one."""
        return _joined(statements, self.joins, lambda joined: joined_pays(joined, sizes, self.geometry))

    def _launched(self, statements: Sequence[Statement], sizes: Mapping[str, int]) -> Iterator[Launched]:
        """The statements that have launches of their own: not those in loops that are one kernel."""
        for s in self.joined(statements, sizes):
            match s:
                case Nest() | Call() | Batched() | Fused():
                    yield s
                case Loop():
                    resident = self.residents.get(id(s))
                    if resident is not None and resident.pays(sizes):
                        continue
                    tiling = self.tilings.get(id(s))
                    if tiling is not None and tiling.pays(sizes):
                        yield from self._launched(tiling.tiled.sweep.ahead, sizes)
                        yield from tiling.beside
                        yield from self._launched(s.cond, sizes)
                    else:
                        yield from self._launched((*s.cond, *s.body), sizes)

    # --- code ------------------------------------------------------------------------

    def code(self, capability: tuple[int, int], names: Sequence[str] | None = None) -> Code:
        """Kernels compiled for a compute capability, by default all.

        Raises: CompileError in the simulator, which compiles none.
        """
        if is_simulated():
            raise CompileError("numba-cuda's simulator makes no code; unset NUMBA_ENABLE_CUDASIM to see PTX.")
        chosen = tuple(self.kernels if names is None else names)
        if (capability, chosen) not in self._codes:
            key = self._key("code {}.{} ".format(*capability) + " ".join(chosen))
            data, self.from_store = self._store.get_or_build(key, lambda: self._compile(capability, chosen).to_bytes())
            self._codes[capability, chosen] = Code.from_bytes(data)
        return self._codes[capability, chosen]

    def stored(self, what: str, build: Callable[[], bytes]) -> bytes:
        """What the store has of this program by a name, built if it has none."""
        return self._store.get_or_build(self._key(what), build)[0]

    def _compile(self, capability: tuple[int, int], names: tuple[str, ...]) -> Code:
        return assemble(names, to_ptx(self._lower(names), capability), capability)

    def _lower(self, names: tuple[str, ...]) -> str:
        if names not in self._lowered:
            self._lowered[names] = lower_kernels(self._sources(names, None)) if names else ""
        return self._lowered[names]

    def _sources(self, names: Sequence[str], simulated: Mapping[int, np.ndarray] | None) -> dict[str, Any]:
        """Kernels by name, emitted, or around interpreted code on the simulator's memory."""
        from backends.cuda.launch import built, kernel_of

        found, kernels = {}, self.kernels
        for name in names:
            statement, skeleton = kernels[name]
            layout = self.layout(statement)
            part = built(statement, skeleton, layout, self.geometry, simulated)
            found[name] = kernel_of(part, name, layout, simulated)
        return found

    def _key(self, what: str) -> str:
        return kernel_key(what, str(self.program), repr(self.geometry), versions.versions())

    def _llvm(self) -> str:
        from backends.cuda.body import body_module

        return "\n".join(str(body_module(s)) for s in self.statements if isinstance(s, Nest))

    def inspect(self, what: str) -> str:
        """Return the "ptx" of all kernels, or the "llvm" of their bodies as emitted."""
        match what:
            case "ptx":
                return self.ptx()
            case "llvm":
                return self._llvm()
        raise CompileError(f"A function for target='cuda' shows 'graph', 'program', 'llvm' or 'ptx', got {what!r}.")

    def ptx(self, capability: tuple[int, int] | None = None) -> str:
        """Return the PTX of all kernels for a compute capability; by default that of the GPU, or (9, 0) without one."""
        if capability is None:
            return self.code(here_or_usual()[0]).ptx
        return to_ptx(self._lower(tuple(self.kernels)), capability)

    @property
    def can_run(self) -> bool:
        """Whether there is a GPU, or the simulator."""
        try:
            here()
        except CompileError:
            return False
        return True

    def facts(self) -> dict[str, str]:
        """What `Function.explain` tells of the code."""
        capability, card = here_or_usual()
        if is_simulated():
            return {}
        tiles = {f"loop {k} in tiles": str(t.tiled.tile) for k, t in enumerate(self.tilings.values())}
        return facts(self.code(capability), self.from_store, self.geometry, card) | tiles

    def estimates(self, sizes: Mapping[str, int]) -> tuple[Estimate | None, dict[int, Estimate]]:
        """The least that a run takes for these sizes, or None where loops make turns; its statements by identity."""
        joined = list(self.joined(self.program.statements, sizes))
        return estimates(self.program, joined, self.joins.values(), sizes, here_or_usual()[1])

    # --- calls -----------------------------------------------------------------------

    def __call__(
        self, arrays: Sequence[np.ndarray], sizes: Mapping[str, int], out: Sequence[np.ndarray] | None = None
    ) -> list[np.ndarray]:
        """Run on C-contiguous arrays in the order of the program's inputs; returns the outputs.

        Raises: CompileError without a GPU, CapacityError when it has too little memory, DomainError when an index was
        out of range.
        """
        return Invocation(self, here(), arrays, sizes, out).run()

    def on_device(
        self, arrays: Sequence[np.ndarray | View], sizes: Mapping[str, int], out: Sequence[View] | None = None
    ) -> list[DeviceArray] | list[View]:
        """Run on arrays of which some lie on a device; the results stay there, and may still be in the making.

        Raises: as a call.
        """
        return self._invocation(arrays, sizes, out).run()

    def on_device_and_wait(
        self, arrays: Sequence[np.ndarray | View], sizes: Mapping[str, int], out: Sequence[View] | None = None
    ) -> list[DeviceArray] | list[View]:
        """Run like `on_device` until the results are there."""
        made = self._invocation(arrays, sizes, out)
        results = made.run()
        with made.device.active():
            made.device.synchronise(made.stream)
        return results

    def _invocation(
        self, arrays: Sequence[np.ndarray | View], sizes: Mapping[str, int], out: Sequence[View] | None
    ) -> Invocation:
        device = here(next(a.ordinal for a in (*arrays, *(out or ())) if isinstance(a, View)))
        return Invocation(self, device, arrays, sizes, out, stays=True)


def here(ordinal: int | None = None) -> Device:
    """The device with a number; without one, that for arrays that lie on none. Raises: CompileError without a GPU."""
    return simulator() if is_simulated() else gpu(ordinal)


def here_or_usual() -> tuple[tuple[int, int], Card]:
    """The compute capability and the card of the GPU, or those of the usual card without one."""
    try:
        found = here()
    except CompileError:
        return USUAL.capability, USUAL
    return found.capability, card_of(found.name)


def _joined(
    statements: Sequence[Statement], joins: Mapping[int, Joined], chosen: Callable[[Joined], bool]
) -> Iterator[Nest | Call | Loop | Joined]:
    """Statements in order, the parts of chosen ones, which are by their first one, as one where they all follow."""
    k = 0
    while k < len(statements):
        s = statements[k]
        assert isinstance(s, (Nest, Call, Loop))  # the program has been lowered to these
        joined = joins.get(id(s))
        parts = () if joined is None else joined.parts
        following = statements[k : k + len(parts)]
        is_whole = len(following) == len(parts) and all(x is y for x, y in zip(following, parts, strict=True))
        if joined is not None and is_whole and chosen(joined):
            yield joined
            k += len(parts)
        else:
            yield s
            k += 1


def _words(s: Launched) -> Words:
    match s:
        case Tiled():
            return Words.of(*outer_nests(s.sweep))
        case Batched() | Fused():
            return Words.of(*s.parts)
    return Words.of(s)
