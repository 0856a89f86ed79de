"""Fields and their derivatives as independent unknowns: the jet coordinates u, u_t, u_x, u_xx, ….

A differential equation is an ordinary expression in these symbols. A derivative of a field is a new symbol; a
derivative of anything else is expanded at once by the chain rule over all symbols (the total derivative), so
only derivatives of fields are ever discretised.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from symdiff.diff.jacobian import jvp
from symdiff.front.symbols import check_name, symbols
from symdiff.ir.errors import DerivativeError, SymdiffError
from symdiff.ir.graph import free_symbols
from symdiff.ir.node import Node, as_node, brief, const
from symdiff.ops import leaves

TIME = "t"
# Stands for the sum of the second derivatives along the axes of the domain, which only the problem knows.
LAPLACIAN = "laplacian"


def coordinates(names: str) -> Any:
    """Return the coordinates of space and time: scalar symbols. Time is named "t".

    >>> x, t = coordinates("x t")
    >>> print(x * t)
    x*t
    """
    return symbols(names)


def field(name: str) -> Node:
    """Return an unknown function of the coordinates.

    >>> u = field("u")
    >>> print(d(u, coordinates("x"), 2))
    u_xx
    """
    check_name(name)
    return jet(name, ())


def jet(name: str, by: Iterable[str]) -> Node:
    """Return the derivative of the field `name` by the coordinates `by`."""
    order = tuple(sorted(by))
    label = f"{name}_{''.join(order)}" if order else name
    return leaves.symbol(name=label, shape=(), dtype="float64", field=name, by=order)


def is_jet(node: Any) -> bool:
    """Whether a node is a field or a derivative of one."""
    return isinstance(node, Node) and "field" in node.params


def is_field(node: Any) -> bool:
    """Whether a node is a field itself."""
    return is_jet(node) and not node.params["by"]


def jets(roots: Iterable[Node]) -> list[Node]:
    """Return the fields and derivatives of fields under `roots`."""
    return [s for s in free_symbols(roots) if is_jet(s)]


def orders(node: Node) -> Counter[str]:
    """Return how often a jet symbol is differentiated by each coordinate."""
    return Counter(node.params["by"])


def d(f: Any, x: Any, n: int = 1) -> Node:
    """Return the `n`-th derivative of `f`, an expression in fields and coordinates, by the coordinate `x`.

    Raises DerivativeError if `x` is not a coordinate.

    >>> x, k, u = *symbols("x k"), field("u")
    >>> print(d(k * u, x, 2))
    k*u_xx
    """
    node, wrt = as_node(f), as_node(x)
    if wrt.op.name != "symbol" or is_jet(wrt) or wrt.shape != ():
        raise DerivativeError(f"pde.d differentiates by a coordinate such as x, got {brief(wrt)} ({wrt.line}).")
    if not isinstance(n, int) or isinstance(n, bool) or n < 0:
        raise DerivativeError(f"The order of a derivative is an int >= 0, got {n!r}.")
    for _ in range(n):
        node = _total(node, wrt)
    return node


def _total(f: Node, x: Node) -> Node:
    """D_x f = f_x + sum over all jet symbols w in f of f_w * w_x."""
    if is_jet(f):
        return jet(f.params["field"], (*f.params["by"], x.params["name"]))
    found = jets([f])
    slopes = [jet(w.params["field"], (*w.params["by"], x.params["name"])) for w in found]
    total: Node = jvp(f, [x, *found], [const(1.0), *slopes])
    return total


def dt(f: Any) -> Node:
    """Return the derivative by time."""
    return d(f, symbols(TIME))


def dx(f: Any, n: int = 1) -> Node:
    """Return the `n`-th derivative by the coordinate named x."""
    return d(f, symbols("x"), n)


def dy(f: Any, n: int = 1) -> Node:
    """Return the `n`-th derivative by the coordinate named y."""
    return d(f, symbols("y"), n)


def dz(f: Any, n: int = 1) -> Node:
    """Return the `n`-th derivative by the coordinate named z."""
    return d(f, symbols("z"), n)


def laplacian(f: Any, *axes: Any) -> Node:
    """Return the sum of the second derivatives, along `axes` or else along all axes of the problem's domain.

    Raises SymdiffError for an expression that is not a field when the axes are left out.

    >>> x, y = coordinates("x y")
    >>> print(laplacian(field("u"), x, y))
    u_xx + u_yy
    """
    node = as_node(f)
    if axes:
        terms = [d(node, axis, 2) for axis in axes]
        return _sum(terms)
    if not is_jet(node):
        raise SymdiffError(
            f"laplacian of {brief(node)} ({node.line}), which is not a field, needs the coordinates; "
            "write laplacian(f, x, y)."
        )
    return jet(node.params["field"], (*node.params["by"], LAPLACIAN))


def expand_laplacian(node: Node, axes: Sequence[str]) -> Node:
    """Return a jet symbol with every Laplacian in it written as second derivatives along `axes`."""
    by = node.params["by"]
    if LAPLACIAN not in by:
        return node
    rest = list(by)
    rest.remove(LAPLACIAN)
    return _sum([expand_laplacian(jet(node.params["field"], (*rest, a, a)), axes) for a in axes])


def _sum(terms: Sequence[Node]) -> Node:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
