"""Device functions of a sweep, as emitted LLVM: pieces are nests whose swept arrays lie in shared memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llvmlite import ir

from backends.cuda.body import GLOBAL_MEMORY, SHARED_MEMORY, Body, i64
from backends.cuda.device_functions import device, pack, unpack
from backends.cuda.functions import all_words, word
from backends.cuda.kinds import int64, tile, tuple_of, void, words
from backends.cuda.tiled import TileFunctions
from backends.cuda.tiles import Place, Places, Tile, recorded_bytes
from backends.cuda.words import GO, RECORD, Words
from backends.emit import I8, I64, SCALAR
from symdiff.ir.dims import multiply, product
from symdiff.program.ir import ITEMSIZE, Access, Buffer, Load, Nest, Store, Sweep

PIECE, ROW, COLUMN, LOW, LEFT, TURN, FOLLOWING = range(7)


def emitted_sweep(sweep: Sweep, size: Tile, layout: Words) -> TileFunctions:
    """Return the device functions of a sweep; `layout` is that of its kernel."""
    at, four = tuple_of(7), tuple_of(4)
    emit = _Emitter(sweep, size, layout)
    return TileFunctions(
        n_turns=device(emit.n_turns, int64(words)),
        domain=device(emit.domain, four(words)),
        bounds=device(emit.bounds, four(at, words)),
        take=device(emit.take, void(at, words, tile)),
        run=device(emit.run, void(at, words, tile)),
        give=device(emit.give, void(at, words, tile)),
    )


class _Emitter:
    """Emits the functions; the builder's place is in one of them."""

    def __init__(self, sweep: Sweep, tile: Tile, layout: Words):
        self.sweep, self.tile, self.layout = sweep, tile, layout
        self.places = Places(sweep, tile)

    def _body(self, b: ir.IRBuilder, nest: Nest, w: ir.Value) -> Body:
        return Body(b, nest, self.layout, all_words(b, w, self.layout.count))

    def n_turns(self, b: ir.IRBuilder, w: ir.Value) -> ir.Value:
        """The flags that are up, from that of the kernel on: one for every turn, the first to be down ends them."""
        first = b.inttoptr(word(b, w, GO), ir.PointerType(I64, GLOBAL_MEMORY))
        flags = [b.load(b.bitcast(b.gep(first, [i64(k)]), ir.PointerType(I8, GLOBAL_MEMORY))) for k in self._turns]
        total: ir.Value = i64(0)
        for flag in flags:
            total = b.add(total, b.zext(b.icmp_unsigned("!=", flag, ir.Constant(I8, 0)), I64))
        return total

    @property
    def _turns(self) -> range:
        return range(self.tile.depth)

    def domain(self, b: ir.IRBuilder, w: ir.Value) -> ir.Value:
        body = self._body(b, Nest((), (), (), (), ()), w)
        return pack(b, [x for a in (0, 1) for x in self._domain(body, a)])

    def _domain(self, body: Body, axis: int) -> tuple[ir.Value, ir.Value]:
        first, extent = (body.extent(x) for x in self.sweep.domain[axis])
        return first, body.builder.add(first, extent)

    def bounds(self, b: ir.IRBuilder, at: ir.Value, w: ir.Value) -> ir.Value:
        body, place = self._body(b, Nest((), (), (), (), ()), w), unpack(b, at, 7)
        found = [self._bounds(body, k, place) for k in range(len(self.sweep.pieces))]
        return pack(b, [body.chosen(column, place[PIECE]) for column in zip(*found, strict=True)])

    def _bounds(self, body: Body, k: int, place: Sequence[ir.Value]) -> list[ir.Value]:
        """What piece k computes on a tile with so many turns to follow."""
        b, piece, out = body.builder, self.sweep.pieces[k], []
        for a, first in ((0, place[LOW]), (1, place[LEFT])):
            (under, over), (below, above) = piece.halo[a], self.sweep.reach[a]
            width = b.add(first, i64(self.tile.widths[a]))
            low = b.sub(first, b.add(b.mul(place[FOLLOWING], i64(below)), i64(under)))
            end = _least(b, width, self._domain(body, a)[1])
            high = b.add(end, b.add(b.mul(place[FOLLOWING], i64(above)), i64(over)))
            lower, upper = piece.lower[a], piece.upper[a]
            if lower is not None and upper is not None:
                low, high = _most(b, low, body.extent(lower)), _least(b, high, body.extent(upper))
            out += [low, high]
        return out

    def take(self, b: ir.IRBuilder, at: ir.Value, w: ir.Value, shared: ir.Value) -> None:
        place = unpack(b, at, 7)
        for old, new in self.sweep.states:
            load = Load(Access(old, 0, (old.shape[1], 1)), old.dtype)
            nest = Nest(old.shape, (load,), (Store(0, self.places.access(old, True)),), (), ())
            body = self._body(b, nest, w)
            self._point_at(body, place, shared)
            indices = [self._wrapped(body, a, place[k]) for a, k in ((0, ROW), (1, COLUMN))]
            with b.if_then(_inside(body, indices, new)):
                value = body.load(load.access, indices)
                body.store(value, nest.stores[0].access, [place[ROW], place[COLUMN]])

    def give(self, b: ir.IRBuilder, at: ir.Value, w: ir.Value, shared: ir.Value) -> None:
        place = unpack(b, at, 7)
        for old, new in self.sweep.states:
            load = Load(self.places.access(old, True), old.dtype)
            nest = Nest(new.shape, (load,), (Store(0, Access(new, 0, (new.shape[1], 1))),), (), ())
            body = self._body(b, nest, w)
            self._point_at(body, place, shared)
            indices = [place[ROW], place[COLUMN]]
            with b.if_then(_inside(body, indices, new)):
                body.run_at(indices)

    def run(self, b: ir.IRBuilder, at: ir.Value, w: ir.Value, shared: ir.Value) -> None:
        place = unpack(b, at, 7)

        def piece(nest: Nest) -> Callable[[], None]:
            def emit() -> None:
                body = self._body(b, nest, w)
                self._point_at(body, place, shared)
                self._recorded(body, place[TURN])
                body.run_at([place[ROW], place[COLUMN]])

            return emit

        _switch(b, place[PIECE], [piece(nest) for nest in self.places.nests])

    def _wrapped(self, body: Body, axis: int, index: ir.Value) -> ir.Value:
        """The point that one beyond a periodic side repeats; a tile is no larger than a period."""
        if not self.sweep.periodic[axis]:
            return index
        b, (first, end) = body.builder, self._domain(body, axis)
        period = body.extent(self.sweep.domain[axis][1])
        index = b.select(b.icmp_signed("<", index, first), b.add(index, period), index)
        return b.select(b.icmp_signed(">=", index, end), b.sub(index, period), index)

    def _point_at(self, body: Body, place: Sequence[ir.Value], shared: ir.Value) -> None:
        """Let the buffers that stand for arrays in shared memory begin where grid point (0, 0) would lie."""
        b, (above, before), pitch = body.builder, self.tile.before, self.tile.extents[1]
        memory = b.addrspacecast(b.bitcast(shared, ir.PointerType(I8)), ir.PointerType(I8, SHARED_MEMORY))
        row, column = b.sub(place[LOW], i64(above)), b.sub(place[LEFT], i64(before))
        corner = b.add(b.mul(row, i64(pitch)), column)
        is_odd = b.trunc(place[TURN], ir.IntType(1))
        for one in self.places.all.values():
            body.bases[one.buffer] = self._base(b, one, memory, corner, is_odd)

    def _base(self, b: ir.IRBuilder, one: Place, memory: ir.Value, corner: ir.Value, is_odd: ir.Value) -> ir.Value:
        dtype = one.buffer.dtype
        even, odd = (i64(self.places.start(one, k)) for k in (0, 1))
        offset = b.sub(b.select(is_odd, odd, even), b.mul(corner, i64(ITEMSIZE[dtype])))
        kind = I8 if dtype == "bool" else SCALAR[dtype]
        return b.bitcast(b.gep(memory, [offset]), ir.PointerType(kind, SHARED_MEMORY))

    def _recorded(self, body: Body, turn: ir.Value) -> None:
        """Let what runs ahead be read as it was recorded in a turn."""
        b = body.builder
        at = b.add(body.words[RECORD], i64(8 * len(self.sweep.checks)))
        at = b.add(at, b.mul(turn, body.extent(recorded_bytes(self.sweep))))
        for buffer in self.sweep.recorded:
            kind = I8 if buffer.dtype == "bool" else SCALAR[buffer.dtype]
            body.bases[buffer] = b.inttoptr(at, ir.PointerType(kind, GLOBAL_MEMORY))
            at = b.add(at, body.extent(multiply(product(buffer.shape), 8)))


def _inside(body: Body, indices: Sequence[ir.Value], array: Buffer) -> ir.Value:
    b = body.builder
    row, column = (b.icmp_unsigned("<", i, body.extent(d)) for i, d in zip(indices, array.shape, strict=True))
    return b.and_(row, column)


def _least(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    return b.select(b.icmp_signed("<", x, y), x, y)


def _most(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    return b.select(b.icmp_signed(">", x, y), x, y)


def _switch(b: ir.IRBuilder, value: ir.Value, cases: Sequence[Callable[[], None]]) -> None:
    """Emit the case of a number."""
    after = b.append_basic_block("after")
    switch = b.switch(value, after)
    for k, emit in enumerate(cases):
        block = b.append_basic_block(f"case{k}")
        switch.add_case(i64(k), block)
        b.position_at_end(block)
        emit()
        b.branch(after)
    b.position_at_end(after)
