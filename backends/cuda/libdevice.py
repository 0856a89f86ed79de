"""Functions by their libdevice names: `exp` is `__nv_exp`, for float32 `__nv_expf`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from backends.cuda.special import LIBDEVICE, SPECIAL
from backends.emit import F32, F64, Lanes, element

# Operations of a body from which on its functions are called and not written out: NVVM takes 13 s for 600 sines.
MOST_INLINE = 100


class Calls:
    """Emits calls of functions on one lane. Raises KeyError for one that there is none for.

    `context` is numba-cuda's, which compiles what `special` holds; without one that is a call of its name.
    With `outlined`, functions of libdevice are inlined once, into a function of ours.
    """

    def __init__(self, context: Any, outlined: bool):
        self.context, self.outlined = context, outlined

    def __call__(self, lanes: Lanes, name: str, args: Sequence[ir.Value]) -> ir.Value:
        """Emit the call of the C function `name`."""
        if name in SPECIAL:
            return self._special(lanes, name, args)
        from numba.cuda.libdevicefuncs import functions

        symbol = f"__nv_{LIBDEVICE.get(name, name)}{'f' if element(args[0].type) == F32 else ''}"
        if symbol not in functions and name not in LIBDEVICE:
            raise KeyError(symbol)
        function = declared(lanes.builder.module, symbol, args)
        return lanes.builder.call(self._wrapped(function) if self.outlined else function, args)

    def _wrapped(self, function: ir.Function) -> ir.Function:
        name = f"symdiff_{function.name}"
        module = function.module
        found = module.globals.get(name)
        if found is None:
            found = ir.Function(module, function.function_type, name)
            found.linkage = "internal"
            found.attributes.add("noinline")
            b = ir.IRBuilder(found.append_basic_block())
            b.ret(b.call(function, found.args))
        return found

    def _special(self, lanes: Lanes, name: str, args: Sequence[ir.Value]) -> ir.Value:
        b, single = lanes.builder, args[0].type == F32
        wide = [b.fpext(a, F64) for a in args] if single else list(args)
        if self.context is None:
            value = b.call(declared(b.module, name, wide), wide)
        else:
            from numba.types import float64

            from backends.cuda.functions import special_function

            kind = float64(*[float64] * len(args))
            compiled = self.context.compile_subroutine(b, special_function(name), kind)
            # They are long, and their loops leave nothing to be gained around a call.
            for module in compiled.library.modules:
                found = module.globals.get(compiled.fndesc.llvm_func_name)
                if found is not None:
                    found.attributes.add("noinline")
            value = self.context.call_internal(b, compiled.fndesc, kind, wide)
        return b.fptrunc(value, F32) if single else value


def declared(module: ir.Module, symbol: str, args: Sequence[ir.Value]) -> ir.Function:
    """Declare a function of numbers of one kind once."""
    found = module.globals.get(symbol)
    return found or ir.Function(module, ir.FunctionType(args[0].type, [a.type for a in args]), symbol)
