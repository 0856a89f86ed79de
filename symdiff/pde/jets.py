"""Fields and their derivatives as independent unknowns: the jet coordinates u, u_t, u_x, u_xx, ….

A differential equation is an ordinary expression in these symbols. A derivative of a field is a new symbol; a
derivative of anything else is expanded at once by the chain rule over all symbols (the total derivative), so
only derivatives of fields are ever discretised. What must be discretised as one piece (`terms`: a divergence, an
integral) is a symbol too, which knows the expression that it is made `of`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from symdiff.diff.jacobian import jvp
from symdiff.front.symbols import check_name, symbols
from symdiff.ir.errors import DerivativeError
from symdiff.ir.graph import free_symbols
from symdiff.ir.node import Node, as_node, brief, const
from symdiff.ops import leaves

TIME = "t"
# The kinds of terms that are one number for the whole domain.
WHOLE = ("integral", "largest", "smallest")
# Stands for the sum of the second derivatives along the axes of the domain, which only the problem knows.
LAPLACIAN = "laplacian"
# Stands for each axis of the domain in turn: grad(u) is the one symbol u_INDEX, summed over in a divergence.
INDEX = "∇"
# Stands for the outward normal of the side on which a boundary condition holds.
NORMAL = "⊥"


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
    return leaves.symbol(name=_label(name, order), shape=(), dtype="float64", field=name, by=order)


def _label(name: str, by: tuple[str, ...]) -> str:
    rest = [a for a in by if a not in (INDEX, NORMAL)]
    label = f"{name}_{''.join(rest)}" if rest else name
    n = by.count(NORMAL)
    return f"grad({label})" if INDEX in by else f"dn({label}{f', {n}' if n > 1 else ''})" if n else label


def term(kind: str, of: Node, label: str, by: Iterable[str] = (), **settings: Any) -> Node:
    """Return the symbol of a term that is discretised as one piece, or of a derivative of it."""
    order = tuple(sorted(by))
    name = _label(label, order)
    return leaves.symbol(name=name, shape=(), dtype="float64", term=kind, of=of, label=label, by=order, **settings)


def is_jet(node: Any) -> bool:
    """Whether a node is a field or a derivative of one."""
    return isinstance(node, Node) and "field" in node.params


def is_field(node: Any) -> bool:
    """Whether a node is a field itself."""
    return is_jet(node) and not node.params["by"]


def is_term(node: Any) -> bool:
    """Whether a node is a term that is discretised as one piece, or a derivative of one."""
    return isinstance(node, Node) and "term" in node.params


def jets(roots: Iterable[Node]) -> list[Node]:
    """Return the fields and derivatives of fields under `roots`, those inside of terms left out."""
    return [s for s in free_symbols(roots) if is_jet(s)]


def terms(roots: Iterable[Node]) -> list[Node]:
    """Return the terms under `roots`."""
    return [s for s in free_symbols(roots) if is_term(s)]


def all_symbols(roots: Iterable[Node]) -> list[Node]:
    """Return the symbols under `roots`, those inside of terms included, each once."""
    found: dict[Node, None] = {}
    queue = list(free_symbols(roots))
    while queue:
        s = queue.pop(0)
        if s not in found:
            found[s] = None
            queue += free_symbols([s.params["of"]]) if is_term(s) else []
    return list(found)


def all_jets(roots: Iterable[Node]) -> list[Node]:
    """Return the fields and derivatives of fields under `roots`, those inside of terms included."""
    return [s for s in all_symbols(roots) if is_jet(s)]


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
    if wrt.op.name != "symbol" or is_jet(wrt) or is_term(wrt) or wrt.shape != ():
        raise DerivativeError(f"pde.d differentiates by a coordinate such as x, got {brief(wrt)} ({wrt.line}).")
    if not isinstance(n, int) or isinstance(n, bool) or n < 0:
        raise DerivativeError(f"The order of a derivative is an int >= 0, got {n!r}.")
    for _ in range(n):
        node = _total(node, wrt)
    return node


def _total(f: Node, x: Node) -> Node:
    """D_x f = f_x + sum over all jets and terms w in f of f_w * w_x."""
    if is_jet(f) or is_term(f):
        return derived(f, x.params["name"])
    found = [*jets([f]), *terms([f])]
    total: Node = jvp(f, [x, *found], [const(1.0), *(derived(w, x.params["name"]) for w in found)])
    return total


def derived(w: Node, *names: str) -> Node:
    """Return the derivative of a jet or a term by the coordinates of these names."""
    by = (*w.params["by"], *names)
    if is_jet(w):
        return jet(w.params["field"], by)
    if w.params["term"] in WHOLE and set(names) != {TIME}:
        return const(0.0)
    return term(**{**_settings(w), "by": by})


def _settings(w: Node) -> dict[str, Any]:
    """Return the arguments of `term` that make w."""
    rest = {k: v for k, v in w.params.items() if k not in ("name", "shape", "dtype", "term")}
    return {"kind": w.params["term"], **rest}


def dt(f: Any, n: int = 1) -> Node:
    """Return the `n`-th derivative by time."""
    return d(f, symbols(TIME), n)


def dx(f: Any, n: int = 1) -> Node:
    """Return the `n`-th derivative by the coordinate named x."""
    return d(f, symbols("x"), n)


def dy(f: Any, n: int = 1) -> Node:
    """Return the `n`-th derivative by the coordinate named y."""
    return d(f, symbols("y"), n)


def dz(f: Any, n: int = 1) -> Node:
    """Return the `n`-th derivative by the coordinate named z."""
    return d(f, symbols("z"), n)


def dn(f: Any, n: int = 1) -> Node:
    """Return the outward normal derivative of a field, or its `n`-th one, for boundary conditions that are equations.

    A derivative of a field may stand in its place: `dn(laplacian(u))`.

    >>> from symdiff import pde
    >>> u = pde.field("u")
    >>> print(pde.Eq(dn(u), -(u**4)), pde.Eq(dn(u, 2), 0))
    dn(u) = -u**4 dn(u, 2) = 0
    """
    node = as_node(f)
    if not is_jet(node):
        raise DerivativeError(f"dn takes a field or a derivative of one, got {brief(node)} ({node.line}).")
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise DerivativeError(f"The order of a derivative dn is an int >= 1, got {n!r}.")
    return derived(node, *(NORMAL,) * n)


def expand_laplacian(node: Node, axes: Sequence[str]) -> Node:
    """Return a jet symbol with every Laplacian in it written as second derivatives along `axes`."""
    by = node.params["by"]
    if LAPLACIAN not in by:
        return node
    rest = list(by)
    rest.remove(LAPLACIAN)
    return added([expand_laplacian(jet(node.params["field"], (*rest, a, a)), axes) for a in axes])


def added(summands: Sequence[Node]) -> Node:
    """Return the sum of at least one node, from left to right."""
    total = summands[0]
    for summand in summands[1:]:
        total = total + summand
    return total
