"""verify: check the invariants of a graph, stage by stage.

Runs after every pass in the tests, and wherever `SYMDIFF_VERIFY=1` is set.
"""

from __future__ import annotations

from collections.abc import Sequence

from symdiff.ir.errors import SymdiffError, VerifyError
from symdiff.ir.graph import topological
from symdiff.ir.node import DTYPES, PRIMITIVES, Node, brief, here, make
from symdiff.ir.primitive import Elementwise
from symdiff.ir.subgraph import Subgraph

STAGES = ("written", "native")


def verify(roots: Sequence[Node], stage: str = "written") -> None:
    """Check every node under `roots`, those in loop bodies too.

    At every stage: the primitive is registered, shape and dtype are what it infers, and the node is the interned one.
    At "native" also: every elementwise primitive has a native form. Raises: VerifyError naming the node and its line.
    """
    pending = [list(roots)]
    while pending:
        for node in topological(pending.pop()):
            problem = _problem(node, stage)
            if problem:
                raise VerifyError(f"{brief(node)} ({node.line}) {problem}.")
            pending += [list(sub.outputs) for sub in node.params.values() if isinstance(sub, Subgraph)]


def _problem(node: Node, stage: str) -> str | None:
    op = node.op
    if PRIMITIVES.get(op.name) is not op:
        return "has a primitive that is not registered"
    if node.dtype not in (*DTYPES, "tuple"):
        return f"has the unknown dtype {node.dtype}"
    try:
        shape, dtype = op.infer(node.args, node.params)
    except SymdiffError as error:
        return f"does not fit its arguments: {error}"
    if (shape, dtype) != (node.shape, node.dtype):
        return f"has shape {node.shape} and dtype {node.dtype} where {op.name} gives {shape} and {dtype}"
    if _interned(node) is not node:
        return "is not the interned node of its structure"
    if stage == "native" and isinstance(op, Elementwise) and op.native is None:
        return "has no native form after `expand`"
    return None


def _interned(node: Node) -> Node:
    """The node of this structure; looking at it leaves the user's line as it is."""
    saved, here.source = here.source, node.source
    try:
        return make(node.op, node.args, node.params)
    finally:
        here.source = saved
