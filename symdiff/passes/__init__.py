"""The passes: each a verb, nodes in, nodes out. `PIPELINE` is the order in which a program is optimised."""

from __future__ import annotations

import os
from collections.abc import Sequence

from symdiff.ir.node import Node
from symdiff.ir.verify import verify
from symdiff.passes.expand import expand
from symdiff.passes.factorise import factorise
from symdiff.passes.hoist import hoist
from symdiff.passes.loops import Pass, in_loops
from symdiff.passes.reduce_strength import reduce_strength
from symdiff.passes.settle import settle
from symdiff.passes.share_exponentials import share_exponentials
from symdiff.passes.stabilise import stabilise
from symdiff.passes.tidy import tidy

_VERIFY = os.environ.get("SYMDIFF_VERIFY") == "1"
PIPELINE: tuple[Pass, ...] = (settle, stabilise, factorise, tidy, share_exponentials, expand, reduce_strength, hoist)


def optimise(roots: Sequence[Node], pipeline: Sequence[Pass] = PIPELINE) -> list[Node]:
    """Run the passes on `roots` and on the bodies of their loops."""

    def run(nodes: Sequence[Node]) -> list[Node]:
        out = list(nodes)
        for one in pipeline:
            out = one(out)
            if _VERIFY:
                verify(out)
        return out

    return in_loops(run, roots)


__all__ = [
    "PIPELINE", "expand", "factorise", "hoist", "optimise", "reduce_strength", "settle", "share_exponentials",
    "stabilise", "tidy",
]  # fmt: skip
