"""Calls for target="cuda" up to the driver: memory, streams, order of work and errors, with a driver in Python.

The driver gets C arguments by the C interface and keeps memory of the host; kernels are noted and not run.
"""

from __future__ import annotations

import ctypes
import importlib.util
import math
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from backends.cuda import device, driver
from backends.cuda.simulator import is_simulated
from backends.cuda.words import GO, SCRATCH, STATUS
from symdiff.ir.errors import CapacityError, CompileError, DomainError, DTypeError, ShapeError
from tests.backends.cuda_driver import CONTEXT, FakeDriver, aligned, compiled, know

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="pip install 'symdiff[cuda]'"),
    pytest.mark.skipif(is_simulated(), reason="the simulator has no driver"),
]

LEGACY = device.LEGACY


class OnGpu:
    """Another library's array."""

    def __init__(self, array: np.ndarray, stream: int | None = None, is_constant: bool = False, offset: int = 0):
        whole = aligned(array.nbytes + offset)[offset:]
        self.array = whole.view(array.dtype).reshape(array.shape)
        self.array[...] = array
        self.stream, self.is_constant, self.strides = stream, is_constant, None
        self.mask = None

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        place = (self.array.ctypes.data, self.is_constant)
        return {
            "shape": self.array.shape, "typestr": self.array.dtype.str, "data": place, "version": 3,
            "strides": self.strides, "stream": self.stream, "mask": self.mask,
        }  # fmt: skip


X = sd.array("x", ("n",))
DATA = np.linspace(0.3, 2.1, 1000)


# --- the numbers of cuda.h ------------------------------------------------------------


def test_numbers_are_those_of_the_driver() -> None:
    bindings = pytest.importorskip("cuda.bindings.driver", reason="comes with numba-cuda[cu13]")
    attribute, pool = bindings.CUdevice_attribute, bindings.CUmemPool_attribute
    assert attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT == device._MULTIPROCESSORS
    assert attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR == device._MAJOR
    assert attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR == device._MINOR
    assert attribute.CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED == device._POOLS
    assert pool.CU_MEMPOOL_ATTR_RELEASE_THRESHOLD == device._RELEASE_THRESHOLD
    assert pool.CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT == device._RESERVED
    assert pool.CU_MEMPOOL_ATTR_USED_MEM_CURRENT == device._USED
    assert bindings.CUpointer_attribute.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL == device._POINTER_ORDINAL
    assert bindings.CUevent_flags.CU_EVENT_DISABLE_TIMING == device._DISABLE_TIMING
    assert bindings.CUresult.CUDA_ERROR_OUT_OF_MEMORY == driver.OUT_OF_MEMORY
    assert bindings.CU_STREAM_LEGACY == LEGACY
    assert bindings.CUstream_flags.CU_STREAM_NON_BLOCKING == device._NON_BLOCKING
    assert bindings.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED == device._RELAXED
    props = bindings.CUmemPoolProps()
    props.allocType = bindings.CUmemAllocationType.CU_MEM_ALLOCATION_TYPE_PINNED
    props.location.type = bindings.CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE
    props.location.id = 3
    mine = device._PoolProps(kind=device._PINNED, place=device._ON_DEVICE, ordinal=3)
    assert bytes(mine) == ctypes.string_at(props.getPtr(), ctypes.sizeof(mine))


# --- calls with arrays of the host -------------------------------------------------------


def test_kernels_get_sizes_and_addresses(gpu: FakeDriver) -> None:
    fn = compiled(gpu, sd.exp(X) * 2, [X])
    fn(DATA)
    (launch,) = gpu.launches
    assert launch.name == "s0_map_vectors"
    assert launch.stream == LEGACY
    layout = fn.kernel.layout(fn.kernel.statements[0])
    turn, *words = launch.words
    assert turn == 0
    assert words[layout.size("n")] == len(DATA)
    assert words[GO] == words[STATUS] + 8
    places = [words[STATUS], words[SCRATCH], *(words[layout.buffer(b)] for b in layout.buffers)]
    assert len(set(places)) == 4
    assert all(a % 256 == 0 for a in places)
    assert gpu.contexts == []
    assert gpu.used == 0


def test_memory_is_asked_for_once(gpu: FakeDriver) -> None:
    fn = compiled(gpu, [sd.sin(X), sd.sum(X)], [X])
    for _ in range(4):
        fn(DATA)
    assert len(gpu.asked("cuMemGetInfo")) == 1  # later calls find what the pool kept
    taken = gpu.reserved
    assert taken >= 3 * DATA.nbytes - DATA.nbytes
    fn(DATA[:100])
    assert gpu.reserved == taken
    assert len(gpu.asked("cuModuleLoadData")) == 1


