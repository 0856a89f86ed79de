"""x86: long straight-line code on float64, as assembly text for x86-64 with AVX2.

LLVM takes 30 to 300 us an operation on such code, and its quick way spills nearly every value. Code without jumps is
simple enough to do better in 20 us: see `registers`. Values in memory are operands where they are, and no order is
searched for: the scheduler's is kept.

    vmulsd 24(%rbx), %xmm3, %xmm5        v5 = v3 * (the value in slot 3)
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from backends.cpu.registers import BASES, LANES, Registers

_SAVED = ("%rbx", "%rbp", *BASES)

# name: (mnemonic, whether the operands may change places)
_ARITHMETIC = {"add": ("vadd", True), "sub": ("vsub", False), "mul": ("vmul", True), "div": ("vdiv", False)}
# The predicates of vcmppd: ordered and quiet, but "not equal" and "uno", which hold for NaN.
_COMPARE = {"lt": 17, "le": 18, "gt": 30, "ge": 29, "eq": 0, "ne": 4, "uno": 3}
# Of one operand: the mnemonic and the constant it takes.
_UNARY = {"sqrt": ("vsqrt", ""), "floor": ("vround", "$9, "), "ceil": ("vround", "$10, "), "trunc": ("vround", "$11, ")}
_LOGICAL = {"and": "vandpd", "or": "vorpd", "xor": "vxorpd"}
_SIGN, _ALL = 1 << 63, (1 << 64) - 1


def bits_of(number: float) -> int:
    """The bits of a double."""
    return int(struct.unpack("<Q", struct.pack("<d", number))[0])


# Operations that are one logical operation with a constant. Flags are masks of 64 bits.
_MASKED = {
    "neg": ("vxorpd", _SIGN), "abs": ("vandpd", _SIGN - 1), "not": ("vxorpd", _ALL), "cast": ("vandpd", bits_of(1.0)),
}  # fmt: skip
ON_NUMBERS = frozenset({*_ARITHMETIC, *_COMPARE, *_UNARY, "neg", "abs", "max", "min", "sign"}) - {"uno"}
ON_FLAGS = frozenset({*_LOGICAL, "not", "cast"})


class Straight:
    """Writes one function `void name(context, slots)`.

    Slots are memory of 8 bytes a lane, addressed by number. A value of the body is known by its number there;
    values that only exist here are counted on from `first_own`.
    """

    def __init__(self, name: str, width: int, first_own: int, slots: int):
        self.name, self._width = name, width
        self._suffix = "pd" if width > 1 else "sd"
        self._next = first_own
        self._program: list[tuple[Callable[[Any, Any, Any], None], Any, Sequence[int], Any]] = []
        self._uses: dict[int, list[int]] = {}
        self._targets: dict[int, list[tuple[int | None, int]]] = {}
        self._lines: list[str] = []
        self._pool: dict[tuple[int, int], str] = {}
        self._registers = Registers(self._lines, width, slots, self._uses)
        # Operations of one instruction: how it is emitted, and what is told to that.
        self._single: dict[str, tuple[Callable[..., None], Any]] = {
            "where": (self._select, None),
            **{name: (self._arithmetic, how) for name, how in _ARITHMETIC.items()},
            **{name: (self._masked, how) for name, how in _MASKED.items()},
            **{name: (self._unary, how) for name, how in _UNARY.items()},
            **{name: (self._compare, how) for name, how in _COMPARE.items()},
            **{name: (self._logical, how) for name, how in _LOGICAL.items()},
        }

    @property
    def size(self) -> int:
        """How many slots the function uses."""
        return self._registers.size

    # --- what there is to do ----------------------------------------------------

    def in_slot(self, value: int, slot: int) -> None:
        """A value that earlier code has left in a slot."""
        self._registers.slot[value] = slot

    def in_memory(self, value: int, word: int, offset: int) -> None:
        """A number at an offset in bytes from the address in a word of the context."""
        self._registers.memory[value] = (word, offset)

    def literal(self, value: int, number: float) -> None:
        """A constant."""
        self._registers.constant[value] = self._pooled(bits_of(number), self._width)

    def keep(self, value: int, slot: int) -> None:
        """Leave a value in a slot for later code."""
        self._targets.setdefault(value, []).append((None, slot))

    def write(self, value: int, word: int, offset: int) -> None:
        """Write a number to memory."""
        self._targets.setdefault(value, []).append((word, offset))

    def operation(self, value: int, name: str, args: Sequence[int]) -> None:
        """One native operation."""
        one = self._single.get(name)
        if one is not None:
            self._add(one[0], value, args, one[1])
        elif name == "sign":
            self._sign(value, args[0])
        else:
            self._extreme(value, args, "gt" if name == "max" else "lt")

    def call(self, values: Sequence[int], symbol: str, args: Sequence[Sequence[int]], vector: bool) -> None:
        """Call a function for one value, or a `vector` function for up to `LANES` numbers at once."""
        self._add(self._call, tuple(values), [a for arg in args for a in arg], (symbol, len(args[0]), vector))

    def _extreme(self, value: int, args: Sequence[int], better: str) -> None:
        """As `backends.emit`: NaN if either is NaN."""
        x, y = args
        wins, best, nan = self._fresh(3)
        self._add(self._compare, wins, (x, y), _COMPARE[better])
        self._add(self._select, best, (wins, x, y))
        self._add(self._compare, nan, (x, x), _COMPARE["uno"])
        self._add(self._select, value, (nan, x, best))

    def _sign(self, value: int, x: int) -> None:
        """As `backends.emit`: x itself where it is 0 or NaN."""
        zero, one, minus, negative, below, positive = self._fresh(6)
        for literal, number in ((zero, 0.0), (one, 1.0), (minus, -1.0)):
            self.literal(literal, number)
        self._add(self._compare, negative, (x, zero), _COMPARE["lt"])
        self._add(self._select, below, (negative, minus, x))
        self._add(self._compare, positive, (x, zero), _COMPARE["gt"])
        self._add(self._select, value, (positive, one, below))

    def _fresh(self, count: int) -> range:
        self._next += count
        return range(self._next - count, self._next)

    def _add(self, emit: Callable[..., None], value: Any, args: Sequence[int], detail: Any = None) -> None:
        position, uses = len(self._program), self._uses
        for a in args:
            found = uses.get(a)
            if found is None:
                uses[a] = [position]
            else:
                found.append(position)
        self._program.append((emit, value, args, detail))

    # --- code -------------------------------------------------------------------

    def text(self) -> str:
        """Return the function."""
        for positions in self._uses.values():
            positions.reverse()
        advance = self._registers.advance
        for emit, value, args, detail in self._program:
            emit(value, args, detail)
            advance()
        return "\n".join([*self._head(), *self._lines, *self._tail()])

    def _head(self) -> Iterable[str]:
        yield from (".text", ".p2align 4", f"{self.name}:")
        yield from (f"pushq {r}" for r in _SAVED)
        # Functions are called with a stack aligned to 16 bytes: return address, six registers, and this.
        yield from ("subq $8, %rsp", "movq %rdi, %rbp", "movq %rsi, %rbx")

    def _tail(self) -> Iterable[str]:
        yield from ("vzeroupper", "addq $8, %rsp")
        yield from (f"popq {r}" for r in reversed(_SAVED))
        yield "retq"
        if self._pool:
            yield from (".section .rodata", ".p2align 5")
            # The longest first: each is aligned to its own length.
            for (bits, width), label in sorted(self._pool.items(), key=lambda item: -item[0][1]):
                yield f"{label[:-6]}:"
                yield from [f".quad {bits:#x}"] * width
            yield ".text"

    def _pooled(self, bits: int, width: int) -> str:
        return self._pool.setdefault((bits, width), f".L{self.name}_{len(self._pool)}(%rip)")

    def _arithmetic(self, value: int, args: Sequence[int], how: tuple[str, bool]) -> None:
        registers, (name, commutes), (x, y) = self._registers, how, args
        if commutes and x not in registers.where and y in registers.where:
            x, y = y, x
        first = registers.register(x)
        second = registers.operand(y, first)
        registers.used(args)
        out = registers.result(value)
        self._lines.append(f"{name}{self._suffix} {second}, {registers.names[first]}, {out}")
        self._finish(value)

    def _compare(self, value: int, args: Sequence[int], predicate: int) -> None:
        registers = self._registers
        first = registers.register(args[0])
        second = registers.operand(args[1], first)
        registers.used(args)
        out = registers.result(value)
        self._lines.append(f"vcmp{self._suffix} ${predicate}, {second}, {registers.names[first]}, {out}")
        self._finish(value)

    def _masked(self, value: int, args: Sequence[int], how: tuple[str, int]) -> None:
        name, bits = how
        # A logical operation reads whole registers: 16 bytes for one number.
        self._in_registers(value, args, f"{name} {self._pooled(bits, max(self._width, 2))}, ")

    def _logical(self, value: int, args: Sequence[int], name: str) -> None:
        self._in_registers(value, args, f"{name} ")

    def _select(self, value: int, args: Sequence[int], _: None) -> None:
        # The instruction has them as mask, where it is set, where it is not: the other way round than ours are read.
        condition, yes, no = args
        self._in_registers(value, (no, yes, condition), "vblendvpd ")

    def _unary(self, value: int, args: Sequence[int], how: tuple[str, str]) -> None:
        name, constant = how
        # The version for one number takes the rest of the register from another one.
        twice = (*args, *args) if self._width == 1 else args
        self._in_registers(value, args, f"{name}{self._suffix} {constant}", twice)

    def _in_registers(self, value: int, args: Sequence[int], text: str, written: Sequence[int] | None = None) -> None:
        registers = self._registers
        held: list[int] = []
        for a in args:
            held.append(registers.register(a, *held))
        names = [registers.names[registers.where[a]] for a in (args if written is None else written)]
        registers.used(args)
        self._lines.append(f"{text}{', '.join(reversed(names))}, {registers.result(value)}")
        self._finish(value)

    def _call(self, values: tuple[int, ...], args: Sequence[int], how: tuple[str, int, bool]) -> None:
        registers, (symbol, count, vector) = self._registers, how
        registers.save()
        for place in range(len(args) // count):
            part = args[place * count : (place + 1) * count]
            if vector and self._width == 1:
                self._gather(part, place)
            else:
                registers.read(part[0], place)
        registers.used(args)
        if not vector:
            # The C library's own code has SSE instructions, which wait for the upper halves otherwise.
            self._lines.append("vzeroupper")
        registers.forget()
        self._lines.append(f"callq {symbol}@PLT")
        if vector and self._width == 1:
            registers.spread(values)
            for value in values:
                if value in self._targets:
                    registers.register(value)
                self._finish(value)
        else:
            registers.hold(values[0], 0)
            self._finish(values[0])

    def _gather(self, args: Sequence[int], place: int) -> None:
        """Put numbers into the lanes of ymm`place`; spare lanes repeat the first."""
        registers = self._registers
        a, b, c, d = [*args, *[args[0]] * (LANES - len(args))]
        high = place + 8  # no argument's register
        for low, first, second in ((place, a, b), (high, c, d)):
            registers.read(first, low)
            self._lines.append(f"vmovhpd {registers.at(second)}, %xmm{low}, %xmm{low}")
        self._lines.append(f"vinsertf128 $1, %xmm{high}, %ymm{place}, %ymm{place}")

    def _finish(self, value: int) -> None:
        """Write a new value wherever it is wanted."""
        targets = self._targets.get(value)
        if targets is not None:
            self._write(value, targets)
        if value not in self._uses:
            self._registers.die(value)

    def _write(self, value: int, targets: Sequence[tuple[int | None, int]]) -> None:
        registers = self._registers
        name = registers.names[registers.where[value]]
        for word, place in targets:
            is_new = value not in registers.slot
            if word is None:
                self._lines.append(f"{registers.move} {name}, {place * registers.step}(%rbx)")
                if is_new:
                    registers.slot[value] = place
            else:
                self._lines.append(f"vmovsd {name}, {place}({registers.base(word)})")
                if is_new:
                    registers.memory.setdefault(value, (word, place))
