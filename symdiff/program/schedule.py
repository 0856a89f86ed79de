"""schedule: turn a graph into a `Program`.

What one straight-line graph becomes is in `block`; how each structured primitive is lowered, in the `lower_` modules.
"""

from __future__ import annotations

from collections.abc import Sequence

from symdiff.ir.dims import size_names
from symdiff.ir.graph import made_order, topological
from symdiff.ir.node import Node
from symdiff.program.block import Block, Lowerings
from symdiff.program.ir import Program
from symdiff.program.lower_index import INDEX
from symdiff.program.lower_linalg import LINALG
from symdiff.program.lower_loops import LOOPS
from symdiff.program.lower_opaque import OPAQUE
from symdiff.program.lower_recurrence import RECURRENCE
from symdiff.program.lower_sorting import SORTING
from symdiff.program.pool import Pool
from symdiff.program.products import expand_products
from symdiff.program.requirements import requirements
from symdiff.program.views import whole

# Adding a structured primitive's lowering: a function in a `lower_` module and its table here.
LOWERINGS: Lowerings = {**INDEX, **LINALG, **LOOPS, **OPAQUE, **RECURRENCE, **SORTING}


def schedule(outputs: Sequence[Node], inputs: Sequence[Node]) -> Program:
    """Return the program that computes `outputs` from the symbols `inputs`.

    Raises CompileError for a primitive that programs do not have.
    """
    pool = Pool()
    names = {n.op.name for n in made_order(outputs)}
    roots = expand_products(outputs) if "matmul" in names else list(outputs)
    views = {x: whole(pool.new(x.shape, x.dtype, "input")) for x in inputs}
    data = _all_data(roots) if names & {"data", "while_loop"} else []
    views |= {n: whole(pool.new(n.shape, n.dtype, "input")) for n in data}
    results = [pool.new(r.shape, r.dtype, "output") for r in roots]
    block = Block(pool, views, LOWERINGS)
    statements = block.lower(list(zip(roots, [whole(b) for b in results], strict=True)))
    sizes: dict[str, None] = {}
    for b in pool.buffers:
        sizes |= dict.fromkeys(sorted(size_names(b.shape)))
    by_kind = {k: tuple(b for b in pool.buffers if b.kind == k) for k in ("input", "output", "temp")}
    return Program(
        by_kind["input"], tuple(n.params["array"].array for n in data), by_kind["output"], by_kind["temp"],
        tuple(statements), tuple(sizes), requirements(roots, inputs),
    )  # fmt: skip


def _all_data(roots: Sequence[Node]) -> list[Node]:
    """The literal arrays under `roots`, those in loop bodies too."""
    found: dict[Node, None] = {}
    stack = [list(roots)]
    while stack:
        for node in topological(stack.pop()):
            if node.op.name == "data":
                found[node] = None
            elif node.op.name == "while_loop":
                stack += [list(node.params["cond"].outputs), list(node.params["body"].outputs)]
    return list(found)
