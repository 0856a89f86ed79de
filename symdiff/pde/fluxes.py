"""Derivatives of expressions along one axis, split into what is discretised on its own.

Linear terms with constant factors become ordinary derivatives, whose formulas reach less far than those of what is
left: the differences of its values between the points (a flux), or the second differences of its values at the points.
"""

from __future__ import annotations

from collections.abc import Sequence

from symdiff.diff.symbolic import diff
from symdiff.front.symbols import symbols
from symdiff.ir.graph import depends_on, free_symbols, rebuild, substitute, topological
from symdiff.ir.node import Node, brief, const
from symdiff.pde.jets import WHOLE, added, all_jets, d, derived, is_field, is_jet, is_term, jets, term, terms

_SHOWN = 120  # characters of an expression in the name of a term


def short(node: Node) -> str:
    """Return an expression as a name, cut where it is long."""
    text = str(node)
    return text if len(text) <= _SHOWN and "\n" not in text else brief(node)


def without(f: Node, gone: Sequence[Node]) -> Node:
    """Return an expression in which the symbols `gone` are exact zeros: no 0*x is left behind, and no 1*x."""
    absent = set(gone)
    table: dict[Node, Node | None] = {}
    for node in topological([f]):
        args = [table[a] for a in node.args]
        table[node] = None if node in absent else _remaining(node, args)
    left = table[f]
    return const(0.0) if left is None else left


def _remaining(node: Node, args: Sequence[Node | None]) -> Node | None:
    """Return what is left of a node whose arguments of value 0 are None."""
    present = [a for a in args if a is not None]
    if node.op.name == "mul" and const(1.0) in present and len(present) == 2:
        return present[1] if present[0] is const(1.0) else present[0]
    if len(present) == len(args):
        return rebuild(node, present) if args else node
    match node.op.name:
        case "add":
            return present[0] if present else None
        case "sub" if args[0] is None:
            return -present[0] if present else None
        case "sub":
            return present[0]
        case "mul" | "neg":
            return None
        case "div" if args[0] is None:
            return None
        case _:
            return rebuild(node, [const(0.0) if a is None else a for a in args])


def is_linear(f: Node, w: Node) -> bool:
    """Whether `w` enters an expression by sums and by products with what does not contain it.

    A slope without `w` is not enough: the derivative of a comparison or of `floor` is 0.
    """
    moving = depends_on([f], [w])
    return all(node is w or _is_linear(node, [a in moving for a in node.args]) for node in moving)


def _is_linear(node: Node, moving: Sequence[bool]) -> bool:
    match node.op.name:
        case "add" | "sub" | "neg":
            return True
        case "mul":
            return sum(moving) == 1
        case "div":
            return not moving[1]
        case "where":
            return not moving[0]
    return False


def is_constant(slope: Node, axes: Sequence[str]) -> bool:
    """Whether a factor contains neither a field nor a coordinate."""
    known = {symbols(a) for a in axes}
    return not any(is_jet(s) or is_term(s) or s in known for s in free_symbols([slope]))


def flux(f: Node, axis: str, axes: Sequence[str]) -> Node:
    """Return D_axis f as differences of f between the points, its linear terms with constant factors taken out."""
    out, rest = _taken_out(f, axis, 1, axes)
    if not all_jets([rest]):
        return added([*out, d(rest, symbols(axis))])
    if any(s.params["term"] not in WHOLE for s in terms([rest])):
        # Terms are known at the points, fluxes are taken between them.
        rest = plain(rest)
    return added([*out, term("flux", rest, f"flux({short(rest)})", (axis,))])


def nodal(f: Node, axis: str, axes: Sequence[str]) -> Node:
    """Return D_axis D_axis f as second differences of f at the points, but for its linear terms with constant factors.

    What contains derivatives is a flux: their values beyond a side are not known well enough.
    """
    out, rest = _taken_out(f, axis, 2, axes)
    if not all_jets([rest]):
        return added([*out, d(rest, symbols(axis), 2)])
    if all(map(is_field, jets([rest]))) and all(s.params["term"] in WHOLE for s in terms([rest])):
        return added([*out, term("nodal", rest, f"nodal({short(rest)})", (axis, axis))])
    return added([*out, flux(differentiated(rest, (axis,)), axis, axes)])


def _taken_out(f: Node, axis: str, n: int, axes: Sequence[str]) -> tuple[list[Node], Node]:
    """Return the `n`-th derivatives of the linear terms with constant factors of an expression, and its rest."""
    out, rest = [], f
    for w in jets([f]):
        slope = diff(rest, w)
        if is_constant(slope, axes) and is_linear(rest, w):
            out.append(slope * d(w, symbols(axis), n))
            rest = without(rest, [w])
    return out, rest


def plain(f: Node) -> Node:
    """Return an expression with every flux and nodal term expanded by the chain rule, into derivatives of fields."""
    table = {}
    for w in terms([f]):
        if w.params["term"] in ("flux", "nodal"):
            table[w] = differentiated(w.params["of"], w.params["by"])
        elif w.params["term"] == "biased":
            table[w] = derived(w.params["of"], *w.params["by"])
    return substitute([f], table)[0] if table else f


def differentiated(f: Node, by: Sequence[str]) -> Node:
    """Return a derivative by the chain rule."""
    for name in by:
        f = d(plain(f), symbols(name))
    return f
