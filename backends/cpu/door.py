"""door: a Python function in machine code for programs of plain numbers.

    PyObject *door(PyObject *self, PyObject *const *args, Py_ssize_t n)     (METH_FASTCALL)

It unpacks floats, calls the entry point and packs the results: about 0.1 us a call, against 2 us through ctypes
and 0.3 us for an `njit` dispatcher, which would also load Numba for every program. Anything that is not n plain
numbers returns NotImplemented, and the caller takes the general way.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any

from llvmlite import ir

from backends.cpu.assembler import Block, Builder, External, Function, Module, Reserved, Value
from backends.cpu.frame import i64
from backends.cpu.layout import ALIGN, ARENA, Layout
from backends.emit import F64, I8, I32, I64, POINTER
from symdiff.ir.dims import product
from symdiff.program.ir import Call, Load, Loop, Nest, Program, Statement, walk

_METH_FASTCALL = 0x80
# Arenas up to this size lie on the stack of the door, larger ones in memory of the module: the interpreter lock is
# held during the call, so one arena is enough.
_LARGEST_ON_STACK = 32768
# Statements over more points than this run without the interpreter lock, and on several threads.
_MOST_POINTS = 10_000
FORMS = ("single", "list", "tuple")


def fits(program: Program, layout: Layout) -> bool:
    """Whether a program takes and gives float64 numbers only and runs briefly."""
    if sys.implementation.name != "cpython" or program.data or program.sizes:
        return False
    if layout.arena_bytes({}) > _LARGEST_ON_STACK and not getattr(sys, "_is_gil_enabled", lambda: True)():
        return False
    numbers = all(b.shape == () and b.dtype == "float64" for b in (*program.inputs, *program.outputs))
    # An index out of range is reported by the general way in; and what takes long runs there without the lock.
    return numbers and not any(isinstance(s, Loop) or _gathers(s) or _is_long(s) for s in walk(program.statements))


def _gathers(s: Statement) -> bool:
    if not isinstance(s, Nest):
        return False
    loads = any(isinstance(i, Load) and i.access.gathers for i in s.body)
    return loads or any(store.access.gathers for store in s.stores)


def _is_long(s: Statement) -> bool:
    points = product(s.space if isinstance(s, Nest) else s.extents if isinstance(s, Call) else ())
    return not isinstance(points, int) or points > _MOST_POINTS


def emit_doors(module: Module, program: Program, layout: Layout) -> None:
    """Add one door for each form of the result: a number, a list, a tuple."""
    for form in FORMS:
        if form != "single" or len(program.outputs) == 1:
            _emit(module, program, layout, form)


def _api(module: Module, name: str, result: ir.Type, args: list[ir.Type]) -> Function:
    return module.declare(name, ir.FunctionType(result, args))


def _object(module: Module, name: str) -> Value:
    """An object of the C API, such as PyFloat_Type."""
    found = module.globals.get(name)
    return found if found is not None else External(module, name)


def _emit(module: Module, program: Program, layout: Layout, form: str) -> None:
    function = Function(module, ir.FunctionType(POINTER, [POINTER, POINTER, I64]), f"door_{form}")
    b = Builder(function, function.append_basic_block("head"))
    n_in, n_out = len(program.inputs), len(program.outputs)
    context = b.alloca(I64, i64(layout.words))
    numbers = b.alloca(F64, i64(n_in + n_out))
    size = layout.arena_bytes({}) + ALIGN
    arena = b.alloca(I8, i64(size), align=64) if size <= _LARGEST_ON_STACK else _arena(module, size)
    refuse = function.append_basic_block("refuse")
    unpack = function.append_basic_block("unpack")
    b.cbranch(b.icmp_signed("==", function.args[2], i64(n_in)), unpack, refuse)
    b.position_at_end(unpack)
    for k in range(n_in):
        _unpack(module, b, function, refuse, k, numbers)
    for k in range(ARENA):
        b.store(i64(0), b.gep(context, [i64(k)], source_etype=I64))
    b.store(b.ptrtoint(arena, I64), b.gep(context, [i64(ARENA)], source_etype=I64))
    for k, buffer in enumerate((*program.inputs, *program.outputs)):
        address = b.ptrtoint(b.gep(numbers, [i64(k)], source_etype=F64), I64)
        b.store(address, b.gep(context, [i64(layout.buffer_word(buffer))], source_etype=I64))
    b.call(module.globals["entry"], [context])
    b.ret(_pack(module, b, numbers, n_in, n_out, form))
    b.position_at_end(refuse)
    nothing = _object(module, "_Py_NotImplementedStruct")
    b.call(_api(module, "Py_IncRef", ir.VoidType(), [POINTER]), [nothing])
    b.ret(nothing)


def _arena(module: Module, size: int) -> Value:
    found = module.globals.get("door_arena")
    return found if found is not None else Reserved(module, "door_arena", size)


def _unpack(module: Module, b: Builder, function: Function, refuse: Block, k: int, numbers: Value) -> None:
    """numbers[k] = float(args[k]) for floats, ints and their subclasses."""
    value = b.load(b.gep(function.args[1], [i64(k)], source_etype=POINTER), typ=POINTER)
    kind = b.load(b.gep(value, [i64(1)], source_etype=POINTER), typ=POINTER)  # ob_type follows the reference count
    subtype = _api(module, "PyType_IsSubtype", I32, [POINTER, POINTER])
    take, ask, ask_int, failed, stored = (
        function.append_basic_block(n) for n in ("take", "ask", "ask_int", "failed", "stored")
    )
    exact = b.icmp_unsigned("==", b.ptrtoint(kind, I64), b.ptrtoint(_object(module, "PyFloat_Type"), I64))
    b.cbranch(exact, take, ask)
    zero = ir.Constant(I32, 0)
    b.position_at_end(ask)
    b.cbranch(b.icmp_signed("!=", b.call(subtype, [kind, _object(module, "PyFloat_Type")]), zero), take, ask_int)
    b.position_at_end(ask_int)
    b.cbranch(b.icmp_signed("!=", b.call(subtype, [kind, _object(module, "PyLong_Type")]), zero), take, refuse)
    b.position_at_end(take)
    number = b.call(_api(module, "PyFloat_AsDouble", F64, [POINTER]), [value])
    b.store(number, b.gep(numbers, [i64(k)], source_etype=F64))
    b.cbranch(b.fcmp_ordered("==", number, ir.Constant(F64, -1.0)), failed, stored)
    b.position_at_end(failed)
    # -1.0 may be the number itself, or an integer that is too large.
    error = b.call(_api(module, "PyErr_Occurred", POINTER, []), [])
    clear = function.append_basic_block("clear")
    b.cbranch(b.icmp_unsigned("==", b.ptrtoint(error, I64), i64(0)), stored, clear)
    b.position_at_end(clear)
    b.call(_api(module, "PyErr_Clear", ir.VoidType(), []), [])
    b.branch(refuse)
    b.position_at_end(stored)


def _pack(module: Module, b: Builder, numbers: Value, n_in: int, n_out: int, form: str) -> Value:
    make_float = _api(module, "PyFloat_FromDouble", POINTER, [F64])
    values = [
        b.call(make_float, [b.load(b.gep(numbers, [i64(n_in + k)], source_etype=F64), typ=F64)]) for k in range(n_out)
    ]
    if form == "single":
        return values[0]
    kind = "List" if form == "list" else "Tuple"
    box = b.call(_api(module, f"Py{kind}_New", POINTER, [I64]), [i64(n_out)])
    put = _api(module, f"Py{kind}_SetItem", I32, [POINTER, I64, POINTER])
    for k, value in enumerate(values):
        b.call(put, [box, i64(k), value])
    return box


class _MethodDef(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("call", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p))


def open_door(address: int, keep_alive: Any) -> Callable[..., Any]:
    """Return the Python function at an address. It keeps its code alive through `keep_alive`, its `__self__`."""
    definition = _MethodDef(b"compiled", address, _METH_FASTCALL, None)
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype = ctypes.py_object
    make.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    # The method table is part of the function's life, like the code.
    return make(ctypes.addressof(definition), (definition, keep_alive), None)
