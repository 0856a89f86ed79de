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
from dataclasses import dataclass, replace

from symdiff.diff.flow import carriers
from symdiff.diff.forward import push_one, scaled
from symdiff.diff.pattern_index import (
    Affine,
    Index,
    View,
    broadcasting,
    c_strides,
    identity,
    permuting,
    reshaping,
    slicing,
    taking,
    to_node,
    weighted,
)
from symdiff.ir.dims import Dim, Extent, Shape, multiply, product
from symdiff.ir.graph import depends_on, made_order
from symdiff.ir.node import PRIMITIVES, Node, brief, const, here, make
from symdiff.ir.primitive import Elementwise, Structured, cast
from symdiff.ops import elementwise as el
from symdiff.ops.index import broadcast_to, reshape, slice_, take
from symdiff.ops.leaves import iota
from symdiff.ops.reduce import sum_

# More terms at one node than this are no pattern of the array but many entries by name; colouring does better.
_MOST_TERMS = 96


class NoPattern(Exception):  # an answer, not an error: the caller takes the other way
    """The expression is no pattern; the text says where it stops being one."""


@dataclass(frozen=True, slots=True)
class Term:
    """Derivatives of some entries of a node by some entries of x: `value` over an index space.

    The space is that of the node's entries in a box, (start, step) along each axis, followed by axes of the other
    entries that were summed. Without a box, `rows` names the node's entries. Where `support` is false the derivative
    is a structural zero.
    """

    value: Node
    box: tuple[tuple[Extent, int], ...] | None
    cols: Index
    rows: Index | None = None
    support: Node | None = None

    @property
    def shape(self) -> Shape:
        """The index space."""
        return self.value.shape

    def seen(self, view: View, box: tuple[tuple[Extent, int], ...] | None) -> Term:
        """Return the term over a view of its space."""
        support = None if self.support is None else view.on_node(self.support)
        return Term(view.on_node(self.value), box, view.map(self.cols, self.shape), None, support)


Terms = tuple[Term, ...]


def pattern_terms(f: Node, x: Node) -> Terms:
    """Return the derivatives of `f` by the symbol `x` as terms. Raises NoPattern."""
    if x.dtype != f.dtype:
        raise NoPattern("the function and the unknown have different dtypes")
    ones = broadcast_to(const(1.0, x.dtype), shape=x.shape)
    start = Term(ones, _whole(x.shape), identity(x.shape))
    return _Walk(f).run(f, {x: (start,)})


def _reals(root: Node) -> list[Node]:
    return [n for n in made_order([root]) if n.op.name in ("symbol", "input") and n.dtype.startswith("float")]


def _whole(shape: Shape) -> tuple[tuple[Extent, int], ...]:
    return ((0, 1),) * len(shape)


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
        if op.name in _VIEWS:
            return [_VIEWS[op.name](node, t) for t in terms[0]]
        if op.name == "slice":
            return [s for t in terms[0] if (s := _sliced(node, t)) is not None]
        if op.name == "concatenate":
            return _concatenated(node, terms)
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
                    out += self._chosen(node, _spread(t, node.args[k + 1], node), chosen)
            return out
        if op.partials is None:
            return []
        for arg, partial, given in zip(node.args, op.partials(node, *node.args), terms, strict=True):
            if partial is None:
                continue
            for t in given:
                out += self._scaled(node, _spread(t, arg, node), partial)
        return out

    def _chosen(self, node: Node, t: Term, condition: Node) -> list[Term]:
        """The term where a condition holds: chosen, not multiplied, for the other branch may be NaN."""
        here_ = _at(broadcast_to(condition, shape=node.shape), t)
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
        factor = _at(broadcast_to(cast(partial, node.dtype), shape=node.shape), t)
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


def _at(value: Node, t: Term) -> Node:
    """Return an array of the node's shape at the entries of a term, lined up with its space."""
    if t.box is None:
        assert t.rows is not None
        flat = reshape(value, shape=(product(value.shape),))
        return take(flat, to_node(t.rows, t.shape), axis=0)
    rank = len(t.box)
    starts, steps = tuple(s for s, _ in t.box), tuple(s for _, s in t.box)
    part = slice_(value, starts=starts, extents=t.shape[:rank], steps=steps)
    return reshape(part, shape=(*part.shape, *(1,) * (len(t.shape) - rank)))


