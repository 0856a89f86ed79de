"""Code for the closed set of native operations, generic in lanes (scalar or vector) and target.

Every other primitive is a call of its C function, which the target resolves: libm and libmvec on a CPU,
libdevice on a GPU. No fast-math, and no contraction to fused multiply-add either: LLVM contracts a product that has
one use, so a value would depend on what else is computed beside it, and a gradient with checkpoints would differ from
one without. Nothing is lost by that here: map, stencils and 1000 scalar operations took the same time on Zen 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from symdiff.ir.errors import CompileError

F64, F32 = ir.DoubleType(), ir.FloatType()
I64, I32, I8, I1 = ir.IntType(64), ir.IntType(32), ir.IntType(8), ir.IntType(1)
POINTER = ir.PointerType()
SCALAR = {"float64": F64, "float32": F32, "int64": I64, "bool": I1}
_COMPARE = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
_ROUNDING = {"floor": "llvm.floor", "ceil": "llvm.ceil", "trunc": "llvm.trunc"}

Call = Callable[["Lanes", str, Sequence[ir.Value]], ir.Value]


def declare_in_llvmlite(module: ir.Module, name: str, signature: ir.FunctionType) -> Any:
    """Declare an LLVM function once, in llvmlite's own module."""
    found = module.globals.get(name)
    return found if found is not None else ir.Function(module, signature, name)


@dataclass(frozen=True, slots=True)
class Lanes:
    """A builder that works on `width` numbers at once; `call` emits the call of a C function.

    The builder is llvmlite's, or one with the same methods and its own way to `declare` a function; for more
    than one lane it also has `splat(scalar, width)`.

    `llvm7` is for NVVM, which reads the LLVM of 2018: without the instruction fneg and the intrinsic llvm.fabs.
    """

    builder: Any
    width: int
    call: Call
    llvm7: bool = False
    declare: Callable[[Any, str, ir.FunctionType], Any] = declare_in_llvmlite

    def type(self, dtype: str) -> ir.Type:
        """The LLVM type of a value of this dtype."""
        scalar = SCALAR[dtype]
        return ir.VectorType(scalar, self.width) if self.width > 1 else scalar

    def const(self, value: Any, dtype: str) -> ir.Constant:
        """A literal in all lanes."""
        number = float(value) if dtype.startswith("float") else int(value)
        return self.fill(ir.Constant(SCALAR[dtype], number))

    def fill(self, scalar: ir.Constant) -> ir.Constant:
        """A scalar constant in all lanes."""
        return ir.Constant(ir.VectorType(scalar.type, self.width), [scalar] * self.width) if self.width > 1 else scalar

    def splat(self, scalar: ir.Value) -> ir.Value:
        """A scalar value in all lanes."""
        return scalar if self.width == 1 else self.builder.splat(scalar, self.width)

    def intrinsic(self, name: str, args: Sequence[ir.Value]) -> ir.Value:
        """Call an LLVM intrinsic that is overloaded by the type of its first argument."""
        kind = args[0].type
        full = f"{name}.{_suffix(kind)}"
        signature = ir.FunctionType(kind, [a.type for a in args])
        return self.builder.call(self.declare(self.builder.module, full, signature), args)


def _suffix(kind: ir.Type) -> str:
    scalar = element(kind)
    text = {F64: "f64", F32: "f32"}.get(scalar) or f"i{scalar.width}"
    return f"v{kind.count}{text}" if isinstance(kind, ir.VectorType) else text


def element(kind: ir.Type) -> ir.Type:
    """The type of one lane."""
    return kind.element if isinstance(kind, ir.VectorType) else kind


def is_float(value: ir.Value) -> bool:
    """Whether a value is a floating-point number or a vector of them."""
    return isinstance(element(value.type), (ir.DoubleType, ir.FloatType))


