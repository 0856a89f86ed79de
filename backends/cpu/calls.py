"""Calls of C functions: libmvec on whole vectors where it has the function, else one scalar call a lane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from llvmlite import ir

from backends.cpu.assembler import Builder, Function, Module
from backends.cpu.machine import vector_function
from backends.emit import F32, F64, I32, Lanes, element


def call(wide: Lanes, name: str, args: Sequence[ir.Value]) -> ir.Value:
    """Emit the call of the C function `name`, whose results depend on nothing but its arguments."""
    b = wide.builder
    single = element(args[0].type) == F32
    if wide.width > 1:
        vector = vector_function(name, len(args), wide.width, 32 if single else 64, b.module.machine)
        if vector is not None:
            return b.call(declare(b.module, vector, args[0].type, len(args)), args)
        out: ir.Value = ir.Constant(args[0].type, ir.Undefined)
        one = replace(wide, width=1)
        for k in range(wide.width):
            at = ir.Constant(I32, k)
            value = call(one, name, [b.extract_element(a, at) for a in args])
            out = b.insert_element(out, value, at)
        return out
    if single and name.startswith("scipy."):
        wide = b.call(declare(b.module, name, F64, len(args)), [b.fpext(a, F64) for a in args])
        return b.fptrunc(wide, F32)
    symbol = f"{name}f" if single else name
    return b.call(declare(b.module, symbol, args[0].type, len(args)), args)


def declare(module: Module, symbol: str, kind: ir.Type, n_args: int) -> Function:
    """Declare a pure external function once."""
    known = symbol in module.globals
    function = module.declare(symbol, ir.FunctionType(kind, [kind] * n_args))
    if not known:
        function.attributes += ["nounwind", "willreturn", "memory(none)"]
    return function


def lanes(builder: Builder, width: int) -> Lanes:
    """Lanes on this CPU."""
    return Lanes(builder, width, call, declare=Module.declare)
