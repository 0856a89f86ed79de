"""The functions of numbers under NumPy's names: entry by entry, with broadcasting.

Every function is one primitive of `symdiff.ops.elementwise` or a short formula in them. Arguments are
expressions, numbers, NumPy arrays or SymPy expressions.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

from symdiff.ir.errors import DTypeError
from symdiff.ir.node import Node, as_node
from symdiff.ir.primitive import Elementwise
from symdiff.ops import elementwise as ops

pi = math.pi
e = math.e
inf = math.inf
nan = math.nan


def public(name: str, primitive: Elementwise) -> Callable[..., Node]:
    """Return a plain function for a primitive, so that help() and signatures read as in NumPy."""
    letters = (
        ("condition", "x", "y")
        if primitive is ops.where
        else ("y", "x")
        if primitive is ops.arctan2
        else ("x", "y", "z")
    )
    kind = inspect.Parameter.POSITIONAL_ONLY
    parameters = [inspect.Parameter(letter, kind) for letter in letters[: primitive.n_args]]
    signature = inspect.Signature(parameters, return_annotation="Node")

    def function(*args: Any) -> Node:
        if len(args) != len(parameters):
            raise DTypeError(
                f"{name}{signature.replace(return_annotation=inspect.Signature.empty)} got {len(args)} arguments."
            )
        return primitive(*args)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = primitive.doc
    function.__module__ = __name__
    function.__signature__ = signature  # type: ignore[attr-defined]  # read by inspect.signature
    return function


sin = public("sin", ops.sin)
cos = public("cos", ops.cos)
tan = public("tan", ops.tan)
arcsin = public("arcsin", ops.arcsin)
arccos = public("arccos", ops.arccos)
arctan = public("arctan", ops.arctan)
arctan2 = public("arctan2", ops.arctan2)
sinh = public("sinh", ops.sinh)
cosh = public("cosh", ops.cosh)
tanh = public("tanh", ops.tanh)
arcsinh = public("arcsinh", ops.arcsinh)
arccosh = public("arccosh", ops.arccosh)
arctanh = public("arctanh", ops.arctanh)
exp = public("exp", ops.exp)
exp2 = public("exp2", ops.exp2)
expm1 = public("expm1", ops.expm1)
log = public("log", ops.log)
log2 = public("log2", ops.log2)
log10 = public("log10", ops.log10)
log1p = public("log1p", ops.log1p)
logaddexp = public("logaddexp", ops.logaddexp)
sqrt = public("sqrt", ops.sqrt)
cbrt = public("cbrt", ops.cbrt)
hypot = public("hypot", ops.hypot)
power = public("power", ops.pow_)
absolute = public("absolute", ops.abs_)
sign = public("sign", ops.sign)
floor = public("floor", ops.floor)
ceil = public("ceil", ops.ceil)
trunc = public("trunc", ops.trunc)
mod = public("mod", ops.mod)
fmod = public("fmod", ops.rem)
add = public("add", ops.add)
subtract = public("subtract", ops.sub)
multiply = public("multiply", ops.mul)
divide = public("divide", ops.div)
negative = public("negative", ops.neg)
maximum = public("maximum", ops.maximum)
minimum = public("minimum", ops.minimum)
sigmoid = public("sigmoid", ops.sigmoid)
softplus = public("softplus", ops.softplus)
relu = public("relu", ops.relu)
erf = public("erf", ops.erf)
erfc = public("erfc", ops.erfc)
gamma = public("gamma", ops.gamma)
gammaln = public("gammaln", ops.gammaln)
digamma = public("digamma", ops.digamma)
where = public("where", ops.where)
equal = public("equal", ops.eq)
not_equal = public("not_equal", ops.ne)
less = public("less", ops.lt)
less_equal = public("less_equal", ops.le)
greater = public("greater", ops.gt)
greater_equal = public("greater_equal", ops.ge)
logical_and = public("logical_and", ops.and_)
logical_or = public("logical_or", ops.or_)
logical_xor = public("logical_xor", ops.xor)
logical_not = public("logical_not", ops.not_)
isfinite = public("isfinite", ops.isfinite)
isnan = public("isnan", ops.isnan)


def heaviside(x: Any, h: Any = 0.5) -> Node:
    """Return 0 for x < 0, 1 for x > 0 and `h` at 0."""
    return ops.heaviside(x, h)


def polygamma(n: int, x: Any) -> Node:
    """Return the n-th derivative of digamma, for a literal n >= 0 and x > 0 (n = 0 is digamma itself)."""
    if isinstance(n, bool) or not hasattr(n, "__index__") or isinstance(n, Node) or n.__index__() < 0:
        raise DTypeError(f"polygamma(n, x) takes an int n >= 0, got {n!r}.")
    order = n.__index__()
    return ops.digamma(x) if order == 0 else ops.polygamma(x, n=order)


def clip(x: Any, low: Any = None, high: Any = None) -> Node:
    """Limit x to the interval [low, high]; None leaves a side open."""
    out = as_node(x) if low is None else ops.maximum(x, low)
    return out if high is None else ops.minimum(out, high)


def square(x: Any) -> Node:
    """Return x**2."""
    return as_node(x) ** 2


def reciprocal(x: Any) -> Node:
    """Return 1/x, as true division for integers too."""
    return 1 / as_node(x)


def astype(x: Any, dtype: str) -> Node:
    """Convert to "float64", "float32", "int64" or "bool"."""
    name = getattr(dtype, "__name__", None) or str(dtype)
    name = {"float": "float64", "int": "int64", "bool_": "bool"}.get(name, name)
    if name not in ("float64", "float32", "int64", "bool"):
        raise DTypeError(f"astype takes float64, float32, int64 or bool, got {dtype!r}.")
    return ops.cast(as_node(x), name)
