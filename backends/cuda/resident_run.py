"""resident_run: loops that are one kernel, compiled when a call has sizes for which that is faster, and run."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.cuda.compile import Code, assemble, lower_kernels, to_ptx
from backends.cuda.device import Gpu
from backends.cuda.launch import loop_kernel
from backends.cuda.loop_functions import GOES_ON, MOVED, TURNS, flags_of, moved_buffers, record_words
from backends.cuda.steps import skeletons_of, steps_of
from backends.cuda.words import RECORD, Words
from symdiff.program.ir import Call, Loop, Nest, Statement, walk

if TYPE_CHECKING:
    from backends.cuda.arrays import Device
    from backends.cuda.geometry import Geometry
    from backends.cuda.kernel import Kernel
    from backends.cuda.run import Run

# Turns of the first launch of a loop, and how long one should take, so that Ctrl-C is heard.
_FIRST_TURNS, _SECONDS = 256, 0.05


# Skeletons that one kernel may have: it needs as many registers as the largest of them, and some more.
MOST_SKELETONS = 24
# A library's products are faster, and passes over runs are as many as the sizes say.
_APART = frozenset({"gemm", "argsort"})


def can_reside(loop: Loop, g: Geometry) -> bool:
    """Whether a loop can be one kernel."""
    statements = [s for s in walk((loop,)) if isinstance(s, (Nest, Call))]
    if any(isinstance(s, Call) and s.name in _APART for s in statements):
        return False
    return sum(len(skeletons_of(s, g)) for s in statements) <= MOST_SKELETONS


def blocks_used(loop: Loop, sizes: Mapping[str, int], g: Geometry) -> int:
    """The most blocks that a step of a loop can use."""
    statements = [s for s in walk((loop,)) if isinstance(s, (Nest, Call))]
    return max((step.blocks for s in statements for step in steps_of(s, sizes, g)), default=1)


def is_small(loop: Loop, sizes: Mapping[str, int], g: Geometry) -> bool:
    """Whether launching the steps of a loop would take longer than they do; loops inside wait for the host besides."""
    nested = any(isinstance(s, Loop) for s in walk((*loop.cond, *loop.body)))
    return blocks_used(loop, sizes, g) <= (g.most_blocks if nested else g.resident_blocks)


def residents(kernel: Kernel) -> dict[int, Resident]:
    """The loops of a kernel's program that can be one kernel each, by identity."""
    loops = [s for s in walk(kernel.program.statements) if isinstance(s, Loop) and can_reside(s, kernel.geometry)]
    return {id(s): Resident(kernel, s, f"loop{k}") for k, s in enumerate(loops)}


def most_record_words(statements: Iterable[Statement]) -> int:
    """The longest record of a loop among statements."""
    return max((record_words(s) for s in walk(tuple(statements)) if isinstance(s, Loop)), default=0)


class Resident:
    """A loop that may run as one kernel."""

    def __init__(self, kernel: Kernel, loop: Loop, name: str):
        self.kernel, self.loop, self.name = kernel, loop, name
        self.layout = Words.of(loop)
        self._images: dict[int, Any] = {}
        self._pays: dict[tuple[int, ...], bool] = {}

    def pays(self, sizes: Mapping[str, int]) -> bool:
        """Whether one kernel is faster than one for every step."""
        key = tuple(sizes[name] for name in self.layout.sizes)
        if key not in self._pays:
            self._pays[key] = is_small(self.loop, sizes, self.kernel.geometry)
        return self._pays[key]

    def run(self, run: Run, go: int) -> None:
        """Run the loop, if the flag at `go` is up."""
        geometry, device = self.kernel.geometry, run.device
        image = self._image(device)
        together = device.most_together(image, self.name, geometry.threads)
        blocks = max(1, min(together, blocks_used(self.loop, run.plan.sizes, geometry)))
        moved = moved_buffers(self.loop)
        turns, goes_on = _FIRST_TURNS, True
        while goes_on:
            start = time.perf_counter()
            words = run.words(self.layout, go)
            words[0], words[1 + RECORD] = turns, run.record
            for k, flag in enumerate(flags_of(self.loop), MOVED + len(moved)):
                words[1 + self.layout.buffer(flag)] = run.record + 8 * k
            device.zero(run.record, 8 * record_words(self.loop), run.stream)
            device.launch(image, self.name, blocks, geometry.threads, words, run.stream, together=blocks > 1)
            record = run.read_record(record_words(self.loop))
            goes_on = bool(record[GOES_ON])
            # Where the flag was down, nothing was written.
            if any(record[MOVED : MOVED + len(moved)]):
                run.addresses |= {b.id: int(a) for b, a in zip(moved, record[MOVED:], strict=False)}
            if time.perf_counter() - start < _SECONDS and record[TURNS] == turns:
                turns *= 2

    def _image(self, device: Device) -> Any:
        if device.ordinal not in self._images:
            self._images[device.ordinal] = self._load(device)
        return self._images[device.ordinal]

    def _load(self, device: Device) -> Any:
        if not isinstance(device, Gpu):
            return {self.name: self._source(device.memory)}
        data = self.kernel.stored(f"{self.name} {device.capability}", lambda: self.code(device.capability).to_bytes())
        return device.load(Code.from_bytes(data))

    def code(self, capability: tuple[int, int]) -> Code:
        """Compile the loop."""
        text = lower_kernels({self.name: self._source(None)})
        return assemble((self.name,), to_ptx(text, capability), capability)

    def _source(self, memory: Mapping[int, np.ndarray] | None) -> Any:
        return loop_kernel(self.loop, self.name, self.layout, self.kernel.geometry, memory)
