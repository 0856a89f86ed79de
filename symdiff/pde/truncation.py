"""The leading error term of a discretisation, as an expression in derivatives of the fields."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import factorial

from symdiff.diff.forward import jvp_nodes
from symdiff.front.symbols import symbols
from symdiff.ir.errors import DomainError
from symdiff.ir.node import Node, const
from symdiff.pde import stencils
from symdiff.pde.fluxes import plain
from symdiff.pde.jets import added, d, derived, jet, jets, orders, terms
from symdiff.pde.problem import Problem


def truncation_error(problem: Problem, order: int = 2) -> dict[Node, Node]:
    """Return, for each field, the leading term of what the formulas of this order add to its right-hand side.

    The spacings are the symbols hx, hy, …. It is the error in the interior; the formulas at the sides have their own.
    Integrals are left out. Raises DomainError for an order that is none of the solver's.

    >>> from symdiff import pde
    >>> x, u = pde.coordinates("x"), pde.field("u")
    >>> heat = pde.Problem(pde.Eq(pde.dt(u), pde.laplacian(u)), pde.Box(x=(0, 1)), {"x": pde.Periodic()}, {u: 0})
    >>> print(truncation_error(heat)[u])
    0.08333333333333333*hx**2*u_xxxx
    """
    if order not in stencils.ORDERS:
        raise DomainError(f"The order in space is one of {', '.join(map(str, stencils.ORDERS))}, got {order!r}.")
    return {u: _error(problem, rhs, order, None) for u, rhs in problem.rhs.items()}


def _error(problem: Problem, f: Node, order: int, middle: str | None) -> Node:
    """Return the leading error of an expression; along the axis `middle` it is evaluated between the points."""
    out = [_slope(f, w) * e for w in jets([f]) for e in _of_jet(problem, w, order, middle)]
    for s in terms([f]):
        kind, of, by = s.params["term"], s.params["of"], s.params["by"]
        if kind == "biased":
            weights = stencils.biased(s.params["accuracy"] or order, s.params["direction"])
            out.append(_slope(f, s) * _leading(weights, 1, by[0], of, Fraction(0)))
        elif kind == "nodal":
            inner = d(_error(problem, of, order, None), symbols(by[0]), 2)
            out.append(_slope(f, s) * (inner + _leading(stencils.central(2, order), 2, by[0], of, Fraction(0))))
        elif kind == "flux":
            inside = plain(of)
            inner = d(_error(problem, of, order, by[0]), symbols(by[0]))
            out.append(_slope(f, s) * (inner + _leading(stencils.half(1, order), 1, by[0], inside, Fraction(1, 2))))
    return added(out) if out else const(0.0)


def _slope(f: Node, w: Node) -> Node:
    slope: Node = jvp_nodes([f], [w], [const(1.0)])[0]
    return slope


def _of_jet(problem: Problem, w: Node, order: int, middle: str | None) -> list[Node]:
    """Return the errors of the formula of a derivative along each axis."""
    u, counts, out = jet(w.params["field"], ()), orders(w), []
    for axis in problem.domain.axes:
        n = counts[axis]
        rest = derived(u, *(a for a in w.params["by"] if a != axis))
        if axis == middle:
            out.append(_leading(stencils.half(n, order), n, axis, rest, Fraction(1, 2)))
        elif n:
            out.append(_leading(stencils.central(n, order), n, axis, rest, Fraction(0)))
    if u in problem.definitions:
        # What the defining equation makes wrong is differentiated along.
        inner = _error(problem, problem.definitions[u], order, None)
        for name in w.params["by"]:
            inner = d(inner, symbols(name))
        out.append(inner)
    return out


def _leading(weights: Mapping[int, Fraction], n: int, axis: str, f: Node, centre: Fraction) -> Node:
    """Return the first term of sum_k w_k f((k - centre)*h)/h**n - D**n f that is not zero.

    Derivation: Taylor's theorem gives sum_k w_k (k - centre)**m / m! * h**(m - n) D**m f for every m.
    """
    m = n + 1
    while not (moment := sum((w * (k - centre) ** m for k, w in weights.items()), Fraction(0))):
        m += 1
    h = symbols(f"h{axis}")
    return float(moment / factorial(m)) * h ** (m - n) * d(f, symbols(axis), m)
