"""Arrays of other libraries: what both conventions say of them, and how results become arrays of theirs again."""

from __future__ import annotations

import gc
import importlib.util
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from backends.cuda import dlpack
from backends.cuda.arrays import DeviceArray, View, from_dlpack, given_to, library_of, view
from backends.cuda.device import LEGACY
from backends.cuda.simulator import Simulator, is_simulated
from symdiff.ir.errors import DTypeError, ShapeError

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed: pip install 'symdiff[cuda]'"
)

DTYPES = ("float64", "float32", "int64", "bool")


class Shared:
    """An array that is given by DLPack."""

    def __init__(self, array: np.ndarray):
        self.array = array

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __dlpack__(self, **_: Any) -> Any:
        a = self.array
        return dlpack.capsule(self, a.ctypes.data, a.shape, a.dtype, (1, 0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (0, 4)], ids=str)
def test_a_capsule_is_the_array(dtype: str, shape: tuple[int, ...]) -> None:
    a = (np.arange(np.prod(shape, dtype=int)) % 3).reshape(shape).astype(dtype)
    b = np.from_dlpack(Shared(a))
    assert b.dtype == a.dtype
    np.testing.assert_array_equal(b, a)
    assert a.size == 0 or np.shares_memory(a, b)


def test_the_owner_lives_as_long_as_a_consumer_and_no_longer() -> None:
    before = len(dlpack._held)
    taken = np.from_dlpack(Shared(np.arange(7.0)))
    gc.collect()
    np.testing.assert_array_equal(taken, np.arange(7.0))
    assert len(dlpack._held) == before + 1
    del taken
    assert len(dlpack._held) == before
    Shared(np.arange(7.0)).__dlpack__()  # nobody takes it
    assert len(dlpack._held) == before


def test_views_by_dlpack() -> None:
    pytest.importorskip("cuda.core.utils", reason="comes with numba-cuda[cu13]")
    a = np.arange(6.0, dtype=np.float32).reshape(2, 3)
    found = from_dlpack(a, "The argument 'x'", stream=-1)
    assert (found.address, found.shape, found.dtype, found.stream) == (a.ctypes.data, (2, 3), a.dtype, None)
    assert found.is_writeable
    with pytest.raises(ShapeError, match=r"'x' of shape \(3, 2\) lies on the GPU with strides"):
        from_dlpack(a.T, "The argument 'x'", stream=-1)


def test_what_is_no_array_on_a_gpu() -> None:
    for value in (1.5, 2, np.float64(3), np.ones(3), [1.0, 2.0], Shared(np.ones(3))):
        assert view(value, "x") is None


def test_a_tensor_that_records_derivatives_says_so() -> None:
    class Tensor:
        @property
        def __cuda_array_interface__(self) -> Any:
            raise RuntimeError("Can't get __cuda_array_interface__ on Variable that requires grad.")

    with pytest.raises(DTypeError, match=r"The argument 'x' cannot be shared: .*requires grad"):
        view(Tensor(), "The argument 'x'")


def test_libraries_by_the_modules_of_their_arrays() -> None:
    for module, name in {
        "torch": "torch",
        "cupy._core.core": "cupy",
        "jaxlib._jax": "jax",
        "numba_cuda.x": "numba",
    }.items():
        assert library_of(type("A", (), {"__module__": module})()) == name


def result() -> DeviceArray:
    return DeviceArray.empty(Simulator(), (4, 3), "float32", LEGACY)


def test_results_become_arrays_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    torch, cupy = ModuleType("torch"), ModuleType("cupy")
    torch.as_tensor = lambda a, device: ("tensor", a, device)  # type: ignore[attr-defined]
    cupy.asarray = lambda a: ("ndarray", a)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    a = result()
    assert given_to("torch", a) == ("tensor", a, "cuda:0")
    assert given_to("cupy", a) == ("ndarray", a)
    assert given_to("somebody", a) is a