def test_literal_arrays_are_copied_once(gpu: FakeDriver) -> None:
    table = np.linspace(-1.0, 1.0, 37)
    fn = compiled(gpu, sd.array("y", (37,)) * table, [sd.array("y", (37,))])
    for _ in range(3):
        fn(np.ones(37))
    n_bytes = [n for _, _, n, _ in gpu.asked("cuMemcpyHtoDAsync")]
    assert n_bytes.count(37 * 8) == 1 + 3


def test_too_little_memory_is_said_before_anything_runs(gpu: FakeDriver) -> None:
    gpu.free = 10_000
    fn = compiled(gpu, sd.exp(X), [X])
    with pytest.raises(
        CapacityError, match=r"needs 16,\d+ bytes on NVIDIA H200 \(inputs 8,000, results 8,000, .*10,000"
    ):
        fn(DATA)
    assert not gpu.launches
    with pytest.raises(MemoryError):
        fn(DATA)
    fn(DATA[:100])
    assert len(gpu.launches) == 1


def test_memory_in_pieces_goes_back_before_a_call_gives_up(gpu: FakeDriver) -> None:
    fn = compiled(gpu, sd.exp(X), [X])
    fn(DATA[:100])
    found, answers = gpu._cuMemAllocFromPoolAsync, iter([2, 0])

    def scattered(*args: Any) -> int:
        return next(answers) or found(*args)

    gpu.status = {}
    gpu._cuMemAllocFromPoolAsync = scattered  # type: ignore[method-assign]
    device._gpu.cache_clear()
    driver.driver.cache_clear()
    fn = compiled(gpu, sd.exp(X), [X])
    fn(DATA)
    assert gpu.asked("cuMemPoolTrimTo")


# --- what is missing ---------------------------------------------------------------------