def emit_native(op: str, args: Sequence[ir.Value], dtype: str, lanes: Lanes) -> ir.Value:
    """Return the LLVM value of one operation with a result of `dtype`, on scalar or vector lanes."""
    b = lanes.builder
    real = is_float(args[0])
    match op:
        case "add":
            return b.fadd(*args) if real else b.add(*args)
        case "sub":
            return b.fsub(*args) if real else b.sub(*args)
        case "mul":
            return b.fmul(*args) if real else b.mul(*args)
        case "div":
            return b.fdiv(*args)
        case "neg":
            return _negated(args[0], lanes) if real else b.neg(args[0])
        case "sqrt":
            return lanes.intrinsic("llvm.sqrt", args)
        case "floor" | "ceil" | "trunc":
            return lanes.intrinsic(_ROUNDING[op], args)
        case "abs" if real:
            return lanes.call(lanes, "fabs", args) if lanes.llvm7 else lanes.intrinsic("llvm.fabs", args)
        case "abs":
            return b.select(_less(args[0], lanes), b.neg(args[0]), args[0])
        case "sign":
            return _sign(args[0], dtype, lanes)
        case "max" | "min":
            return _extreme(op, args, lanes)
        case "rem":
            return lanes.call(lanes, "fmod", args) if real else _integer_rem(args, lanes)
        case "lt" | "le" | "gt" | "ge" | "eq" | "ne":
            return _compare(_COMPARE[op], args, lanes)
        case "and" | "bit_and":
            return b.and_(*args)
        case "or":
            return b.or_(*args)
        case "xor" | "bit_xor":
            return b.xor(*args)
        case "shift_right":
            return b.ashr(*args)
        case "not":
            return b.xor(args[0], lanes.const(1, "bool"))
        case "where":
            return b.select(*args)
        case "cast":
            return _cast(args[0], dtype, lanes)
        case _:
            if not real:
                raise CompileError(f"{op} has no form for integers.")
            return lanes.call(lanes, op, args)


def _negated(x: ir.Value, lanes: Lanes) -> ir.Value:
    # -0.0 - x is -x for every number, zeros and infinities included; LLVM 7 writes it so.
    return lanes.builder.fsub(ir.Constant(x.type, -0.0), x) if lanes.llvm7 else lanes.builder.fneg(x)


def _less(x: ir.Value, lanes: Lanes) -> ir.Value:
    return lanes.builder.icmp_signed("<", x, ir.Constant(x.type, None) if lanes.width > 1 else ir.Constant(x.type, 0))


def _compare(sign: str, args: Sequence[ir.Value], lanes: Lanes) -> ir.Value:
    b = lanes.builder
    if is_float(args[0]):
        return b.fcmp_unordered(sign, *args) if sign == "!=" else b.fcmp_ordered(sign, *args)
    if element(args[0].type) == I1:
        return b.icmp_unsigned(sign, *args)
    return b.icmp_signed(sign, *args)


def _sign(x: ir.Value, dtype: str, lanes: Lanes) -> ir.Value:
    b, zero = lanes.builder, lanes.const(0, dtype)
    below = b.select(_compare("<", (x, zero), lanes), lanes.const(-1, dtype), x)  # x itself: 0 and NaN stay
    return b.select(_compare(">", (x, zero), lanes), lanes.const(1, dtype), below)


def _extreme(op: str, args: Sequence[ir.Value], lanes: Lanes) -> ir.Value:
    """max or min that gives NaN if either is NaN: a NaN y loses no comparison, a NaN x is chosen explicitly."""
    b, (x, y) = lanes.builder, args
    chosen = b.select(_compare(">" if op == "max" else "<", args, lanes), x, y)
    return b.select(b.fcmp_unordered("uno", x, x), x, chosen) if is_float(x) else chosen


def _integer_rem(args: Sequence[ir.Value], lanes: Lanes) -> ir.Value:
    """x rem y, 0 for y = 0 as NumPy's; y = -1 gives 0 without the overflow of the smallest integer."""
    b, (x, y) = lanes.builder, args
    one = lanes.const(1, "int64")
    bad = b.or_(b.icmp_signed("==", y, lanes.const(0, "int64")), b.icmp_signed("==", y, lanes.const(-1, "int64")))
    return b.srem(x, b.select(bad, one, y))


def _cast(x: ir.Value, dtype: str, lanes: Lanes) -> ir.Value:
    b, source, target = lanes.builder, element(x.type), SCALAR[dtype]
    kind = lanes.type(dtype)
    if source == target:
        return x
    if dtype == "bool":
        zero = ir.Constant(source, 0 if isinstance(source, ir.IntType) else 0.0)
        return _compare("!=", (x, lanes.fill(zero)), lanes)
    if is_float(x):
        if dtype == "int64":
            return _to_integer(x, lanes)
        return b.fpext(x, kind) if source == F32 else b.fptrunc(x, kind)
    if dtype == "int64":
        return b.zext(x, kind)
    return b.uitofp(x, kind) if source == I1 else b.sitofp(x, kind)


def _to_integer(x: ir.Value, lanes: Lanes) -> ir.Value:
    """x rounded towards 0; the smallest integer for NaN and for what is too large, where LLVM promises nothing."""
    b = lanes.builder
    low, high, zero = (lanes.fill(ir.Constant(element(x.type), v)) for v in (-(2.0**63), 2.0**63, 0.0))
    fits = b.and_(b.fcmp_ordered(">=", x, low), b.fcmp_ordered("<", x, high))
    whole = b.fptosi(b.select(fits, x, zero), lanes.type("int64"))
    return b.select(fits, whole, lanes.const(-(2**63), "int64"))
