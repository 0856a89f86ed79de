"""registers: where the values of straight-line code are: in vector registers, in slots of memory, or both.

The register given up for a new value is the one whose value is needed last (Belady 1966, IBM Systems Journal 5): the
best choice where code has no jumps. A value is written to memory at most once, and its slot is used again when it is
dead.
"""

from __future__ import annotations

from collections.abc import Sequence

# Lanes of the vector registers used here, ymm.
LANES = 4
_REGISTERS = 16
# The addresses of buffers lie in registers that functions leave as they are.
BASES = ("%r12", "%r13", "%r14", "%r15")


class Registers:
    """The places of values, known by number; what has to move is written to `lines`.

    Slots are `width` numbers of 8 bytes and counted from %rbx; words of the context are read through %rbp. `uses` are
    the positions at which a value is read, the last one first.
    """

    def __init__(self, lines: list[str], width: int, slots: int, uses: dict[int, list[int]]):
        self.lines, self.width, self.size, self.uses = lines, width, slots, uses
        self.step = 8 * width
        self.move = "vmovupd" if width > 1 else "vmovsd"
        self.names = [f"%{'ymm' if width > 1 else 'xmm'}{k}" for k in range(_REGISTERS)]
        self.where: dict[int, int] = {}
        self._holds: list[int | None] = [None] * _REGISTERS
        # Where a value can be read again: a slot, an offset from the address in a word of the context, a constant.
        self.slot: dict[int, int] = {}
        self.memory: dict[int, tuple[int, int]] = {}
        self.constant: dict[int, str] = {}
        # Slots that become free when their value is dead, and those whose values the current instruction reads last:
        # nothing is written there before it.
        self._own: set[int] = set()
        self._free: list[int] = []
        self._released: list[int] = []
        # Slots that a vector was written to become free together: their first, and how many are free.
        self._quad_of: dict[int, list[int]] = {}
        self._quads: list[int] = []
        self._bases: dict[int, str] = {}

    def base(self, word: int) -> str:
        """The register with the address in a word of the context."""
        bases = self._bases
        register = bases.pop(word, None)
        if register is None:
            # The dictionary is in the order of use: the first was used longest ago.
            register = bases.pop(next(iter(bases))) if len(bases) == len(BASES) else BASES[len(bases)]
            self.lines.append(f"movq {8 * word}(%rbp), {register}")
        bases[word] = register
        return register

    def at(self, value: int) -> str:
        """The memory that holds a value."""
        slot = self.slot.get(value)
        if slot is not None:
            return f"{slot * self.step}(%rbx)"
        constant = self.constant.get(value)
        if constant is not None:
            return constant
        word, offset = self.memory[value]
        return f"{offset}({self.base(word)})"

    def _is_narrow(self, value: int) -> bool:
        """Whether one number stands in memory for all lanes."""
        return self.width > 1 and value in self.memory and value not in self.slot

    def read(self, value: int, register: int) -> None:
        """Read a value from memory into a register."""
        move = "vbroadcastsd" if self._is_narrow(value) else self.move
        self.lines.append(f"{move} {self.at(value)}, {self.names[register]}")

    def register(self, value: int, *locked: int) -> int:
        """The register of a value, which is read into one if need be; those `locked` keep what they have."""
        found = self.where.get(value)
        if found is None:
            found = self._take(locked)
            self.read(value, found)
            self._holds[found] = value
            self.where[value] = found
        return found

    def operand(self, value: int, *locked: int) -> str:
        """A value as the operand that may lie in memory."""
        found = self.where.get(value)
        if found is not None:
            return self.names[found]
        return self.names[self.register(value, *locked)] if self._is_narrow(value) else self.at(value)

    def result(self, value: int) -> str:
        """A register for a new value."""
        register = self._take()
        self.hold(value, register)
        return self.names[register]

    def hold(self, value: int, register: int) -> None:
        """Enter a value that stands in a register."""
        self._holds[register] = value
        self.where[value] = register

    def _take(self, locked: Sequence[int] = ()) -> int:
        """Return a register for something new: a free one, or the one whose value is needed last."""
        holds = self._holds
        if None in holds:
            return holds.index(None)
        uses, last, chosen = self.uses, -1, 0
        for k, value in enumerate(holds):
            following = uses[value][-1]  # type: ignore[index]  # no register is free here
            if following > last and k not in locked:
                last, chosen = following, k
        value = holds[chosen]
        assert value is not None
        self._spill(value, chosen)
        del self.where[value]
        return chosen

    def _spill(self, value: int, register: int) -> None:
        if value in self.slot or value in self.constant or value in self.memory:
            return
        if self._free:
            slot = self._free.pop()
        else:
            slot = self.size
            self.size += 1
        self.slot[value] = slot
        self._own.add(value)
        self.lines.append(f"{self.move} {self.names[register]}, {slot * self.step}(%rbx)")

    def save(self) -> None:
        """Write to memory what a call would lose."""
        for value, register in self.where.items():
            self._spill(value, register)

    def forget(self) -> None:
        """Give up all registers, whose values are saved."""
        self._holds = [None] * _REGISTERS
        self.where.clear()

    def spread(self, values: Sequence[int]) -> None:
        """Write the lanes of ymm0 to slots side by side, one value each."""
        if self._quads:
            first = self._quads.pop()
        else:
            first = self.size
            self.size += LANES
        quad = [first, LANES - len(values)]
        self.lines.append(f"vmovupd %ymm0, {first * 8}(%rbx)")
        for slot, value in enumerate(values, start=first):
            self.slot[value] = slot
            self._quad_of[slot] = quad
            self._own.add(value)

    def used(self, args: Sequence[int]) -> None:
        """Count one use of every argument."""
        uses = self.uses
        for a in args:
            positions = uses[a]
            positions.pop()
            if not positions:
                self.die(a)

    def die(self, value: int) -> None:
        """Give back the register and the slot of a value that is not needed again."""
        register = self.where.pop(value, None)
        if register is not None:
            self._holds[register] = None
        if value in self._own:
            self._own.discard(value)
            slot = self.slot.pop(value)
            quad = self._quad_of.pop(slot, None)
            if quad is None:
                self._released.append(slot)
            else:
                quad[1] += 1
                if quad[1] == LANES:
                    self._quads.append(quad[0])

    def advance(self) -> None:
        """Go on behind the current instruction."""
        if self._released:
            self._free += self._released
            self._released.clear()
