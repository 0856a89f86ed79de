"""log_products: a sum of log1p(q) with 0 <= q <= 1 as the log1p of a product, which takes one logarithm for hundreds.

    log1p(p) + log1p(q) = log1p(p + q + p*q)

p + q + p*q has no cancellation for p, q >= 0, so the sum keeps its relative precision however small the terms are;
1 + p at most doubles with a term, so a thousand terms stay below overflow. Whoever sums takes the logarithm before.
Needs: a nest that sums in registers.  Keeps: value to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from symdiff.program.ir import Instr, Nest, Op, Reduce
from symdiff.program.merge import pruned

# Terms that one product may have: a float64 holds 2**1023.
MOST_TERMS = 900


def with_log_products(nest: Nest) -> Nest:
    """Return the nest with every such part of a float64 sum as a reduction "log1p" of its own."""
    reductions: list[Reduce] = []
    for r in nest.reductions:
        rest, argument = _split(nest.body, r)
        reductions += [] if rest is None else [replace(r, value=rest)]
        reductions += [] if argument is None else [replace(r, op="log1p", value=argument)]
    return pruned(replace(nest, reductions=tuple(reductions)))


def _split(body: Sequence[Instr], r: Reduce) -> tuple[int | None, int | None]:
    """Return (rest, argument) of a summand rest + log1p(argument); None for what is not there."""
    top = body[r.value]
    if r.op != "sum" or r.dtype != "float64" or not isinstance(top, Op):
        return r.value, None
    argument = _argument(body, r.value)
    if argument is not None:
        return None, argument
    if top.name == "add":
        for log, rest in (top.args, top.args[::-1]):
            argument = _argument(body, log)
            if argument is not None:
                return rest, argument
    return r.value, None


def _argument(body: Sequence[Instr], k: int) -> int | None:
    """The argument of a log1p at `k`, if it is an exp(-|x|)."""
    names: list[str] = []
    place = k
    while len(names) < 4:
        instr = body[place]
        if not isinstance(instr, Op):
            return None
        names.append(instr.name)
        place = instr.args[0]
    first = body[k]
    assert isinstance(first, Op)
    return first.args[0] if names == ["log1p", "exp", "neg", "abs"] else None
