"""How much of a result is rounding: Monte Carlo arithmetic.

Every operation's result is moved by a random amount within the error that its implementation may make; the
spread of the results estimates the error of the computation, whatever its conditioning, without derivatives.
Method: Parker, Pierce & Eggert 2000 (Computing in Science & Engineering 2(4), 58).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symdiff.diff.finite import Values
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node
from symdiff.ir.primitive import Elementwise
from symdiff.ops.linalg import LINALG

# Correctly rounded by IEEE 754; every other function may be wrong by 4 ulp, as libmvec's are.
_ROUNDED = frozenset({"add", "sub", "mul", "div", "sqrt", "cast"})
_EXACT = frozenset({"neg", "abs", "maximum", "minimum", "where", "relu", "floor", "ceil", "trunc", "sign", "heaviside"})
# Their error is that of slightly different arguments.
_BACKWARD_STABLE = frozenset({"sum", "prod", "matmul", "triangular_solve", "scatter_add", "recurrence"})
# The same, slightly against the largest entry (Higham 2002, theorems 9.4 and 19.4; Parlett 1998, section 8.15).
_NORMWISE = frozenset(p.name for p in LINALG) - _BACKWARD_STABLE
_RUNS = 6
# The largest of six deviations, each with half the weight of the worst case, times this covers the error.
_MARGIN = 8


def rounding_error(roots: Sequence[Node], values: Values) -> list[np.ndarray]:
    """Return for every root an estimate from above of the rounding error of its entries.

    Cost: seven evaluations of the graph. The random numbers are the same in every call.
    """
    rng = np.random.default_rng(20)
    base = [np.asarray(v) for v in interpret(roots, values)]
    spread = [np.zeros(v.shape) for v in base]
    for _ in range(_RUNS):
        moved = interpret(roots, values, around=_disturb(rng))
        with np.errstate(all="ignore"):
            spread = [np.fmax(s, np.abs(m - b)) for s, m, b in zip(spread, moved, base, strict=True)]
    with np.errstate(all="ignore"):
        return [_MARGIN * s + 4 * np.nan_to_num(np.spacing(np.abs(b))) for s, b in zip(spread, base, strict=True)]


def _disturb(rng: np.random.Generator) -> Callable[[Node, list[Any], Callable[[list[Any]], Any]], Any]:
    def noise(value: Any, ulps: int) -> Any:
        eps = np.finfo(value.dtype).eps
        return (value * (1 + ulps * eps * rng.uniform(-1, 1, np.shape(value)))).astype(value.dtype)

    def shift(value: Any) -> Any:
        largest = np.max(np.abs(value), axis=(-2, -1), keepdims=True, initial=0.0) if value.ndim > 1 else abs(value)
        return value + (2 * np.finfo(value.dtype).eps * largest * rng.uniform(-1, 1, value.shape)).astype(value.dtype)

    def around(node: Node, args: list[Any], evaluate: Callable[[list[Any]], Any]) -> Any:
        if node.op.name in _NORMWISE:
            return evaluate([shift(a) for a in args])
        if node.op.name in _BACKWARD_STABLE:
            return evaluate([noise(a, 2) if a.dtype.kind == "f" else a for a in args])
        value = evaluate(args)
        if not isinstance(node.op, Elementwise) or node.op.name in _EXACT or not node.dtype.startswith("float"):
            return value
        return np.where(_whole(args, value), value, noise(value, 1 if node.op.name in _ROUNDED else 4))

    return around


def _whole(args: list[Any], value: Any) -> Any:
    """Where whole numbers give a whole number, which is exact: a loop's counter must not miss its end by rounding."""
    exact = np.abs(value) < 1 / np.finfo(value.dtype).eps
    for number in (*args, value):
        exact = exact & (number == np.floor(number))
    return exact
