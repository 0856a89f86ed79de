"""Random expressions for the property tests: scalar graphs with sharing, array programs, and loops of them.

Every function is called where it is smooth in mathematics (except the kinks of max, min, abs and where, which
random points miss) and keeps values near 1, so that tolerances mean something.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from hypothesis import strategies as st

import symdiff as sd
from symdiff.ir.node import Node
from symdiff.ops.index import scatter_add

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
Draw = Callable[[Any], Any]


def _broadcasts(a: Node, shape: tuple[Any, ...]) -> bool:
    try:
        np.broadcast_shapes(a.shape, shape)
    except ValueError:
        return False
    return True


def _shape(a: Node) -> tuple[int, ...]:
    """The shape of an array whose sizes are all known."""
    return cast(tuple[int, ...], a.shape)


def _small(pool: list[Node]) -> list[Node]:
    """Larger arrays cost seconds of 200 digits."""
    return [p for p in pool if math.prod(_shape(p)) <= 24]


def _cut(axis: int, key: Any) -> tuple[Any, ...]:
    return (slice(None),) * axis + (key,)


# --- steps of array programs: (draw, array, one of its axes, all arrays so far) -> array -------------------------


def _reduce(draw: Draw, a: Node, axis: int, pool: list[Node]) -> Node:
    axes = draw(st.sampled_from([axis, None, (axis,), tuple(range(a.ndim))]))
    return sd.tanh(sd.sum(a, axis=axes, keepdims=draw(st.booleans()))) + sd.mean(a)


def _extreme(draw: Draw, a: Node, axis: int, pool: list[Node]) -> Node:
    return draw(st.sampled_from([sd.max, sd.min]))(a, axis=axis)


def _normalise(draw: Draw, a: Node, axis: int, pool: list[Node]) -> Node:
    ways = (sd.logsumexp, sd.softmax, lambda a, axis: sd.sqrt(1 + sd.sum(a * a, axis=axis)))
    return draw(st.sampled_from(ways))(a, axis=axis)


def _product(draw: Draw, a: Node, axis: int, pool: list[Node]) -> Node:
    return sd.prod(sd.tanh(a), axis=axis)


def _accumulate(draw: Draw, a: Node, axis: int, pool: list[Node]) -> Node:
    return draw(st.sampled_from([sd.cumsum, lambda a, axis: sd.cumprod(1.2 * sd.cos(a), axis=axis)]))(a, axis=axis)


def _sort(draw: Draw, a: Node, axis: int, pool: list[Node]) -> Node:
    return sd.sort(a, axis=axis)


def _slice(draw: Draw, a: Node, axis: int, pool: list[Node]) -> Node:
    n = _shape(a)[axis]
    keys = [slice(None, -1, 2) if n > 1 else slice(None), slice(None, None, -1), slice(n // 2, None), n - 1, None]
    return a[_cut(axis, draw(st.sampled_from(keys)))] * 1.25


def _transpose(draw: Draw, a: Node, axis: int, pool: list[Node]) -> Node:
    return draw(st.sampled_from([a.T, sd.moveaxis(a, axis, 0)])) * 0.75


def _reshape(draw: Draw, a: Node, axis: int, pool: list[Node]) -> Node:
    shapes = [(-1,), (*a.shape, 1), a.shape[::-1]]
    return sd.reshape(a, draw(st.sampled_from(shapes))) * 0.5


def _take(draw: Draw, a: Node, axis: int, pool: list[Node]) -> Node:
    index = INDEX % a.shape[axis]
    return sd.take(a, draw(st.sampled_from([index, index[:4].reshape(2, 2), index - a.shape[axis]])), axis=axis)


def _pick(draw: Draw, a: Node, axis: int, pool: list[Node]) -> Node:
    return a[tuple(INDEX % n for n in a.shape)] + a[_cut(axis, 0)].sum()


def _scatter(draw: Draw, a: Node, axis: int, pool: list[Node]) -> Node:
    n = _shape(a)[axis]
    place = np.resize(INDEX, n) % (n + 1)
    return scatter_add(a, place, axis=axis, extent=n + 1)


def _join(draw: Draw, a: Node, axis: int, pool: list[Node]) -> Node:
    join = draw(st.sampled_from([sd.concatenate, sd.stack]))
    return join([a, sd.sin(a), 0.5 * a], axis=axis)


def _pad(draw: Draw, a: Node, axis: int, pool: list[Node]) -> Node:
    widths = [(1, 2) if k == axis else (0, 0) for k in range(a.ndim)]
    return draw(st.sampled_from([sd.pad(a, widths), sd.roll(a, 2, axis=axis)]))


def _choose(draw: Draw, a: Node, axis: int, pool: list[Node]) -> Node:
    """Entries whose formula depends on data; the one not taken is infinite or not a number."""
    return sd.where(a > 0.2, sd.log(a) + sd.sqrt(a), sd.where(a < -0.2, 1 / a, 3 * a))


def _matmul(draw: Draw, a: Node, axis: int, pool: list[Node]) -> Node:
    fits = [b for b in pool if b.ndim in (1, 2) and b.shape[0] == a.shape[-1]]
    return sd.tanh(a @ draw(st.sampled_from(fits))) if fits else sd.sin(a)


def _einsum(draw: Draw, a: Node, axis: int, pool: list[Node]) -> Node:
    ways = {1: ["i,i->i", "i,j->ji"], 2: ["ij,kj->ik", "ij,ij->j", "ij,kl->jk"]}.get(a.ndim)
    return sd.tanh(sd.einsum(draw(st.sampled_from(ways)), a, sd.cos(a))) if ways else sd.cos(a)


STEPS = (
    _reduce, _extreme, _normalise, _product, _accumulate, _sort, _slice, _transpose, _reshape, _take, _pick, _scatter,
    _join, _pad, _choose, _matmul, _einsum,
)  # fmt: skip


def _array_step(draw: Draw, pool: list[Node]) -> Node:
    a = draw(st.sampled_from(_small(pool)))
    kind = draw(st.sampled_from(["unary", "binary", *STEPS, *STEPS]))
    if kind == "binary" or a.ndim == 0:
        partners = [b for b in pool if _broadcasts(b, a.shape)]
        return draw(st.sampled_from(BINARY))(a, draw(st.sampled_from(partners)))
    if kind == "unary":
        return draw(st.sampled_from(UNARY))(a)
    return kind(draw, a, draw(st.integers(0, a.ndim - 1)), pool)


# --- loops: (draw, array, all arrays so far, depth) -> array. A body is called more than once: it draws nothing. ---


def _formula(draw: Draw, pool: list[Node], shape: tuple[Any, ...], depth: int) -> Callable[[Node, Node], Node]:
    """A function of two arrays of one shape, that also reads an array from outside and may hold another loop."""
    unary, binary, outside = (draw(st.sampled_from(kind)) for kind in (UNARY, BINARY, BINARY))
    fits = [p for p in pool if _broadcasts(p, shape) and np.broadcast_shapes(p.shape, shape) == shape]
    other = draw(st.sampled_from(fits))
    inner = _loop(draw, pool, shape, depth + 1) if depth < 1 and draw(st.booleans()) else None

    def formula(a: Node, b: Node) -> Node:
        mixed = sd.tanh(binary(a, unary(b)))
        return sd.sin(outside(inner(mixed) if inner else mixed, other)) * 0.9 + 0.1 * a

    return formula


def _loop(draw: Draw, pool: list[Node], shape: tuple[Any, ...], depth: int) -> Callable[[Node], Node]:
    """A function from an array to one of the same shape, by a loop or a branch."""
    kind = draw(st.sampled_from(["counted", "until", "cond"]))
    one = _formula(draw, pool, shape, depth)
    if kind == "cond":
        other = _formula(draw, pool, shape, depth)
        return lambda a: sd.cond(sd.sum(a) > 0.3, lambda x: one(x, 2 * x), lambda x: other(x, x), a)
    turns = draw(st.integers(0, 3))
    if kind == "counted":
        return lambda a: sd.while_loop(lambda _, k: k < turns, lambda x, k: [one(x, x + 0.1 * k), k + 1], [a, 0.0])[0]
    # How many turns are made depends on the values.
    return lambda a: sd.while_loop(
        lambda x, k: (sd.sum(x * x) > 0.4) & (k < turns + 1), lambda x, k: [one(x, x) * 0.7, k + 1], [a, 0.0]
    )[0]


def _scan(draw: Draw, a: Node, pool: list[Node]) -> Callable[..., Node]:
    """A function of scan's options: the last value and one value for each row of an array, together."""
    row = a.shape[1:]
    carry, out = _formula(draw, pool, row, 0), _formula(draw, pool, row, 0)
    start = draw(st.sampled_from([p for p in pool if p.shape == row] or [sd.cos(a[0])]))

    def turn(c: Node, x: Node) -> tuple[Node, Node]:
        new = carry(c, x)
        return new, out(new, c)

    def scanned(**options: Any) -> Node:
        last, every = sd.scan(turn, start, a, **options)
        return sd.concatenate([every, last[None]])

    return scanned


