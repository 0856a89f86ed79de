"""The names that text may use: functions in NumPy's and SymPy's spelling, and constants."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any

from symdiff.front import functions as np_like
from symdiff.front import special
from symdiff.ir.errors import ParseError
from symdiff.ir.node import Node, as_node, const
from symdiff.ops import elementwise as ops
from symdiff.ops import linalg

CONSTANTS: dict[str, Any] = {
    "pi": math.pi,
    "E": math.e,
    "oo": math.inf,
    "inf": math.inf,
    "nan": math.nan,
    "True": const(True, "bool"),
    "False": const(False, "bool"),
    "true": const(True, "bool"),
    "false": const(False, "bool"),
}


def piecewise(*pairs: Any) -> Node:
    """Return the first expression whose condition holds, NaN where none does: SymPy's Piecewise."""
    if not pairs:
        raise ParseError("Piecewise needs at least one pair (expression, condition).")
    out: Any = math.nan
    for pair in reversed(pairs):
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise ParseError("Piecewise takes pairs (expression, condition), the last one often (…, True).")
        value, condition = pair
        test = as_node(condition)
        if test.dtype != "bool":
            raise ParseError("The second part of a pair of Piecewise is a condition such as x > 0 or True.")
        if test.op.name == "const":
            out = value if test.params["value"] else out
        else:
            out = ops.where(test, value, out)
    return as_node(out)


def _fold(step: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """Extend a function of two arguments to one or more."""

    def function(first: Any, *rest: Any) -> Any:
        return reduce(step, rest, first)

    return function


def _log(x: Any, base: Any = None) -> Node:
    return ops.log(x) if base is None else ops.log(x) / ops.log(base)


def _polygamma(n: Any, x: Any) -> Node:
    if isinstance(n, float) and n.is_integer():
        n = int(n)
    return np_like.polygamma(n, x)


_NUMPY = (
    "sin cos tan arcsin arccos arctan arctan2 sinh cosh tanh arcsinh arccosh arctanh exp exp2 expm1 log2 log10 "
    "log1p logaddexp sqrt cbrt hypot power absolute sign floor ceil trunc mod fmod maximum minimum clip heaviside "
    "sigmoid softplus relu erf erfc gamma gammaln digamma where square reciprocal equal not_equal less less_equal "
    "greater greater_equal logical_and logical_or logical_xor logical_not isfinite isnan"
)

_SPECIAL = (
    "j0 j1 y0 y1 i0 i1 i0e i1e k0 k1 k0e k1e jv yv iv kv ive kve jn yn kn erfinv erfcinv erfcx ndtr ndtri log_ndtr "
    "beta betaln logit"
)

FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(np_like, name) for name in _NUMPY.split()},
    **{name: getattr(special, name) for name in _SPECIAL.split()},
    "besselj": special.jv, "bessely": special.yv, "besseli": special.iv, "besselk": special.kv,
    "abs": ops.abs_, "Abs": ops.abs_, "fabs": ops.abs_, "log": _log, "ln": _log,
    "Max": _fold(ops.maximum), "Min": _fold(ops.minimum), "max": _fold(ops.maximum), "min": _fold(ops.minimum),
    "asin": ops.arcsin, "acos": ops.arccos, "atan": ops.arctan, "atan2": ops.arctan2,
    "asinh": ops.arcsinh, "acosh": ops.arccosh, "atanh": ops.arctanh,
    "sec": lambda x: 1 / ops.cos(x), "csc": lambda x: 1 / ops.sin(x), "cot": lambda x: 1 / ops.tan(x),
    "sech": lambda x: 1 / ops.cosh(x), "csch": lambda x: 1 / ops.sinh(x), "coth": lambda x: 1 / ops.tanh(x),
    "asec": lambda x: ops.arccos(ops.div(1, x)), "acsc": lambda x: ops.arcsin(ops.div(1, x)),
    "acot": lambda x: ops.arctan(ops.div(1, x)),
    "asech": lambda x: ops.arccosh(ops.div(1, x)), "acsch": lambda x: ops.arcsinh(ops.div(1, x)),
    "acoth": lambda x: ops.arctanh(ops.div(1, x)),
    "Heaviside": np_like.heaviside, "loggamma": ops.gammaln, "lgamma": ops.gammaln, "polygamma": _polygamma,
    "factorial": lambda x: ops.gamma(ops.add(x, 1)), "expit": ops.sigmoid,
    "ceiling": ops.ceil, "Mod": ops.mod, "Pow": ops.pow_, "pow": ops.pow_, "Rational": ops.div,
    "Piecewise": piecewise, "ITE": ops.where,
    "And": _fold(ops.and_), "Or": _fold(ops.or_), "Xor": _fold(ops.xor), "Not": ops.not_,
    "Eq": ops.eq, "Ne": ops.ne, "Lt": ops.lt, "Le": ops.le, "Gt": ops.gt, "Ge": ops.ge,
    "float64": lambda x: np_like.astype(x, "float64"), "float32": lambda x: np_like.astype(x, "float32"),
    "int64": lambda x: np_like.astype(x, "int64"), "bool": lambda x: np_like.astype(x, "bool"),
    "matmul": linalg.matmul,
}  # fmt: skip


def suggest(name: str, known: Iterable[str]) -> str:
    """Return '; did you mean …?' for a name that is nearly one of the known ones, else nothing."""
    close = difflib.get_close_matches(name[:40], list(known), n=1, cutoff=0.7)
    return f"; did you mean {close[0]!r}?" if close else ""
