"""Random expressions for the property tests: scalar graphs with sharing, and array programs.

Every function is called where it is smooth in mathematics (except the kinks of max, min, abs and where, which
random points miss) and keeps values near 1, so that tolerances mean something.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

import symdiff as sd
from symdiff.ir.node import Node

UNARY: tuple[Callable[[Any], Any], ...] = (
    sd.sin, sd.cos, sd.tanh, sd.arctan, sd.sigmoid, sd.softplus, sd.erf, sd.arcsinh, sd.relu, sd.absolute,
    lambda a: sd.exp(-a * a), lambda a: sd.sqrt(1 + a * a), lambda a: sd.log1p(a * a), lambda a: sd.expm1(sd.tanh(a)),
    lambda a: sd.log(2 + sd.sin(a)), lambda a: sd.arcsin(0.9 * sd.tanh(a)),
    lambda a: (1.5 + sd.cos(a)) ** -1.5, lambda a: sd.cbrt(a * a + 0.5), lambda a: -a, lambda a: 1 / (2 + a * a),
    lambda a: sd.arccosh(1.5 + a * a), lambda a: sd.arctanh(0.8 * sd.sin(a)),
)  # fmt: skip
BINARY: tuple[Callable[[Any, Any], Any], ...] = (
    lambda a, b: a + b, lambda a, b: a - b, lambda a, b: sd.tanh(a) * b, lambda a, b: a / (1.5 + b * b),
    sd.maximum, sd.minimum, sd.logaddexp, lambda a, b: sd.hypot(a, 1 + b * b), lambda a, b: sd.arctan2(a, 1 + b * b),
    lambda a, b: (1 + a * a) ** sd.tanh(b), lambda a, b: sd.where(a > b, sd.sin(a), b),
    lambda a, b: sd.where(a > 0.3, sd.log(sd.where(a > 0.3, a, 1.0)), b), lambda a, b: 0.5 * a * a + sd.tanh(b),
    lambda a, b: sd.mod(sd.tanh(a), 2 + sd.tanh(b)),
)  # fmt: skip

# The gamma family is in test_primitives.py: mpmath takes milliseconds for one value of 200 digits.

# Offsets keep the symbols apart: a tie of max and min has no derivative, and is tested on its own.
OFFSETS = (0.00017, 0.00031, 0.00053)
NUMBERS = st.floats(-2.0, 2.0, allow_subnormal=False)


@st.composite
def scalar_programs(draw: Any) -> tuple[Node, dict[Node, float]]:
    """A scalar expression of three symbols with shared parts, and a point."""
    names = [sd.symbols(n) for n in "xyz"]
    pool: list[Any] = list(names)
    for _ in range(draw(st.integers(1, 10))):
        a, b = (pool[draw(st.integers(0, len(pool) - 1))] for _ in range(2))
        if draw(st.booleans()):
            pool.append(draw(st.sampled_from(UNARY))(a))
        else:
            pool.append(draw(st.sampled_from(BINARY))(a, b))
    # Everything that was made counts, so nothing is dead.
    f = sum(sd.tanh(p) * (0.7 + 0.1 * k) for k, p in enumerate(pool[3:]))
    return f, {x: round(draw(NUMBERS), 3) + offset for x, offset in zip(names, OFFSETS, strict=True)}


ARRAYS: dict[str, tuple[int, ...]] = {"A": (3, 4), "v": (4,), "u": (3, 1), "s": (), "B": (4, 2)}
INDEX = np.array([2, 0, -1, 2, 1])


def _broadcasts(a: Node, b: Node) -> bool:
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        return False
    return True


KINDS = (
    "unary", "binary", "reduce", "extreme", "product", "slice", "flip", "transpose", "reshape", "take", "join",
    "matmul",
)  # fmt: skip


def _array_step(draw: Any, pool: list[Node]) -> Node:
    a = pool[draw(st.integers(0, len(pool) - 1))]
    axes = list(range(a.ndim))
    kind = draw(st.sampled_from(KINDS))
    axis = draw(st.sampled_from(axes)) if axes else None
    partners = [b for b in pool if _broadcasts(a, b)]
    if kind == "binary" or axis is None:
        return draw(st.sampled_from(BINARY))(a, draw(st.sampled_from(partners)))
    match kind:
        case "reduce":
            return sd.tanh(sd.sum(a, axis=draw(st.sampled_from([axis, None])))) + sd.mean(a)
        case "extreme":
            return draw(st.sampled_from([sd.max, sd.min]))(a, axis=axis)
        case "product":
            return sd.prod(sd.tanh(a), axis=axis)
        case "slice":
            return a[(slice(None),) * axis + (slice(None, -1, 2) if a.shape[axis] > 1 else slice(None),)]
        case "flip":
            return a[(slice(None),) * axis + (slice(None, None, -1),)] * 1.25
        case "transpose":
            return a.T * 0.75
        case "reshape":
            return sd.reshape(a, (-1,)) * 0.5
        case "take":
            return sd.take(a, INDEX % a.shape[axis], axis=axis)
        case "join":
            return sd.concatenate([a, sd.sin(a)], axis=axis)
        case "matmul":
            fits = [b for b in pool if b.ndim in (1, 2) and b.shape[0] == a.shape[-1]]
            return sd.tanh(a @ draw(st.sampled_from(fits))) if fits else sd.sin(a)
    return draw(st.sampled_from(UNARY))(a)


@st.composite
def array_programs(draw: Any) -> tuple[Node, dict[Node, np.ndarray]]:
    """An array expression of a few symbols, with broadcasting, views, reductions and products, and a point."""
    symbols = [sd.array(n, s) if s else sd.symbols(n) for n, s in ARRAYS.items()]
    pool: list[Node] = list(symbols)
    for _ in range(draw(st.integers(1, 6))):
        pool.append(_array_step(draw, pool))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    values = {x: rng.uniform(-2.0, 2.0, x.shape) for x in symbols}
    return pool[-1], values
