"""The verifier accepts what the passes make and refuses graphs that are broken on purpose."""

from __future__ import annotations

import pytest

import symdiff as sd
from symdiff.ir.errors import VerifyError
from symdiff.ir.node import Node
from symdiff.ir.verify import verify
from symdiff.passes import expand, optimise


def _forged(like: Node, **changes: object) -> Node:
    """A node beside the interning table, with some fields changed."""
    node = object.__new__(Node)
    for name in ("op", "args", "params", "shape", "dtype", "source", "number"):
        setattr(node, name, changes.get(name, getattr(like, name)))
    return node


def test_optimised_gradients_and_loops_are_native() -> None:
    w, a = sd.vector("w", 3), sd.matrix("A", "n", 3)
    loss = sd.mean(sd.softplus(a @ w)) + sd.sum(sd.mod(w, 2.0))
    turns = sd.while_loop(lambda k, u: k < 4, lambda k, u: (k + 1, sd.sigmoid(u)), [0, w])
    verify(optimise([loss, sd.gradient(loss, w), turns[1]]), "native")


def test_a_primitive_that_was_not_expanded() -> None:
    f = sd.sigmoid(sd.symbols("x"))
    verify([f])
    with pytest.raises(VerifyError, match=r"sigmoid.*no native form"):
        verify([f], "native")
    verify(expand([f]), "native")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shape": (3,)}, r"has shape \(3,\)"),
        ({"dtype": "float32"}, "dtype float32"),
        ({"dtype": "complex64"}, "unknown dtype"),
        ({}, "not the interned node"),
    ],
)
def test_broken_nodes(changes: dict[str, object], words: str) -> None:
    x = sd.symbols("x")
    with pytest.raises(VerifyError, match=words):
        verify([_forged(sd.sin(x) * 3.5, **changes)])