def test_a_tensor_waits_for_the_stream_that_pytorch_works_on(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = SimpleNamespace(cuda_stream=77)
    monkeypatch.setitem(
        sys.modules, "torch", SimpleNamespace(cuda=SimpleNamespace(current_stream=lambda ordinal: stream))
    )
    monkeypatch.setattr("backends.cuda.arrays.ordinal_of", lambda address: 0)
    a = np.arange(3.0)
    place = {"shape": (3,), "typestr": "<f8", "data": (a.ctypes.data, False), "version": 2, "strides": None}
    tensor = type("Tensor", (), {"__module__": "torch", "__cuda_array_interface__": place})()
    found = view(tensor, "x")
    assert found is not None
    assert found.stream == 77


def test_a_result_says_what_it_is() -> None:
    a = result()
    assert (a.shape, a.ndim, a.nbytes, len(a), str(a.dtype)) == ((4, 3), 2, 48, 4, "float32")
    assert repr(a) == "<DeviceArray float32[4, 3] on GPU 0>"
    place = a.__cuda_array_interface__
    assert place["version"] == 3
    assert place["data"] == (a.address, False)
    assert place["typestr"] == "<f4"
    np.testing.assert_array_equal(np.from_dlpack(a), a.numpy())
    with pytest.raises(DTypeError, match=r"\.numpy\(\) copies"):
        np.asarray(a)
    with pytest.raises(BufferError):
        a.__dlpack__(copy=True)
    with pytest.raises(ShapeError, match="no length"):
        len(DeviceArray.empty(Simulator(), (), "float64", LEGACY))


def test_memory_of_results_is_given_back() -> None:
    device = Simulator()
    a = DeviceArray.empty(device, (4,), "float64", LEGACY)
    taken = np.from_dlpack(a)
    del a
    assert device.memory  # a consumer still has it
    del taken
    assert not device.memory


def test_overlaps() -> None:
    def at(address: int, n: int) -> View:
        return View(address, (n,), np.dtype(float), 0, None, "", None)

    assert at(0, 4).overlaps(at(24, 1))
    assert not at(0, 4).overlaps(at(32, 1))
    assert not at(32, 1).overlaps(at(0, 4))


if is_simulated():
    import symdiff as sd

    class OnGpu:
        """An array of another library, in the simulator's memory."""

        def __init__(self, array: np.ndarray):
            self.array = array

        @property
        def __cuda_array_interface__(self) -> dict[str, Any]:
            a = self.array
            place = (a.ctypes.data, not a.flags.writeable)
            return {"shape": a.shape, "typestr": a.dtype.str, "data": place, "version": 3, "strides": None, "stream": 1}

    X, Y = sd.array("x", ("n",)), sd.symbols("y")
    DATA = np.linspace(-1.0, 2.0, 13)
    EPS = np.finfo(float).eps

    @pytest.mark.parametrize("dtype", ["float64", "float32"])
    def test_results_on_the_device_are_those_of_the_host(dtype: str) -> None:
        x = sd.array("x", ("n",), dtype=dtype)
        fn = sd.compile({"f": sd.exp(x) * 2, "g": sd.sum(x * x)}, [x], target="cuda")
        data = DATA.astype(dtype)
        on_host, there = fn(data), fn(OnGpu(data))
        np.testing.assert_array_equal(there["f"].numpy(), on_host["f"])
        assert there["g"].numpy() == on_host["g"]
        assert there["g"].shape == ()

    def test_arrays_of_both_kinds_and_numbers() -> None:
        b = sd.array("b", ("n",))
        fn = sd.compile(X * b + Y, [X, b, Y], target="cuda")
        got = fn(OnGpu(DATA), DATA[::-1], 0.5)
        np.testing.assert_allclose(got.numpy(), DATA * DATA[::-1] + 0.5, rtol=4 * EPS)
        again = fn(got, OnGpu(DATA), 0.25)  # a result as an argument
        np.testing.assert_allclose(again.numpy(), got.numpy() * DATA + 0.25, rtol=4 * EPS)

    def test_given_arrays_and_arguments_that_are_results() -> None:
        fn = sd.compile([X + 1, X * 3], [X], target="cuda")
        x, other = OnGpu(DATA.copy()), OnGpu(np.zeros(13))
        fn(x, out=[x, other])
        np.testing.assert_array_equal(x.array, DATA + 1)
        np.testing.assert_array_equal(other.array, DATA * 3)

    def test_loops_and_empty_arrays() -> None:
        n = sd.array("k", (), "int64")
        turns = sd.while_loop(lambda y, k: k < n, lambda y, k: (y * X + 1.0, k + 1), [X, 0])[0]
        fn = sd.compile(turns, [X, n], target="cuda")
        expected = DATA.copy()
        for count in range(4):
            np.testing.assert_allclose(fn(OnGpu(DATA), count).numpy(), expected, rtol=8 * EPS)
            expected = expected * DATA + 1
        assert sd.compile(X + 1, [X], target="cuda")(OnGpu(np.zeros(0))).shape == (0,)

    def test_scalars_mapped_over_an_array() -> None:
        u, v = sd.symbols("u v")
        fn = sd.compile(u * sd.cos(v), [u, v], target="cuda")
        a = DATA[:12].reshape(3, 4)
        np.testing.assert_allclose(fn(OnGpu(a), a[0]).numpy(), a * np.cos(a[0]), rtol=4 * EPS)
        out = OnGpu(np.zeros((3, 4)))
        fn(OnGpu(a), 0.3, out=out)
        np.testing.assert_allclose(out.array, a * np.cos(0.3), rtol=4 * EPS)

    def test_calls_leave_nothing_behind() -> None:
        from backends.cuda.simulator import simulator

        fn = sd.compile(sd.exp(X), [X], target="cuda")
        fn(DATA)
        held = len(simulator().memory)
        for _ in range(3):
            fn(DATA)
        assert len(simulator().memory) == held
