"""sweep: find the loops whose turns are chains of stencils, and work out how their turns can share a tile.

    while k < n:  u = stencil(u)      becomes      for tiles:  for several turns:  u = stencil(u) on the tile

A tile walks along axis 0, plane by plane, and makes all its turns on the way: turn t is a few planes behind turn
t - 1, and each keeps only the planes that the next one still reads (Nguyen, Satish, Chhugani, Kim & Dubey 2010).
Along the other axes, and at its ends, it computes points beyond itself: each turn `reach` points less than the one
before (overlapped tiles). Whatever a loop does that this module does not know leaves it as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from symdiff.ir.dims import Extent, product
from symdiff.program.boxes import Boxes, Cut, NotASweep, loads, need, restricted, whole
from symdiff.program.coordinates import is_negative
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
    Statement,
    Store,
    Sweep,
    walk,
)
from symdiff.program.reach import beyond, delays, halos, needed, rings, slab
from symdiff.program.touches import Touch, conflict, touches
from symdiff.program.views import c_strides


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
    except NotASweep:
        return None


class _Finder:
    """Takes one loop apart."""

    def __init__(self, loop: Loop, first_id: int):
        self.loop, self.first_id = loop, first_id
        self.rank = max((len(old.shape) for old, _ in loop.swaps), default=0)
        need(self.rank >= 2)
        self.states = tuple(pair for pair in loop.swaps if len(pair[0].shape) == self.rank)
        self.old = dict(self.states)
        nests = [s for s in loop.body if isinstance(s, Nest)]
        need(len(nests) == len(loop.body))
        self.nests = nests
        written = {s.access.buffer for nest in nests for s in nest.stores}
        self.swept = {b for b in written if len(b.shape) == self.rank}
        need(all(new in self.swept for new in self.old.values()) and not self.swept & set(self.old))
        self.period: list[Extent | None] = [None] * self.rank
        self.ghosts: dict[tuple[Buffer, int], list[int]] = {}

    def sweep(self) -> Sweep:
        ahead, cuts = self._parts()
        cuts = self._periodic(cuts)
        pieces = needed([self._piece(c) for c in cuts], self.old)
        delayed, lag = delays(pieces, self.old)
        pieces, reach = halos(delayed, self.old, self.period)
        recorded = self._recorded(ahead, pieces)
        swaps = tuple(pair for pair in self.loop.swaps if pair not in self.states)
        margin = tuple(
            (max(0, *(beyond(p, a)[0] for p in pieces)), max(0, *(beyond(p, a)[1] for p in pieces)))
            for a in range(self.rank)
        )
        checks, fills = self._ghost_nests()
        n = slab(pieces)
        return Sweep(
            self.loop, tuple(ahead), swaps, recorded, self.states, tuple(pieces), rings(pieces, self.old, lag, n), n,
            lag, reach, margin, self._domain(), tuple(p is not None for p in self.period), checks, fills,
        )  # fmt: skip

    # --- the two parts of a turn ------------------------------------------------

    def _parts(self) -> tuple[list[Statement], list[Cut]]:
        ahead: list[Statement] = []
        cuts: list[Cut] = []
        arrays = self.swept | set(self.old)
        boxes = Boxes(arrays, self.rank)
        read: list[Touch] = []
        for nest in self.nests:
            swept = [s for s in nest.stores if s.access.buffer in self.swept]
            others = [s for s in nest.stores if s.access.buffer not in self.swept]
            if swept:
                need(not (nest.serial or nest.zero) and not any(s.add or s.access.gathers for s in swept))
                part = restricted(nest, swept)
                read += [t for t in touches(part) if not t.writes]
                cuts += boxes.cuts(part)
            # What is changed behind a piece that reads it is recorded too late, when the whole turn is through.
            if others or nest.reductions:
                ahead.append(restricted(nest, others, nest.reductions))
                written = [t for t in touches(ahead[-1]) if t.writes]
                need(not conflict(read, written))
        for s in walk((*self.loop.cond, *ahead)):
            need(not isinstance(s, Nest) or not any(i.access.buffer in arrays for i in loads(s.body)))
            need(isinstance(s, Nest))
        # Where no turn reads what the one before has left, there is nothing to share.
        need(any(array in self.old for c in cuts for _, array, _ in c.reads))
        return ahead, cuts

    def _recorded(self, ahead: Sequence[Statement], pieces: Sequence[Piece]) -> tuple[Buffer, ...]:
        """What pieces read of arrays that the rest of the turn changes."""
        changed = {s.access.buffer for n in ahead if isinstance(n, Nest) for s in n.stores}
        changed |= {r.access.buffer for n in ahead if isinstance(n, Nest) for r in n.reductions}
        changed |= {b for pair in self.loop.swaps for b in pair}
        arrays = self.swept | set(self.old)
        read = dict.fromkeys(i.access.buffer for p in pieces for i in loads(p.body))
        return tuple(b for b in read if b in changed and b not in arrays)

    # --- periodic axes ------------------------------------------------------------

    def _periodic(self, cuts: Sequence[Cut]) -> list[Cut]:
        """Find the axes along which points beyond a side repeat those before the other; return the other pieces."""
        kept = [c for c in cuts if not self._repeats(c)]
        for (array, axis), (below, above) in self.ghosts.items():
            period = self.period[axis]
            need(period is not None and array.shape[axis] - period == below + above)
        return kept

    def _repeats(self, cut: Cut) -> bool:
        far = {a for _, _, r in cut.reads for a, x in enumerate(r) if not isinstance(x, int)} or self._far_numbers(cut)
        if not far:
            return False
        need(len(far) == 1 and all(isinstance(i, Load) for i in cut.body))
        (axis,) = far
        read = {k: (b, r) for k, b, r in cut.reads}
        for s, w in cut.stores:
            need(s.value in read)
            array, r = read[s.value]
            need(array is s.access.buffer and isinstance(cut.spans[axis], int))
            shift = r[axis] - w[axis]
            need(all(x == y for a, (x, y) in enumerate(zip(r, w, strict=True)) if a != axis))
            start = cut.lower[axis] + w[axis]
            period, side = (-shift, 1) if is_negative(shift) else (shift, 0)
            need(self.period[axis] in (None, period))
            self.period[axis] = period
            counts = self.ghosts.setdefault((array, axis), [0, 0])
            if side == 0:
                need(start == counts[0] or start == 0)
                counts[0] = whole(start + cut.spans[axis])
            else:
                counts[1] = whole(array.shape[axis] - start) if counts[1] == 0 else counts[1]
        return True

    def _far_numbers(self, cut: Cut) -> set[int]:
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
                if isinstance(extent, int) and abs(whole(x - y)) * 2 > extent:
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

    def _piece(self, cut: Cut) -> Piece:
        lower: list[Extent | None] = []
        upper: list[Extent | None] = []
        for a, period in enumerate(self.period):
            if period is None:
                lower.append(cut.lower[a])
                upper.append(cut.lower[a] + cut.spans[a])
                continue
            rest = cut.spans[a] - period
            need(isinstance(rest, int) and rest >= 0)
            need(not any(_varies(i, a) for k, i in enumerate(cut.body) if k not in {r[0] for r in cut.reads}))
            lower.append(None)
            upper.append(None)
        reads = tuple(Read(k, b, tuple(map(whole, r)), b in self.old) for k, b, r in cut.reads)
        stores = tuple(replace(s, access=replace(s.access, offset=0, strides=w)) for s, w in cut.stores)
        return Piece(cut.body, reads, stores, tuple(lower), tuple(upper), 0, ())

    def _domain(self) -> tuple[tuple[Extent, Extent], ...]:
        """The points that the states have along each axis; of a periodic one, one period."""
        out: list[tuple[Extent, Extent]] = []
        for a, period in enumerate(self.period):
            extents = [new.shape[a] for new in self.old.values()]
            if period is not None:
                starts = {self.ghosts.get((new, a), [0, 0])[0] for new in self.old.values()}
                need(len(starts) == 1)
                out.append((starts.pop(), period))
                continue
            largest = extents[0]
            for e in extents[1:]:
                more = e - largest
                need(isinstance(more, int))
                largest = e if more > 0 else largest
            out.append((0, largest))
        return tuple(out)


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


def _copy(
    array: Buffer, axis: int, start: Extent, count: int, shift: Extent
) -> tuple[tuple[Extent, ...], Access, Access]:
    """The space of the points `start` … along an axis, their place and that of the points `shift` further."""
    steps = c_strides(array.shape)
    space = tuple(count if a == axis else d for a, d in enumerate(array.shape))
    ghost = Access(array, start * steps[axis], steps)
    return space, ghost, replace(ghost, offset=(start + shift) * steps[axis])
