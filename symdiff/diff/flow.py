"""Through which nodes a derivative flows: not through the value of `custom`, nor through `stop_gradient`."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from symdiff.ir.node import Node

_number = attrgetter("number")


def flowing(node: Node) -> tuple[Node, ...]:
    """The arguments through which a derivative flows to a node."""
    match node.op.name:
        case "custom":
            return node.args[1:]
        case "stop_gradient":
            return ()
    return node.args


def carriers(roots: Iterable[Node], known: Iterable[Node]) -> list[Node]:
    """Return the nodes under `roots` that may carry a tangent, in the order in which they were made.

    As `made_order`, but the loop behind the solution of an equation is not differentiated, so it is not walked.
    """
    seen = set(known)
    found = [r for r in dict.fromkeys(roots) if r not in seen]
    seen.update(found)
    for node in found:  # grows while it is walked
        for arg in flowing(node):
            if arg not in seen:
                seen.add(arg)
                found.append(arg)
    found.sort(key=_number)
    return found
