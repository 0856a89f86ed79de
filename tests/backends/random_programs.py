"""Random array programs over run-time sizes: every structured primitive, on views of views, with sharing.

Values stay near 1, so that one absolute tolerance means the same for every program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

import symdiff as sd
from symdiff.ir.node import Node
from symdiff.ops.control import while_loop
from symdiff.ops.leaves import iota

X, Y = sd.vector("x", "n"), sd.vector("y", "m")
A, B = sd.matrix("A", "n", "m"), sd.matrix("B", "m", 3)
C = sd.array("C", (2, "n", 3))
S = sd.symbols("s")
K = sd.array("K", ("n",), dtype="int64")
P = sd.array("P", ("m",), dtype="bool")
SYMBOLS = (X, Y, A, B, C, S, K, P)

# Around one and two vectors of eight lanes, and the smallest sizes.
SIZES = ((1, 1), (2, 5), (5, 2), (8, 9), (17, 7), (0, 3), (4, 0), (1, 16))

UNARY: tuple[Callable[[Any], Any], ...] = (
    sd.sin, sd.tanh, sd.erf, sd.absolute, lambda a: -a, lambda a: sd.exp(-a * a), lambda a: sd.sqrt(1 + a * a),
    lambda a: sd.log1p(a * a), lambda a: sd.tanh(a) ** 3, lambda a: 1 / (2 + a * a), lambda a: sd.relu(a) * 0.5,
    lambda a: sd.floor(a * 3) / 4, lambda a: sd.where(a > 0.1, a, 0.25),
)  # fmt: skip
BINARY: tuple[Callable[[Any, Any], Any], ...] = (
    lambda a, b: sd.tanh(a) + sd.tanh(b), lambda a, b: a - sd.sin(b), lambda a, b: sd.tanh(a) * b,
    lambda a, b: a / (1.5 + b * b), sd.maximum, sd.minimum, lambda a, b: sd.where(a > b, sd.sin(a), b),
    lambda a, b: sd.hypot(a, 1 + sd.tanh(b)) - 1, lambda a, b: sd.where((a < b) & (a > 0), b, a),
)  # fmt: skip
SLICES = (
    slice(1, None), slice(None, -1), slice(None, None, -1), slice(None, None, 2), slice(None, None, -3),
    slice(None, None, 7), slice(-1, None), slice(0, 1), slice(2, None, 2), slice(1, -1), slice(-1, 0, -1),
)  # fmt: skip
KINDS = (
    "unary", "binary", "binary", "reduce", "extreme", "product", "mean", "slice", "slice", "transpose", "flatten",
    "newaxis", "join", "stack", "matmul", "matmul", "take", "gather", "cast", "iota", "data", "loop", "gradient",
    "spread",
)  # fmt: skip


def is_real(a: Node) -> bool:
    return a.dtype == "float64"


def fits(a: Node, b: Node) -> bool:
    """Whether two shapes broadcast."""
    return all(p == q or 1 in (p, q) for p, q in zip(a.shape[::-1], b.shape[::-1], strict=False))


def _cut(a: Node, axis: int, key: Any) -> Node:
    return a[(slice(None),) * axis + (key,)]


def _bounded(a: Node) -> Node:
    """A value between -1 and 1, so that sums and products of it stay small."""
    return sd.tanh(a)


def _loop(a: Node, other: Node) -> Node:
    """A few turns over a state of two arrays that change places."""

    def body(i: Node, u: Node, v: Node) -> tuple[Node, Node, Node]:
        return i + 1, sd.sin(v) + sd.sum(_bounded(other)) * 0.01, _bounded(u)

    return while_loop(lambda i, u, v: i < 3, body, [0, a, a * 0.5])[2]


def step(draw: Any, pool: list[Node]) -> Node:
    """Build one more node on those of `pool`."""
    reals = [p for p in pool if is_real(p)]
    a = draw(st.sampled_from(reals))
    kind = draw(st.sampled_from(KINDS))
    if not a.ndim and kind not in ("unary", "stack", "loop", "cast", "spread"):
        kind = "binary"
    axis = draw(st.integers(0, a.ndim - 1)) if a.ndim else 0
    match kind:
        case "binary":
            return draw(st.sampled_from(BINARY))(a, draw(st.sampled_from([b for b in reals if fits(a, b)])))
        case "reduce" | "mean":
            axes = tuple(k for k in range(a.ndim) if draw(st.booleans())) or (axis,)
            return (sd.sum if kind == "reduce" else sd.mean)(_bounded(a), axis=axes)
        case "extreme":
            return draw(st.sampled_from([sd.max, sd.min]))(a, axis=axis)
        case "product":
            return sd.prod(_bounded(a), axis=axis)
        case "slice":
            return _cut(a, axis, draw(st.sampled_from(SLICES)))
        case "transpose":
            return sd.transpose(a, draw(st.permutations(range(a.ndim))))
        case "flatten":
            return sd.reshape(a, (-1,))
        case "newaxis":
            return _cut(a, axis, None)
        case "join":
            return sd.concatenate([a, sd.sin(a), _cut(a, axis, slice(None, None, -1)), a], axis=axis)
        case "stack":
            return sd.stack([a, a * 0.5, a], axis=axis)
        case "matmul":
            partners = [b for b in reals if b.ndim in (1, 2) and a.ndim and b.shape[0] == a.shape[-1]]
            return _bounded(a) @ _bounded(draw(st.sampled_from(partners))) if partners else a @ a.T
        case "take":
            index = np.array(draw(st.sampled_from([[0, -1, 0], [[0], [-1]], [0]])))
            return sd.take(a, index, axis=axis)
        case "gather":
            # Indices from data: below every extent but 0, and negative ones.
            return sd.take(a, K * 0 - 1, axis=axis)
        case "cast":
            whole = (a * 3).astype("int64")
            return sd.where(whole % 2 == 0, whole + 1, -whole) * 0.125
        case "iota":
            ramp = iota(n=a.shape[axis]).astype("float64")
            return a + sd.sin(sd.reshape(ramp, (-1,) + (1,) * (a.ndim - 1 - axis)))
        case "data":
            if isinstance(a.shape[-1], int):
                return a * np.linspace(-1.0, 1.0, a.shape[-1])
            return a + np.array([[0.25], [-0.5]])[:, :, None][0]
        case "loop":
            return _loop(a, draw(st.sampled_from(reals)))
        case "gradient":
            through = [x for x in (X, Y, A, B, C, S) if x in pool]
            return sd.gradient(sd.sum(_bounded(a) * 0.5), draw(st.sampled_from(through)))
        case "spread":
            return sd.broadcast_to(a, (2, *a.shape)) * 1.5 if draw(st.booleans()) else a * S
    return draw(st.sampled_from(UNARY))(a)


@st.composite
def programs(draw: Any) -> list[Node]:
    """Some expressions, among them perhaps inputs, views of inputs, and one expression twice."""
    pool: list[Node] = [*SYMBOLS, sd.where(P, Y, -Y), K * 0.25]
    for _ in range(draw(st.integers(1, 12))):
        try:
            pool.append(step(draw, pool))
        except (sd.ShapeError, sd.DerivativeError):  # slices of one entry, axes that do not fit, loops in reverse
            continue
    made = pool[-5:]
    roots = draw(st.lists(st.sampled_from(made), min_size=1, max_size=4))
    return [made[-1], *roots]


def values(n: int, m: int, seed: int) -> list[np.ndarray]:
    """Values for the symbols."""
    rng = np.random.default_rng(seed)
    real = [rng.uniform(-2, 2, s) for s in ((n,), (m,), (n, m), (m, 3), (2, n, 3), ())]
    return [*real, rng.integers(-5, 5, n), rng.random(m) > 0.5]
