"""sweep: find the loops whose turns are chains of stencils, and work out how their turns can share a tile.

    while k < n:  u = stencil(u)      becomes      for tiles:  for several turns:  u = stencil(u) on the tile

A tile walks along axis 0, plane by plane, and makes all its turns on the way: turn t is a few planes behind turn
t - 1, and each keeps only the planes that the next one still reads (Nguyen, Satish, Chhugani, Kim & Dubey 2010).
Along the other axes, and at its ends, it computes points beyond itself: each turn `reach` points less than the one
before (overlapped tiles). Whatever a loop does that this module does not know leaves it as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from symdiff.ir.dims import Extent, product
from symdiff.program.coordinates import coordinates, is_negative, moved, unmerge
from symdiff.program.ir import (
    Access,
    Affine,
    Buffer,
    Const,
    Instr,
    Load,
    Loop,
    Nest,
    Op,
    Piece,
    Program,
    Read,
    Reduce,
    Ring,
    Statement,
    Store,
    Sweep,
    walk,
)
from symdiff.program.views import c_strides

Offsets = tuple[Extent, ...]
Vector = tuple[Extent, ...]


class _NotASweep(Exception):  # control flow inside this module
    """The loop does something that tiles do not."""


@dataclass(frozen=True, slots=True)
class _Cut:
    """The part of a nest that writes one box: as a piece, with offsets that may still depend on the sizes."""

    body: tuple[Instr, ...]
    reads: tuple[tuple[int, Buffer, Offsets], ...]
    stores: tuple[tuple[Store, tuple[int, ...]], ...]
    lower: tuple[Extent, ...]
    spans: tuple[Extent, ...]


def with_sweeps(program: Program) -> Program:
    """Return the program with every loop outside of loops that can be tiled as a `Sweep`."""
    n = len(program.inputs) + len(program.outputs) + len(program.temps)
    temps = list(program.temps)
    statements: list[Statement] = list(program.statements)
    for loop in [s for s in statements if isinstance(s, Loop)]:
        found = find(loop, n + len(temps) - len(program.temps))
        if found is not None:
            statements = _with_copies(statements, loop, found)
            temps += [b for _, b in found.checks]
    return replace(program, statements=tuple(statements), temps=tuple(temps))


def _with_copies(statements: Sequence[Statement], loop: Loop, sweep: Sweep) -> list[Statement]:
    """Put a sweep in the place of its loop, and the copies of its states from inputs and to outputs into it."""
    at = next(k for k, s in enumerate(statements) if s is loop)
    states = {old for old, _ in sweep.states}
    before, begins = _taken(statements[:at], states, "input")
    after, ends = _taken(statements[at + 1 :], states, "output")
    return [*before, replace(sweep, begins=tuple(begins), ends=tuple(ends)), *after]


def _taken(
    statements: Sequence[Statement], states: set[Buffer], kind: str
) -> tuple[list[Statement], list[tuple[Nest, Buffer, Buffer]]]:
    """Take the copies of whole states from inputs, or to outputs, out of nests: (copy, source, target)."""
    kept: list[Statement] = []
    found: list[tuple[Nest, Buffer, Buffer]] = []
    known: set[Buffer] = set()
    for s in statements:
        chosen: list[Store] = []
        for store, (source, target) in (_whole_copies(s) if isinstance(s, Nest) else {}).items():
            outer, state = (source, target) if kind == "input" else (target, source)
            if outer.kind == kind and state in states and not known & {outer, state}:
                known |= {outer, state}
                chosen.append(store)
                found.append((restricted(s, [store]), source, target))  # type: ignore[arg-type]  # it is a nest
        rest = [x for x in s.stores if x not in chosen] if isinstance(s, Nest) else []
        if not chosen or not isinstance(s, Nest):
            kept.append(s)
        elif rest or s.reductions:
            kept.append(restricted(s, rest, s.reductions))
    return kept, found


def _whole_copies(nest: Nest) -> dict[Store, tuple[Buffer, Buffer]]:
    """The stores of a nest that copy a whole array: one loop over contiguous memory, whatever the shape was."""
    if len(nest.space) != 1 or nest.serial or nest.zero:
        return {}
    out = {}
    for store in nest.stores:
        value = nest.body[store.value]
        if not isinstance(value, Load):
            continue
        to, at = store.access, value.access
        plain = not (store.add or to.gathers or at.gathers or at.guards or at.buffer.dtype != to.buffer.dtype)
        straight = (to.offset, to.strides) == (at.offset, at.strides) == (0, (1,))
        if plain and straight and nest.space[0] == product(to.buffer.shape) == product(at.buffer.shape):
            out[store] = (at.buffer, to.buffer)
    return out


def find(loop: Loop, first_id: int) -> Sweep | None:
    """Return the sweep of a loop, or None if its turns are not chains of stencils; `first_id` numbers new buffers."""
    try:
        return _Finder(loop, first_id).sweep()
    except _NotASweep:
        return None


def _need(condition: bool) -> None:
    if not condition:
        raise _NotASweep


def restricted(nest: Nest, stores: Iterable[Store], reductions: Sequence[Reduce] = ()) -> Nest:
    """Return a nest with some of its stores only, and the instructions that they need."""
    kept = list(stores)
    needed = {s.value for s in kept} | {g.value for s in kept for g in s.access.gathers} | {r.value for r in reductions}
    for k in range(len(nest.body) - 1, -1, -1):
        if k in needed:
            needed |= set(_arguments(nest.body[k]))
    number = {k: i for i, k in enumerate(sorted(needed))}

    def access(a: Access) -> Access:
        return replace(a, gathers=tuple(replace(g, value=number[g.value]) for g in a.gathers))

    def renumbered(i: Instr) -> Instr:
        if isinstance(i, Op):
            return replace(i, args=tuple(number[a] for a in i.args))
        return replace(i, access=access(i.access)) if isinstance(i, Load) else i

    return replace(
        nest,
        body=tuple(renumbered(nest.body[k]) for k in sorted(needed)),
        stores=tuple(replace(s, value=number[s.value], access=access(s.access)) for s in kept),
        reductions=tuple(replace(r, value=number[r.value]) for r in reductions),
    )


def _arguments(i: Instr) -> tuple[int, ...]:
    if isinstance(i, Op):
        return i.args
    return tuple(g.value for g in i.access.gathers) if isinstance(i, Load) else ()


class _Finder:
    """Takes one loop apart."""

    def __init__(self, loop: Loop, first_id: int):
        self.loop, self.first_id = loop, first_id
        self.rank = max((len(old.shape) for old, _ in loop.swaps), default=0)
        _need(self.rank >= 2)
        self.states = tuple(pair for pair in loop.swaps if len(pair[0].shape) == self.rank)
        self.old = dict(self.states)
        nests = [s for s in loop.body if isinstance(s, Nest)]
        _need(len(nests) == len(loop.body))
        self.nests = nests
        written = {s.access.buffer for nest in nests for s in nest.stores}
        self.swept = {b for b in written if len(b.shape) == self.rank}
        _need(all(new in self.swept for new in self.old.values()) and not self.swept & set(self.old))
        self.period: list[Extent | None] = [None] * self.rank
        self.ghosts: dict[tuple[Buffer, int], list[int]] = {}

    def sweep(self) -> Sweep:
        ahead, cuts = self._parts()
        cuts = self._periodic(cuts)
        pieces = self._needed([self._piece(c) for c in cuts])
        delayed, lag = self._delays(pieces)
        pieces, reach = self._halos(delayed)
        recorded = self._recorded(ahead, pieces)
        swaps = tuple(pair for pair in self.loop.swaps if pair not in self.states)
        margin = tuple(
            (max(0, *(self._beyond(p, a)[0] for p in pieces)), max(0, *(self._beyond(p, a)[1] for p in pieces)))
            for a in range(self.rank)
        )
        checks, fills = self._ghost_nests()
        return Sweep(
            self.loop, tuple(ahead), swaps, recorded, self.states, tuple(pieces), self._rings(pieces, lag), lag, reach,
            margin, self._domain(pieces), tuple(p is not None for p in self.period), checks, fills,
        )  # fmt: skip

    # --- the two parts of a turn ------------------------------------------------

    def _parts(self) -> tuple[list[Statement], list[_Cut]]:
        ahead: list[Statement] = []
        cuts: list[_Cut] = []
        arrays = self.swept | set(self.old)
        for nest in self.nests:
            swept = [s for s in nest.stores if s.access.buffer in self.swept]
            others = [s for s in nest.stores if s.access.buffer not in self.swept]
            if swept:
                _need(not (nest.serial or nest.zero) and not any(s.add or s.access.gathers for s in swept))
                cuts += self._cuts(restricted(nest, swept))
            if others or nest.reductions:
                ahead.append(restricted(nest, others, nest.reductions))
        for s in walk((*self.loop.cond, *ahead)):
            _need(not isinstance(s, Nest) or not any(i.access.buffer in arrays for i in _loads(s.body)))
            _need(isinstance(s, Nest))
        return ahead, cuts

    def _recorded(self, ahead: Sequence[Statement], pieces: Sequence[Piece]) -> tuple[Buffer, ...]:
        """What pieces read of arrays that the rest of the turn changes."""
        changed = {s.access.buffer for n in ahead if isinstance(n, Nest) for s in n.stores}
        changed |= {r.access.buffer for n in ahead if isinstance(n, Nest) for r in n.reductions}
        changed |= {b for pair in self.loop.swaps for b in pair}
        arrays = self.swept | set(self.old)
        read = dict.fromkeys(i.access.buffer for p in pieces for i in _loads(p.body))
        return tuple(b for b in read if b in changed and b not in arrays)

    # --- boxes -------------------------------------------------------------------

    def _cuts(self, nest: Nest) -> list[_Cut]:
        """Split a nest by the boxes that it writes."""
        first = nest.stores[0].access
        nest = unmerge(nest, first.buffer.shape, first.strides)
        axes = self._axes(nest)
        groups: list[tuple[Offsets, list[Store]]] = []
        for s in nest.stores:
            place = self._place(s.access, nest, axes)
            for start, members in groups:
                if all(isinstance(p - q, int) for p, q in zip(place, start, strict=True)):
                    members.append(s)
                    break
            else:
                groups.append((place, [s]))
        return [self._cut(restricted(nest, members), axes, start) for start, members in groups]

    def _axes(self, nest: Nest) -> list[int]:
        """The axis that each loop runs along."""
        access = nest.stores[0].access
        steps = c_strides(access.buffer.shape)
        axes = []
        for stride in access.strides:
            _need(stride != 0 and stride in steps)
            axes.append(steps.index(stride))
        _need(len(set(axes)) == len(axes))
        if any(_is_call(i) for i in nest.body):
            # Vector functions may round differently from scalar ones: the innermost loop has to stay the same.
            _need(bool(axes) and axes[-1] == self.rank - 1)
        return axes

    def _place(self, access: Access, nest: Nest, axes: Sequence[int]) -> Offsets:
        """The entry of a swept array at loop index 0."""
        _need(not access.guards and not access.gathers)
        steps = c_strides(access.buffer.shape)
        spans: list[Extent] = [1] * self.rank
        for k, stride in enumerate(access.strides):
            if stride != 0:
                _need(stride == steps[axes[k]])
                spans[axes[k]] = nest.space[k]
        place = coordinates(access.offset, tuple(spans), access.buffer.shape)
        if place is None:
            raise _NotASweep
        return place

    def _cut(self, nest: Nest, axes: Sequence[int], start: Offsets) -> _Cut:
        arrays = self.swept | set(self.old)
        reads = []
        for k, i in enumerate(nest.body):
            if isinstance(i, Load) and i.access.buffer in arrays:
                place = self._place(i.access, nest, axes)
                # One row for all points of a box is no stencil.
                _need(all(x != 0 or d == 1 for x, d in zip(i.access.strides, nest.space, strict=True)))
                reads.append((k, i.access.buffer, tuple(p - s for p, s in zip(place, start, strict=True))))
            elif isinstance(i, Load):
                _need(not i.access.gathers)
        stores = []
        for s in nest.stores:
            place = self._place(s.access, nest, axes)
            stores.append((s, tuple(_whole(p - q) for p, q in zip(place, start, strict=True))))
        spans: list[Extent] = [1] * self.rank
        for j, a in enumerate(axes):
            spans[a] = nest.space[j]

        def move(offset: Extent, v: Vector) -> tuple[Extent, Vector]:
            """From loop indices to points."""
            coefs: list[Extent] = [0] * self.rank
            for c, a in zip(v, axes, strict=True):
                coefs[a] = c
                offset = offset - c * start[a]
            return offset, tuple(coefs)

        at = moved(nest, move)
        return _Cut(
            at.body,
            tuple(reads),
            tuple((s, w) for s, (_, w) in zip(at.stores, stores, strict=True)),
            start,
            tuple(spans),
        )

    # --- periodic axes ------------------------------------------------------------

    def _periodic(self, cuts: Sequence[_Cut]) -> list[_Cut]:
        """Find the axes along which points beyond a side repeat those before the other; return the other pieces."""
        kept = [c for c in cuts if not self._repeats(c)]
        for (array, axis), (below, above) in self.ghosts.items():
            period = self.period[axis]
            _need(period is not None and array.shape[axis] - period == below + above)
        return kept

    def _repeats(self, cut: _Cut) -> bool:
        far = {a for _, _, r in cut.reads for a, x in enumerate(r) if not isinstance(x, int)} or self._far_numbers(cut)
        if not far:
            return False
        _need(len(far) == 1 and all(isinstance(i, Load) for i in cut.body))
        (axis,) = far
        read = {k: (b, r) for k, b, r in cut.reads}
        for s, w in cut.stores:
            _need(s.value in read)
            array, r = read[s.value]
            _need(array is s.access.buffer and isinstance(cut.spans[axis], int))
            shift = r[axis] - w[axis]
            _need(all(x == y for a, (x, y) in enumerate(zip(r, w, strict=True)) if a != axis))
            start = cut.lower[axis] + w[axis]
            period, side = (-shift, 1) if is_negative(shift) else (shift, 0)
            _need(self.period[axis] in (None, period))
            self.period[axis] = period
            counts = self.ghosts.setdefault((array, axis), [0, 0])
            if side == 0:
                _need(start == counts[0] or start == 0)
                counts[0] = _whole(start + cut.spans[axis])
            else:
                counts[1] = _whole(array.shape[axis] - start) if counts[1] == 0 else counts[1]
        return True

    def _far_numbers(self, cut: _Cut) -> set[int]:
        """Axes with offsets of the order of the array, where all sizes are numbers: a copy inside one array."""
        if not all(isinstance(i, Load) for i in cut.body) or len(cut.reads) != len(cut.body):
            return set()
        found = set()
        read = {k: (b, r) for k, b, r in cut.reads}
        for s, w in cut.stores:
            array, r = read[s.value]
            if array is not s.access.buffer:
                return set()
            for a, (x, y) in enumerate(zip(r, w, strict=True)):
                extent = array.shape[a]
                if isinstance(extent, int) and abs(_whole(x - y)) * 2 > extent:
                    found.add(a)
        return found

    def _ghost_nests(self) -> tuple[tuple[tuple[Nest, Buffer], ...], tuple[Nest, ...]]:
        """Nests that compare and that fill the points beyond the sides of periodic axes, on the old arrays."""
        checks: list[tuple[Nest, Buffer]] = []
        fills: list[Nest] = []
        old = {new: o for o, new in self.states}
        ordered = sorted(self.ghosts.items(), key=lambda item: item[0][1])
        for (array, axis), (below, above) in ordered:
            period = self.period[axis]
            if array not in old or period is None:
                continue
            for start, count, shift in ((0, below, period), (period + below, above, -period)):
                if count:
                    space, ghost, source = _copy(old[array], axis, start, count, shift)
                    fills.append(Nest(space, (Load(source, array.dtype),), (Store(0, ghost),), (), ()))
                    flag = Buffer(self.first_id + len(checks), (), "float64", "temp")
                    body = (
                        Load(ghost, array.dtype), Load(source, array.dtype), Op("ne", (0, 1), "bool"),
                        Op("cast", (2,), "float64"),
                    )  # fmt: skip
                    worst = Reduce("max", 3, Access(flag, 0, (0,) * self.rank), "float64")
                    checks.append((Nest(space, body, (), (worst,), tuple(range(self.rank))), flag))
        return tuple(checks), tuple(fills)

    # --- pieces ---------------------------------------------------------------------

    def _piece(self, cut: _Cut) -> Piece:
        lower: list[Extent | None] = []
        upper: list[Extent | None] = []
        for a, period in enumerate(self.period):
            if period is None:
                lower.append(cut.lower[a])
                upper.append(cut.lower[a] + cut.spans[a])
                continue
            rest = cut.spans[a] - period
            _need(isinstance(rest, int) and rest >= 0)
            _need(not any(_varies(i, a) for k, i in enumerate(cut.body) if k not in {r[0] for r in cut.reads}))
            lower.append(None)
            upper.append(None)
        reads = tuple(Read(k, b, tuple(map(_whole, r)), b in self.old) for k, b, r in cut.reads)
        stores = tuple(replace(s, access=replace(s.access, offset=0, strides=w)) for s, w in cut.stores)
        return Piece(cut.body, reads, stores, tuple(lower), tuple(upper), 0, ())

    def _needed(self, pieces: Sequence[Piece]) -> list[Piece]:
        """Leave out what writes nothing that anybody reads."""
        used = set(self.old.values())
        kept: list[Piece] = []
        for p in reversed(pieces):
            if any(s.access.buffer in used for s in p.stores):
                used |= {r.buffer for r in p.reads}
                kept.insert(0, p)
        return kept

    def _delays(self, pieces: Sequence[Piece]) -> tuple[list[Piece], int]:
        """Let each piece follow those it reads, along axis 0; the lag does the same from turn to turn."""
        delay: list[int] = []
        for m, p in enumerate(pieces):
            least = 0
            for r in p.reads:
                if not r.old:
                    known = [(k, w) for k in range(m) for w in _writes(pieces[k], r.buffer)]
                    _need(bool(known))
                    least = max(least, *(delay[k] + r.offsets[0] - w[0] for k, w in known))
            delay.append(least)
        lag = 0
        for m, p in enumerate(pieces):
            for r in p.reads:
                if r.old:
                    writers = [(k, w) for k, q in enumerate(pieces) for w in _writes(q, self.old[r.buffer])]
                    lag = max(lag, *(delay[k] + r.offsets[0] - w[0] - delay[m] for k, w in writers))
        return [replace(p, delay=d) for p, d in zip(pieces, delay, strict=True)], lag

    def _halos(self, pieces: Sequence[Piece]) -> tuple[list[Piece], tuple[tuple[int, int], ...]]:
        """Go back from the points of a tile to those that each piece computes, and to those of the turn before."""
        need = {new: [(0, 0)] * self.rank for new in self.old.values()}
        reach = [(0, 0)] * self.rank
        out: list[Piece] = []
        for p in reversed(pieces):
            halo = [(-_FAR, -_FAR)] * self.rank
            for s in p.stores:
                if s.access.buffer in need:
                    halo = [
                        (max(lo, below + w), max(hi, above - w))
                        for (lo, hi), (below, above), w in zip(
                            halo, need[s.access.buffer], _offsets(s.access), strict=True
                        )
                    ]
            for r in p.reads:
                here = [(lo - x, hi + x) for (lo, hi), x in zip(halo, r.offsets, strict=True)]
                if r.old:
                    reach = _most(reach, here)
                else:
                    need[r.buffer] = _most(need[r.buffer], here) if r.buffer in need else here
            out.insert(0, replace(p, halo=tuple(halo)))
        for p in out:
            for s in p.stores:
                # Points beyond a periodic side exist in tiles only, not in the arrays that the last turn writes.
                final = s.access.buffer in self.old.values()
                for period, h, w in zip(self.period, p.halo, _offsets(s.access), strict=True):
                    _need(not final or period is None or (h[0] - w <= 0 and h[1] + w <= 0))
        return out, tuple(reach)

    def _beyond(self, p: Piece, axis: int) -> tuple[int, int]:
        """How far a piece reads or writes beyond a tile in the last turn."""
        offsets = [r.offsets[axis] for r in p.reads] + [_offsets(s.access)[axis] for s in p.stores]
        below, above = p.halo[axis]
        return below - min(offsets), above + max(offsets)

    def _rings(self, pieces: Sequence[Piece], lag: int) -> tuple[Ring, ...]:
        rings = []
        arrays = dict.fromkeys(s.access.buffer for p in pieces for s in p.stores)
        before = {new: old for old, new in self.states}
        for array in arrays:
            written = [p.delay - w[0] for p in pieces for w in _writes(p, array)]
            later = [p.delay - r.offsets[0] for p in pieces for r in p.reads if r.buffer is before.get(array)]
            read = [p.delay - r.offsets[0] for p in pieces for r in p.reads if r.buffer is array]
            last = max([*read, *(x + lag for x in later), min(written)])
            taken = max(later) - min(later) + 1 if later else 1
            rings.append(Ring(array, last - min(written) + 1, taken, min(later, default=0)))
        return tuple(rings)

    def _domain(self, pieces: Sequence[Piece]) -> tuple[tuple[Extent, Extent], ...]:
        """The points that the states have along each axis; of a periodic one, one period."""
        out: list[tuple[Extent, Extent]] = []
        for a, period in enumerate(self.period):
            extents = [new.shape[a] for new in self.old.values()]
            if period is not None:
                starts = {self.ghosts.get((new, a), [0, 0])[0] for new in self.old.values()}
                _need(len(starts) == 1)
                out.append((starts.pop(), period))
                continue
            largest = extents[0]
            for e in extents[1:]:
                more = e - largest
                _need(isinstance(more, int))
                largest = e if more > 0 else largest
            out.append((0, largest))
        return tuple(out)


_FAR = 1 << 20
# fmt: off
_PLAIN = frozenset({
    "add", "sub", "mul", "neg", "abs", "sign", "max", "min", "floor", "ceil", "trunc", "lt", "le", "gt", "ge", "eq",
    "ne", "and", "or", "xor", "not", "where", "cast", "div", "sqrt",
})
# fmt: on


def _is_call(i: Instr) -> bool:
    return isinstance(i, Op) and i.name not in _PLAIN


def _loads(body: Iterable[Instr]) -> list[Load]:
    return [i for i in body if isinstance(i, Load)]


def _whole(extent: Extent) -> int:
    if not isinstance(extent, int):
        raise _NotASweep
    return extent


def _varies(i: Instr, axis: int) -> bool:
    match i:
        case Load():
            return i.access.strides[axis] != 0 or any(g.coefs[axis] != 0 for g in i.access.guards)
        case Affine():
            return i.coefs[axis] != 0 or any(g.coefs[axis] != 0 for g in i.guards)
        case Const():
            return any(g.coefs[axis] != 0 for g in i.guards)
        case _:
            return False


def _offsets(access: Access) -> tuple[int, ...]:
    """The offsets of a piece's store: its strides stand for them."""
    return access.strides  # type: ignore[return-value]  # see `_Finder._piece`


def _writes(p: Piece, array: Buffer) -> list[tuple[int, ...]]:
    return [_offsets(s.access) for s in p.stores if s.access.buffer is array]


def _most(a: Sequence[tuple[int, int]], b: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(max(x[0], y[0]), max(x[1], y[1])) for x, y in zip(a, b, strict=True)]


def _copy(
    array: Buffer, axis: int, start: Extent, count: int, shift: Extent
) -> tuple[tuple[Extent, ...], Access, Access]:
    """The space of the points `start` … along an axis, their place and that of the points `shift` further."""
    steps = c_strides(array.shape)
    space = tuple(count if a == axis else d for a, d in enumerate(array.shape))
    ghost = Access(array, start * steps[axis], steps)
    return space, ghost, replace(ghost, offset=(start + shift) * steps[axis])
