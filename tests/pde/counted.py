"""How many iterations Krylov solvers take: the counters of their loops, as expressions."""

from __future__ import annotations

from typing import Any

import pytest

from symdiff.ir.node import Node
from symdiff.pde import krylov


def count_iterations(monkeypatch: pytest.MonkeyPatch) -> list[Node]:
    """Return a list to which every Krylov loop that is made from now on adds its number of turns."""
    counts: list[Node] = []
    original = krylov.while_loop

    def counting(*args: Any) -> list[Node]:
        state = original(*args)
        counts.append(state[0])
        return state

    monkeypatch.setattr(krylov, "while_loop", counting)
    return counts
