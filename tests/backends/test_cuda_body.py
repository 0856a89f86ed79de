"""The LLVM bodies that go into kernels, run here: compiled for the CPU with libm in place of libdevice.

Every primitive and a derivative of it, against the interpreter. What this leaves to a GPU is libdevice's digits.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from backends.cpu.symbols import address_of
from backends.cuda import Kernel
from backends.cuda.body import body_module
from backends.cuda.special import LIBDEVICE
from backends.cuda.words import STATUS, Words, extents_of, kept_axes, reduced_axes
from symdiff.diff.jacobian import vjp
from symdiff.front.symbols import array
from symdiff.ir.dims import evaluate, product
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node
from symdiff.ops.index import embed, take
from symdiff.passes import optimise
from symdiff.program.ir import Call, Loop, Nest, Statement, walk
from symdiff.program.schedule import schedule
from tests.primitive_cases import CASES, Case

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed: pip install 'symdiff[cuda]'"
)

EPS = np.finfo(float).eps
# libm against SciPy and NumPy: each a few ulp from the truth, through a handful of operations.
RTOL = 256 * EPS
# What libdevice has and libm has not.
OF_SCIPY = {own: name for name, own in LIBDEVICE.items()}
_TABLE = ctypes.POINTER(ctypes.c_int64)


def opaque(text: str) -> str:
    """NVVM's pointers with types, in global memory, as today's LLVM writes pointers; the host's triple."""
    text = re.sub(r"\b(?:double|float|i\d+)(?: addrspace\(1\))?\*", "ptr", text)
    return re.sub(r'target triple = ".*"', 'target triple = ""', text)


