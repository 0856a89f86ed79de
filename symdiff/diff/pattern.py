"""pattern: the sparse derivative of an expression that is a pattern, as symbolic triplets.

    d F[row] / d x[col] = value        for every point of a small number of index spaces

A pattern is elementwise over gathers, slices, shifts, reshapes, transposes and broadcasts of the unknown, then sums.
Forward mode carries, for every node, one term for each map of its entries to entries of x: index maps go through views
like the values do, and partials multiply values. So the sparsity is read off the index maps, with no colouring, and
neither the graph nor the number of terms depends on sizes. What is no pattern raises `NoPattern` with the reason.

Method: the vector forward mode of Griewank & Walther 2008, chapter 7.1, over index maps instead of entries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from symdiff.diff.flow import carriers
from symdiff.diff.forward import push_one, scaled
from symdiff.diff.pattern_index import identity
from symdiff.diff.pattern_terms import VIEWS, NoPattern, Term, Terms, at, concatenated, sliced, spread, whole
from symdiff.ir.graph import depends_on, made_order
from symdiff.ir.node import PRIMITIVES, Node, brief, const, here, make
from symdiff.ir.primitive import Elementwise, Structured, cast
from symdiff.ops import elementwise as el
from symdiff.ops.index import broadcast_to

# More terms at one node than this are no pattern of the array but many entries by name; colouring does better.
_MOST_TERMS = 96


def pattern_terms(f: Node, x: Node) -> Terms:
    """Return the derivatives of `f` by the symbol `x` as terms. Raises NoPattern."""
    if x.dtype != f.dtype:
        raise NoPattern("the function and the unknown have different dtypes")
    ones = broadcast_to(const(1.0, x.dtype), shape=x.shape)
    start = Term(ones, whole(x.shape), identity(x.shape))
    return _Walk(f).run(f, {x: (start,)})


def _reals(root: Node) -> list[Node]:
    return [n for n in made_order([root]) if n.op.name in ("symbol", "input") and n.dtype.startswith("float")]


class _Walk:
    """One forward pass through `f` and what linearises it."""

    def __init__(self, f: Node):
        self.varies = dict.fromkeys(made_order([f]), False) | dict.fromkeys(depends_on([f], _reals(f)), True)
        self.known: dict[Node, bool] = {}

    def _varies(self, node: Node) -> bool:
        """Whether a node depends on a real symbol; all others have their values before anything real is given."""
        if node not in self.varies:
            self.varies[node] = bool(_reals(node))
        return self.varies[node]

    def run(self, root: Node, start: Mapping[Node, Terms]) -> Terms:
        """Return the terms of `root`, given those of some nodes below it."""
        memo: dict[Node, Terms] = dict(start)
        saved = here.source
        try:
            for node in carriers([root], start):
                here.source = node.source
                terms = [memo.get(a, ()) for a in node.args]
                if not any(terms) or not (node.dtype.startswith("float") or node.dtype == "tuple"):
                    memo[node] = ()
                else:
                    memo[node] = _merged(self._through(node, terms))
                    if len(memo[node]) > _MOST_TERMS:
                        raise NoPattern(f"{brief(node)} ({node.line}) meets more than {_MOST_TERMS} entries one by one")
        finally:
            here.source = saved
        return memo[root]

    def _through(self, node: Node, terms: Sequence[Terms]) -> list[Term]:
        op = node.op
        if isinstance(op, Elementwise):
            return self._elementwise(node, terms)
        if op.name in ("take", "scatter_add") and self._varies(node.args[1]):
            raise NoPattern(f"{brief(node)} ({node.line}) has indices that depend on real numbers")
        if op.name in VIEWS:
            return [VIEWS[op.name](node, t) for t in terms[0]]
        if op.name == "slice":
            return [s for t in terms[0] if (s := sliced(node, t)) is not None]
        if op.name == "concatenate":
            return concatenated(node, terms)
        if not isinstance(op, Structured) or op.name in ("while_loop", "item", "matmul", "scan", "cond"):
            raise NoPattern(f"{brief(node)} ({node.line}) is not elementwise, a view or a sum")
        # Linearise on a placeholder: what comes out is linear in it, and a pattern if the primitive is one.
        marks = [_mark(k, a) if t else None for k, (a, t) in enumerate(zip(node.args, terms, strict=True))]
        tangent = push_one(node, marks)
        if tangent is None:
            return []
        if tangent.op is op:
            raise NoPattern(f"{brief(node)} ({node.line}) is not elementwise, a view or a sum")
        given = {m: t for m, t in zip(marks, terms, strict=True) if m is not None}
        return list(self.run(tangent, given))

    # --- elementwise ----------------------------------------------------------

    def _elementwise(self, node: Node, terms: Sequence[Terms]) -> list[Term]:
        op = node.op
        assert isinstance(op, Elementwise)
        out: list[Term] = []
        if op is el.where:
            condition = node.args[0]
            for k, given in enumerate(terms[1:]):
                chosen = condition if k == 0 else ~condition
                for t in given:
                    out += self._chosen(node, spread(t, node.args[k + 1], node), chosen)
            return out
        if op.partials is None:
            return []
        for arg, partial, given in zip(node.args, op.partials(node, *node.args), terms, strict=True):
            if partial is None:
                continue
            for t in given:
                out += self._scaled(node, spread(t, arg, node), partial)
        return out

    def _chosen(self, node: Node, t: Term, condition: Node) -> list[Term]:
        """The term where a condition holds: chosen, not multiplied, for the other branch may be NaN."""
        here_ = at(broadcast_to(condition, shape=node.shape), t)
        if not self._varies(condition):
            if condition.op.name == "const":
                return [t] if condition.params["value"] else []
            return [_supported(t, here_)]
        return [replace(t, value=el.where(here_, t.value, const(0.0, t.value.dtype)))]

    def _scaled(self, node: Node, t: Term, partial: Node | float) -> list[Term]:
        if isinstance(partial, Node):
            literal = _literal(partial)
            if literal is not None:
                partial = literal
        unit = _literal(t.value)
        if isinstance(partial, (int, float)):
            if partial == 0:
                return []
            if unit is not None:
                return [replace(t, value=broadcast_to(const(partial * unit, node.dtype), shape=t.shape))]
            return [replace(t, value=scaled(float(partial), t.value, node.dtype))]
        factor = at(broadcast_to(cast(partial, node.dtype), shape=node.shape), t)
        value = factor if unit == 1 else factor * (t.value if unit is None else unit)
        t = replace(t, value=broadcast_to(cast(value, node.dtype), shape=t.shape))
        # A number that is known beforehand may be zero at some places: masks, A[i, j] of a literal array, index 0.
        return [_supported(t, el.ne(factor, const(0.0, node.dtype)))] if self._is_known(partial) else [t]

    def _is_known(self, partial: Node) -> bool:
        """Whether a partial has entries that are data or indices, and nothing that is given at the call."""
        if partial not in self.known:
            names = {n.op.name for n in made_order([partial])}
            self.known[partial] = not names & {"symbol", "input"} and bool(names & {"data", "iota"})
        return self.known[partial]


def _literal(node: Node) -> float | None:
    """The number that every entry of a node is, if it is a repeated literal."""
    while node.op.name in ("broadcast_to", "reshape", "slice", "transpose"):
        node = node.args[0]
    return float(node.params["value"]) if node.op.name == "const" else None


def _supported(t: Term, support: Node) -> Term:
    support = broadcast_to(support, shape=t.shape)
    return replace(t, support=support if t.support is None else t.support & support)


# --- merging ----------------------------------------------------------------


def _merged(terms: Sequence[Term]) -> Terms:
    """Add the values of terms that speak of the same entries of the node and of x."""
    found: dict[object, Term] = {}
    for t in terms:
        key = (t.box, t.shape, t.cols, t.rows)
        if key not in found:
            found[key] = t
            continue
        other = found[key]
        # The sum of two is supported where either is.
        both = None if other.support is None or t.support is None else other.support | t.support
        found[key] = replace(other, value=masked(other) + masked(t), support=both)
    return tuple(found.values())


def masked(t: Term) -> Node:
    """The value, 0 where it is not supported: there it may be anything, NaN too."""
    return t.value if t.support is None else el.where(t.support, t.value, const(0.0, t.value.dtype))


def _mark(k: int, like: Node) -> Node:
    return make(PRIMITIVES["symbol"], (), {"name": f"\0mark{k}", "shape": like.shape, "dtype": like.dtype})


__all__ = ["NoPattern", "pattern_terms"]
