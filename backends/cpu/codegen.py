"""codegen: a `Program` becomes one LLVM module with one entry point, `void entry(context)`.

The entry point places the temporary buffers in the arena and runs the statements in order: a nest block by
block, on several threads where the work pays for them; library calls; loops.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from llvmlite import ir

from backends.cpu import gemm
from backends.cpu.assembler import Function, Module, Value
from backends.cpu.frame import Frame, i64
from backends.cpu.layout import ALIGN, ARENA, DEPTH, OK, PARALLEL_FOR, RECORD, STATUS, SWEEP_WORDS, TURNS, Layout
from backends.cpu.library import emit_call
from backends.cpu.lines import Emit, call_own_function
from backends.cpu.machine import Machine, machine
from backends.cpu.nest import NestCode, block_length, emit_nest, partial_buffers
from backends.cpu.recurrence import emit_recurrence
from backends.cpu.rings import copy
from backends.cpu.rows import Prepared, RowsCode, cut_of, emit_rows, prepare, weights_of
from backends.cpu.sorting import emit_argsort
from backends.cpu.sweep import SweepCode, emit_sweep, record_bytes, rounded
from backends.emit import F64, I8, I64, POINTER
from symdiff.program.ir import ITEMSIZE, Access, Buffer, Call, Loop, Nest, Program, Rows, Statement, Sweep, walk

# A parallel region costs microseconds on an idle machine and far more on a busy one.
PARALLEL_NANOSECONDS = 100_000.0
# Statements that are loops of their own kind, by the name of their call.
OWN_FUNCTIONS: dict[str, Emit] = {"recurrence": emit_recurrence, "argsort": emit_argsort}
_PARALLEL_FOR = ir.FunctionType(ir.VoidType(), [I64, I64, I64])


@dataclass(frozen=True, slots=True)
class Scratch:
    """What generated code needs beside a program's own buffers: for blocks of nests, and for parts of rows."""

    nests: tuple[tuple[Nest, tuple[Buffer, ...]], ...]
    rows: tuple[Prepared, ...]


def layout_of(program: Program) -> tuple[Layout, Scratch]:
    """Return the layout of a program's context, and the scratch of its statements."""
    first = len(program.inputs) + len(program.outputs) + len(program.temps)
    nests: list[tuple[Nest, tuple[Buffer, ...]]] = []
    rows: list[Prepared] = []
    for s in walk(program.statements, inside_rows=False):
        if isinstance(s, Nest):
            nests.append((s, partial_buffers(s, first)))
            first += len(nests[-1][1])
        elif isinstance(s, Rows):
            rows.append(prepare(s, first))
            first += len(rows[-1].partials)
    of_rows = [(p.rows, tuple(x.access.buffer for x in p.partials)) for p in rows]
    return Layout.of(program, [*nests, *of_rows]), Scratch(tuple(nests), tuple(rows))


def codegen(program: Program, target: Machine | None = None) -> tuple[Module, Layout]:
    """Return the LLVM module of a program, for this machine or another, and the layout of its context."""
    layout, scratch = layout_of(program)
    module = Module("symdiff", machine() if target is None else target)
    codes = {
        id(nest): emit_nest(module, nest, f"nest{k}", layout, partials)
        for k, (nest, partials) in enumerate(scratch.nests)
    }
    rows = {id(p.rows): emit_rows(module, p, f"rows{k}", layout) for k, p in enumerate(scratch.rows)}
    products = [s for s in walk(program.statements, inside_rows=False) if isinstance(s, Call) and s.name == "gemm"]
    gemms = {id(call): gemm.emit_gemm(module, call, f"gemm{k}", layout) for k, call in enumerate(products)}
    found = [s for s in program.statements if isinstance(s, Sweep)]
    sweeps = {
        id(s): emit_sweep(module, s, f"sweep{k}", layout, word)
        for k, (s, word) in enumerate(zip(found, layout.sweeps, strict=True))
    }
    code = _Code(codes, gemms, sweeps, rows, {})
    for k, s in enumerate(found):
        code.turns[id(s)] = _emit_turn(module, f"whole_turn{k}", s.loop, layout, code)
        _emit_trials(module, k, s, layout, code)
    _emit_entry(module, program, layout, code)
    return module, layout


@dataclass(frozen=True, slots=True)
class _Code:
    """The functions of statements, by identity."""

    nests: dict[int, NestCode]
    gemms: dict[int, Function]
    sweeps: dict[int, SweepCode]
    rows: dict[int, RowsCode]
    turns: dict[int, Function]


