"""The triplets of a pattern: terms that lie on one diagonal are merged, and diagonals are laid out as a band.

A chain of n unknowns has terms on [0, n-1) and on [1, n) of the main diagonal. They become one entry on [0, n), so
no position is computed twice. If all entries are diagonals as long as the matrix, their values are the columns of a
band array whose memory, but for the ends, is the data of the matrix in CSR order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from symdiff.diff.pattern_index import Affine, Index, c_strides, to_node, weighted
from symdiff.diff.pattern_terms import Terms, flat_rows, grows, larger, smaller
from symdiff.ir.dims import Dim, Extent, Shape, product
from symdiff.ir.graph import made_order
from symdiff.ir.node import Node, as_node, const
from symdiff.ir.primitive import Elementwise
from symdiff.ops import elementwise as el
from symdiff.ops.index import broadcast_to, concatenate, embed, reshape, slice_
from symdiff.ops.leaves import iota

# A band of more diagonals than this would be an array with mostly long strides.
_WIDEST_BAND = 48
# A band may have this many rows more than its shortest diagonal.
_MOST_RAGGED = 64


@dataclass(frozen=True, slots=True)
class Entry:
    """`value` at (rows, cols) for every point of an index space, a structural zero where `support` is false.

    `box` holds the starts if the space is a box of the function's entries, taken without steps and not summed.
    `pieces` are the (start, end) along the first axis that were merged, if support says no more than they do.
    """

    value: Node
    rows: Index
    cols: Index
    support: Node | None
    box: tuple[Extent, ...] | None
    pieces: tuple[tuple[Extent, Extent], ...] | None

    @property
    def shape(self) -> Shape:
        """The index space."""
        return self.value.shape


def made_entries(terms: Terms, shape: Shape) -> tuple[Entry, ...]:
    """Return the triplets of a function of `shape`, those on one diagonal as one entry."""
    entries: list[Entry] = []
    for t in terms:
        plain = t.box is not None and all(step == 1 for _, step in t.box) and len(t.shape) == len(shape)
        box = tuple(s for s, _ in t.box) if plain and t.box is not None else None
        whole = t.support is None and box is not None and len(box) == 1
        pieces = ((box[0], t.shape[0] + box[0]),) if whole and box is not None else None
        entries.append(Entry(t.value, flat_rows(t, shape), t.cols, t.support, box, pieces))
    done: list[Entry] = []
    while entries:
        entry = entries.pop(0)
        for k, other in enumerate(entries):
            both = _joined(entry, other, shape)
            if both is not None:
                entries[k] = both  # which may now meet what neither of the two met
                break
        else:
            done.append(entry)
    return tuple(done)


def _joined(a: Entry, b: Entry, shape: Shape) -> Entry | None:
    """Return two entries as one if they lie on one diagonal and their boxes differ along one axis, where they meet."""
    if a.box is None or b.box is None or not isinstance(a.cols, Affine) or not isinstance(b.cols, Affine):
        return None
    # Along an axis of one entry the stride is the other's.
    pairs = zip(a.cols.strides, b.cols.strides, a.shape, b.shape, strict=True)
    if any(s != t and d != 1 and e != 1 for s, t, d, e in pairs):
        return None
    strides = tuple(t if d == 1 else s for s, t, d in zip(a.cols.strides, b.cols.strides, a.shape, strict=True))
    base = _base(a, strides)
    if base != _base(b, strides):
        return None
    union = _union(a, b, shape)
    if union is None:
        return None
    box, space = union
    if (a.box, a.shape) == (b.box, b.shape):
        value, support = _clean(a) + _clean(b), None
        if a.support is not None and b.support is not None:
            support = a.support | b.support
    else:
        value = _embedded(a, box, space) + _embedded(b, box, space)
        support = _covered(a, box, space) | _covered(b, box, space)
    units = tuple(0 if d == 1 else s for s, d in zip(strides, space, strict=True))
    row_strides = tuple(0 if d == 1 else s for s, d in zip(c_strides(shape), space, strict=True))
    rows = Affine(weighted(0, box, c_strides(shape)), row_strides)
    pieces = None if a.pieces is None or b.pieces is None else (*a.pieces, *b.pieces)
    return Entry(value, rows, Affine(weighted(base, box, strides), units), support, box, pieces)


def _base(entry: Entry, strides: Sequence[Extent]) -> Extent:
    """The column that belongs to row 0 if the diagonal is prolonged."""
    assert entry.box is not None
    assert isinstance(entry.cols, Affine)
    return entry.cols.offset - weighted(0, entry.box, strides)


def _union(a: Entry, b: Entry, shape: Shape) -> tuple[tuple[Extent, ...], Shape] | None:
    """Return the starts and extents of the union of two boxes; None if it is no box, or not known to be one."""
    assert a.box is not None
    assert b.box is not None
    starts, extents = list(a.box), list(a.shape)
    differ = [k for k in range(len(shape)) if (a.box[k], a.shape[k]) != (b.box[k], b.shape[k])]
    if len(differ) > 1:
        return None
    for k in differ:
        ends = a.shape[k] + a.box[k], b.shape[k] + b.box[k]
        low = _other(a.box[k], b.box[k], larger(a.box[k], b.box[k], shape[k]))
        high = _other(*ends, smaller(*ends, shape[k]))
        if low is None or high is None or not all(_reaches(e, s) for e in ends for s in (a.box[k], b.box[k])):
            return None
        starts[k], extents[k] = low, high - low
    return tuple(starts), tuple(extents)


def _other(a: Extent, b: Extent, chosen: Extent | None) -> Extent | None:
    return None if chosen is None else (b if chosen == a else a)


def _reaches(end: Extent, start: Extent) -> bool:
    gap = end - start
    return gap >= 0 if isinstance(gap, int) else grows(gap)


def _clean(entry: Entry) -> Node:
    return entry.value if entry.support is None else el.where(entry.support, entry.value, const(0.0, entry.value.dtype))


def _inside(entry: Entry, box: Sequence[Extent], space: Shape) -> Node | None:
    """Where the points of a larger box lie in the entry's own; None: everywhere."""
    assert entry.box is not None
    out: Node | None = None
    for k, (start, extent) in enumerate(zip(entry.box, entry.shape, strict=True)):
        index = reshape(iota(n=space[k]), shape=tuple(d if j == k else 1 for j, d in enumerate(space)))
        low, high = start - box[k], start + extent - box[k]
        tests = [index >= _number(low)] if low != 0 else []
        tests += [index < _number(high)] if high != space[k] else []
        for test in tests:
            out = test if out is None else out & test
    return None if out is None else broadcast_to(out, shape=space)


