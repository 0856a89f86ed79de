"""symbols: the addresses of what generated code imports, found without LLVM."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import re
from pathlib import Path
from typing import Any

from symdiff.ir.errors import CompileError

# The C library, what Python itself is linked with, then these.
_LIBRARIES = ("libm.so.6", "libmvec.so.1")


def address_of(symbol: str) -> int:
    """Return the address of a function: "blas.name", "lapack.name", "scipy.name", "openblas.name", or a C name.

    Raises CompileError for a symbol that nobody has.
    """
    found = in_package(symbol)
    if found is not None:
        return found
    for library in (ctypes.pythonapi, *map(_library, _LIBRARIES)):
        function = getattr(library, symbol, None)
        if function is not None:
            return ctypes.cast(function, ctypes.c_void_p).value or 0
    raise CompileError(f"The C function {symbol!r} is not in this process's libraries.")


def in_package(symbol: str) -> int | None:
    """Return the address of a function of a Python package, or None for a C name."""
    room, dot, name = symbol.partition(".")
    if dot and room in ("blas", "lapack"):
        return _capsule(f"scipy.linalg.cython_{room}", name)
    if dot and room == "scipy":
        return _special(name)
    if dot and room == "openblas":
        return _of_openblas(name)
    return None


@functools.cache
def _library(name: str) -> Any:
    """A shared library, or None where the system has none of that name."""
    try:
        return ctypes.CDLL(name)
    except OSError:
        return None


@functools.cache
def _of_openblas(name: str) -> int:
    """The address of a function of SciPy's OpenBLAS; that of C's `abs`, which changes nothing, for other libraries."""
    import scipy.linalg.cython_blas  # noqa: F401  # loads the library

    library = ctypes.CDLL(None)
    with contextlib.suppress(OSError):
        # Not Linux: there is no such file, and no list of libraries that is as simple.
        paths = {line.split(maxsplit=5)[-1].strip() for line in Path("/proc/self/maps").read_text().splitlines()}
        found = sorted(p for p in paths if "openblas" in p and "64_" not in os.path.basename(p))
        library = ctypes.CDLL(found[0]) if found else library
    function = getattr(library, f"openblas_{name}", None) or ctypes.CDLL(None).abs
    return int(ctypes.cast(function, ctypes.c_void_p).value or 0)


@functools.cache
def _capsule(module: str, name: str) -> int:
    """The address in one of the capsules that Cython modules export."""
    import importlib

    capsule = importlib.import_module(module).__pyx_capi__[name]
    api = ctypes.pythonapi
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return int(api.PyCapsule_GetPointer(capsule, _signature(capsule)))


def _special(name: str) -> int:
    """The address of SciPy's function of this name that takes and returns doubles."""
    import importlib

    module = importlib.import_module("scipy.special.cython_special")
    for entry in (name, f"__pyx_fuse_0{name}", f"__pyx_fuse_1{name}"):
        # The last argument is Cython's own and is not read.
        capsule = module.__pyx_capi__.get(entry)
        if capsule is not None and re.match(rb"double \((double, )+int ", _signature(capsule)):
            return _capsule(module.__name__, entry)
    raise CompileError(f"SciPy's cython_special has no function {name!r} of doubles; use another release of SciPy.")


def _signature(capsule: Any) -> bytes:
    """The name of a capsule, which Cython makes the C signature of the function in it."""
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    return bytes(api.PyCapsule_GetName(capsule))