def _emit_entry(module: Module, program: Program, layout: Layout, code: _Code) -> None:
    function = Function(module, ir.FunctionType(ir.VoidType(), [POINTER]), "entry")
    frame = Frame(function, function.args[0], layout)
    entry = _Entry(frame, layout, code)
    entry.place_temps()
    entry.statements(program.statements)
    frame.finish()


def _emit_turn(module: Module, name: str, loop: Loop, layout: Layout, code: _Code) -> Function:
    """Emit the body of a loop as a function, for those who run whole turns."""
    function = Function(module, ir.FunctionType(ir.VoidType(), [POINTER]), name, internal=True)
    function.attributes.append("noinline")
    frame = Frame(function, function.args[0], layout)
    _Entry(frame, layout, code).statements(loop.body)
    frame.finish()
    return function


def _emit_trials(module: Module, k: int, s: Sweep, layout: Layout, code: _Code) -> None:
    """Emit what `trials` times, on whatever the arrays hold: the turns of the first few tiles, and a whole turn."""
    tiled = code.sweeps[id(s)]
    for name in (f"tiles{k}", f"turn{k}"):
        function = Function(module, ir.FunctionType(ir.VoidType(), [I64, POINTER]), name)
        frame = Frame(function, function.args[1], layout)
        entry = _Entry(frame, layout, code)
        entry.place_temps()
        if name == f"turn{k}":
            frame.builder.call(code.turns[id(s)], [frame.context])
        else:
            entry.tiles(tiled, frame.word(tiled.first_word + DEPTH), function.args[0])
        frame.finish()