def _number(extent: Extent) -> Node:
    return as_node(extent) if isinstance(extent, Dim) else const(extent, "int64")


def _covered(entry: Entry, box: Sequence[Extent], space: Shape) -> Node:
    inside = _inside(entry, box, space)
    parts = [] if inside is None else [inside]
    if entry.support is not None:
        parts.append(_moved(entry.support, entry, box, space))
    if not parts:
        return broadcast_to(const(True, "bool"), shape=space)
    return parts[0] if len(parts) == 1 else parts[0] & parts[1]


def _embedded(entry: Entry, box: Sequence[Extent], space: Shape) -> Node:
    """Return the values over a larger box, 0 outside the entry's own."""
    inside = _inside(entry, box, space)
    value = _moved(entry.value if entry.pieces else _clean(entry), entry, box, space)
    return value if inside is None else el.where(inside, value, const(0.0, value.dtype))


def _moved(value: Node, entry: Entry, box: Sequence[Extent], space: Shape) -> Node:
    """Return values over a larger box, anything outside the entry's own.

    The box is changed at the leaves: code reads a shifted view of x in the same loop, where an embedded result would
    go through memory.
    """
    assert entry.box is not None
    starts = tuple(s - b for s, b in zip(entry.box, box, strict=True))
    old = entry.shape
    if old == space:
        return value
    memo: dict[Node, Node] = {}
    for node in made_order([value]):
        if node.shape != old:
            memo[node] = node  # a number, which broadcasts over the larger box as well
        elif isinstance(node.op, Elementwise) and all(a.shape in (old, ()) for a in node.args):
            args = tuple(memo[a] for a in node.args)
            memo[node] = node.op(*args, **node.params)
        elif node.op.name == "broadcast_to" and node.args[0].shape == ():
            memo[node] = broadcast_to(node.args[0], shape=space)
        else:
            memo[node] = _prolonged(node, starts, space)
    return broadcast_to(memo[value], shape=space)


