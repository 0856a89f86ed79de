"""Kernels compile to PTX without a GPU: every elementwise primitive and a derivative of it, every reduction."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from backends.cuda import Kernel
from backends.cuda.geometry import Geometry
from backends.cuda.lacking import EXCEPTIONS
from backends.cuda.steps import CALLS, _lanes
from symdiff.bench.ours import logreg_function
from symdiff.compile import compile as compile_
from symdiff.diff.jacobian import gradient, jvp
from symdiff.front.custom import opaque
from symdiff.front.symbols import array
from symdiff.ir.errors import CompileError, DerivativeError
from symdiff.ir.node import PRIMITIVES, Node
from symdiff.ops.control import while_loop
from symdiff.ops.elementwise import ELEMENTWISE, exp, sin
from symdiff.ops.elementwise.bessel import OF_ORDER
from symdiff.ops.linalg import matmul
from symdiff.ops.recurrence import recurrence
from symdiff.ops.reduce import sum_
from symdiff.ops.sorting import argsort
from symdiff.passes import optimise
from symdiff.program.ir import Call, Nest
from symdiff.program.schedule import schedule

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed: pip install 'symdiff[cuda]'"
)

CAPABILITIES = ((8, 0), (9, 0))
VARIANTS: dict[str, dict[str, Any]] = {
    "polygamma": {"n": 2}, "cast": {"dtype": "float32"}, **{op.name: {"v": 2.5} for op in OF_ORDER},
}  # fmt: skip
PER_KERNEL = 30


def kernel(outputs: Sequence[Node], inputs: Sequence[Node]) -> Kernel:
    return Kernel(schedule(optimise(outputs), inputs))


def check_ptx(k: Kernel) -> str:
    """Compile for every capability; returns the text for the last."""
    for major, minor in CAPABILITIES:
        text = k.ptx((major, minor))
        assert f".target sm_{major}{minor}" in text
        assert text.count(".visible .entry") >= len(k.statements)
        # What libdevice has is inlined: nothing is left to be linked.
        assert ".extern" not in text
    return text


def with_derivatives(names: Sequence[str], dtype: str) -> tuple[list[Node], list[Node]]:
    """Applications of primitives to vectors, each with its derivative where it has one."""
    xs = [array(f"x{k}", ("n",), dtype=dtype) for k in range(3)]
    dots = [array(f"d{k}", ("n",), dtype=dtype) for k in range(3)]
    outputs = []
    for op in (PRIMITIVES[name] for name in names):
        n = op.n_args  # type: ignore[attr-defined]
        args = [xs[0] > xs[1], *xs[1:]] if op.name == "where" else xs[:n]
        outputs.append(op(*args, **VARIANTS.get(op.name, {})))
        try:
            outputs.append(jvp(outputs[-1], xs[:n], dots[:n]))
        except DerivativeError:
            assert outputs[-1].dtype == "bool"
    return outputs, [*xs, *dots]


@pytest.mark.parametrize("start", range(0, len(ELEMENTWISE), PER_KERNEL))
def test_every_elementwise_primitive_compiles(start: int) -> None:
    names = [op.name for op in ELEMENTWISE[start : start + PER_KERNEL]]
    check_ptx(kernel(*with_derivatives(names, "float64")))


def test_float32_uses_the_functions_of_float32() -> None:
    text = check_ptx(kernel(*with_derivatives(["exp", "tanh", "hypot", "abs", "neg", "mod", "maximum"], "float32")))
    assert "ld.global.f32" in text
    assert not re.search(r"\.f64\b", text)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
def test_every_reduction_compiles(dtype: str) -> None:
    x = array("x", ("n", 3), dtype=dtype)
    y = array("y", (4, 300), dtype=dtype)
    names = ("sum", "prod") if dtype == "int64" else ("sum", "prod", "max", "min")
    outputs = [PRIMITIVES[name](x, axes=(0,)) for name in names[:2]]
    outputs.append(PRIMITIVES["sum"](y, axes=(0, 1)))
    check_ptx(kernel([*outputs, *(PRIMITIVES[name](y, axes=(1,)) for name in names)], [x, y]))


def test_threads_that_are_neighbours_read_neighbours() -> None:
    """Rows are summed by warps, whose threads hand their sums on; columns by blocks with a column for each thread."""
    x = array("x", ("n", "m"), dtype="float64")
    ways = []
    for axes in ((0,), (0, 1), (1,)):
        k = kernel([sum_(x, axes=axes)], [x])
        ways.append({way for _, way in k.kernels.values() if way.startswith("reduce")})
    columns, everything, rows = ways
    assert rows == {"reduce_by_warp", "reduce_by_block"}
    assert columns == {"reduce_by_thread", "reduce_by_block"}
    assert "reduce_by_block" in everything
    # One thread for each of neighbouring columns; where everything is summed, all threads for one result.
    nests = [kernel([sum_(x, axes=axes)], [x]).statements[0] for axes in ((0,), (0, 1))]
    assert [_lanes(nest, Geometry()) for nest in nests if isinstance(nest, Nest)] == [32, 1]
    name = next(n for n, (_, way) in k.kernels.items() if way == "reduce_by_warp")
    entries = check_ptx(k).split(".visible .entry")[1:]
    (text,) = [text for text in entries if name in text.partition("(")[0]]
    # 16, 8, 4, 2 and 1 threads away, two halves of a number each.
    assert len(re.findall(r"shfl\.sync\.down\.b32", text)) == 10
    assert "bar.sync" not in text


def test_a_loss_and_its_gradient_read_the_rows_once() -> None:
    k = logreg_function("cuda").kernel
    (batch,) = k.joins.values()
    assert batch.sums == (1, 2)
    many = {"n": 2_000_000, "d": 64}
    needed = list(k._needed(many, k.program.statements))
    assert sum("reduce" in name for name in needed) == 1  # |w|²
    text = k.code((9, 0), needed).ptx
    assert text.count(".visible .entry") == len(needed)
    assert "shfl.sync.down" in text
    few = k._needed({"n": 2000, "d": 64}, k.program.statements)
    assert not any("batches" in name for name in few)


def test_sizes_of_what_begins_at_zero_are_passed() -> None:
    """The gradient of some rows: nothing but the array to clear has the run-time size."""
    x = array("x", ("n", 3))
    check_ptx(kernel([gradient(sum_(sin(x[10:20:3]), axes=(0, 1)), x)], [x]))


def test_guards_gathers_products_and_loops_compile() -> None:
    x = array("x", ("n",), dtype="float64")
    index = array("i", ("k",), dtype="int64")
    a = array("A", (4, "n"), dtype="float64")
    turns = while_loop(lambda y, k: k < 3, lambda y, k: (sin(y), k + 1), [x, 0])
    outputs = [
        PRIMITIVES["embed"](x, shape=(x.shape[0] + 3,), starts=(2,), steps=(1,)),
        PRIMITIVES["take"](exp(x), index, axis=0),
        gradient(sum_(PRIMITIVES["take"](x * x, index, axis=0), axes=(0,)), x),
        matmul(a, x * x),
        matmul(a, a.T),
        turns[0],
        x[::-2],
    ]
    check_ptx(kernel(outputs, [x, index, a]))


def test_library_calls_compile() -> None:
    a, b = array("A", (5, 6), dtype="float64"), array("b", (6, 7), dtype="float64")
    check_ptx(kernel([PRIMITIVES["cholesky"](matmul(a, a.T)), argsort(b, axis=0)], [a, b]))


def test_a_loop_compiles_to_one_kernel() -> None:
    x, a = array("x", (3,), dtype="float64"), array("A", ("n", 3), dtype="float64")
    turns = while_loop(lambda y, k: k < 3, lambda y, k: (y - sum_(a * y, axes=(0,)), k + 1), [x, 0])
    k = kernel([turns[0]], [x, a])
    (resident,) = k.residents.values()
    code = resident.code((9, 0))
    assert code.ptx.count(".visible .entry") == 1
    assert "atom.global.add.u64" in code.ptx  # the barrier of the grid
    assert len(code.cubin) > 0


@pytest.mark.slow
def test_every_library_call_compiles() -> None:
    a, b = array("A", ("n", "n"), dtype="float64"), array("b", ("n", "m"), dtype="float64")
    bands, rows = array("d", (3, "n"), dtype="float64"), array("r", ("n", 2), dtype="float64")
    call = PRIMITIVES
    outputs = [
        call["solve"](a, b), call["cholesky"](a), call["triangular_solve"](a, b, lower=True), call["adjugate"](a),
        call["eigvalsh"](a), call["qr_q"](array("C", (7, 3), dtype="float64")), matmul(a, b), argsort(b, axis=0),
        recurrence(b, b, axis=0, reverse=False), call["banded_solve"](bands, rows, lower=1),
    ]  # fmt: skip
    k = kernel(outputs, [a, b, bands, rows, array("C", (7, 3), dtype="float64")])
    assert {s.name for s in k.statements if isinstance(s, Call)} >= CALLS - {"lu_solve"}
    check_ptx(k)


def test_the_assembler_takes_the_kernels() -> None:
    """NVIDIA's own assembler, which needs no GPU either: registers, shared memory and parameters are in bounds."""
    pytest.importorskip("cuda.bindings.nvjitlink", reason="nvJitLink comes with numba-cuda[cu13]")
    x = array("x", ("n", 3), dtype="float64")
    # So many reductions in one nest that a block of full size would not fit into shared memory.
    outputs = [sum_(sin(x * k), axes=(0,)) for k in range(1, 31)]
    outputs += [exp(x), gradient(sum_(exp(x) * x, axes=(0, 1)), x)]
    k = kernel(outputs, [x])
    assert max(len(s.reductions) for s in k.statements if isinstance(s, Nest)) > 24
    code = k.code((9, 0))
    assert len(code.cubin) > 0
    assert set(code.resources) == set(code.kernels)


