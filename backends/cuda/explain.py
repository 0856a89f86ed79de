"""explain: what kernels take of a GPU, and the least that a run takes: by the memory moved, or the arithmetic."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from backends.cuda.cards import Card, occupancy, operations
from backends.cuda.compile import Code
from backends.cuda.geometry import Geometry
from backends.cuda.steps import Joined
from symdiff.ir.dims import evaluate
from symdiff.program.estimate import Estimate, traffic
from symdiff.program.ir import ITEMSIZE, Call, Loop, Nest, Program, Statement, walk
from symdiff.program.native import NATIVE
from symdiff.program.touches import touches


def facts(code: Code, from_store: bool, geometry: Geometry, card: Card) -> dict[str, str]:
    """Return what is known of the kernels: registers, memory, and how full they keep a multiprocessor."""
    capability = "{}.{}".format(*code.capability)
    found = {
        "kernels": f"{len(code.kernels)} for compute capability {capability}, {len(code.cubin):,} bytes, "
        + ("from the kernel store" if from_store else "compiled now"),
    }
    for name, used in code.resources.items():
        share = occupancy(code.capability, geometry.threads, used.registers, used.shared)
        stack = f", {used.stack} bytes of stack" if used.stack else ""
        found[name] = (
            f"{used.registers} registers{stack}, {used.shared:,} bytes of shared memory, at most {share:.0%} of a "
            f"multiprocessor's threads in blocks of {geometry.threads}"
        )
    found["limits"] = f"of the {card.name}: {card.copy / 1e12:.2g} TB/s copied, {2 * card.rate(8) / 1e12:.3g} TFLOP/s"
    return found


def estimates(
    program: Program,
    launched: Sequence[Statement | Joined],
    joins: Iterable[Joined],
    sizes: Mapping[str, int],
    card: Card,
) -> tuple[Estimate | None, dict[int, Estimate]]:
    """Return the least that a run takes on a card, None where loops make turns, and its statements by identity.

    `launched` are the program's statements as they are launched, some of them as one of its `joins`.
    Every kernel reads what it needs from the device's memory and writes its results there; a call with arrays of the
    host copies them besides.
    """
    found = {id(s): _estimate(s, sizes, card) for s in walk(program.statements) if isinstance(s, (Nest, Call))}
    found |= {id(s): joined_estimate(s, sizes, card) for s in joins}
    if any(isinstance(s, Loop) for s in program.statements):
        return None, found
    all_of = [found[id(s)] for s in launched]
    total = Estimate(
        sum(e.memory for e in all_of), sum(e.arithmetic for e in all_of), sum(e.n_bytes for e in all_of), _place(card)
    )
    return total, found


def joined_estimate(joined: Joined, sizes: Mapping[str, int], card: Card) -> Estimate:
    """The least that statements take which are one kernel: an array that several read is read once."""
    found = [t for s in joined.parts for t in touches(s)]
    writes = {t.buffer for t in found if t.writes}
    moved = [*{t.buffer for t in found} - writes, *writes - set(joined.rows.local)]
    n_bytes = sum(evaluate(b.n_bytes, sizes) for b in moved)
    arithmetic = sum(_arithmetic(s, sizes, card) for s in joined.parts)
    return Estimate(n_bytes / card.copy, arithmetic, n_bytes, _place(card))


def _place(card: Card) -> str:
    return f"the {card.name}'s memory"


def _estimate(s: Statement, sizes: Mapping[str, int], card: Card) -> Estimate:
    n_bytes = sum(traffic(s, sizes))
    return Estimate(n_bytes / card.copy, _arithmetic(s, sizes, card), n_bytes, _place(card))


def _arithmetic(s: Statement, sizes: Mapping[str, int], card: Card) -> float:
    match s:
        case Nest():
            itemsize = max((ITEMSIZE[i.dtype] for i in s.body if i.dtype.startswith("float")), default=4)
            points = math.prod(evaluate(d, sizes) for d in s.space)
            return points * (operations(s.body, NATIVE) + len(s.reductions)) / card.rate(itemsize)
        case Call(name="gemm"):
            return math.prod(evaluate(d, sizes) for d in s.extents) / card.rate(ITEMSIZE[s.dtype])
    return 0.0
