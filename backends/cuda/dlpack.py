"""dlpack: an array's memory in the form in which libraries hand arrays to each other (DLPack 0.8, `dlpack.h`)."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

_NAME = b"dltensor"
# DLDataTypeCode of NumPy's kinds.
_CODES = {"i": 0, "f": 2, "b": 6}


class _Tensor(ctypes.Structure):
    """DLManagedTensor, the fields of its DLTensor first."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_kind", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
    ]


# What consumers hold, by the address of its tensor: the tensor, its shape, and the owner of the memory.
_held: dict[int, tuple[Any, ...]] = {}

_api = ctypes.pythonapi
_new = _api.PyCapsule_New
_new.restype, _new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
# The capsule is being destroyed when these see it: as an address, for a reference would bring it back to life.
_is_valid = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)(("PyCapsule_IsValid", _api))
_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(("PyCapsule_GetPointer", _api))


@ctypes.CFUNCTYPE(None, ctypes.c_void_p)
def _delete(tensor: int) -> None:
    """Let go of what a consumer has done with."""
    _held.pop(tensor, None)


@ctypes.PYFUNCTYPE(None, ctypes.c_void_p)
def _forget(given: int) -> None:
    """Let go of what nobody has consumed: a consumer changes the capsule's name."""
    if _is_valid(given, _NAME):
        _held.pop(_pointer(given, _NAME), None)


def capsule(owner: Any, address: int, shape: tuple[int, ...], dtype: np.dtype[Any], device: tuple[int, int]) -> Any:
    """Return a capsule of a C-contiguous array; `owner` lives as long as a consumer needs the memory."""
    extents = (ctypes.c_int64 * max(len(shape), 1))(*shape)
    steps = (ctypes.c_int64 * max(len(shape), 1))(*_strides(shape))
    tensor = _Tensor(
        address, *device, len(shape), _CODES[dtype.kind], 8 * dtype.itemsize, 1, extents, steps, 0, None,
        ctypes.cast(_delete, ctypes.c_void_p),
    )  # fmt: skip
    place = ctypes.addressof(tensor)
    _held[place] = (tensor, extents, steps, owner)
    return _new(place, _NAME, ctypes.cast(_forget, ctypes.c_void_p))


def _strides(shape: tuple[int, ...]) -> list[int]:
    """The distances of neighbours in entries."""
    out: list[int] = []
    step = 1
    for extent in reversed(shape):
        out.append(step)
        step *= extent
    return out[::-1]