def test_neighbouring_points_are_one_vector() -> None:
    for dtype, vector in (("float64", "v2.f64"), ("float32", "v4.f32")):
        x, y = array("x", ("n",), dtype=dtype), array("y", ("n",), dtype=dtype)
        text = kernel([x * y + x], [x, y]).ptx((9, 0))
        assert f"ld.global.{vector}" in text
        assert f"st.global.{vector}" in text


def test_memory_is_global_and_nothing_is_fast_but_wrong() -> None:
    x = array("x", ("n",), dtype="float64")
    text = kernel([exp(x) / (1 + x)], [x]).ptx((9, 0))
    assert "ld.global" in text
    assert "st.global" in text
    assert "div.rn.f64" in text  # correctly rounded, as on the CPU
    assert ".approx.f64" not in text


# --- what this target lacks -----------------------------------------------------


def test_calls_of_python_functions_are_refused() -> None:
    x = array("x", ("n",), dtype="float64")
    with pytest.raises(CompileError, match=rf"'opaque' cannot run on target='cuda': {EXCEPTIONS['opaque']}"):
        kernel([opaque(np.sin, ("n",))(x)], [x])


def test_every_exception_is_a_primitive() -> None:
    assert set(EXCEPTIONS) <= set(PRIMITIVES)


def test_without_a_gpu_a_call_says_what_to_do() -> None:
    from numba import cuda

    if cuda.is_available():
        pytest.skip("there is a GPU")
    x = array("x", ("n",), dtype="float64")
    fn = compile_(sin(x), [x], target="cuda")
    assert ".visible .entry" in fn.inspect("ptx")
    assert "@__nv_sin" in fn.inspect("llvm") or '@"__nv_sin"' in fn.inspect("llvm")
    with pytest.raises(CompileError, match=r"no CUDA driver with a GPU .*target='cpu'.*inspect\('ptx'\)"):
        fn(np.ones(3))
    with pytest.raises(CompileError, match="'llvm' or 'ptx'"):
        fn.inspect("asm")


def test_without_numba_cuda_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "numba_cuda" else found(name))
    x = array("x", ("n",), dtype="float64")
    with pytest.raises(CompileError, match=r"pip install 'symdiff\[cuda\]'"):
        compile_(sin(x), [x], target="cuda")


def test_too_many_arrays_for_one_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.cuda.words.MOST_WORDS", 5)
    xs = [array(f"x{k}", ("n",), dtype="float64") for k in range(5)]
    with pytest.raises(CompileError, match="at most 5; put scalars into one array"):
        kernel([sum(xs[1:], xs[0])], xs)
