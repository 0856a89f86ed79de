"""arrays: other libraries' arrays on a GPU, taken without a copy, and results that every library can take.

Two conventions say where an array lies: the CUDA Array Interface, version 3 (CuPy, PyTorch, JAX, Numba), and DLPack
(all of these, and others). Work on an array that is still being made waits for the stream that makes it.
"""

from __future__ import annotations

import math
import sys
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends.cuda.device import LEGACY, Gpu, ordinal_of
from backends.cuda.dlpack import capsule
from backends.cuda.simulator import Simulator, is_simulated
from symdiff.ir.errors import DTypeError, ShapeError

Device = Gpu | Simulator

# DLDeviceType: memory of a CUDA device, and memory that moves between devices and host.
_CPU, _CUDA, _MANAGED = 1, 2, 13


class _Sized:
    """What follows from a shape and a dtype."""

    __slots__ = ()
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """The number of bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class View(_Sized):
    """An array on a device that somebody else holds. `stream` is where it is being made, None where it is there."""

    address: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    ordinal: int
    stream: int | None
    library: str
    owner: Any
    is_writeable: bool = True

    def overlaps(self, other: View) -> bool:
        """Whether two arrays have memory in common."""
        return self.address < other.address + other.nbytes and other.address < self.address + self.nbytes


class DeviceArray(_Sized):
    """A result on a GPU: a C-contiguous array that CuPy, PyTorch, JAX, Numba and others take without a copy.

    `numpy()` copies it to the host. Its memory is given back when nobody refers to it any more.
    """

    def __init__(self, device: Device, address: int, shape: tuple[int, ...], dtype: str, stream: int):
        self.device, self.address, self.stream = device, address, stream
        self.shape, self.dtype = shape, np.dtype(dtype)
        # On the stream that waits for all others: who took the array may have used it on any.
        weakref.finalize(self, _release, device, address).atexit = False

    @classmethod
    def of(cls, device: Device, array: np.ndarray) -> DeviceArray:
        """Copy an array of the host to a device."""
        out = cls.empty(device, array.shape, str(array.dtype), LEGACY)
        with device.active():
            device.upload(out.address, np.ascontiguousarray(array), LEGACY)
            device.synchronise(LEGACY)
        return out

    @classmethod
    def empty(cls, device: Device, shape: tuple[int, ...], dtype: str, stream: int) -> DeviceArray:
        """Take memory for an array that is made on a stream."""
        n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        return cls(device, device.allocate(max(n_bytes, 8), stream), shape, dtype, stream)

    def reshaped(self, shape: tuple[int, ...]) -> DeviceArray:
        """Take another shape of as many entries; for an array that nobody else has seen yet."""
        self.shape = shape
        return self

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address if self.nbytes else 0, False),
            "strides": None,
            "stream": self.stream,
            "version": 3,
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        return (_CPU if self.device.is_simulated else _CUDA, self.device.ordinal)

    def __dlpack__(
        self, *, stream: int | None = None, max_version: Any = None, dl_device: Any = None, copy: bool | None = None
    ) -> Any:
        """Return a capsule; the consumer's `stream` waits for the array, -1 asks for no waiting."""
        if copy or (dl_device is not None and tuple(dl_device) != self.__dlpack_device__()):
            raise BufferError("A DeviceArray is given as it lies; use .numpy() for a copy on the host.")
        if stream != -1:
            with self.device.active():
                self.device.wait(stream or LEGACY, self.stream)
        return capsule(self, self.address, self.shape, self.dtype, self.__dlpack_device__())

    def numpy(self) -> np.ndarray:
        """Copy to the host, and wait for it."""
        out = np.empty(self.shape, self.dtype)
        with self.device.active():
            self.device.download(self.address, out, self.stream)
        return out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise DTypeError("A DeviceArray lies on a GPU; .numpy() copies it to the host.")

    def __len__(self) -> int:
        if not self.shape:
            raise ShapeError("The result is a number without axes, which has no length.")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<DeviceArray {self.dtype}{list(self.shape)} on GPU {self.device.ordinal}>"


def _release(device: Device, address: int) -> None:
    with device.active():
        device.free(address, LEGACY)


# --- taking arrays -----------------------------------------------------------------------------------------------


def view(value: Any, name: str) -> View | None:
    """Return where an array on a GPU lies; None for everything else.

    Raises: ShapeError for one that is not contiguous, DTypeError for one that cannot be shared; `name` begins the text.
    """
    if isinstance(value, (np.ndarray, np.generic, float, int)):
        return None
    try:
        interface = getattr(value, "__cuda_array_interface__", None)
    except RuntimeError as error:
        # A tensor of PyTorch that records its derivatives says so.
        raise DTypeError(f"{name} cannot be shared: {error}") from None
    if interface is not None:
        return _from_interface(value, interface, name)
    place = getattr(value, "__dlpack_device__", None)
    if place is not None and int(place()[0]) in (_CUDA, _MANAGED):
        return from_dlpack(value, name)
    return None