def _spread(t: Term, arg: Node, node: Node) -> Term:
    """Return a term of an argument as one of an elementwise node, which may repeat it."""
    if arg.shape == node.shape:
        return t
    if t.box is None:
        raise NoPattern(f"{brief(arg)} ({arg.line}) is scattered and then repeated")
    rank, lead = arg.ndim, node.ndim - arg.ndim
    extents = t.shape[:rank]
    repeated = [d == 1 and node.shape[lead + k] != 1 for k, d in enumerate(arg.shape)]
    target = tuple(node.shape[lead + k] if r else d for k, (d, r) in enumerate(zip(extents, repeated, strict=True)))
    view = broadcasting(t.shape, (*node.shape[:lead], *target), rank)
    box = (*_whole(node.shape[:lead]), *((0, 1) if r else b for b, r in zip(t.box, repeated, strict=True)))
    return t.seen(view, box)


# --- views ------------------------------------------------------------------


def _boxed(node: Node, t: Term) -> tuple[tuple[Extent, int], ...]:
    if t.box is None:
        raise NoPattern(f"{brief(node)} ({node.line}) reads what was scattered before")
    return t.box


def _is_whole(t: Term, shape: Shape) -> bool:
    return t.box is not None and t.box == _whole(shape) and t.shape[: len(shape)] == shape


def _broadcast(node: Node, t: Term) -> Term:
    return _spread(t, node.args[0], node)


def _transposed(node: Node, t: Term) -> Term:
    box, perm = _boxed(node, t), node.params["perm"]
    return t.seen(permuting(t.shape, perm), tuple(box[p] for p in perm))


def _reshaped(node: Node, t: Term) -> Term:
    (arg,) = node.args
    rank = arg.ndim
    if t.box is None:
        return t  # flat entries keep their numbers
    if _is_whole(t, arg.shape):
        return t.seen(reshaping(t.shape, (*node.shape, *t.shape[rank:])), _whole(node.shape))
    # Only axes of extent 1 come and go: the box stays a box.
    kept = [k for k, d in enumerate(arg.shape) if d != 1]
    places = [k for k, d in enumerate(node.shape) if d != 1]
    if [arg.shape[k] for k in kept] == [node.shape[k] for k in places] and 0 not in t.shape:
        box, extents = [*_whole(node.shape)], [*node.shape]
        for k, place in zip(kept, places, strict=True):
            box[place], extents[place] = t.box[k], t.shape[k]
        return t.seen(reshaping(t.shape, (*extents, *t.shape[rank:])), tuple(box))
    return _as_rows(t, arg.shape)


def _as_rows(t: Term, shape: Shape) -> Term:
    """Return a term that names its entries by number."""
    return t if t.box is None else replace(t, box=None, rows=flat_rows(t, shape))


def flat_rows(t: Term, shape: Shape) -> Index:
    """Return the numbers, in C order, of the entries of a node of `shape` that a term speaks of."""
    if t.box is None:
        assert t.rows is not None
        return t.rows
    unit = c_strides(shape)
    strides = [multiply(s, step) for s, (_, step) in zip(unit, t.box, strict=True)]
    strides = [0 if d == 1 else s for s, d in zip(strides, t.shape, strict=False)]
    return Affine(weighted(0, [s for s, _ in t.box], unit), (*strides, *(0,) * (len(t.shape) - len(strides))))


def _embedded(node: Node, t: Term) -> Term:
    p = node.params
    box = tuple(
        (multiply(start, step) + begin, step * inner)
        for (start, inner), begin, step in zip(_boxed(node, t), p["starts"], p["steps"], strict=True)
    )
    return replace(t, box=box)


def _taken(node: Node, t: Term) -> Term:
    arg, index = node.args
    if not _is_whole(t, arg.shape):
        raise NoPattern(f"{brief(node)} ({node.line}) gathers from a part of an array")
    return t.seen(taking(t.shape, index, node.params["axis"]), _whole(node.shape))


def _scattered(node: Node, t: Term) -> Term:
    """Entry i of the argument goes to entry map[i] of the node: the numbers of the node, seen through the take."""
    arg, index = node.args
    numbers = reshape(iota(n=product(node.shape)), shape=node.shape)
    return _renumbered(t, take(numbers, index, axis=node.params["axis"]), arg.shape)


def _renumbered(t: Term, numbers: Node, shape: Shape) -> Term:
    return replace(t, box=None, rows=broadcast_to(_at(broadcast_to(numbers, shape=shape), t), shape=t.shape))