def _prolonged(node: Node, starts: Sequence[Extent], space: Shape) -> Node:
    """Embed a node, or read on beyond the ends of a slice where the sliced array has entries there."""
    ones = (1,) * len(space)
    if node.op.name == "slice" and node.params["steps"] == ones:
        (whole,) = node.args
        first = tuple(s - start for s, start in zip(node.params["starts"], starts, strict=True))
        room = [(low, d - extent - low) for low, d, extent in zip(first, whole.shape, space, strict=True)]
        if all(isinstance(r, int) and r >= 0 for pair in room for r in pair):
            return slice_(whole, starts=first, extents=space, steps=ones)
    return embed(node, shape=space, starts=starts, steps=ones)


# --- layouts ----------------------------------------------------------------


def flat(values: Sequence[Node], dtype: str) -> Node:
    """Return arrays one after another."""
    parts = [reshape(v, shape=(product(v.shape),)) for v in values]
    return concatenate(*parts, axis=0) if parts else broadcast_to(const(0, dtype), shape=(0,))


def triplets(entries: Sequence[Entry], dtype: str) -> tuple[Node, Node, Node]:
    """Return the rows, columns and values of all entries."""
    rows = flat([to_node(e.rows, e.shape) for e in entries], "int64")
    cols = flat([to_node(e.cols, e.shape) for e in entries], "int64")
    return rows, cols, flat([_clean(e) for e in entries], dtype)


@dataclass(frozen=True, slots=True)
class Band:
    """Diagonals as columns of an array: entry (i, i + offsets[k]) of the matrix in row i, column k.

    Column k holds such entries for the rows in `pieces[k]`, which meet if the sizes are not very small.
    """

    values: Node
    offsets: tuple[Extent, ...]
    pieces: tuple[tuple[tuple[Extent, Extent], ...], ...]


def made_band(entries: Sequence[Entry], shape: Shape) -> Band | None:
    """Return the entries as a band; None if they are no diagonals of about the length of the matrix."""
    if len(shape) != 1 or not 2 <= len(entries) <= _WIDEST_BAND:
        return None
    (m,) = shape
    found: list[tuple[Extent, Entry]] = []
    for e in entries:
        if e.box is None or e.pieces is None or not isinstance(e.cols, Affine) or e.cols.strides != (1,):
            return None
        lacking = m - e.shape[0]
        if isinstance(lacking, Dim) or lacking > _MOST_RAGGED:
            return None
        found.append((e.cols.offset - e.box[0], e))
    gaps = [offset - found[0][0] for offset, _ in found]
    if any(isinstance(gap, Dim) for gap in gaps) or len(set(gaps)) < len(gaps):
        return None
    found = [pair for _, pair in sorted(zip(gaps, found, strict=True), key=lambda item: item[0])]
    columns = [reshape(_moved(e.value, e, (0,), (m,)), shape=(m, 1)) for _, e in found]
    pieces = tuple(e.pieces or () for _, e in found)
    return Band(concatenate(*columns, axis=1), tuple(offset for offset, _ in found), pieces)


__all__ = ["Band", "Entry", "flat", "made_band", "made_entries", "triplets"]