# --- the programs -------------------------------------------------------------------------------------------------


def _inputs() -> list[Node]:
    return [sd.array(n, s) if s else sd.symbols(n) for n, s in ARRAYS.items()]


def _point(draw: Draw, symbols: list[Node]) -> dict[Node, np.ndarray]:
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    return {x: rng.uniform(-2.0, 2.0, x.shape) for x in symbols}


@st.composite
def array_programs(draw: Any) -> tuple[Node, dict[Node, np.ndarray]]:
    """An array expression of a few symbols, with broadcasting, views, reductions and products, and a point."""
    symbols = _inputs()
    pool = list(symbols)
    for _ in range(draw(st.integers(1, 6))):
        pool.append(_array_step(draw, pool))
    return pool[-1], _point(draw, symbols)


@st.composite
def loop_programs(draw: Any) -> tuple[Node, dict[Node, np.ndarray]]:
    """An array expression with loops and branches, nested too, and a point."""
    symbols = _inputs()
    pool = list(symbols)
    for _ in range(draw(st.integers(0, 1))):
        pool.append(_array_step(draw, pool))
    for _ in range(draw(st.integers(1, 2))):
        a = draw(st.sampled_from(_small(pool)))
        if a.ndim and draw(st.booleans()):
            pool.append(_scan(draw, a, pool)(reverse=draw(st.booleans())))
        else:
            pool.append(_loop(draw, pool, a.shape, 0)(a))
    return pool[-1], _point(draw, symbols)


@st.composite
def scans(draw: Any) -> tuple[Callable[..., Node], dict[Node, np.ndarray]]:
    """A function of scan's options that returns an array expression of eleven turns, and a point."""
    symbols = _inputs()
    rows = sd.concatenate([symbols[0], sd.cos(symbols[0]), sd.tanh(symbols[0]), symbols[0][:2]])
    return _scan(draw, rows, symbols), _point(draw, symbols)
