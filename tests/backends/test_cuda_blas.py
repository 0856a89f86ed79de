"""cuBLAS as it is called, with a routine of NumPy's in its place, which reads what the arguments say."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from backends.cuda.blas import Blas, blas, pays
from symdiff.front.symbols import array
from symdiff.ir.errors import CompileError
from symdiff.ir.node import Node
from symdiff.ops.linalg import matmul
from symdiff.passes import optimise
from symdiff.program.ir import Call, walk
from symdiff.program.schedule import schedule

pytest.importorskip("cuda.pathfinder", reason="it comes with numba-cuda: pip install 'symdiff[cuda]'")


def columns(address: int, rows: int, n: int, leading: int, dtype: Any) -> np.ndarray:
    """The matrix that lies column by column at an address."""
    size = leading * (n - 1) + rows if n else 0
    kind = ctypes.c_double if dtype == np.float64 else ctypes.c_float
    flat = np.frombuffer((kind * size).from_address(address), dtype)
    return np.lib.stride_tricks.as_strided(flat, (rows, n), (flat.itemsize, leading * flat.itemsize))


def routine(dtype: Any) -> Any:
    """cublas<t>gemmStridedBatched by its documentation (cuBLAS 13, section 2.8)."""
    item = np.dtype(dtype).itemsize

    def run(
        handle: int, op_a: int, op_b: int, m: int, n: int, k: int, alpha: Any, a: int, lda: int, step_a: int, b: int,
        ldb: int, step_b: int, beta: Any, c: int, ldc: int, step_c: int, count: int,
    ) -> int:  # fmt: skip
        assert lda >= max(1, k if op_a else m)
        assert ldb >= max(1, n if op_b else k)
        assert ldc >= max(1, m)
        for j in range(count):
            left = columns(a + item * j * step_a, *((k, m) if op_a else (m, k)), lda, dtype)
            right = columns(b + item * j * step_b, *((n, k) if op_b else (k, n)), ldb, dtype)
            out = columns(c + item * j * step_c, m, n, ldc, dtype)
            out[...] = (left.T if op_a else left) @ (right.T if op_b else right)
        return 0

    return run


def fake() -> Blas:
    def create(out: Any) -> int:
        out._obj.value = 77
        return 0

    return Blas({
        "cublasCreate_v2": create,
        "cublasSetStream_v2": lambda handle, stream: 0 if (handle, stream) == (77, 5) else 1,
        "cublasDgemmStridedBatched_64": routine(np.float64),
        "cublasSgemmStridedBatched_64": routine(np.float32),
    })  # fmt: skip


def product(call: Call, a: np.ndarray, b: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    out = np.full(shape, np.nan, a.dtype)
    x, y, z = (o.buffer.id for o in call.operands)
    addresses = {x: a.ctypes.data, y: b.ctypes.data, z: out.ctypes.data}
    fake().gemm(call, {}, addresses, 0, 5)
    return out


def call_of(root: Node, inputs: list[Node]) -> Call:
    program = schedule(optimise([root]), inputs)
    (call,) = (s for s in walk(program.statements) if isinstance(s, Call))
    return call


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("layout", ["plain", "left", "right", "both", "stack"])
def test_operands_lie_as_they_do(layout: str, dtype: str) -> None:
    rng = np.random.default_rng(4)
    lead = (3,) if layout == "stack" else ()
    m, k, n = 11, 13, 9
    shape_a = (k, m) if layout in ("left", "both") else (*lead, m, k)
    shape_b = (n, k) if layout in ("right", "both") else (*lead, k, n)
    a, b = (rng.normal(size=s).astype(dtype) for s in (shape_a, shape_b))
    x, y = array("x", shape_a, dtype=dtype), array("y", shape_b, dtype=dtype)
    left, right = (x.T if shape_a == (k, m) else x), (y.T if shape_b == (n, k) else y)
    expected = (a.T if shape_a == (k, m) else a) @ (b.T if shape_b == (n, k) else b)
    got = product(call_of(matmul(left, right), [x, y]), a, b, expected.shape)
    # Sums of 13 terms of size 1.
    np.testing.assert_allclose(got, expected, atol=64 * np.finfo(dtype).eps)


def test_refusals_have_the_status() -> None:
    x = array("x", (5, 7), dtype="float64")
    call = call_of(matmul(x, x.T), [x])
    addresses = {o.buffer.id: 0 for o in call.operands}
    with pytest.raises(CompileError, match="cuBLAS refused cublasSetStream with status 1"):
        fake().gemm(call, {}, addresses, 0, 6)


def test_small_products_and_integers_stay_here() -> None:
    x = array("x", ("n", "n"), dtype="float64")
    call = call_of(matmul(x, x), [x])
    assert not pays(call, {"n": 9})
    assert pays(call, {"n": 90})


def test_the_library_has_the_routines() -> None:
    found = blas()
    if found is None:
        pytest.skip("cuBLAS is not installed")
    assert found._functions.keys() == fake()._functions.keys()
