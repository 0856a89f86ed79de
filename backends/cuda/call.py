"""call: one call of a kernel: memory, uploads, launches, and results on the host or on the device."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from backends.cuda.arrays import Device, DeviceArray, View
from backends.cuda.device import LEGACY
from backends.cuda.memory import Plan
from backends.cuda.run import Run
from backends.cuda.words import VECTOR_BYTES
from symdiff.ir.errors import CapacityError

if TYPE_CHECKING:
    from backends.cuda.kernel import Kernel

_asked: ContextVar[int] = ContextVar("stream", default=0)


@dataclass(slots=True)
class Call:
    """A call of a kernel on a device. Results that no `out` is given for stay there if `stays`, else come to the host.

    `stream` is where the work is put: see `on_stream`.
    """

    kernel: Kernel
    device: Device
    arrays: Sequence[np.ndarray | View]
    sizes: Mapping[str, int]
    out: Sequence[np.ndarray | View] | None = None
    stays: bool = False
    stream: int = LEGACY

    def run(self) -> list[Any]:
        """Make the call. On the device, results may still be in the making when it returns, in the stream's order.

        Raises: CapacityError when the device has too little memory, DomainError when an index was out of range.
        """
        self.kernel.program.check(self.sizes)
        views = _views((*self.arrays, *(self.out or ())))
        makers = dict.fromkeys(v.stream for v in views if v.stream)
        self.stream = _asked.get() or next(iter(makers), LEGACY)
        with self.device.active():
            for maker in makers:
                self.device.wait(self.stream, maker)
            try:
                return self._run()
            finally:
                # Whoever changes or frees these arrays next does so after this call.
                for maker in makers:
                    self.device.wait(maker, self.stream)
                # Memory is given back on the legacy stream, which waits for no stream that asked to be left alone.
                self.device.wait(LEGACY, self.stream)
                if any(v.library == "jax" for v in views):
                    # It reuses memory on streams that it does not tell.
                    self.device.synchronise(self.stream)

    def _run(self) -> list[Any]:
        kernel, device, stream = self.kernel, self.device, self.stream
        image, constants = kernel.image(device, self.sizes), kernel.constants(device)
        held = self._held()
        stay = [b.id for b in kernel.program.outputs if self.stays and self.out is None]
        plan = kernel.plan(self.sizes, frozenset((*held, *constants, *stay)))
        results = self._results(plan)
        base = device.allocate(plan.total, stream)
        try:
            addresses = held | {i: a.address for i, a in constants.items()}
            addresses |= {b.id: r.address for b, r in zip(kernel.program.outputs, results, strict=True) if b.id in stay}
            addresses |= {i: base + offset for i, offset in plan.offsets.items()}
            device.know(base, plan, _views((*self.arrays, *(self.out or ()))))
            self._upload(addresses)
            if self.stays and any(isinstance(a, np.ndarray) and a.nbytes for a in self.arrays):
                # Page-locked memory is still being read when the copy returns, and its owner may change it then.
                device.synchronise(stream)
            run = Run(kernel, device, image, stream, plan, base, addresses)
            run.run(kernel.program.statements)
            if kernel.may_fail or not self.stays:
                run.check()
            for b, result in zip(kernel.program.outputs, results, strict=True):
                self._deliver(addresses[b.id], result)
            return results
        finally:
            device.free(base, stream)

    def _held(self) -> dict[int, int]:
        """The addresses of the buffers that lie in the caller's arrays."""
        program = self.kernel.program
        held = {b.id: a.address for b, a in zip(program.inputs, self.arrays, strict=False) if _is_held(a)}
        taken = _views(self.arrays)
        for b, a in zip(program.outputs, self.out or (), strict=False):
            # A result that overlaps another array is copied when all are computed.
            if _is_held(a) and not any(a.overlaps(other) for other in taken):
                held[b.id] = a.address
                taken.append(a)
        return held

    def _results(self, plan: Plan) -> list[Any]:
        """The arrays for the results, when it is known that there is enough memory for the whole call."""
        outputs, device = self.kernel.program.outputs, self.device
        fresh = sum(plan.n_bytes[b.id] for b in outputs) if self.stays and self.out is None else 0
        free, total = device.free_bytes(plan.total + fresh)
        if plan.total + fresh > free:
            raise self._too_little(plan, plan.total + fresh, free, total)
        if self.out is not None:
            return list(self.out)
        pairs = list(zip(outputs, plan.shapes, strict=True))
        if self.stays:
            return [DeviceArray.empty(device, shape, b.dtype, self.stream) for b, shape in pairs]
        return [np.empty(shape, b.dtype) for b, shape in pairs]

    def _too_little(self, plan: Plan, needed: int, free: int, total: int) -> CapacityError:
        program, fresh = self.kernel.program, self.stays and self.out is None
        inputs = sum(plan.n_bytes[b.id] for b in program.inputs if b.id in plan.offsets)
        results = sum(plan.n_bytes[b.id] for b in program.outputs if fresh or b.id in plan.offsets)
        return CapacityError(
            f"The call needs {needed:,} bytes on {self.device.name} (inputs {inputs:,}, results {results:,}, "
            f"temporaries {needed - inputs - results:,}), where {free:,} of {total:,} are free. Call it on parts of "
            "the data, let other arrays go, use dtype='float32', or use target='cpu'."
        )

    def _upload(self, addresses: Mapping[int, int]) -> None:
        for b, array in zip(self.kernel.program.inputs, self.arrays, strict=False):
            if isinstance(array, np.ndarray):
                self.device.upload(addresses[b.id], array, self.stream)
            elif not _is_held(array):
                self.device.copy(addresses[b.id], array.address, array.nbytes, self.stream)

    def _deliver(self, place: int, result: Any) -> None:
        """Bring a result from where it was computed to where it belongs."""
        if isinstance(result, np.ndarray):
            self.device.download(place, result, self.stream)
        elif place != result.address:
            self.device.copy(result.address, place, result.nbytes, self.stream)


@contextlib.contextmanager
def on_stream(stream: int) -> Iterator[None]:
    """Put the work of calls of this thread on a stream; 0 stands for the one where their arrays are made."""
    before = _asked.set(stream)
    try:
        yield
    finally:
        _asked.reset(before)


def _is_held(array: np.ndarray | View) -> TypeGuard[View]:
    """Whether an array is used where it lies: an empty one may lie nowhere, and vectors begin at whole ones."""
    return isinstance(array, View) and array.nbytes > 0 and array.address % VECTOR_BYTES == 0


def _views(arrays: Iterable[np.ndarray | View]) -> list[View]:
    return [a for a in arrays if isinstance(a, View)]
