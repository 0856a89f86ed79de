"""Comparisons, logic, choice and conversion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.ir.primitive import Elementwise
from symdiff.ops.elementwise.values import ANY, by_real, mp


def _comparison(
    name: str, doc: str, compare: Callable[..., Any], native: str, reference: Callable[..., Any]
) -> Elementwise:
    return Elementwise(
        name, doc=doc, evaluate_=compare, reference=reference, samples=(ANY, ANY), native=native, kinds="bool",
        complex_step=by_real(compare),
    )  # fmt: skip


lt = _comparison("lt", "x < y.", np.less, "lt", lambda x, y: x < y)
le = _comparison("le", "x <= y.", np.less_equal, "le", lambda x, y: x <= y)
gt = _comparison("gt", "x > y.", np.greater, "gt", lambda x, y: x > y)
ge = _comparison("ge", "x >= y.", np.greater_equal, "ge", lambda x, y: x >= y)
eq = _comparison(
    "eq", "x == y, entry by entry (the operator == compares expressions).", np.equal, "eq", lambda x, y: x == y
)
ne = _comparison("ne", "x != y, entry by entry.", np.not_equal, "ne", lambda x, y: x != y)


def _logic(name: str, doc: str, evaluate: Callable[..., Any], n: int) -> Elementwise:
    return Elementwise(
        name, doc=doc, evaluate_=evaluate, reference=evaluate, samples=((0.0, 1.0),) * n, native=name, kinds="logic"
    )


and_ = _logic("and", "x and y.", np.logical_and, 2)
or_ = _logic("or", "x or y.", np.logical_or, 2)
xor = _logic("xor", "One of x and y, not both.", np.logical_xor, 2)
not_ = _logic("not", "not x.", np.logical_not, 1)

where: Elementwise = Elementwise(
    "where",
    doc="x where the condition holds, else y. The branch not taken never contaminates a derivative.",
    evaluate_=lambda c, x, y: np.where(c, x, y),
    reference=lambda c, x, y: x if c else y,
    samples=((0.0, 1.0), ANY, ANY),
    partials=lambda r, c, x, y: (None, where(c, 1.0, 0.0), where(c, 0.0, 1.0)),
    native="where",
    kinds="where",
)


def _cast_reference(x: Any, dtype: str) -> Any:
    if dtype == "bool":
        return bool(x)
    # Integer data stay NumPy's in every arithmetic, and mpmath does not know NumPy's integers.
    return int(x) if dtype == "int64" else mp("mpf")(int(x) if isinstance(x, (np.integer, np.bool_)) else x)


cast_ = Elementwise(
    "cast",
    doc="Conversion to another dtype, as NumPy's astype.",
    evaluate_=lambda x, dtype: np.asarray(x).astype(dtype),
    reference=_cast_reference,
    samples=(ANY,),
    partials=lambda r, x: (1 if x.dtype.startswith("float") and r.dtype.startswith("float") else None,),
    native="cast",
    kinds="cast",
    complex_step=lambda x, dtype: (
        np.asarray(x, dtype=complex) if dtype.startswith("float") else np.real(x).astype(dtype)
    ),
)


__all__ = ["and_", "cast_", "eq", "ge", "gt", "le", "lt", "ne", "not_", "or_", "where", "xor"]
