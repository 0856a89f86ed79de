"""pack: put calls of the same function in straight-line scalar code into lanes.

    a = sin(x); b = sin(y); c = sin(z); d = sin(w)   ->   one call of the vector sine

Calls whose arguments depend on equally many calls are independent of each other. A large scalar graph spends
most of its time in such calls; four in one cost little more than one.
"""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from backends.cpu.assembler import Builder, Value
from backends.cpu.calls import lanes
from backends.cpu.machine import Machine, vector_function
from backends.emit import I32
from symdiff.program.ir import Instr, Op

# Fewer calls than this stay scalar, which is more accurate (1 ulp against 4) and as fast.
FEWEST_CALLS = 24


def packable(instr: Instr, target: Machine) -> bool:
    """Whether an instruction is a call that the vector library has for float64."""
    if not isinstance(instr, Op) or instr.dtype != "float64":
        return False
    return vector_function(instr.name, len(instr.args), target.lanes_f64, here=target) is not None


def packs(body: Sequence[Instr], target: Machine) -> list[tuple[int, ...]]:
    """Return the order of emission: tuples of one instruction, or of several calls of one function to pack."""
    calls = [packable(i, target) for i in body]
    if sum(calls) < FEWEST_CALLS:
        return [(k,) for k in range(len(body))]
    levels: list[int] = []
    for k, instr in enumerate(body):
        args = instr.args if isinstance(instr, Op) else ()
        levels.append(max((levels[a] for a in args), default=0) + calls[k])
    width = target.lanes_f64
    order: list[tuple[int, ...]] = []
    by_level: dict[int, tuple[dict[str, list[int]], list[int]]] = {}
    for k, instr in enumerate(body):
        groups, rest = by_level.setdefault(levels[k], ({}, []))
        if calls[k]:
            assert isinstance(instr, Op)
            groups.setdefault(instr.name, []).append(k)
        else:
            rest.append(k)
    for level in sorted(by_level):
        groups, rest = by_level[level]
        for members in groups.values():
            order += [tuple(members[j : j + width]) for j in range(0, len(members), width)]
        order += [(k,) for k in rest]
    return order


def emit_pack(builder: Builder, name: str, args: Sequence[Sequence[Value]]) -> list[Value]:
    """Emit one vector call for several scalar ones; `args` holds the arguments of each.

    Spare lanes repeat the first call.
    """
    wide = lanes(builder, builder.module.machine.lanes_f64)
    vectors = []
    for k in range(len(args[0])):
        vector = builder.splat(args[0][k], wide.width)
        for j, arg in enumerate(args[1:], start=1):
            vector = builder.insert_element(vector, arg[k], ir.Constant(I32, j))
        vectors.append(vector)
    result = wide.call(wide, name, vectors)
    return [builder.extract_element(result, ir.Constant(I32, j)) for j in range(len(args))]