def _from_interface(value: Any, interface: Mapping[str, Any], name: str) -> View:
    if interface.get("mask") is not None:
        raise DTypeError(f"{name} is a masked array; fill what is masked first.")
    address, is_constant = interface["data"]
    shape, dtype = tuple(interface["shape"]), np.dtype(interface["typestr"])
    _require_contiguous(name, shape, interface.get("strides"), dtype.itemsize, library_of(value))
    ordinal = _ordinal(value, address)
    stream = interface.get("stream")
    if stream is None and library_of(value) == "torch":
        stream = sys.modules["torch"].cuda.current_stream(ordinal).cuda_stream or LEGACY
    return View(address, shape, dtype, ordinal, stream, library_of(value), value, not is_constant)


def from_dlpack(value: Any, name: str, stream: int = LEGACY) -> View:
    """Take an array by DLPack: whoever makes it has the stream wait until it is there (-1: no stream waits)."""
    from cuda.core.utils import StridedMemoryView

    found = StridedMemoryView.from_dlpack(value, stream_ptr=stream)
    if found.dtype is None:
        raise DTypeError(f"{name} has numbers of a kind that NumPy does not know.")
    dtype = np.dtype(found.dtype)
    strides = None if found.strides is None else tuple(s * dtype.itemsize for s in found.strides)
    _require_contiguous(name, tuple(found.shape), strides, dtype.itemsize, library_of(value))
    place = found.ptr, tuple(found.shape), dtype, found.device_id
    return View(*place, None if stream == -1 else stream, library_of(value), found, not found.readonly)


_CONTIGUOUS = {"cupy": "cupy.ascontiguousarray(x)", "torch": "x.contiguous()"}


def _require_contiguous(
    name: str, shape: tuple[int, ...], strides: tuple[int, ...] | None, itemsize: int, library: str
) -> None:
    if strides is None or 0 in shape:
        return
    step = itemsize
    for extent, stride in zip(reversed(shape), reversed(strides), strict=True):
        if extent != 1 and stride != step:
            advice = _CONTIGUOUS.get(library, "a contiguous copy")
            raise ShapeError(
                f"{name} of shape {shape} lies on the GPU with strides {strides}; an array in C order "
                f"without gaps is needed, and none is copied unasked: pass {advice}."
            )
        step *= extent


def _ordinal(value: Any, address: int) -> int:
    if isinstance(value, DeviceArray):
        return value.device.ordinal
    return 0 if is_simulated() or not address else ordinal_of(address)


def library_of(value: Any) -> str:
    """The library that an array is of, such as "torch"; nothing for this one."""
    name = type(value).__module__.partition(".")[0]
    return {"jaxlib": "jax", "numba_cuda": "numba", "symdiff": "", "backends": ""}.get(name, name)


# --- giving arrays -----------------------------------------------------------------------------------------------


def _to_torch(array: DeviceArray) -> Any:
    torch = sys.modules["torch"]
    return torch.as_tensor(array, device=f"cuda:{array.device.ordinal}")


def _to_jax(array: DeviceArray) -> Any:
    from jax.dlpack import from_dlpack

    return from_dlpack(array)


def _to_numba(array: DeviceArray) -> Any:
    from numba import cuda

    return cuda.as_cuda_array(array)


_TO: dict[str, Callable[[DeviceArray], Any]] = {
    "torch": _to_torch,
    "cupy": lambda array: sys.modules["cupy"].asarray(array),
    "jax": _to_jax,
    "numba": _to_numba,
}


def given_to(library: str, array: DeviceArray) -> Any:
    """Return a result as an array of a library, without a copy; as it is for a library that is not known."""
    return _TO[library](array) if library in _TO else array


def stream_of(given: Any) -> int:
    """Return the handle of a stream: an int, or a stream of CuPy, PyTorch, Numba or cuda.core. Raises: DTypeError."""
    if isinstance(given, int) and not isinstance(given, bool) and given >= 0:
        return given or LEGACY
    protocol = getattr(given, "__cuda_stream__", None)
    if protocol is not None:
        found = protocol() if callable(protocol) else protocol
        return int(found[1]) or LEGACY
    for name in ("cuda_stream", "ptr", "handle"):
        handle = getattr(given, name, None)
        handle = getattr(handle, "value", handle)
        if isinstance(handle, int):
            return handle or LEGACY
    raise DTypeError(f"stream= is a stream of CuPy, PyTorch, Numba or cuda.core, or its handle, got {given!r}.")
