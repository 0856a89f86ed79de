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


def _public(name: str, primitive: Elementwise) -> Callable[..., Node]:
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


sin = _public("sin", ops.sin)
cos = _public("cos", ops.cos)
tan = _public("tan", ops.tan)
arcsin = _public("arcsin", ops.arcsin)
arccos = _public("arccos", ops.arccos)
arctan = _public("arctan", ops.arctan)
arctan2 = _public("arctan2", ops.arctan2)
sinh = _public("sinh", ops.sinh)
cosh = _public("cosh", ops.cosh)
tanh = _public("tanh", ops.tanh)
arcsinh = _public("arcsinh", ops.arcsinh)
arccosh = _public("arccosh", ops.arccosh)
arctanh = _public("arctanh", ops.arctanh)
exp = _public("exp", ops.exp)
exp2 = _public("exp2", ops.exp2)
expm1 = _public("expm1", ops.expm1)
log = _public("log", ops.log)
log2 = _public("log2", ops.log2)
log10 = _public("log10", ops.log10)
log1p = _public("log1p", ops.log1p)
logaddexp = _public("logaddexp", ops.logaddexp)
sqrt = _public("sqrt", ops.sqrt)
cbrt = _public("cbrt", ops.cbrt)
hypot = _public("hypot", ops.hypot)
power = _public("power", ops.pow_)
absolute = _public("absolute", ops.abs_)
sign = _public("sign", ops.sign)
floor = _public("floor", ops.floor)
ceil = _public("ceil", ops.ceil)
trunc = _public("trunc", ops.trunc)
mod = _public("mod", ops.mod)
fmod = _public("fmod", ops.rem)
add = _public("add", ops.add)
subtract = _public("subtract", ops.sub)
multiply = _public("multiply", ops.mul)
divide = _public("divide", ops.div)
negative = _public("negative", ops.neg)
maximum = _public("maximum", ops.maximum)
minimum = _public("minimum", ops.minimum)
sigmoid = _public("sigmoid", ops.sigmoid)
softplus = _public("softplus", ops.softplus)
relu = _public("relu", ops.relu)
erf = _public("erf", ops.erf)
erfc = _public("erfc", ops.erfc)
gamma = _public("gamma", ops.gamma)
gammaln = _public("gammaln", ops.gammaln)
digamma = _public("digamma", ops.digamma)
where = _public("where", ops.where)
equal = _public("equal", ops.eq)
not_equal = _public("not_equal", ops.ne)
less = _public("less", ops.lt)
less_equal = _public("less_equal", ops.le)
greater = _public("greater", ops.gt)
greater_equal = _public("greater_equal", ops.ge)
logical_and = _public("logical_and", ops.and_)
logical_or = _public("logical_or", ops.or_)
logical_xor = _public("logical_xor", ops.xor)
logical_not = _public("logical_not", ops.not_)
isfinite = _public("isfinite", ops.isfinite)
isnan = _public("isnan", ops.isnan)


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
