"""Through which nodes a derivative flows: not through the value of `custom`, nor through `stop_gradient`."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from symdiff.ir.node import Node

_number = attrgetter("number")


def carriers(roots: Iterable[Node], known: Iterable[Node]) -> list[Node]:
    """Return the nodes under `roots` that may carry a tangent, in the order in which they were made.

    As `made_order`, but the loop behind the solution of an equation is not differentiated, so it is not walked.
    """
    seen = set(known)
    found = [r for r in dict.fromkeys(roots) if r not in seen]
    seen.update(found)
    for node in found:  # grows while it is walked
        name = node.op.name
        args = node.args
        if name == "custom":
            args = args[1:]
        elif name == "stop_gradient":
            continue
        for arg in args:
            if arg not in seen:
                seen.add(arg)
                found.append(arg)
    found.sort(key=_number)
    return found
