"""Loops that continue their arrays in every turn carry the continued arrays: the same bits, nothing copied."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.ir.graph import made_order
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node
from symdiff.passes.carry import carry

u, w = sd.matrix("u", "n", "m"), sd.matrix("w", "n", "m")
a = sd.symbols("a")


def around(x: Any, kind: str, other: Any) -> Any:
    """Continue an array by one entry along both axes."""
    for axis in (0, 1):
        first, last = ((slice(None),) * axis + (s,) for s in (slice(0, 1), slice(x.shape[axis] - 1, x.shape[axis])))
        if kind == "round":
            ends = [x[last], x[first]]
        elif kind == "given":
            shape = tuple(1 if k == axis else d for k, d in enumerate(x.shape))
            ends = [sd.full(shape, 0.5), sd.broadcast_to(a, shape)]
        else:
            ends = [x[first] + other, a * x[last]]
        x = sd.concatenate([ends[0], x, ends[1]], axis=axis)
    return x


def loop(kind: str, second: bool) -> Node:
    """Five turns of a stencil on one array, or on two that read each other; `kind` "moving" depends on the turn."""
    n, m = u.shape

    def step(x: Any, kind: str, t: Any) -> Any:
        p = around(x, kind, t)
        return 0.2 * (p[:n, 1 : m + 1] + p[2:, 1 : m + 1] + p[1 : n + 1, :m] - p[1 : n + 1, 2:]) + a * x

    def turn(t: Any, x: Any, y: Any) -> Any:
        other = t if kind == "moving" else 0.25
        new = step(x, kind, other)
        return [t + 1, new + y if second else new, step(y, "round", 0.0) * x if second else y]

    _, x, y = sd.while_loop(lambda t, x, y: t < 5, turn, [0.0, u, w])
    return sd.sum(x * w) + sd.sum(y) + x[0, 0]


@pytest.mark.parametrize("kind", ["round", "given", "mirrored", "moving"])
@pytest.mark.parametrize("second", [False, True])
def test_values(kind: str, second: bool) -> None:
    root = loop(kind, second)
    (found,) = carry([root])
    values: dict[Node, Any] = {a: 0.7}
    for k, x in enumerate((u, w)):
        values[x] = np.random.default_rng(k + 3).normal(size=(3, 4))
    before, after = interpret([root, found], values)
    assert float(before) == float(after)
    # What one turn puts around an array may depend on no other value of the state.
    assert (found is root) == (kind == "moving" and not second)
    if kind != "moving":
        bodies = [n.params["body"] for n in made_order([found]) if n.op.name == "while_loop"]
        wide = [shape for shape, _ in bodies[0].inputs if shape == (u.shape[0] + 2, u.shape[1] + 2)]
        assert len(wide) == 1 + second


@pytest.mark.slow
def test_compiled() -> None:
    """Compiled code against the interpreter, its derivatives too."""
    root = loop("round", True)
    both = [root, sd.gradient(root, u)]
    rng = np.random.default_rng(9)
    args = [rng.normal(size=(5, 6)), rng.normal(size=(5, 6)), 0.4]
    for x, y in zip(
        sd.compile(both, [u, w, a])(*args), sd.compile(both, [u, w, a], target="reference")(*args), strict=True
    ):
        # Some fifty roundings of numbers of the size of 10.
        np.testing.assert_allclose(x, y, rtol=0, atol=50 * 10 * np.finfo(float).eps * 10)
