"""Frame: what every generated function starts with: the context, sizes, buffer addresses, loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from backends.cpu.assembler import Builder, Function, Value
from backends.cpu.layout import ALIGN, Words
from backends.emit import I8, I64, POINTER
from symdiff.ir.dims import CeilDiv, Dim, Extent, product
from symdiff.program.ir import Buffer

# Memory up to this many bytes lies on the stack, of which threads have a few MiB.
_LARGEST_ON_STACK = 2**18


def i64(value: int) -> ir.Constant:
    """A 64-bit integer constant."""
    return ir.Constant(I64, value)


class Frame:
    """The builder of one function with the context as an argument; extents and addresses are emitted once.

    What is emitted once goes to the function's first block, so it is there wherever it is used.
    """

    def __init__(self, function: Function, context: Value, layout: Words):
        self.function, self.context, self.layout = function, context, layout
        self.head = function.append_basic_block("head")
        start = function.append_basic_block("start")
        self.builder = Builder(function, start)
        self._head_builder = Builder(function, self.head)
        self._start = start
        self._extents: dict[Extent, Value] = {}
        self._words: dict[int, Value] = {}
        self._held: list[Value] = []

    def finish(self) -> None:
        """Close the function."""
        if self._held:
            free = self.builder.module.declare("free", ir.FunctionType(ir.VoidType(), [POINTER]))
            for memory in self._held:
                self.builder.call(free, [memory])
        self._head_builder.branch(self._start)
        self.builder.ret_void()

    def word_address(self, word: int) -> Value:
        """The address of a word of the context."""
        return self.builder.gep(self.context, [i64(word)], source_etype=I64)

    def word(self, word: int) -> Value:
        """A word of the context that does not change while the function runs."""
        if word not in self._words:
            at = self._head_builder.gep(self.context, [i64(word)], source_etype=I64)
            self._words[word] = self._head_builder.load(at, typ=I64)
        return self._words[word]

    def base(self, buffer: Buffer) -> Value:
        """The address of a buffer."""
        key = -1 - buffer.id
        if key not in self._words:
            word = self.word(self.layout.buffer_word(buffer))
            self._words[key] = self._head_builder.inttoptr(word, POINTER)
        return self._words[key]

    def alloca(self, kind: ir.Type, count: int | None = None) -> Value:
        """Memory on the stack, taken once."""
        return self._head_builder.alloca(kind, None if count is None else i64(count))

    def memory(self, size: int) -> Value:
        """Memory of this many bytes that begins with a cache line, taken once: on the stack if it is small."""
        b = self._head_builder
        if size <= _LARGEST_ON_STACK:
            at = b.alloca(I8, i64(size + ALIGN))
        else:
            malloc = b.module.declare("malloc", ir.FunctionType(POINTER, [I64]))
            at = b.call(malloc, [i64(size + ALIGN)])
            self._held.append(at)
        return b.inttoptr(b.and_(b.add(b.ptrtoint(at, I64), i64(ALIGN - 1)), i64(-ALIGN)), POINTER)

    def extent(self, extent: Extent) -> Value:
        """The value of an extent."""
        if isinstance(extent, int):
            return i64(extent)
        if extent not in self._extents:
            self._extents[extent] = self._polynomial(extent)
        return self._extents[extent]

    def _polynomial(self, dim: Dim) -> Value:
        b = self._head_builder
        total: Value | None = None
        for monomial, c in dim.terms:
            term: Value = i64(c)
            for k, atom in enumerate(monomial):
                if isinstance(atom, CeilDiv):
                    raised = b.add(self.extent(atom.dim), i64(atom.step - 1))
                    # Extents are never negative here, so the division rounds down.
                    factor = b.sdiv(raised, i64(atom.step))
                else:
                    factor = self.word(self.layout.size_word(atom))
                term = factor if k == 0 and c == 1 else b.mul(term, factor)
            total = term if total is None else b.add(total, term)
        assert total is not None
        return total

    def loop(self, start: Value, stop: Value, step: int, body: Callable[[Value], Any]) -> None:
        """for i in range(start, stop, step): body(i)."""
        b = self.builder
        before = b.block
        inside, after = self.function.append_basic_block("loop"), self.function.append_basic_block("done")
        b.cbranch(b.icmp_signed("<", start, stop), inside, after)
        b.position_at_end(inside)
        i = b.phi(I64)
        i.add_incoming(start, before)
        body(i)
        following = b.add(i, i64(step))
        i.add_incoming(following, b.block)
        b.cbranch(b.icmp_signed("<", following, stop), inside, after)
        b.position_at_end(after)

    def when(self, condition: Value, body: Callable[[], Any]) -> None:
        """if condition: body()."""
        b = self.builder
        inside, after = self.function.append_basic_block("then"), self.function.append_basic_block("endif")
        b.cbranch(condition, inside, after)
        b.position_at_end(inside)
        body()
        b.branch(after)
        b.position_at_end(after)

    def product(self, extents: tuple[Extent, ...]) -> Value:
        """The number of points of a space."""
        return self.extent(product(extents))

    def maximum(self, a: Value, b: Value) -> Value:
        """The larger of two integers."""
        return self.builder.select(self.builder.icmp_signed(">", a, b), a, b)

    def minimum(self, a: Value, b: Value) -> Value:
        """The smaller of two integers."""
        return self.builder.select(self.builder.icmp_signed("<", a, b), a, b)

    def ceil_div(self, a: Value, b: Value) -> Value:
        """ceil(a / b) for b > 0 and a >= 0."""
        return self.builder.sdiv(self.builder.add(a, self.builder.sub(b, i64(1))), b)
