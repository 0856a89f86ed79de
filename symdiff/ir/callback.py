"""Callback: a Python function as a parameter of a node, and as a C function that compiled code can call.

    int64 call(int64 *table)        0: the result is written; 1: the function raised, see `raise_failure`

The table holds for every argument and for the result the address of its entries and its extents. Machine code gets
the address of the C function as data, so objects in the kernel store are the same for all functions and processes.
"""

from __future__ import annotations

import ctypes
import math
import threading
import uuid
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symdiff.ir.dims import Shape
from symdiff.ir.errors import DTypeError, ParseError, ShapeError

_C_FUNCTION = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.POINTER(ctypes.c_int64))
_KINDS = {"float64": "biuf", "float32": "biuf", "int64": "biu", "bool": "b"}
_known: weakref.WeakValueDictionary[str, Callback] = weakref.WeakValueDictionary()


class Callback:
    """A Python function of arrays like `takes` to an array of `shape` and `dtype`; equal only to itself.

    The function gets NumPy arrays that it cannot write to. `batched` tells which arguments of `base` have an
    additional leading axis, for a function mapped over it.
    """

    __slots__ = (
        "function", "name", "takes", "shape", "dtype", "token", "base", "batched", "_c_function", "_failures",
        "_mapped", "__weakref__",
    )  # fmt: skip

    def __init__(
        self,
        function: Callable[..., Any] | None,
        name: str,
        takes: Sequence[tuple[Shape, str]],
        shape: Shape,
        dtype: str,
        base: Callback | None = None,
        batched: tuple[bool, ...] = (),
    ):
        self.function, self.name, self.takes, self.shape, self.dtype = function, name, tuple(takes), shape, dtype
        self.base, self.batched = base, batched
        # A token of another process must not be taken for one of this process.
        self.token = f"{name}:{uuid.uuid4().hex}"
        self._c_function: Any = None
        self._failures = threading.local()
        self._mapped: dict[Any, Callback] = {}
        _known[self.token] = self

    def __repr__(self) -> str:
        return self.name

    def mapped(self, batched: tuple[bool, ...], takes: tuple[tuple[Shape, str], ...], shape: Shape) -> Callback:
        """The function mapped over a leading axis of some arguments; the same object for the same request."""
        key = (batched, takes, shape)
        if key not in self._mapped:
            self._mapped[key] = Callback(None, self.name, takes, shape, self.dtype, self, batched)
        return self._mapped[key]

    def evaluate(self, arrays: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
        """Call the function. Raises ShapeError or DTypeError naming it for a result that is not as declared."""
        if self.base is not None:
            out = np.empty(shape, self.dtype)
            for k in range(shape[0]):
                rows = [a[k] if f else a for a, f in zip(arrays, self.batched, strict=True)]
                out[k] = self.base.evaluate([np.asarray(r) for r in rows], shape[1:])
            return out
        assert self.function is not None
        given = [a.view() for a in arrays]
        for a in given:
            a.setflags(write=False)
        # The user's function has its own idea of what a division by zero does.
        with np.errstate(all="warn"):
            result = np.asarray(self.function(*given))
        if result.shape != tuple(shape):
            raise ShapeError(
                f"opaque {self.name!r} was declared to return shape {tuple(shape)}, and returned {result.shape}."
            )
        if result.dtype.kind not in _KINDS[self.dtype]:
            raise DTypeError(
                f"opaque {self.name!r} was declared to return {self.dtype}, and returned an array of {result.dtype}."
            )
        return result.astype(self.dtype, copy=False)

    # --- as a C function ------------------------------------------------------

    @property
    def address(self) -> int:
        """The address of the C function; it lives as long as this object."""
        if self._c_function is None:
            # A weak reference: the C function must not keep alive the object that holds it.
            me = weakref.ref(self)

            def call(table: Any) -> int:
                callback = me()
                return 1 if callback is None else callback._run(table)

            self._c_function = _C_FUNCTION(call)
        return ctypes.cast(self._c_function, ctypes.c_void_p).value or 0

    def _run(self, table: Any) -> int:
        try:
            arrays, place = [], 0
            for shape, dtype in (*self.takes, (self.shape, self.dtype)):
                address, extents = table[place], tuple(table[place + 1 + k] for k in range(len(shape)))
                arrays.append(_array_at(address, extents, dtype))
                place += 1 + len(shape)
            *given, out = arrays
            # The memory belongs to the caller and may change: the function may keep what it gets.
            out[...] = self.evaluate([a.copy() for a in given], out.shape)
        except BaseException as error:  # handed to the caller, whatever it is: C code cannot raise
            self._failures.error = error
            return 1
        return 0

    def raise_failure(self) -> None:
        """Raise what the function raised when compiled code called it last on this thread, if it did."""
        error = getattr(self._failures, "error", None)
        if error is not None:
            self._failures.error = None
            raise error


def _array_at(address: int, extents: tuple[int, ...], dtype: str) -> np.ndarray:
    n_bytes = math.prod(extents) * np.dtype(dtype).itemsize
    if n_bytes == 0:
        return np.empty(extents, dtype)
    return np.frombuffer(memoryview((ctypes.c_char * n_bytes).from_address(address)), dtype).reshape(extents)


def find(token: str) -> Callback:
    """Return the callback of a token. Raises ParseError for one of another process, or one that is gone."""
    found = _known.get(token)
    if found is None:
        raise ParseError(
            f"The text calls the Python function {token.partition(':')[0]!r}, which this process does not hold."
        )
    return found