class Machine:
    """Runs kernels' bodies in plain loops over host memory."""

    def __init__(self, kernel: Kernel, sizes: Mapping[str, int]):
        self.kernel, self.sizes = kernel, sizes
        self.status = np.zeros(1, np.int64)
        program = kernel.program
        # Ones in every bit (NaN for floats), also behind the end: what is read without having been written shows.
        self.memory = {
            b.id: np.full(evaluate(b.n_bytes, sizes) + 64, 255, np.uint8)
            for b in (*program.inputs, *program.outputs, *program.temps)
        }

    def run(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        program = self.kernel.program
        for buffer, value in zip(program.inputs, (*values, *program.data), strict=True):
            data = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
            self.memory[buffer.id][: data.size] = data
        self.statements(program.statements)
        out = []
        for b in program.outputs:
            shape = tuple(evaluate(d, self.sizes) for d in b.shape)
            out.append(self.memory[b.id][: evaluate(b.n_bytes, self.sizes)].view(b.dtype).reshape(shape))
        return out

    def statements(self, statements: Sequence[Statement]) -> None:
        for s in statements:
            if isinstance(s, Nest):
                self.nest(s)
                continue
            assert isinstance(s, Loop)
            self.statements(s.cond)
            while self.memory[s.flag.id][0]:
                self.statements(s.body)
                for x, y in s.swaps:
                    self.memory[x.id], self.memory[y.id] = self.memory[y.id], self.memory[x.id]
                self.statements(s.cond)

    def nest(self, nest: Nest) -> None:
        for b in nest.zero:
            self.memory[b.id][:] = 0
        layout = Words.of(nest)
        words = (ctypes.c_int64 * layout.count)()
        words[STATUS] = self.status.ctypes.data
        for name in layout.sizes:
            words[layout.size(name)] = self.sizes[name]
        for b in layout.buffers:
            words[layout.buffer(b)] = self.memory[b.id].ctypes.data
        _engine, run, write = compiled(nest)
        n_kept, n_reduced = (
            evaluate(product(extents_of(nest, axes(nest))), self.sizes) for axes in (kept_axes, reduced_axes)
        )
        for kept in range(n_kept):
            acc = (ctypes.c_int64 * max(len(nest.reductions), 1))(*(identity_bits(r) for r in nest.reductions))
            for reduced in range(n_reduced):
                run(kept, reduced, words, acc)
            if write is not None:
                write(kept, words, acc)


def identity_bits(reduce: Any) -> int:
    from backends.cuda.body import identity

    kind = {"float32": "int32"}.get(reduce.dtype, "int64")
    return int(np.asarray(identity(reduce), reduce.dtype).view(kind))


def compiled(nest: Nest) -> tuple[Any, Any, Any]:
    """The body of a nest as functions of this process."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    libm = ctypes.CDLL(ctypes.util.find_library("m"))
    text = opaque(str(body_module(nest)))
    for name in set(re.findall(r'@"?(__nv_\w+)"?', text)):
        own = name.removeprefix("__nv_")
        of_libm = ctypes.cast(getattr(libm, own), ctypes.c_void_p).value if own not in OF_SCIPY else None
        llvm.add_symbol(name, of_libm or address_of(OF_SCIPY[own]))
    for name in set(re.findall(r'@"(scipy\.\w+)"', text)):
        llvm.add_symbol(name, address_of(name))
    module = llvm.parse_assembly(text)
    module.verify()
    target = llvm.Target.from_default_triple().create_target_machine()
    engine = llvm.create_mcjit_compiler(module, target)
    engine.finalize_object()
    word = ctypes.c_int64
    run = ctypes.CFUNCTYPE(None, word, word, _TABLE, _TABLE)(engine.get_function_address("run"))
    write = None
    if nest.reductions:
        write = ctypes.CFUNCTYPE(None, word, _TABLE, _TABLE)(engine.get_function_address("write"))
    return engine, run, write


def emulated(outputs: Sequence[Node], inputs: Sequence[Node], values: Sequence[np.ndarray]) -> list[np.ndarray]:
    kernel = Kernel(schedule(optimise(outputs), inputs))
    sizes = {str(d): v.shape[k] for s, v in zip(inputs, values, strict=True) for k, d in enumerate(s.shape)}
    machine = Machine(kernel, sizes)
    results = machine.run(values)
    assert machine.status[0] == 0
    return results


def cell(case: Case, mode: str) -> tuple[list[Node], list[Node], list[np.ndarray]]:
    """A case's value, or its cotangents, as nodes with inputs and values."""
    kinds = {"f": "float64", "i": "int64", "b": "bool"}
    symbols = [array(f"x{k}", v.shape, dtype=kinds[v.dtype.kind]) for k, v in enumerate(case.values)]
    node = case.build(*symbols)
    if mode == "value":
        return [node], symbols, list(case.values)
    bar = array("bar", node.shape, dtype="float64")
    rng = np.random.default_rng(3)
    outputs = vjp(node, [s for s in symbols if s.dtype == "float64"], bar)
    return outputs, [*symbols, bar], [*case.values, rng.uniform(0.3, 2.2, node.shape)]


# Forms that the pass `factorise` makes, after derivatives are taken.
INNER = ("lu", "lu_solve", "eigh", "qr")


def has_cotangents(case: Case) -> bool:
    outputs, _, _ = cell(case, "value")
    return outputs[0].dtype == "float64" and case.primitive not in INNER


def has_calls(case: Case, mode: str) -> bool:
    """Whether a cell takes library calls: their kernels run in the simulator."""
    outputs, inputs, _ = cell(case, mode)
    return any(isinstance(s, Call) for s in walk(schedule(optimise(outputs), inputs).statements))


CELLS = [
    (c, m) for c in CASES for m in ("value", "reverse") if (m == "value" or has_cotangents(c)) and not has_calls(c, m)
]


@pytest.mark.parametrize(("case", "mode"), CELLS, ids=[f"{c}-{m}" for c, m in CELLS])
def test_bodies_compute_what_the_interpreter_does(case: Case, mode: str) -> None:
    outputs, inputs, values = cell(case, mode)
    expected = interpret(outputs, dict(zip(inputs, values, strict=True)))
    for got, want in zip(emulated(outputs, inputs, values), expected, strict=True):
        assert got.dtype == want.dtype
        rtol = 8 * np.finfo(np.float32).eps if want.dtype == np.float32 else RTOL
        np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("n", [0, 1, 6])
def test_guards_and_strides_at_run_time_sizes(n: int) -> None:
    x = array("x", ("n", 3), dtype="float64")
    value = np.random.default_rng(n).normal(size=(n, 3))
    padded = embed(x, shape=(x.shape[0] + 5, 7), starts=(2, 1), steps=(1, 1))
    flipped = embed(x, shape=(x.shape[0] + 1, 4), starts=(x.shape[0], 3), steps=(-1, -1))
    outputs = [x[::-1, 1:].T, x[::2].sum(), (x * x).reshape(-1), padded + 1, flipped * 2]
    expected = interpret(outputs, {x: value})
    for got, want in zip(emulated(outputs, [x], [value]), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=RTOL)


def test_an_index_out_of_range_is_reported_and_reads_nothing_outside() -> None:
    x, index = array("x", ("n",), dtype="float64"), array("i", (3,), dtype="int64")
    machine = Machine(Kernel(schedule([take(x, index, axis=0)], [x, index])), {"n": 4})
    (got,) = machine.run([np.arange(1.0, 5.0), np.array([3, 10**15, -4])])
    assert machine.status[0] == 1
    np.testing.assert_array_equal(got, [4.0, 0.0, 1.0])
