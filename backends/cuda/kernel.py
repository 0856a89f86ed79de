"""Kernel: a program as CUDA kernels, called with arrays.

Inputs are uploaded, statements are launched in order on one stream, outputs are downloaded: between them data
stays on the device. A loop's flag is read back every turn.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from backends.cuda.availability import is_simulated, require_gpu, require_numba_cuda
from backends.cuda.body import body_module
from backends.cuda.geometry import SIMULATED, Geometry
from backends.cuda.lower import lower
from backends.cuda.words import STATUS, Words, extents_of, kept_axes, reduced_axes
from symdiff.ir.dims import evaluate, product
from symdiff.ir.errors import CompileError, DomainError
from symdiff.program.ir import Buffer, Loop, Nest, Program, Statement, walk

# Compute capability of the PTX that is shown when there is no GPU to ask; later GPUs run it too.
OLDEST = (8, 0)


class Kernel:
    """A program compiled for a GPU. Without one it can be inspected but not called.

    Raises: CompileError when numba-cuda is not installed, and for a primitive that the target lacks.
    """

    def __init__(self, program: Program, geometry: Geometry | None = None):
        require_numba_cuda()
        self.program = lower(program)
        self.geometry = geometry or (SIMULATED if is_simulated() else Geometry())
        self.nests = [s for s in walk(self.program.statements) if isinstance(s, Nest)]
        # Emitting the bodies finds what the target lacks now and not at the first call.
        self._modules = [body_module(nest) for nest in self.nests]
        self._places = {id(nest): k for k, nest in enumerate(self.nests)}
        self._launchers: dict[tuple[int, str], Any] = {}
        self.memory: dict[int, np.ndarray] = {}

    def inspect(self, what: str) -> str:
        """Return the "ptx" of all kernels, or the "llvm" of their bodies as emitted."""
        match what:
            case "ptx":
                return self.ptx()
            case "llvm":
                return "\n".join(str(m) for m in self._modules)
        raise CompileError(f"A function for target='cuda' shows 'graph', 'program', 'llvm' or 'ptx', got {what!r}.")

    def ptx(self, capability: tuple[int, int] | None = None) -> str:
        """Compile all kernels to PTX for a compute capability; by default that of the GPU, or (8, 0) without one."""
        from numba import cuda

        if capability is None:
            capability = cuda.get_current_device().compute_capability if cuda.is_available() else OLDEST
        return "\n".join(f"// {name}\n{text}" for name, text in self.assembly(capability).items())

    def assembly(self, capability: tuple[int, int]) -> dict[str, str]:
        """Compile every kernel to a PTX module of its own."""
        from numba import cuda

        return {
            f"nest {k}: {name}": cuda.compile_ptx(skeleton, signature, cc=capability)[0]
            for k, nest in enumerate(self.nests)
            for name, (skeleton, signature) in self._skeletons(nest).items()
        }

    # --- kernels ------------------------------------------------------------

    def _skeletons(self, nest: Nest) -> dict[str, tuple[Callable[..., None], Any]]:
        """The kernels of a nest by name, with their signatures."""
        from numba import types

        from backends.cuda import skeletons

        words = types.UniTuple(types.int64, Words.of(nest).count)
        n, table = types.int64, types.int64[::1]
        f = self._functions(nest)
        if not nest.reductions:
            skeleton = skeletons.in_order(f) if nest.serial else skeletons.map_points(f)
            return {skeleton.__name__: (skeleton, (n, words))}
        n_words = len(nest.reductions)
        by_block = skeletons.reduce_by_block(f, self.geometry.tree_threads(n_words), n_words)
        return {
            "reduce_by_thread": (skeletons.reduce_by_thread(f), (n, n, words)),
            "reduce_by_block": (by_block, (n, n, n, words, table)),
            "combine_parts": (skeletons.combine_parts(f), (n, n, words, table)),
        }

    def _functions(self, nest: Nest) -> Any:
        if is_simulated():
            from backends.cuda.simulated import interpreted

            return interpreted(nest, self.memory)
        from backends.cuda.functions import emitted

        return emitted(nest)

    def _launcher(self, nest: Nest, name: str) -> Any:
        """A kernel of a nest, compiled for this GPU when first needed."""
        from numba import cuda

        key = (self._places[id(nest)], name)
        if key not in self._launchers:
            skeleton, signature = self._skeletons(nest)[name]
            self._launchers[key] = cuda.jit(signature)(skeleton)
        return self._launchers[key]

    # --- calls --------------------------------------------------------------

    def __call__(
        self, arrays: Sequence[np.ndarray], sizes: Mapping[str, int], out: Sequence[np.ndarray] | None = None
    ) -> list[np.ndarray]:
        """Run on C-contiguous arrays in the order of the program's inputs; returns the outputs.

        Raises CompileError without a GPU, DomainError when an index was out of range.
        """
        require_gpu()
        self.program.check(sizes)
        run = _Run(self, sizes)
        try:
            for buffer, array in zip(self.program.inputs, (*arrays, *self.program.data), strict=True):
                run.upload(buffer, array)
            for buffer in (*self.program.outputs, *self.program.temps):
                run.allocate(buffer)
            with warnings.catch_warnings():
                # Numba warns of small grids: small arrays are no mistake.
                warnings.simplefilter("ignore")
                run.statements(self.program.statements)
            run.check()
            shapes = [tuple(evaluate(d, sizes) for d in b.shape) for b in self.program.outputs]
            if out is None:
                out = [np.empty(shape, b.dtype) for shape, b in zip(shapes, self.program.outputs, strict=True)]
            for buffer, target in zip(self.program.outputs, out, strict=True):
                run.download(buffer, target)
            return list(out)
        finally:
            self.memory.clear()


class _Run:
    """One call: the sizes, and the device memory of every buffer as bytes."""

    def __init__(self, kernel: Kernel, sizes: Mapping[str, int]):
        from numba import cuda

        self.kernel, self.sizes, self.cuda = kernel, sizes, cuda
        self.geometry = kernel.geometry
        self.held: dict[int, Any] = {}
        self.addresses: dict[int, int] = {}
        self.status = self._keep(cuda.to_device(np.zeros(8, np.uint8)))

    # --- memory -------------------------------------------------------------

    def _keep(self, array: Any) -> Any:
        """Note the address of device memory; in the simulator, also the memory at the address."""
        if is_simulated():
            self.kernel.memory[_address(array)] = array._ary
        return array

    def _hold(self, buffer: Buffer, array: Any) -> None:
        self.held[buffer.id] = self._keep(array)
        self.addresses[buffer.id] = _address(array)

    def upload(self, buffer: Buffer, array: np.ndarray) -> None:
        """Copy an array to the device."""
        if array.nbytes == 0:
            self.allocate(buffer)
            return
        self._hold(buffer, self.cuda.to_device(np.ascontiguousarray(array).reshape(-1).view(np.uint8)))

    def allocate(self, buffer: Buffer) -> None:
        """Take device memory for a buffer: at least one entry, which bodies may read where a guard fails."""
        self._hold(buffer, self.cuda.device_array(max(evaluate(buffer.n_bytes, self.sizes), 8), np.uint8))

    def download(self, buffer: Buffer, target: np.ndarray) -> None:
        """Copy a buffer to a C-contiguous array on the host."""
        if target.nbytes:
            data = self.held[buffer.id].copy_to_host()[: target.nbytes]
            target.reshape(-1)[...] = data.view(buffer.dtype)

    def check(self) -> None:
        """Raise DomainError if a kernel reported an index out of range."""
        if self.status.copy_to_host().view(np.int64)[0]:
            raise DomainError("An index is out of range for its axis; every index i needs -extent <= i < extent.")

    # --- statements ---------------------------------------------------------

    def statements(self, statements: Sequence[Statement]) -> None:
        """Launch statements in order; recursion goes to the nesting of loops."""
        for s in statements:
            match s:
                case Nest():
                    self._nest(s)
                case Loop():
                    self._loop(s)

    def _loop(self, loop: Loop) -> None:
        while True:
            self.statements(loop.cond)
            if not self.held[loop.flag.id].copy_to_host()[0]:
                return
            self.statements(loop.body)
            for x, y in loop.swaps:
                for table in (self.held, self.addresses):
                    table[x.id], table[y.id] = table[y.id], table[x.id]

    def _nest(self, nest: Nest) -> None:
        for buffer in nest.zero:
            n = evaluate(buffer.n_bytes, self.sizes)
            _clear()[self.geometry.blocks(n), self.geometry.threads](n, self.held[buffer.id])
        words = self._words(Words.of(nest))
        n_kept = evaluate(product(extents_of(nest, kept_axes(nest))), self.sizes)
        if n_kept == 0:
            return
        if nest.reductions:
            self._reduce(nest, n_kept, words)
        elif nest.serial:
            self.kernel._launcher(nest, "in_order")[1, 1](n_kept, words)
        else:
            launch = self.kernel._launcher(nest, "map_points")
            launch[self.geometry.blocks(n_kept), self.geometry.threads](n_kept, words)

    def _reduce(self, nest: Nest, n_kept: int, words: tuple[int, ...]) -> None:
        shape, kernel = self.geometry, self.kernel
        n_reduced = evaluate(product(extents_of(nest, reduced_axes(nest))), self.sizes)
        if shape.by_thread(n_kept, n_reduced):
            launch = kernel._launcher(nest, "reduce_by_thread")
            launch[shape.blocks(n_kept), shape.threads](n_kept, n_reduced, words)
            return
        threads = shape.tree_threads(len(nest.reductions))
        n_parts = shape.parts(n_kept, n_reduced, threads)
        partials = self.cuda.device_array(n_kept * n_parts * len(nest.reductions), np.int64)
        blocks = min(n_kept * n_parts, shape.most_blocks)
        launch = kernel._launcher(nest, "reduce_by_block")
        launch[blocks, threads](n_kept, n_reduced, n_parts, words, partials)
        launch = kernel._launcher(nest, "combine_parts")
        launch[shape.blocks(n_kept), shape.threads](n_kept, n_parts, words, partials)

    def _words(self, layout: Words) -> tuple[int, ...]:
        words = [0] * layout.count
        words[STATUS] = _address(self.status)
        for name in layout.sizes:
            words[layout.size(name)] = self.sizes[name]
        for buffer in layout.buffers:
            words[layout.buffer(buffer)] = self.addresses[buffer.id]
        return tuple(words)


def _address(array: Any) -> int:
    """The address of device memory; in the simulator, of the array that stands for it."""
    held = array._ary if is_simulated() else array
    interface = held.__array_interface__ if is_simulated() else held.__cuda_array_interface__
    return int(interface["data"][0])


@functools.cache
def _clear() -> Any:
    from numba import cuda, types

    from backends.cuda.skeletons import clear

    return cuda.jit((types.int64, types.uint8[::1]))(clear)
