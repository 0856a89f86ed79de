"""Calls of C functions: libmvec on whole vectors where it has the function, else one scalar call a lane."""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from backends.cpu.machine import vector_function
from backends.emit import F32, F64, I32, Lanes, element


def call(lanes: Lanes, name: str, args: Sequence[ir.Value]) -> ir.Value:
    """Emit the call of the C function `name`, whose results depend on nothing but its arguments."""
    b = lanes.builder
    single = element(args[0].type) == F32
    if lanes.width > 1:
        vector = vector_function(name, len(args), lanes.width, 32 if single else 64)
        if vector is not None:
            return b.call(declare(b.module, vector, args[0].type, len(args)), args)
        out: ir.Value = ir.Constant(args[0].type, ir.Undefined)
        one = Lanes(b, 1, lanes.call)
        for k in range(lanes.width):
            at = ir.Constant(I32, k)
            value = call(one, name, [b.extract_element(a, at) for a in args])
            out = b.insert_element(out, value, at)
        return out
    if single and name.startswith("scipy."):
        wide = b.call(declare(b.module, name, F64, len(args)), [b.fpext(a, F64) for a in args])
        return b.fptrunc(wide, F32)
    symbol = f"{name}f" if single else name
    return b.call(declare(b.module, symbol, args[0].type, len(args)), args)


def declare(module: ir.Module, symbol: str, kind: ir.Type, n_args: int) -> ir.Function:
    """Declare a pure external function once."""
    function = module.globals.get(symbol)
    if function is None:
        function = ir.Function(module, ir.FunctionType(kind, [kind] * n_args), symbol)
        function.attributes.add("nounwind")
        function.attributes.add("readnone")
    return function
