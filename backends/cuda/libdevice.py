"""Functions by their libdevice names: `exp` is `__nv_exp`, for float32 `__nv_expf`."""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from backends.cuda.special import C_FUNCTIONS, LIBDEVICE, SPECIAL
from backends.emit import F32, F64, Lanes, element

# Operations of a body from which on its functions are called and not written out: NVVM takes 13 s for 600 sines.
MOST_INLINE = 100


class Calls:
    """Emits calls of functions on one lane, those of `special` by their names. Raises KeyError for what nobody has.

    With `outlined`, functions of libdevice are inlined once, into a function of ours.
    """

    def __init__(self, outlined: bool):
        self.outlined = outlined

    def __call__(self, lanes: Lanes, name: str, args: Sequence[ir.Value]) -> ir.Value:
        """Emit the call of the C function `name`."""
        if name in SPECIAL:
            return self._special(lanes, name, args)
        if name not in LIBDEVICE and name not in C_FUNCTIONS:
            raise KeyError(name)
        symbol = f"__nv_{LIBDEVICE.get(name, name)}{'f' if element(args[0].type) == F32 else ''}"
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
        value = b.call(declared(b.module, name, wide), wide)
        return b.fptrunc(value, F32) if single else value


def declared(module: ir.Module, symbol: str, args: Sequence[ir.Value]) -> ir.Function:
    """Declare a function of numbers of one kind once."""
    found = module.globals.get(symbol)
    return found or ir.Function(module, ir.FunctionType(args[0].type, [a.type for a in args]), symbol)
