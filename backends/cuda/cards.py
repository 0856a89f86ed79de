"""cards: what GPUs can do, to tell beforehand how long a kernel takes there and how full it keeps the card."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from symdiff.program.ir import Instr, Op


@dataclass(frozen=True, slots=True)
class Capability:
    """A multiprocessor: fused multiply-adds a clock, and what resident blocks share (CUDA Programming Guide, table 30).

    `float32` and `float64` are operations a clock; `threads`, `blocks` and bytes of `shared` memory at most.
    """

    float32: int
    float64: int
    threads: int
    blocks: int
    shared: int


_KIB = 1024
CAPABILITIES = {
    (8, 0): Capability(64, 32, 2048, 32, 164 * _KIB),
    (8, 6): Capability(128, 2, 1536, 16, 100 * _KIB),
    (8, 9): Capability(128, 2, 1536, 24, 100 * _KIB),
    (9, 0): Capability(128, 64, 2048, 32, 228 * _KIB),
    (10, 0): Capability(128, 64, 2048, 32, 228 * _KIB),
    (12, 0): Capability(128, 2, 1536, 24, 100 * _KIB),
}

# Registers of a multiprocessor, in units that a warp takes them in; a block's share of memory that CUDA keeps.
_REGISTERS, _UNIT, _RESERVED, _WARP = 65536, 256, 1024, 32


@dataclass(frozen=True, slots=True)
class Card:
    """A GPU: multiprocessors, their highest clock in Hz, and the bytes a second that a copy reads and writes."""

    name: str
    capability: tuple[int, int]
    multiprocessors: int
    clock: float
    copy: float

    def rate(self, itemsize: int) -> float:
        """Operations a second on numbers of 4 or 8 bytes; a fused multiply-add is one."""
        units = CAPABILITIES[self.capability]
        return self.multiprocessors * self.clock * (units.float32 if itemsize == 4 else units.float64)


# Multiprocessors and clocks from NVIDIA's data sheets. The copy of the H200 is measured, 0.9 of its peak of 4.8 TB/s;
# the others' are taken as the same share of theirs.
CARDS = {
    card.name: card
    for card in (
        Card("H200", (9, 0), 132, 1.98e9, 4.3e12),
        Card("H100", (9, 0), 132, 1.98e9, 0.9 * 3.35e12),
        Card("A100", (8, 0), 108, 1.41e9, 0.9 * 2.04e12),
    )
}
USUAL = CARDS["H200"]
# Bytes a second of all shared memory of the usual card: 32 banks of four bytes each clock (Programming Guide, 20.8).
SHARED_RATE = 128 * USUAL.multiprocessors * USUAL.clock


def card_of(name: str) -> Card:
    """Return the card of a GPU by the driver's name for it, or the usual one where that is not known."""
    return next((card for key, card in CARDS.items() if key in name), USUAL)


def occupancy(capability: tuple[int, int], threads: int, registers: int, shared: int) -> float:
    """Return which part of a multiprocessor's threads can be resident at once in blocks of so many threads."""
    limits = CAPABILITIES.get(capability, CAPABILITIES[9, 0])
    warps = -(-threads // _WARP)
    of_registers = _REGISTERS // (-(-registers * _WARP // _UNIT) * _UNIT * warps) if registers else limits.blocks
    of_shared = limits.shared // (shared + _RESERVED)
    of_threads = limits.threads // (warps * _WARP)
    return min(of_registers, of_shared, of_threads, limits.blocks) * warps * _WARP / limits.threads


# Instructions on float64 at a point, counted in NVVM's PTX for sm_90 without the branches that are rarely taken. The
# assembler makes about nine of a division or a root, which are correctly rounded.
_INSTRUCTIONS = {
    "div": 9, "sqrt": 9, "exp": 27, "exp2": 22, "expm1": 27, "log": 34, "log2": 36, "log10": 36, "log1p": 40,
    "sin": 22, "cos": 22, "tan": 49, "sinh": 45, "cosh": 45, "tanh": 52, "pow": 120, "cbrt": 26, "hypot": 40,
    "erf": 51, "erfc": 55, "lgamma": 90,
}  # fmt: skip
_USUAL_FUNCTION = 40
# What takes no arithmetic unit for numbers of its kind.
_FREE = frozenset({"cast", "where", "not", "and", "or", "xor"})


def operations(body: Iterable[Instr], native: frozenset[str]) -> float:
    """Return the arithmetic instructions of a body at one point; `native` are the operations that are one."""
    names = [i.name for i in body if isinstance(i, Op)]
    return sum(0 if n in _FREE else _INSTRUCTIONS.get(n, 1 if n in native else _USUAL_FUNCTION) for n in names)
