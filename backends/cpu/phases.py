"""phases: a body cut where the assembler's code and LLVM's take turns.

What `x86` can write is nearly all of a large scalar graph and of its derivatives; what it cannot, such as integers and
gathers, is computed before or after. An instruction belongs to the first phase in which its arguments are there:
even phases are LLVM's, odd ones the assembler's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from backends.cpu.machine import Machine, machine, vector_function
from backends.cpu.registers import LANES
from backends.cpu.split import CHUNK, LONGEST, Split, cut_evenly, is_repeated, operands, slots_of
from backends.cpu.x86 import ON_FLAGS, ON_NUMBERS
from symdiff.ir.dims import product
from symdiff.program.ir import Const, Instr, Load, Nest, Op, Store

# Below this many instructions LLVM is as fast, and what it does is easier to follow.
FEWEST = 100
# A change of hands costs a call, and memory for what crosses.
_SHORTEST_PHASE = 64
# A nest of at most this many points runs too briefly for LLVM's optimisation of loops to matter.
_FEW_POINTS = 64


def for_assembler(target: Machine) -> Machine | None:
    """The machine as the assembler uses it, or None for one that it does not write for: calls are as on Linux.

    LLVM is asked to read assembly of its own machine only.
    """
    if target.arch != "x86_64" or machine().arch != target.arch:
        return None
    if "linux" not in target.triple or target.lanes_f64 < LANES:
        return None
    return replace(target, lanes_f64=LANES)


def wants_assembler(nest: Nest, target: Machine) -> bool:
    """Whether a body is long enough for its loops not to matter."""
    if for_assembler(target) is None or len(nest.body) < FEWEST:
        return False
    points = product(nest.space)
    return len(nest.body) > LONGEST or (isinstance(points, int) and points <= _FEW_POINTS)


def phases(nest: Nest, order: Sequence[tuple[int, ...]], width: int, target: Machine) -> Split | None:
    """Return how a body is cut for both, or None where it is better left to LLVM."""
    here = for_assembler(target)
    if here is None or width not in (1, LANES):
        return None
    body = nest.body
    mine = [_assembled(instr, body, width, here) for instr in body]
    reads = [operands(instr) for instr in body]
    asked = {a for k, args in enumerate(reads) if mine[k] for a in args}
    repeated = frozenset(
        k for k, instr in enumerate(body) if is_repeated(instr) and (k not in asked or is_readable(instr))
    )
    members: list[list[tuple[int, ...]]] = [[], []]
    phase = [0] * len(body)
    for group in order:
        if group[0] in repeated:
            continue
        own = mine[group[0]]
        number = int(own)
        for k in group:
            for a in reads[k]:
                if a not in repeated:
                    least = phase[a] if mine[a] is own else phase[a] + 1
                    if least > number:
                        number = least
        for k in group:
            phase[k] = number
        while len(members) <= number:
            members.append([])
        members[number].append(group)
    chunks: list[tuple[tuple[int, ...], ...]] = []
    assembled = []
    for number, groups in enumerate(members):
        if number % 2 and groups:
            assembled.append(len(chunks))
            chunks.append(tuple(groups))
        else:
            chunks += cut_evenly(groups, CHUNK)
    if sum(mine) < _SHORTEST_PHASE * len(assembled) or not assembled:
        return None
    where = {k: c for c, chunk in enumerate(chunks) for group in chunk for k in group}
    direct, late = _stores(nest, where, frozenset(assembled))
    plan = Split(tuple(chunks), {}, 0, repeated, frozenset(assembled), direct, late)
    return slots_of(nest, plan)


def is_readable(instr: Instr) -> bool:
    """Whether the assembler can read a repeated instruction from memory: a literal, or a number at a fixed place."""
    if isinstance(instr, Const):
        return instr.dtype == "float64" and not instr.guards
    if not isinstance(instr, Load) or instr.dtype != "float64":
        return False
    access = instr.access
    plain = not access.gathers and not access.guards and not any(access.strides)
    return plain and isinstance(access.offset, int)


def _assembled(instr: Instr, body: Sequence[Instr], width: int, here: Machine) -> bool:
    if not isinstance(instr, Op):
        return False
    if instr.dtype == "float64" and instr.name in _ARITHMETIC:
        return True  # of operands of its own dtype
    kinds = {body[a].dtype for a in instr.args}
    if instr.dtype == "bool":
        return (kinds == {"float64"} or (kinds == {"bool"} and instr.name in ON_FLAGS)) and instr.name in _FLAGS
    if instr.dtype != "float64":
        return False
    if instr.name == "where":
        return [body[a].dtype for a in instr.args] == ["bool", "float64", "float64"]
    if instr.name == "cast":
        return kinds == {"bool"}
    if kinds != {"float64"}:
        return False
    if instr.name in ON_NUMBERS:
        return True
    return instr.name not in _OTHERS and (
        width == 1 or vector_function(instr.name, len(instr.args), width, here=here) is not None
    )


_ARITHMETIC = frozenset({"add", "sub", "mul", "div", "neg"})
_FLAGS = frozenset({"lt", "le", "gt", "ge", "eq", "ne", "and", "or", "xor", "not"})
# Native operations that are neither instructions here nor functions of the C library.
_OTHERS = frozenset({"rem", "where", "cast"})


def _stores(
    nest: Nest, where: dict[int, int], assembled: frozenset[int]
) -> tuple[tuple[Store, ...], tuple[Store, ...]]:
    """Return the stores that the assembler does, and those that are left to the end."""
    read = {instr.access.buffer for instr in nest.body if isinstance(instr, Load)}
    direct, late = [], []
    for s in nest.stores:
        a = s.access
        plain = not nest.space and not s.add and not a.gathers and not a.guards and isinstance(a.offset, int)
        if plain and where.get(s.value) in assembled and a.buffer.dtype == "float64" and a.buffer not in read:
            direct.append(s)
        elif where.get(s.value, -1) in assembled or s.value not in where or a.gathers:
            late.append(s)
    return tuple(direct), tuple(late)
