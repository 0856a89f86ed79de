"""Equations from SymPy: u(x, t) is the field u, Derivative(u(x, t), t) its time derivative."""

from __future__ import annotations

from typing import Any

from symdiff.front.symbols import symbols
from symdiff.front.sympy_bridge import from_sympy as converted
from symdiff.ir.errors import ParseError
from symdiff.ir.node import Node
from symdiff.pde.equations import Eq
from symdiff.pde.jets import TIME, d, field, is_jet
from symdiff.pde.terms import div, slope, vector


def from_sympy(eq: Any) -> Eq:
    """Return SymPy's Eq, or an expression that is zero, as an equation.

    A derivative that SymPy keeps of an expression, such as Derivative(k*Derivative(u(x, t), x), x), is conservative,
    like `div`. Raises ParseError for functions of anything but coordinates.

    >>> import sympy
    >>> x, t, k = sympy.symbols("x t k")
    >>> u = sympy.Function("u")(x, t)
    >>> print(from_sympy(sympy.Eq(u.diff(t), k * u.diff(x, 2))))
    u_t = k*u_xx
    """
    if type(eq).__name__ == "Equality":
        return Eq(_side(eq.lhs), _side(eq.rhs))
    return Eq(_side(eq), 0.0)


def _side(expr: Any) -> Node:
    """Return one side, the functions and derivatives in it replaced innermost first."""
    table: dict[Any, Node] = {}
    stack = [(expr, False)]
    while stack:
        node, is_ready = stack.pop()
        if node in table:
            continue
        if _is_function(node):
            table[node] = _field(node)
        elif type(node).__name__ != "Derivative":
            stack.extend((a, False) for a in node.args)
        elif is_ready:
            table[node] = _derivative(converted(node.expr, table), [str(v) for v in node.variables])
        else:
            stack += [(node, True), (node.expr, False)]
    return converted(expr, table)


def _is_function(node: Any) -> bool:
    return any(base.__name__ == "AppliedUndef" for base in type(node).__mro__)


def _field(node: Any) -> Node:
    if not all(a.is_Symbol for a in node.args):
        raise ParseError(f"A field is a function of coordinates such as u(x, t), got {node}.")
    return field(type(node).__name__)


def _derivative(f: Node, names: list[str]) -> Node:
    """Return a derivative of an expression by one coordinate after the other, by the same one twice at once."""
    left = list(names)
    while left:
        name = left.pop(0)
        if is_jet(f) or name == TIME:
            f = d(f, symbols(name))
        elif left and left[0] == name:
            left.pop(0)
            f = div(vector(**{name: slope(f, name)}))
        else:
            f = div(vector(**{name: f}))
    return f
