"""fingerprint: the structure of a graph as text, for keys of what is kept on disk.

Equal texts are equal graphs: node by node in topological order. It is `ir.text` without its reader, and without what
cannot be told from text or is large: arrays, loops and functions of the user's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symdiff.ir.dims import Dim
from symdiff.ir.graph import topological
from symdiff.ir.node import Node


def fingerprint(roots: Sequence[Node], inputs: Sequence[Node]) -> str | None:
    """Return the text of the graph under `roots` as a function of `inputs`; None if it holds what has no text.

    Cost: 2 us a node.
    """
    order = topological([*inputs, *roots])
    number = {node: k for k, node in enumerate(order)}
    lines = []
    for node in order:
        args = [number[a] for a in node.args]
        if node.params:
            params = [f"{name}={_text(value)}" for name, value in node.params.items()]
            if any(p.endswith("?") for p in params):
                return None
            lines.append(f"{node.op.name}{args}{params}")
        else:
            lines.append(f"{node.op.name}{args}")
    return "\n".join([*lines, str([number[x] for x in inputs]), str([number[f] for f in roots])])


def _text(value: Any) -> str:
    """The text of a parameter; it ends with "?" for one that has none."""
    if isinstance(value, float):
        return value.hex()
    if value is None or type(value) in (int, bool, str):
        return repr(value)
    if isinstance(value, Dim):
        return f"<{value}>"
    if isinstance(value, tuple):
        parts = [_text(v) for v in value]
        return "?" if any(p.endswith("?") for p in parts) else f"({', '.join(parts)})"
    return "?"
