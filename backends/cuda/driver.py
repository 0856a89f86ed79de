"""driver: NVIDIA's driver library, called through ctypes; every function returns a status that becomes an error.

Not through Numba or NVIDIA's Python bindings: a process that finds its kernels in the store then imports neither, and
the C interface of the driver is the one that stays the same (CUDA Driver API reference, sections 6.2 to 6.29).
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Mapping
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_ubyte, c_uint, c_uint64, c_ulonglong, c_void_p
from typing import Any

from symdiff.ir.errors import CapacityError, CompileError

_LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"

_ADDRESS, _HANDLE = c_uint64, c_void_p
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cuInit": (c_uint,),
    "cuDriverGetVersion": (POINTER(c_int),),
    "cuGetErrorName": (c_int, POINTER(c_char_p)),
    "cuGetErrorString": (c_int, POINTER(c_char_p)),
    "cuDeviceGetCount": (POINTER(c_int),),
    "cuDeviceGet": (POINTER(c_int), c_int),
    "cuDeviceGetName": (c_void_p, c_int, c_int),
    "cuDeviceGetAttribute": (POINTER(c_int), c_int, c_int),
    "cuDevicePrimaryCtxRetain": (POINTER(_HANDLE), c_int),
    "cuCtxGetCurrent": (POINTER(_HANDLE),),
    "cuCtxGetDevice": (POINTER(c_int),),
    "cuCtxPushCurrent_v2": (_HANDLE,),
    "cuCtxPopCurrent_v2": (POINTER(_HANDLE),),
    "cuMemGetInfo_v2": (POINTER(c_size_t), POINTER(c_size_t)),
    "cuMemPoolCreate": (POINTER(_HANDLE), c_void_p),
    "cuMemPoolSetAttribute": (_HANDLE, c_int, c_void_p),
    "cuMemPoolGetAttribute": (_HANDLE, c_int, c_void_p),
    "cuMemPoolTrimTo": (_HANDLE, c_size_t),
    "cuMemAllocFromPoolAsync": (POINTER(_ADDRESS), c_size_t, _HANDLE, _HANDLE),
    "cuMemFreeAsync": (_ADDRESS, _HANDLE),
    "cuMemcpyHtoDAsync_v2": (_ADDRESS, c_void_p, c_size_t, _HANDLE),
    "cuMemcpyDtoHAsync_v2": (c_void_p, _ADDRESS, c_size_t, _HANDLE),
    "cuMemcpyDtoDAsync_v2": (_ADDRESS, _ADDRESS, c_size_t, _HANDLE),
    "cuMemsetD8Async": (_ADDRESS, c_ubyte, c_size_t, _HANDLE),
    "cuPointerGetAttribute": (c_void_p, c_int, _ADDRESS),
    "cuModuleLoadData": (POINTER(_HANDLE), c_void_p),
    "cuModuleGetFunction": (POINTER(_HANDLE), _HANDLE, c_char_p),
    "cuOccupancyMaxActiveBlocksPerMultiprocessor": (POINTER(c_int), _HANDLE, c_int, c_size_t),
    "cuLaunchKernel": (_HANDLE, *[c_uint] * 7, _HANDLE, c_void_p, c_void_p),
    "cuLaunchCooperativeKernel": (_HANDLE, *[c_uint] * 7, _HANDLE, c_void_p),
    "cuStreamCreate": (POINTER(_HANDLE), c_uint),
    "cuStreamBeginCapture_v2": (_HANDLE, c_int),
    "cuStreamEndCapture": (_HANDLE, POINTER(_HANDLE)),
    "cuGraphInstantiateWithFlags": (POINTER(_HANDLE), _HANDLE, c_ulonglong),
    "cuGraphDestroy": (_HANDLE,),
    "cuGraphExecDestroy": (_HANDLE,),
    "cuGraphLaunch": (_HANDLE, _HANDLE),
    "cuStreamSynchronize": (_HANDLE,),
    "cuStreamWaitEvent": (_HANDLE, _HANDLE, c_uint),
    "cuEventCreate": (POINTER(_HANDLE), c_uint),
    "cuEventRecord": (_HANDLE, _HANDLE),
    "cuEventDestroy_v2": (_HANDLE,),
}
"""Every function used here, with the types of its arguments. All return a status."""

OUT_OF_MEMORY = 2
_DEINITIALISED, _NOT_INITIALISED, _NO_DEVICE = 4, 3, 100


class Driver:
    """The driver's functions: `call("cuInit", 0)` raises unless the status is 0.

    `functions` are C functions by name. Make one with `driver()`.
    """

    def __init__(self, functions: Mapping[str, Any]):
        self._functions = functions

    def call(self, name: str, *args: Any) -> None:
        """Call a function. Raises: CapacityError when memory ran out, else CompileError with the driver's words."""
        status = self._functions[name](*args)
        if status == 0:
            return
        text = f"The CUDA driver refused {name.partition('_v')[0]}: {self.words(status)}."
        if status == OUT_OF_MEMORY:
            raise CapacityError(f"{text} Other arrays or processes hold the GPU's memory.")
        if status in (_NOT_INITIALISED, _DEINITIALISED):
            text += " A process that was forked after CUDA was started cannot use it; start it by spawning."
        raise CompileError(text)

    def words(self, status: int) -> str:
        """What the driver says of a status: its name and a sentence."""
        found = []
        for name in ("cuGetErrorName", "cuGetErrorString"):
            text = c_char_p()
            if self._functions[name](status, ctypes.byref(text)) == 0 and text.value:
                found.append(text.value.decode(errors="replace"))
        return ", ".join(found) or f"status {status}"

    def number(self, name: str, *args: Any) -> int:
        """The int that a function writes to its first argument."""
        out = c_int()
        self.call(name, ctypes.byref(out), *args)
        return out.value

    def handle(self, name: str, *args: Any) -> int:
        """The handle that a function writes to its first argument; 0 for none."""
        out = c_void_p()
        self.call(name, ctypes.byref(out), *args)
        return out.value or 0

    def address(self, name: str, *args: Any) -> int:
        """The device address that a function writes to its first argument."""
        out = c_uint64()
        self.call(name, ctypes.byref(out), *args)
        return out.value


def library_functions() -> dict[str, Any]:
    """Load the driver's library and declare its functions. Raises: OSError, AttributeError for a driver too old."""
    library = ctypes.CDLL(_LIBRARY)
    found = {}
    for name, types in SIGNATURES.items():
        function = getattr(library, name)
        function.argtypes, function.restype = types, c_int
        found[name] = function
    return found


@functools.cache
def driver() -> Driver:
    """Return the driver, started. Raises: CompileError when there is none, or none with a GPU."""
    try:
        functions = library_functions()
    except OSError:
        raise _unavailable(f"{_LIBRARY} is not found") from None
    except AttributeError as error:
        raise _unavailable(f"the driver is older than CUDA 11.4: {error}") from None
    found = Driver(functions)
    status = functions["cuInit"](0)
    if status != 0:
        raise _unavailable("the driver found no GPU" if status == _NO_DEVICE else found.words(status))
    if found.number("cuDeviceGetCount") == 0:
        raise _unavailable("the driver found no GPU")
    return found


def _unavailable(reason: str) -> CompileError:
    return CompileError(
        f"A function for target='cuda' was called, but there is no CUDA driver with a GPU ({reason}). Install NVIDIA's "
        "driver (numba-cuda comes with symdiff[cuda]) or use target='cpu'; inspect('ptx') works without a GPU."
    )
