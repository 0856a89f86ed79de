"""door: the call from Python in machine code, for arguments like those of an earlier call.

    PyObject *door(PyObject *self, PyObject *const *args, Py_ssize_t n)     (METH_FASTCALL)

The general way looks at every argument in Python: 10 to 20 us. What it finds out for given kinds and shapes of
arguments is a plan: what to compare, the context of the call, the arrays to make. The door goes through the plans of
a function, takes the first that fits, fills in addresses, calls the program and packs its results: 0.2 us and up,
against 2 us through ctypes alone. Where no plan fits, or a program reports an index out of range, it returns
NotImplemented and the caller takes the general way, which knows all the errors and makes the next plan.

One text (`door_text`) serves all programs; a function has a table, a plan is one block of memory:

    table    inputs, outputs, form of the result, first plan, ndarray, PyArray_New, address of the pool's word
    plan     next, words, entry, mode, bytes of the arena, where outputs and context begin, where in the context the
             addresses go, then operands (kind, dtype, its number, bytes, rank, extents), then the context

A plan is copied to the stack before it is used, so plans can be exchanged at any time.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from backends.cpu import door_table, door_text
from backends.cpu.door_table import A_BOOL, A_FLOAT32, A_FLOAT64, AN_ARRAY, AN_INT64, LIST, SINGLE, TUPLE
from backends.cpu.fixed import Code, load_fixed
from backends.cpu.threads import pool_word

_KINDS = {"float64": A_FLOAT64, "float32": A_FLOAT32, "int64": AN_INT64, "bool": A_BOOL}
_FORMS = {"single": SINGLE, "list": LIST, "tuple": TUPLE}
_METH_FASTCALL = 0x80
# Plans of a function; a program that sees more shapes is hardly called twice with one.
_MOST_PLANS = 64
# Calls of a process that go the general way before the door is made: LLVM takes 0.1 s for it where the store has none.
_PATIENCE = 3
_asked = itertools.count(1)
# Words of a plan: it is copied to the stack.
_LARGEST = 4096
# numpy/__multiarray_api.h
_NEW_ARRAY = 93

Shape = tuple[int, ...]
# What an operand looks like: its dtype, and its shape or None for a Python number.
Look = tuple[str, Shape | None]


class Door:
    """The door of one function. `call(*args)` and `call_out(out, *args)` give its result or NotImplemented."""

    def __init__(self, n_in: int, n_out: int, form: str):
        self._table = np.array([n_in, n_out, _FORMS[form], 0, id(np.ndarray), _new_array(), pool_word()], np.int64)
        self._plans: list[np.ndarray] = []
        library = _library()
        self.call: Callable[..., Any] = _function(library.address("door"), self._table)
        self.call_out: Callable[..., Any] = _function(library.address("door_out"), self._table)

    def learn(
        self, inputs: Sequence[Look], outputs: Sequence[Look], entry: int, mode: int, arena_bytes: int,
        context: np.ndarray, first_in: int, first_out: int,
    ) -> None:  # fmt: skip
        """Make the plan of calls that look like this; `context` is the table with all but the addresses."""
        n_plan = len(door_table.PLAN)
        ins, outs = ([w for look in looks for w in _operand(look)] for looks in (inputs, outputs))
        at = n_plan + len(ins)
        size = at + len(outs) + len(context)
        if size > _LARGEST:
            return
        if len(self._plans) >= _MOST_PLANS:
            self._table[door_table.FIRST] = 0
            self._plans.clear()
        behind = int(self._table[door_table.FIRST])
        head = (behind, size, entry, mode, arena_bytes, at, at + len(outs), first_in, first_out)
        plan = np.array([*head, *ins, *outs, *context], np.int64)
        self._plans.append(plan)
        self._table[door_table.FIRST] = plan.ctypes.data


def _operand(look: Look) -> list[int]:
    dtype, shape = np.dtype(look[0]), look[1]
    kind, extents = (_KINDS[look[0]], ()) if shape is None else (AN_ARRAY, shape)
    return [kind, id(dtype), dtype.num, dtype.itemsize * int(np.prod(extents, dtype=np.int64)), len(extents), *extents]


@functools.cache
def is_possible() -> bool:
    """Whether objects lie in memory as the door reads them; it makes no difference but in speed."""
    if sys.implementation.name != "cpython" or sys.byteorder != "little" or object.__basicsize__ != 16:
        return False
    probe = np.zeros((3, 2))
    words = (ctypes.c_int64 * 9).from_address(id(probe))
    extents = (ctypes.c_int64 * 2).from_address(words[4])
    number, flags = words[3] & 0xFFFFFFFF, words[8] & 0xFFFFFFFF
    return (words[1], words[2], number, tuple(extents), words[7], flags) == (
        id(np.ndarray), probe.ctypes.data, 2, (3, 2), id(np.dtype("float64")), probe.flags.num,
    )  # fmt: skip


def door(n_in: int, n_out: int, form: str) -> Door | None:
    """Return a door without plans, or None: where Python or NumPy is built otherwise, and to the first callers."""
    if _library.cache_info().currsize == 0 and next(_asked) < _PATIENCE:
        return None
    return Door(n_in, n_out, form) if is_possible() else None


@functools.cache
def _library() -> Code:
    return load_fixed(door_text.TEXT, door_text.SYMBOLS, 2)


@functools.cache
def _new_array() -> int:
    """The address of PyArray_New."""
    import importlib

    core = importlib.import_module("numpy._core._multiarray_umath")
    api = ctypes.pythonapi
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    table = api.PyCapsule_GetPointer(core._ARRAY_API, None)
    return int(ctypes.c_int64.from_address(table + 8 * _NEW_ARRAY).value)


class _MethodDef(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("call", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p))


@functools.cache
def _definition(address: int) -> _MethodDef:
    """The method table of a function; it stays, like the code."""
    return _MethodDef(b"compiled", address, _METH_FASTCALL, None)


def _function(address: int, table: np.ndarray) -> Callable[..., Any]:
    """Return the Python function at an address, with a table as its `__self__`."""
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype = ctypes.py_object
    make.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    return make(ctypes.addressof(_definition(address)), table, None)
