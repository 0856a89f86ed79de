"""Attach NumPy's and SymPy's methods to expressions. Importing this module is what makes them appear."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from symdiff.front import (
    arrays,
    diagonals,
    functions,
    indexing,
    numpy_functions,
    rearrange,
    scans,
    sorting,
    sympy_bridge,
)
from symdiff.ir import graph
from symdiff.ir.dims import Extent, product, shape_text
from symdiff.ir.errors import DTypeError, ShapeError
from symdiff.ir.node import COERCIONS, Node, as_node, brief
from symdiff.ir.primitive import Elementwise, cast
from symdiff.ops import index


def _shape_arguments(shape: tuple[Any, ...]) -> Any:
    return shape[0] if len(shape) == 1 else shape


def _reshape(self: Node, *shape: Any) -> Node:
    """Return the entries in C order under another shape."""
    return arrays.reshape(self, _shape_arguments(shape))


def _transpose(self: Node, *axes: Any) -> Node:
    """Reverse the axes, or permute them."""
    if not axes or axes == (None,):
        return arrays.transpose(self)
    return arrays.transpose(self, axes[0] if isinstance(axes[0], (tuple, list)) else axes)


def _dot(self: Node, other: Any) -> Node:
    """Return NumPy's dot product."""
    from symdiff.front.products import dot

    return dot(self, other)


def _size(self: Node) -> Extent:
    """The number of entries."""
    return product(self.shape)


def _free_symbols(self: Node) -> set[Node]:
    """The symbols that occur in it."""
    return set(graph.free_symbols([self]))


def _count_ops(self: Node) -> int:
    """Return the number of distinct operations."""
    return graph.count_ops([self])


def _subs(self: Node, replacements: Any, value: Any = None) -> Node:
    """Replace symbols or subexpressions, all at once: f.subs({x: 2.0, y: g}) or f.subs(x, 2.0).

    A scalar in place of an array is broadcast. Raises ShapeError for any other shape.
    """
    pairs = replacements if isinstance(replacements, Mapping) else {replacements: value}
    memo: dict[Node, Node] = {}
    for key, new in pairs.items():
        if isinstance(key, str):
            raise DTypeError(f"subs replaces expressions; use the symbol itself instead of the text {key!r}.")
        old = as_node(key)
        node = as_node(new, like=old.dtype)
        if node.shape != old.shape:
            if node.shape:
                raise ShapeError(
                    f"{brief(old)} of shape {shape_text(old.shape)} "
                    f"cannot be replaced by {brief(node)} of shape {shape_text(node.shape)}."
                )
            node = index.broadcast_to(node, shape=old.shape)
        memo[old] = cast(node, old.dtype)
    return graph.transform([self], _fold, memo)[0]


def _fold(node: Node) -> Node:
    """Apply the primitive anew when an argument has become a literal, so that constants fold."""
    if isinstance(node.op, Elementwise) and any(a.op.name == "const" for a in node.args):
        return node.op(*node.args, **node.params)
    return node


def _str(self: Node) -> str:
    from symdiff.front.printing import to_str

    return to_str(self)


def _latex(self: Node) -> str:
    """Return the expression as LaTeX."""
    from symdiff.front.latex import to_latex

    return to_latex(self)


def _repr_latex(self: Node) -> str:
    return f"$\\displaystyle {_latex(self)}$"


def _to_sympy(self: Node) -> Any:
    """Return the expression as SymPy's."""
    return sympy_bridge.to_sympy(self)


def _iter(self: Node) -> Iterator[Node]:
    return indexing.iterate(self)


METHODS: dict[str, Any] = {
    "T": property(_transpose, doc="The array with its axes reversed."),
    "size": property(_size),
    "free_symbols": property(_free_symbols),
    "sum": arrays.sum,
    "mean": arrays.mean,
    "var": arrays.var,
    "std": arrays.std,
    "max": arrays.max,
    "min": arrays.min,
    "prod": arrays.prod,
    "cumsum": scans.cumsum,
    "cumprod": scans.cumprod,
    "argmax": sorting.argmax,
    "argmin": sorting.argmin,
    "argsort": sorting.argsort,
    "diagonal": diagonals.diagonal,
    "trace": diagonals.trace,
    "repeat": rearrange.repeat,
    "swapaxes": arrays.swapaxes,
    "take": arrays.take,
    "reshape": _reshape,
    "transpose": _transpose,
    "ravel": arrays.ravel,
    "flatten": arrays.ravel,
    "squeeze": arrays.squeeze,
    "dot": _dot,
    "astype": functions.astype,
    "subs": _subs,
    "count_ops": _count_ops,
    "latex": _latex,
    "to_sympy": _to_sympy,
    "_repr_latex_": _repr_latex,
    "_sympy_": _to_sympy,
    # SymPy's operators leave the result to the operand of higher priority: sympy_x * x is an expression of ours.
    "_op_priority": 1000.0,
    "__array_function__": numpy_functions.array_function,
    "__getitem__": indexing.getitem,
    "__iter__": _iter,
    "__str__": _str,
    "__repr__": _str,
}

for _name, _method in METHODS.items():
    setattr(Node, _name, _method)


def _has_node(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and any(isinstance(v, Node) or _has_node(v) for v in value)


COERCIONS.append((sympy_bridge.is_sympy, sympy_bridge.from_sympy))
COERCIONS.append((_has_node, arrays.stack))