def _summed(node: Node, t: Term) -> Term:
    (arg,) = node.args
    axes, rank = node.params["axes"], arg.ndim
    if t.box is None:
        numbers = reshape(iota(n=product(node.shape)), shape=node.shape)
        kept = tuple(1 if k in axes else d for k, d in enumerate(arg.shape))
        return _renumbered(t, reshape(numbers, shape=kept), arg.shape)
    others = [k for k in range(rank) if k not in axes]
    perm = (*others, *axes, *range(rank, len(t.shape)))
    return _contracted(t.seen(permuting(t.shape, perm), tuple(t.box[k] for k in others)))


def _contracted(t: Term) -> Term:
    """Add up what falls on one entry of the matrix: summed axes along which neither row nor column changes."""
    assert t.box is not None
    if not isinstance(t.cols, Affine) or t.support is not None:
        return t
    fixed = tuple(k for k in range(len(t.box), len(t.shape)) if t.cols.strides[k] == 0)
    if not fixed:
        return t
    strides = tuple(s for k, s in enumerate(t.cols.strides) if k not in fixed)
    return replace(t, value=sum_(t.value, axes=fixed), cols=Affine(t.cols.offset, strides))


_VIEWS = {
    "broadcast_to": _broadcast,
    "transpose": _transposed,
    "reshape": _reshaped,
    "embed": _embedded,
    "take": _taken,
    "scatter_add": _scattered,
    "sum": _summed,
}


def _concatenated(node: Node, terms: Sequence[Terms]) -> list[Term]:
    axis = node.params["axis"]
    out: list[Term] = []
    begin: Extent = 0
    for arg, given in zip(node.args, terms, strict=True):
        for t in given:
            box = _boxed(node, t)
            start, step = box[axis]
            out.append(replace(t, box=(*box[:axis], (begin + start if start else begin, step), *box[axis + 1 :])))
        begin = arg.shape[axis] + begin
    return out


def _sliced(node: Node, t: Term) -> Term | None:
    """The part of a box that a slice sees, as a box of the slice; None if they do not meet."""
    p, shape = node.params, node.args[0].shape
    starts: list[Extent] = []
    extents: list[Extent] = []
    box: list[tuple[Extent, int]] = []
    sizes = zip(_boxed(node, t), t.shape, p["starts"], p["extents"], p["steps"], shape, strict=False)
    for (start, inner), length, begin, count, step, extent in sizes:
        if (start, inner) == (0, 1) and length == extent:
            starts.append(begin)
            extents.append(count)
            box.append((0, 1))
            continue
        if inner != 1 or step != 1:
            raise NoPattern(f"{brief(node)} ({node.line}) cuts a part of an array with steps")
        low, high = larger(start, begin, extent), smaller(start + length, begin + count, extent)
        if low is None or high is None:
            raise NoPattern(f"which part {brief(node)} ({node.line}) sees depends on run-time sizes")
        left = high - low
        if isinstance(left, int) and left <= 0:
            return None
        if isinstance(left, Dim) and not grows(left):
            raise NoPattern(f"which part {brief(node)} ({node.line}) sees depends on run-time sizes")
        starts.append(low - start)
        extents.append(left)
        box.append((low - begin, 1))
    view = slicing(t.shape, starts, tuple(extents), [p["steps"][k] if b == (0, 1) else 1 for k, b in enumerate(box)])
    return t.seen(view, tuple(box))


def grows(extent: Extent) -> bool:
    """Whether an extent is positive once its run-time sizes are large; small ones are looked at when they are known."""
    return extent > 0 if isinstance(extent, int) else all(c > 0 for monomial, c in extent.terms if monomial)


def larger(a: Extent, b: Extent, extent: Extent) -> Extent | None:
    """Return max(a, b) of two starts on an axis of `extent`, None where run-time sizes decide."""
    if a == 0 or b == 0:
        return b if a == 0 else a
    gap = a - b
    return None if isinstance(gap, Dim) else (a if gap >= 0 else b)


def smaller(a: Extent, b: Extent, extent: Extent) -> Extent | None:
    """Return min(a, b) of two ends on an axis of `extent`, None where run-time sizes decide."""
    if extent in (a, b):
        return b if a == extent else a
    gap = a - b
    return None if isinstance(gap, Dim) else (b if gap >= 0 else a)


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


__all__ = ["NoPattern", "Term", "Terms", "flat_rows", "grows", "larger", "masked", "pattern_terms", "smaller"]
