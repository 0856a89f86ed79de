"""Vector calculus on fields: grad, div, dot, the Laplacian, upwind differences, integrals and means.

A vector is its component along an axis that is left open, in index notation: grad(u) is the symbol u_i, a vector
with given components is the sum of a_k e_k, and div(F) is the sum over i of D_i F_i. Which axes there are, only the
problem knows: `expanded` puts them in.

A divergence is discretised as one piece, as differences of fluxes between the points (`flux`), so that what leaves
one cell enters the next. Its linear terms with constant factors are taken out as ordinary derivatives, whose
formulas are conservative as well and reach less far. So is the gradient of an expression with a constant factor: its
divergence takes the central second differences of the expression's values at the points (`nodal`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symdiff.diff.jacobian import jvp
from symdiff.diff.symbolic import diff
from symdiff.ir.errors import DomainError, SymdiffError
from symdiff.ir.graph import depends_on, free_symbols, substitute
from symdiff.ir.node import Node, as_node, brief, const
from symdiff.ops import leaves
from symdiff.ops.elementwise import maximum, minimum
from symdiff.pde.fluxes import differentiated, flux, is_constant, is_linear, nodal, short, without
from symdiff.pde.jets import (
    INDEX,
    LAPLACIAN,
    WHOLE,
    added,
    d,
    derived,
    expand_laplacian,
    is_field,
    is_jet,
    is_term,
    jet,
    jets,
    term,
    terms,
)

UPWIND_ORDERS = (1, 2, 3, 4, 5, 6, 7, 8)


def vector(*components: Any, **named: Any) -> Node:
    """Return the vector with these components, in the order of the domain's axes or by their names.

    >>> from symdiff import pde
    >>> u = pde.field("u")
    >>> print(pde.dot(vector(1, 2), pde.grad(u)))
    dot(e0 + 2*e1, grad(u))
    """
    pairs: list[tuple[int | str, Any]] = [*enumerate(components), *named.items()]
    if not pairs:
        raise DomainError("A vector has at least one component; write pde.vector(a, b) or pde.vector(x=a).")
    return added([as_node(value) * _unit(axis) for axis, value in pairs])


def _unit(axis: int | str | None) -> Node:
    """Return the component, along the open axis, of the unit vector of an axis given by its place or its name.

    None is the only axis that there is.
    """
    name = "e" if axis is None else f"e{axis}"
    return leaves.symbol(name=name, shape=(), dtype="float64", unit=axis)


def grad(f: Any) -> Node:
    """Return the gradient of an expression in fields and coordinates, as a vector for `div` and `dot`.

    >>> from symdiff import pde
    >>> u = pde.field("u")
    >>> print(grad(3 * u), grad(u**2))
    3*grad(u) grad(u**2)
    """
    node = as_node(f)
    if is_jet(node) or is_term(node):
        return derived(node, INDEX)
    found = free_symbols([node])
    slopes = {w: diff(node, w) for w in found}
    if found and all((is_jet(w) or is_term(w)) and slope.op.name == "const" for w, slope in slopes.items()):
        return added([slope * derived(w, INDEX) for w, slope in slopes.items()])
    return term("value", node, short(node), (INDEX,))


def slope(f: Node, axis: str) -> Node:
    """Return the derivative of an expression along one axis, kept whole as in `grad`."""
    return term("value", f, short(f), (axis,))


def div(f: Any) -> Node:
    """Return the divergence of a vector, discretised conservatively: `div(k * grad(u))`, `div(vector(a, b) * u)`.

    Raises SymdiffError for an expression that is no vector.

    >>> from symdiff import pde
    >>> u = pde.field("u")
    >>> print(div((1 + u**2) * grad(u)))
    div((1 + u**2)*grad(u))
    """
    node = _vector(f, "div")
    return term("div", node, f"div({short(node)})")


def dot(f: Any, g: Any) -> Node:
    """Return the inner product of two vectors.

    >>> from symdiff import pde
    >>> u, v = pde.field("u"), pde.field("v")
    >>> print(dot(grad(u), grad(v)))
    dot(grad(u), grad(v))
    """
    a, b = _vector(f, "dot"), _vector(g, "dot")
    return term("dot", a * b, f"dot({short(a)}, {short(b)})")


def gradient_squared(f: Any) -> Node:
    """Return |grad f|**2.

    >>> from symdiff import pde
    >>> print(gradient_squared(pde.field("u")))
    dot(grad(u), grad(u))
    """
    return dot(grad(f), grad(f))


def laplacian(f: Any, *axes: Any) -> Node:
    """Return the sum of the second derivatives, along `axes` or else along all axes of the problem's domain.

    Of an expression that is not a field it is `div(grad(f))`, discretised conservatively; with `axes` the chain rule
    is applied.

    >>> from symdiff import pde
    >>> x, y = pde.coordinates("x y")
    >>> print(laplacian(pde.field("u"), x, y))
    u_xx + u_yy
    """
    node = as_node(f)
    if axes:
        return added([d(node, axis, 2) for axis in axes])
    if is_jet(node):
        return jet(node.params["field"], (*node.params["by"], LAPLACIAN))
    return div(grad(node))


def upwind(velocity: Any, u: Any, order: int | None = None) -> Node:
    """Return velocity . grad(u) with differences that lean against the flow, for a field u.

    `velocity` is a vector, or a number or an expression where there is one axis. `order` is that of the formulas,
    1 to 8, and that of the solver if left out. Order 1 makes no new extremes; an odd order damps what the grid does
    not resolve.

    Method: of order p with s points upwind and r downwind, s + r = p, s - r = 1 or 2: the stable ones (Iserles 1982).

    >>> from symdiff import pde
    >>> print(upwind(pde.vector(1, 2), pde.field("u"), order=1))
    upwind(e0 + 2*e1, u)
    """
    v, w = as_node(velocity), as_node(u)
    if not is_field(w):
        raise SymdiffError(f"upwind takes a field, got {brief(w)} ({w.line}); define one by Eq(w, …) with it.")
    if order is not None and order not in UPWIND_ORDERS:
        raise DomainError(f"The order of upwind is 1 to 8, got {order!r}.")
    if not _is_open(v):
        v = v * _unit(None)
    return term("upwind", _vector(v, "upwind"), f"upwind({short(v)}, {w.params['name']})", moved=w, accuracy=order or 0)


def integral(f: Any) -> Node:
    """Return the integral over the domain of an expression in fields and coordinates: one number at each time.

    >>> from symdiff import pde
    >>> print(integral(pde.field("u")**2))
    integral(u**2)
    """
    node = as_node(f)
    return term("integral", node, f"integral({short(node)})")


def mean(f: Any) -> Node:
    """Return the mean over the domain of an expression in fields and coordinates.

    >>> from symdiff import pde
    >>> print(mean(pde.field("u")))
    integral(u)/integral(1)
    """
    return integral(f) / integral(1.0)


def largest(f: Any) -> Node:
    """Return the largest value at a grid point of an expression in fields and coordinates.

    >>> from symdiff import pde
    >>> print(largest(abs(pde.field("u"))))
    largest(abs(u))
    """
    node = as_node(f)
    return term("largest", node, f"largest({short(node)})")


def smallest(f: Any) -> Node:
    """Return the smallest value at a grid point of an expression in fields and coordinates.

    >>> from symdiff import pde
    >>> print(smallest(pde.field("u")))
    smallest(u)
    """
    node = as_node(f)
    return term("smallest", node, f"smallest({short(node)})")


def _is_open(node: Node) -> bool:
    return bool(_open_symbols(node))


def _open_symbols(node: Node) -> list[Node]:
    return [s for s in free_symbols([node]) if "unit" in s.params or INDEX in s.params.get("by", ())]


def _vector(f: Any, user: str) -> Node:
    """Return a vector. Raises SymdiffError for an expression that is not linear in the components of vectors."""
    parts = list(f) if isinstance(f, (tuple, list)) else None
    node = vector(*parts) if parts else as_node(f)
    found = _open_symbols(node)
    along = jvp(node, found, [const(1.0)] * len(found)) if found else node
    if not found or along in depends_on([along], found):
        raise SymdiffError(
            f"{user} takes a vector such as k*grad(u) or pde.vector(a, b), got {brief(node)} ({node.line})."
        )
    return node


# -- with the axes of a domain ------------------------------------------------------------------------------------


def expanded(f: Node, axes: Sequence[str]) -> Node:
    """Return an expression with Laplacians, inner products and divergences written along the axes of a domain.

    Only fields, their derivatives, and the terms "flux", "nodal", "biased" and those of the whole domain are left.
    Raises SymdiffError for a vector in the place of a number.
    """
    left = _open_symbols(f)
    if left:
        raise SymdiffError(
            f"The vector {left[0].params['name']} ({f.line}) stands where a number is expected; apply div or dot to it."
        )
    table = {w: expand_laplacian(w, axes) for w in jets([f]) if LAPLACIAN in w.params["by"]}
    table |= {w: _expanded_term(w, axes) for w in terms([f])}
    return substitute([f], table)[0] if table else f


def _expanded_term(w: Node, axes: Sequence[str]) -> Node:
    kind, of, by = w.params["term"], w.params["of"], w.params["by"]
    if kind in WHOLE:
        number = term(kind, expanded(of, axes), w.params["label"])
        return derived(number, *by) if by else number
    if kind in ("flux", "nodal", "biased"):
        return w
    if kind == "value":
        return differentiated(expanded(of, axes), by)
    parts = [(component(of, axis, axes), axis) for axis in axes]
    if kind == "div" and not by:
        return added([_divergence(part, axis, axes) for part, axis in parts])
    parts = [(expanded(part, axes), axis) for part, axis in parts if part is not const(0.0)]
    parts = parts or [(const(0.0), axes[0])]
    if kind == "dot":
        out = added([part for part, _ in parts])
    elif kind == "upwind":
        moved, accuracy = expanded(w.params["moved"], axes), w.params["accuracy"]
        out = added([_leaning(part, moved, axis, accuracy) for part, axis in parts])
    else:
        # A derivative of a divergence, inside of another one that conserves.
        out = added([differentiated(part, (axis,)) for part, axis in parts])
    return differentiated(out, by)


def _leaning(v: Node, u: Node, axis: str, accuracy: int) -> Node:
    """Return v D_axis u with the difference against v."""
    name = u.params["name"]
    behind, ahead = (
        term("biased", u, f"{name}{mark}", (axis,), direction=sign, accuracy=accuracy)
        for sign, mark in ((-1, "-"), (1, "+"))
    )
    if v.op.name == "const":
        return v * (behind if v.params["value"] > 0 else ahead)
    return maximum(v, 0.0) * behind + minimum(v, 0.0) * ahead


def component(f: Node, axis: str, axes: Sequence[str]) -> Node:
    """Return the component of a vector along an axis."""
    table: dict[Node, Node] = {}
    absent = []
    for s in _open_symbols(f):
        if "unit" in s.params and not _is_along(s, axis, axes):
            absent.append(s)
            continue
        if "unit" in s.params:
            table[s] = const(1.0)
            continue
        rest = list(s.params["by"])
        rest.remove(INDEX)
        if is_jet(s):
            table[s] = jet(s.params["field"], (*rest, axis))
        else:
            settings = {k: v for k, v in s.params.items() if k not in ("name", "shape", "dtype", "term", "by")}
            table[s] = term(s.params["term"], **settings, by=(*rest, axis))
    return without(substitute([f], table)[0], absent)


def _is_along(unit: Node, axis: str, axes: Sequence[str]) -> bool:
    """Whether a unit vector is that of an axis. Raises SymdiffError for one that no axis of the domain has."""
    of = unit.params["unit"]
    if of is None and len(axes) > 1:
        raise SymdiffError(
            f"The velocity of upwind ({unit.line}) is a number, and the domain has the axes {', '.join(axes)}; "
            "write it as pde.vector(a, b)."
        )
    if of is not None and of not in axes and of not in range(len(axes)):
        place = f"the axis {of!r}" if isinstance(of, str) else f"axis {of}"
        raise SymdiffError(
            f"A vector ({unit.line}) has a component along {place}, which the domain does not have; "
            f"its axes are {', '.join(axes)}."
        )
    return of in (None, axis, axes.index(axis))


def _divergence(f: Node, axis: str, axes: Sequence[str]) -> Node:
    """Return D_axis f, from the values of what gradients with constant factors are taken of, the rest from fluxes."""
    out, rest = [], f
    for w in terms([f]):
        slope = diff(rest, w)
        if (
            w.params["term"] == "value"
            and w.params["by"] == (axis,)
            and is_constant(slope, axes)
            and is_linear(rest, w)
        ):
            out.append(slope * nodal(expanded(w.params["of"], axes), axis, axes))
            rest = without(rest, [w])
    return added([*out, flux(expanded(rest, axes), axis, axes)])
