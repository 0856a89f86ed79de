"""Terms of a pattern, and what views do to them.

A term speaks of a box of a node's entries, or of entries that a gather's transpose has numbered. Views of the node are
views of the term's index space as long as it is a box; sums move axes of the box behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from symdiff.diff.pattern_index import (
    Affine,
    Index,
    View,
    broadcasting,
    c_strides,
    permuting,
    reshaping,
    slicing,
    taking,
    to_node,
    weighted,
)
from symdiff.ir.dims import Dim, Extent, Shape, multiply, product
from symdiff.ir.node import Node, brief
from symdiff.ops.index import broadcast_to, reshape, slice_, take
from symdiff.ops.leaves import iota
from symdiff.ops.reduce import sum_


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


def whole(shape: Shape) -> tuple[tuple[Extent, int], ...]:
    """The box of all entries."""
    return ((0, 1),) * len(shape)


def at(value: Node, t: Term) -> Node:
    """Return an array of the node's shape at the entries of a term, lined up with its space."""
    if t.box is None:
        assert t.rows is not None
        flat = reshape(value, shape=(product(value.shape),))
        return take(flat, to_node(t.rows, t.shape), axis=0)
    rank = len(t.box)
    starts, steps = tuple(s for s, _ in t.box), tuple(s for _, s in t.box)
    part = slice_(value, starts=starts, extents=t.shape[:rank], steps=steps)
    return reshape(part, shape=(*part.shape, *(1,) * (len(t.shape) - rank)))


def spread(t: Term, arg: Node, node: Node) -> Term:
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
    box = (*whole(node.shape[:lead]), *((0, 1) if r else b for b, r in zip(t.box, repeated, strict=True)))
    return t.seen(view, box)


# --- views ------------------------------------------------------------------


def _boxed(node: Node, t: Term) -> tuple[tuple[Extent, int], ...]:
    if t.box is None:
        raise NoPattern(f"{brief(node)} ({node.line}) reads what was scattered before")
    return t.box


def _is_whole(t: Term, shape: Shape) -> bool:
    return t.box is not None and t.box == whole(shape) and t.shape[: len(shape)] == shape


def _broadcast(node: Node, t: Term) -> Term:
    return spread(t, node.args[0], node)


def _transposed(node: Node, t: Term) -> Term:
    box, perm = _boxed(node, t), node.params["perm"]
    return t.seen(permuting(t.shape, perm), tuple(box[p] for p in perm))


def _reshaped(node: Node, t: Term) -> Term:
    (arg,) = node.args
    rank = arg.ndim
    if t.box is None:
        return t  # flat entries keep their numbers
    if _is_whole(t, arg.shape):
        return t.seen(reshaping(t.shape, (*node.shape, *t.shape[rank:])), whole(node.shape))
    # Only axes of extent 1 come and go: the box stays a box.
    kept = [k for k, d in enumerate(arg.shape) if d != 1]
    places = [k for k, d in enumerate(node.shape) if d != 1]
    if [arg.shape[k] for k in kept] == [node.shape[k] for k in places] and 0 not in t.shape:
        box, extents = [*whole(node.shape)], [*node.shape]
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
    return t.seen(taking(t.shape, index, node.params["axis"]), whole(node.shape))


def _scattered(node: Node, t: Term) -> Term:
    """Entry i of the argument goes to entry map[i] of the node: the numbers of the node, seen through the take."""
    arg, index = node.args
    numbers = reshape(iota(n=product(node.shape)), shape=node.shape)
    return _renumbered(t, take(numbers, index, axis=node.params["axis"]), arg.shape)


def _renumbered(t: Term, numbers: Node, shape: Shape) -> Term:
    return replace(t, box=None, rows=broadcast_to(at(broadcast_to(numbers, shape=shape), t), shape=t.shape))


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


VIEWS = {
    "broadcast_to": _broadcast,
    "transpose": _transposed,
    "reshape": _reshaped,
    "embed": _embedded,
    "take": _taken,
    "scatter_add": _scattered,
    "sum": _summed,
}


def concatenated(node: Node, terms: Sequence[Terms]) -> list[Term]:
    """Return the terms of joined arrays: boxes are moved along the axis."""
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


def sliced(node: Node, t: Term) -> Term | None:
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