class _Entry:
    """Emits the entry point.

    It reads buffer addresses from the context each time: it writes them itself, and loops exchange them.
    """

    def __init__(self, frame: Frame, layout: Layout, code: _Code):
        self.frame, self.layout, self.code = frame, layout, code

    def place_temps(self) -> None:
        """Write the addresses of the temporary buffers into the context."""
        frame, b = self.frame, self.frame.builder
        if not self.layout.slots:
            return
        address = frame.word(ARENA)
        for slot in self.layout.slots:
            for buffer in slot.buffers:
                b.store(address, frame.word_address(frame.layout.buffer_word(buffer)))
            size = functools.reduce(frame.maximum, map(frame.extent, slot.sizes))
            address = b.add(address, b.and_(b.add(size, i64(ALIGN - 1)), i64(-ALIGN)))

    def base(self, access: Access) -> Value:
        """The address of the first entry of a matrix operand."""
        b = self.frame.builder
        word = b.load(self.frame.word_address(self.frame.layout.buffer_word(access.buffer)), typ=I64)
        offset = b.mul(self.frame.extent(access.offset), i64(ITEMSIZE[access.buffer.dtype]))
        return b.inttoptr(b.add(word, offset), POINTER)

    def statements(self, statements: Sequence[Statement]) -> None:
        """Emit statements in order; recursion goes to the nesting of loops."""
        for s in statements:
            match s:
                case Nest():
                    self._nest(s)
                case Loop():
                    self._loop(s)
                case Sweep():
                    self._sweep(s)
                case Rows():
                    self._rows(self.code.rows[id(s)])
                case Call(name="gemm"):
                    self._gemm(s)
                case Call() if s.name in OWN_FUNCTIONS:
                    call_own_function(self.frame, s, OWN_FUNCTIONS[s.name])
                case _:
                    emit_call(self.frame, s, self.base)

    def _nest(self, nest: Nest) -> None:
        frame, b = self.frame, self.frame.builder
        code = self.code.nests[id(nest)]
        for buffer in nest.zero:
            self._zero(buffer)
        if not nest.space:
            b.call(code.function, [i64(0), frame.context])
            return
        length = block_length(frame, nest, code.most_blocks)
        n_blocks = frame.ceil_div(frame.extent(nest.space[0]), length)
        points = b.sitofp(frame.product(nest.space), F64)
        work = b.fmul(points, ir.Constant(F64, 0.0 if nest.serial else code.nanoseconds))
        self._blocks(code.function, n_blocks, work)
        if code.combine is not None:
            b.call(code.combine, [n_blocks, frame.context])

    def _rows(self, code: RowsCode) -> None:
        frame = self.frame
        cut = cut_of(frame, code.prepared, weights_of(code.codes))
        before = gemm.on_one_thread(frame) if code.has_products else None
        self._blocks(code.task, cut.n, cut.work)
        if before is not None:
            gemm.restore(frame, before)
        if code.combine is not None:
            frame.builder.call(code.combine, [cut.n, frame.context])

    def _gemm(self, call: Call) -> None:
        frame = self.frame
        cut = gemm.blocks_of(frame, call)
        before = gemm.on_one_thread(frame)
        self._blocks(self.code.gemms[id(call)], cut.n, gemm.nanoseconds(frame, cut.work))
        gemm.restore(frame, before)

    def _blocks(self, function: Function, n_blocks: Value, nanoseconds: Value) -> None:
        """Run the blocks of a task: on several threads where the work pays for them."""
        frame, b = self.frame, self.frame.builder
        serial, parallel, after = (frame.function.append_basic_block(n) for n in ("serial", "parallel", "after"))
        host = frame.word(PARALLEL_FOR)
        enough = b.fcmp_ordered(">", nanoseconds, ir.Constant(F64, PARALLEL_NANOSECONDS))
        several = b.icmp_signed(">", n_blocks, i64(1))
        pays = b.and_(b.and_(enough, several), b.icmp_signed("!=", host, i64(0)))
        b.cbranch(pays, parallel, serial)
        b.position_at_end(parallel)
        task = b.ptrtoint(function, I64)
        context = b.ptrtoint(frame.context, I64)
        b.call(b.inttoptr(host, POINTER), [task, n_blocks, context], _PARALLEL_FOR)
        b.branch(after)
        b.position_at_end(serial)
        frame.loop(i64(0), n_blocks, 1, lambda k: b.call(function, [k, frame.context]))
        b.branch(after)
        b.position_at_end(after)

    def _zero(self, buffer: Buffer) -> None:
        frame, b = self.frame, self.frame.builder
        whole = Access(buffer, 0, (0,) * len(buffer.shape))
        at = self.base(whole)
        size = frame.extent(buffer.n_bytes)
        frame.loop(i64(0), size, 1, lambda i: b.store(ir.Constant(I8, 0), b.gep(at, [i], source_etype=I8)))

    def _loop(self, loop: Loop, turn_code: Function | None = None) -> None:
        frame, b = self.frame, self.frame.builder
        test, turn, after = (frame.function.append_basic_block(n) for n in ("while", "turn", "endwhile"))
        b.branch(test)
        b.position_at_end(test)
        b.cbranch(self._goes_on(loop), turn, after)
        b.position_at_end(turn)
        if turn_code is None:
            self.statements(loop.body)
        else:
            b.call(turn_code, [frame.context])
        self._swap(loop.swaps)
        b.branch(test)
        b.position_at_end(after)

    def _goes_on(self, loop: Loop) -> Value:
        """Evaluate the condition of a loop."""
        frame, b = self.frame, self.frame.builder
        self.statements(loop.cond)
        flag = b.load(self.base(Access(loop.flag, 0, ())), typ=I8)
        # An index out of range reads as nothing in particular, with which the condition might hold for ever.
        status = b.load(frame.word_address(STATUS), typ=I64)
        return b.and_(b.icmp_unsigned("!=", flag, ir.Constant(I8, 0)), b.icmp_signed("==", status, i64(OK)))

    def _swap(self, pairs: Sequence[tuple[Buffer, Buffer]]) -> None:
        frame, b = self.frame, self.frame.builder
        for x, y in pairs:
            at_x, at_y = (frame.word_address(frame.layout.buffer_word(z)) for z in (x, y))
            old_x, old_y = b.load(at_x, typ=I64), b.load(at_y, typ=I64)
            b.store(old_y, at_x)
            b.store(old_x, at_y)

    def _sweep(self, s: Sweep) -> None:
        """Make the turns of a loop in tiles; as they are where the caller chose no tile or the sides do not fit."""
        frame, b = self.frame, self.frame.builder
        code = self.code.sweeps[id(s)]
        names = ("test", "back", "plain", "tiled", "swept")
        test, back, plain, tiled, after = (frame.function.append_basic_block(n) for n in names)
        b.cbranch(b.icmp_signed(">", frame.word(code.first_word + DEPTH), i64(0)), test, plain)
        b.position_at_end(test)
        own = [(old, self._address(old)) for _, _, old in s.begins]
        for _, source, old in s.begins:
            self._set_address(old, self._address(source))
        fits: Value = ir.Constant(ir.IntType(1), 1)
        for nest, flag in s.checks:
            self._nest(nest)
            differs = b.load(self.base(Access(flag, 0, ())), typ=F64)
            fits = b.and_(fits, b.fcmp_ordered("==", differs, ir.Constant(F64, 0.0)))
        b.cbranch(fits, tiled, back)
        b.position_at_end(back)
        for old, address in own:
            self._set_address(old, address)
        b.branch(plain)
        b.position_at_end(plain)
        self.statements([nest for nest, _, _ in s.begins])
        self._loop(s.loop, self.code.turns[id(s)])
        self.statements([nest for nest, _, _ in s.ends])
        b.branch(after)
        b.position_at_end(tiled)
        self._tiled(code, own)
        b.branch(after)
        b.position_at_end(after)

    def _address(self, buffer: Buffer) -> Value:
        return self.frame.builder.load(self.frame.word_address(self.frame.layout.buffer_word(buffer)), typ=I64)

    def _set_address(self, buffer: Buffer, address: Value) -> None:
        self.frame.builder.store(address, self.frame.word_address(self.frame.layout.buffer_word(buffer)))

    def _tiled(self, code: SweepCode, own: Sequence[tuple[Buffer, Value]]) -> None:
        """Run the turns' other parts ahead, as many as a tile makes turns; then the tiles; and again.

        The first sweep reads the inputs in the place of the old arrays, whose `own` memory takes their place when
        the inputs would be written; the last one writes the outputs.
        """
        frame, b, s = self.frame, self.frame.builder, code.sweep
        depth = frame.word(code.first_word + DEPTH)
        names = ("again", "condition", "ahead", "known", "tiles", "final", "sweep", "end", "fill", "none", "done")
        again, condition, ahead, known, tiles, final, sweep, end, fill, none, done = (
            frame.function.append_basic_block(n) for n in names
        )
        turns, goes_on, begun = (frame.alloca(I64) for _ in range(3))
        b.store(i64(0), begun)
        b.branch(again)
        b.position_at_end(again)
        b.store(i64(0), turns)
        b.branch(condition)
        b.position_at_end(condition)
        again_too = self._goes_on(s.loop)
        b.store(b.zext(again_too, I64), goes_on)
        room = b.icmp_signed("<", b.load(turns, typ=I64), depth)
        b.cbranch(b.and_(again_too, room), ahead, known)
        b.position_at_end(ahead)
        self.statements(s.ahead)
        self._record(code, b.load(turns, typ=I64))
        self._swap(s.ahead_swaps)
        b.store(b.add(b.load(turns, typ=I64), i64(1)), turns)
        b.branch(condition)
        b.position_at_end(known)
        n = b.load(turns, typ=I64)
        b.cbranch(b.icmp_signed(">", n, i64(0)), tiles, end)
        b.position_at_end(tiles)
        b.cbranch(b.icmp_signed("==", b.load(goes_on, typ=I64), i64(0)), final, sweep)
        b.position_at_end(final)
        new = dict(s.states)
        for _, old, target in s.ends:
            self._set_address(new[old], self._address(target))
        b.branch(sweep)
        b.position_at_end(sweep)
        self.tiles(code, n)
        self._swap(s.states)
        for old, address in own:
            held = self._address(new[old])
            first = b.icmp_signed("==", b.load(begun, typ=I64), i64(0))
            self._set_address(new[old], b.select(first, address, held))
        b.store(i64(1), begun)
        b.branch(again)
        b.position_at_end(end)
        b.cbranch(b.icmp_signed("!=", b.load(begun, typ=I64), i64(0)), fill, none)
        b.position_at_end(fill)
        self.statements(s.fills)
        b.branch(done)
        b.position_at_end(none)
        self.statements([nest for nest, _, _ in s.ends])
        b.branch(done)
        b.position_at_end(done)

    def tiles(self, code: SweepCode, turns: Value, most: Value | None = None) -> None:
        """Make some turns on every tile, or on `most` of them, from the old arrays of the states to the new ones."""
        frame, b, domain = self.frame, self.frame.builder, code.sweep.domain
        b.store(turns, frame.word_address(code.first_word + TURNS))
        n_tiles: Value = i64(1)
        for a, (_, extent) in enumerate(domain):
            width = frame.word(code.first_word + SWEEP_WORDS + a)
            n_tiles = b.mul(n_tiles, frame.ceil_div(frame.extent(extent), width))
        if most is not None:
            n_tiles = frame.minimum(n_tiles, most)
        points = b.mul(turns, frame.product(tuple(extent for _, extent in domain)))
        self._blocks(code.task, n_tiles, b.fmul(b.sitofp(points, F64), ir.Constant(F64, code.nanoseconds)))

    def _record(self, code: SweepCode, turn: Value) -> None:
        """Keep what the tiles read of a turn that ran ahead."""
        frame, b = self.frame, self.frame.builder
        if not code.sweep.recorded:
            return
        start = frame.word(code.first_word + RECORD)
        at = b.add(start, b.mul(turn, record_bytes(frame, code.sweep)))
        for buffer in code.sweep.recorded:
            source = self.base(Access(buffer, 0, (0,) * len(buffer.shape)))
            copy(frame, b.inttoptr(at, POINTER), source, frame.extent(buffer.n_bytes))
            at = b.add(at, rounded(frame, buffer.n_bytes))