def test_no_driver(gpu: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise OSError("libcuda.so.1: cannot open shared object file")

    monkeypatch.setattr(driver, "library_functions", missing)
    with pytest.raises(CompileError, match=r"no CUDA driver with a GPU \(.* is not found\).*target='cpu'"):
        compiled(gpu, X + 1, [X])(DATA)


def test_a_driver_of_another_age(gpu: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu.version = 12040
    with pytest.raises(CompileError, match=r"is for CUDA 12.4, .* CUDA 13.2. .*numba-cuda\[cu12\]"):
        compiled(gpu, X + 1, [X])(DATA)
    driver.driver.cache_clear()

    def ancient() -> None:
        raise AttributeError("undefined symbol: cuMemPoolCreate")

    monkeypatch.setattr(driver, "library_functions", ancient)
    with pytest.raises(CompileError, match=r"older than CUDA 11\.4"):
        compiled(gpu, X + 1, [X])(DATA)


@pytest.mark.parametrize(("status", "text"), [(100, "found no GPU"), (999, "CUDA_ERROR_UNKNOWN")])
def test_no_gpu(gpu: FakeDriver, status: int, text: str) -> None:
    gpu.status["cuInit"] = status
    with pytest.raises(CompileError, match=text):
        compiled(gpu, X + 1, [X])(DATA)


def test_a_machine_whose_gpus_are_hidden(gpu: FakeDriver) -> None:
    gpu.n_gpus = 0
    with pytest.raises(CompileError, match="found no GPU"):
        compiled(gpu, X + 1, [X])(DATA)


def test_a_gpu_that_is_too_old(gpu: FakeDriver) -> None:
    gpu.name = "Tesla V100"
    gpu.attributes[75] = 7
    with pytest.raises(CompileError, match=r"Tesla V100 has compute capability 7.0, .* 8.0 \(Ampere\)"):
        compiled(gpu, X + 1, [X])(DATA)


def test_a_gpu_without_pools(gpu: FakeDriver) -> None:
    gpu.attributes[115] = 0
    with pytest.raises(CompileError, match="no memory pools"):
        compiled(gpu, X + 1, [X])(DATA)


def test_what_the_driver_refuses_is_in_its_words(gpu: FakeDriver) -> None:
    gpu.status["cuLaunchKernel"] = 719
    with pytest.raises(CompileError, match="refused cuLaunchKernel: CUDA_ERROR_LAUNCH_FAILED"):
        compiled(gpu, X + 1, [X])(DATA)
    assert gpu.used == 0
    assert gpu.contexts == []
    gpu.status = {"cuStreamSynchronize": 3}
    with pytest.raises(CompileError, match="forked"):
        compiled(gpu, X + 1, [X])(DATA)


def test_an_index_out_of_range_is_read_back(gpu: FakeDriver) -> None:
    index = sd.array("i", ("k",), dtype="int64")
    fn = compiled(gpu, sd.take(X, index), [X, index])
    copied = gpu._cuMemcpyHtoDAsync

    def reported(to: int, at: int, n_bytes: int, stream: int) -> None:
        copied(to, at, n_bytes, stream)
        if n_bytes == 8:
            ctypes.c_int64.from_address(to).value = 1

    gpu._cuMemcpyDtoHAsync = reported  # type: ignore[method-assign]
    driver.driver.cache_clear()
    device._gpu.cache_clear()
    with pytest.raises(DomainError, match="out of range"):
        fn(DATA, np.array([0]))


# --- arrays on the device -----------------------------------------------------------------


def test_arrays_are_used_where_they_lie(gpu: FakeDriver) -> None:
    fn = compiled(gpu, [sd.exp(X), sd.exp(-X)], [X])
    x = OnGpu(DATA)
    results = fn(x)
    assert [r.shape for r in results] == [DATA.shape] * 2
    assert not gpu.asked("cuMemcpyDtoHAsync")
    assert not gpu.asked("cuMemcpyDtoDAsync")
    assert [n for _, _, n, _ in gpu.asked("cuMemcpyHtoDAsync")] == [16]  # the control block
    (launch,) = gpu.launches
    assert x.array.ctypes.data in launch.words
    assert {r.address for r in results} <= set(launch.words)
    assert gpu.used == sum(a.nbytes for a in results)
    del results
    assert gpu.used == 0


def test_results_take_the_place_of_given_arrays(gpu: FakeDriver) -> None:
    fn = compiled(gpu, sd.exp(X), [X])
    x, out = OnGpu(DATA), OnGpu(np.zeros(1000))
    assert fn(x, out=out) is out
    assert out.array.ctypes.data in gpu.launches[-1].words
    assert not gpu.asked("cuMemcpyDtoDAsync")
    # A result that overlaps an argument is copied when all are computed.
    fn(x, out=x)
    assert gpu.launches[-1].words.count(x.array.ctypes.data) == 1
    assert [a[2] for a in gpu.asked("cuMemcpyDtoDAsync")] == [DATA.nbytes]


def test_arrays_that_begin_inside_a_vector_are_copied(gpu: FakeDriver) -> None:
    fn = compiled(gpu, sd.exp(X), [X])
    x = OnGpu(DATA, offset=8)
    fn(x)
    assert x.array.ctypes.data not in gpu.launches[-1].words
    assert [a[1:3] for a in gpu.asked("cuMemcpyDtoDAsync")] == [(x.array.ctypes.data, DATA.nbytes)]


def test_work_waits_for_the_streams_of_its_arrays(gpu: FakeDriver) -> None:
    y = sd.array("y", ("n",))
    fn = compiled(gpu, X * y, [X, y])
    fn(OnGpu(DATA, stream=70), OnGpu(DATA, stream=80))
    assert gpu.launches[-1].stream == 70
    waits, records = gpu.asked("cuStreamWaitEvent"), gpu.asked("cuEventRecord")
    assert [w[1] for w in waits] == [r[0] for r in records], "another event than the recorded one"
    # The call's stream waits for the other array's; at the end both that one and the one that frees memory wait for it.
    waited = [(w[0], r[1]) for w, r in zip(waits, records, strict=True)]
    assert waited == [(70, 80), (80, 70), (LEGACY, 70)]
    result = fn(OnGpu(DATA, stream=70), DATA, stream=90)
    assert gpu.launches[-1].stream == 90
    assert result.stream == 90
    assert result.__cuda_array_interface__["stream"] == 90


def test_arrays_of_the_host_are_read_when_the_call_returns(gpu: FakeDriver) -> None:
    """Those that are page-locked are copied behind the caller's back; what lies on the device needs no waiting."""
    y = sd.array("y", ("n",))
    fn = compiled(gpu, X * y, [X, y])
    fn(OnGpu(DATA, stream=70), OnGpu(DATA, stream=70))
    assert (70,) not in gpu.asked("cuStreamSynchronize")
    fn(OnGpu(DATA, stream=70), DATA)
    assert (70,) in gpu.asked("cuStreamSynchronize")


class WithProtocol:
    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, 33


class OfCupy:
    ptr = 34


class OfTorch:
    cuda_stream = 35


class OfNumba:
    handle = ctypes.c_void_p(36)


@pytest.mark.parametrize(
    ("stream", "handle"),
    [(WithProtocol(), 33), (OfCupy(), 34), (OfTorch(), 35), (OfNumba(), 36), (37, 37), (0, LEGACY), (None, LEGACY)],
    ids=["protocol", "cupy", "torch", "numba", "handle", "zero", "none"],
)
def test_streams_of_every_library(gpu: FakeDriver, stream: Any, handle: int) -> None:
    fn = compiled(gpu, X + 1, [X])
    fn(DATA, stream=stream)
    assert gpu.launches[-1].stream == handle
    fn(DATA)
    assert gpu.launches[-1].stream == LEGACY


def test_an_input_may_be_called_stream(gpu: FakeDriver) -> None:
    stream = sd.array("stream", ("n",))
    compiled(gpu, stream + 1, [stream])(stream=DATA)
    with pytest.raises(DTypeError, match="stream= is a stream of CuPy"):
        compiled(gpu, X + 1, [X])(DATA, stream="first")
    with pytest.raises(DTypeError, match="no argument 'stream'"):
        sd.compile(X + 1, [X], target="reference")(DATA, stream=1)


def strided(x: OnGpu) -> OnGpu:
    x.strides = (16,)
    return x


def masked(x: OnGpu) -> OnGpu:
    x.mask = x
    return x


WRONG = {
    "strides": (
        lambda: strided(OnGpu(DATA)),
        ShapeError,
        r"'x' of shape \(1000,\) lies on the GPU with strides \(16,\)",
    ),
    "mask": (lambda: masked(OnGpu(DATA)), DTypeError, "'x' is a masked array"),
    "dtype": (lambda: OnGpu(DATA.astype(np.float32)), DTypeError, "'x' has dtype float64, got an array of float32"),
    "shape": (lambda: OnGpu(DATA.reshape(10, 100)), ShapeError, r"'x' has shape \(n,\), got an array of shape"),
}


@pytest.mark.parametrize("name", WRONG)
def test_arrays_that_do_not_fit(gpu: FakeDriver, name: str) -> None:
    make, error, text = WRONG[name]
    with pytest.raises(error, match=text):
        compiled(gpu, X + 1, [X])(make())
    assert not gpu.launches


def test_given_arrays_that_do_not_fit(gpu: FakeDriver) -> None:
    fn = compiled(gpu, X + 1, [X])
    x = OnGpu(DATA)
    for out, error, text in (
        (np.zeros(1000), DTypeError, r"out\[0\] must lie on the GPU"),
        (OnGpu(np.zeros(999)), ShapeError, r"shape \(1000,\), got float64 \(999,\)"),
        (OnGpu(np.zeros(1000), is_constant=True), ShapeError, "read-only"),
    ):
        with pytest.raises(error, match=text):
            fn(x, out=out)


def test_arrays_of_two_gpus(gpu: FakeDriver) -> None:
    y = sd.array("y", ("n",))
    fn, a, b = compiled(gpu, X * y, [X, y]), OnGpu(DATA), OnGpu(DATA)
    gpu.n_gpus = 2

    def ordinal(out: int, which: int, address: int) -> None:
        ctypes.c_int.from_address(out).value = int(address == b.array.ctypes.data)

    gpu._cuPointerGetAttribute = ordinal  # type: ignore[method-assign]
    driver.driver.cache_clear()
    with pytest.raises(ShapeError, match="on the GPUs 0, 1"):
        fn(a, b)
    fn(b, DATA)
    assert ("cuCtxPushCurrent", CONTEXT + 1) in gpu.log


def test_scalars_are_mapped_over_arrays_of_one_shape(gpu: FakeDriver) -> None:
    u, v = sd.symbols("u v")
    fn = compiled(gpu, u * v, [u, v])
    know(gpu, fn.code_for((True, True)))
    a = OnGpu(DATA.reshape(20, 50))
    assert fn(a, DATA[:50]).shape == (20, 50)
    assert math.prod(a.array.shape) in gpu.launches[-1].words
    with pytest.raises(ShapeError, match=r"one shape, .* got \(20, 50\), \(50,\)"):
        fn(a, OnGpu(DATA[:50]))
