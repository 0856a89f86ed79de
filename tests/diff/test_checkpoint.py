"""Checkpoints: the same bits with any memory, and no more turns than the binomial optimum."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest

import symdiff as sd
from symdiff.diff.checkpoint import split
from symdiff.ir.interpret import interpret
from symdiff.ir.node import const

x, a = sd.symbols("x a")
w = sd.vector("w", 3)
RNG = np.random.default_rng(3)
STATE = 3 * 8


@functools.cache
def fewest_turns(length: int, slots: int) -> int:
    """Turns run forwards to reverse `length` turns with `slots` states, the first included: by dynamic programming."""
    if length <= 1:
        return 0
    if slots == 1:
        return length * (length - 1) // 2
    return min(m + fewest_turns(length - m, slots - 1) + fewest_turns(m, slots) for m in range(1, length))


def turns_by_split(length: int, slots: int) -> int:
    if length <= 1:
        return 0
    if slots == 1:
        return length * (length - 1) // 2
    (m,) = interpret([split(const(length, "int64"), const(slots, "int64"))], {})
    return int(m) + turns_by_split(length - int(m), slots - 1) + turns_by_split(int(m), slots)


@pytest.mark.parametrize("slots", [2, 3, 5])
@pytest.mark.parametrize("length", [2, 3, 7, 13, 24])
def test_the_split_is_optimal(length: int, slots: int) -> None:
    assert turns_by_split(length, slots) == fewest_turns(length, slots)


def test_the_optimum_is_binomial() -> None:
    """beta(s, r) turns need r beta(s, r) - beta(s + 1, r - 1) turns more (Griewank & Walther 2008, eq. 12.10)."""
    for s, r in ((2, 3), (3, 2), (4, 2)):
        length = math.comb(s + r, s)
        assert fewest_turns(length, s) == r * length - math.comb(s + r, s + 1)


def loss(max_bytes: int | None, turns: int = 37) -> sd.Expr:
    def turn(c: sd.Expr, _: object) -> tuple[sd.Expr, None]:
        return sd.sin(c) * 1.1 + a * w, None

    return sd.sum(sd.scan(turn, w, length=turns, max_bytes=max_bytes)[0] ** 2)


@pytest.mark.parametrize("target", ["reference", "cpu"])
@pytest.mark.parametrize("slots", [2, 3, 6, 36, 40])
def test_any_memory_gives_the_same_bits(slots: int, target: str) -> None:
    point = (RNG.normal(size=3), 0.3)
    want = sd.compile(sd.gradient(loss(None), [w, a]), [w, a], target=target)(*point)
    got = sd.compile(sd.gradient(loss(slots * STATE), [w, a]), [w, a], target=target)(*point)
    np.testing.assert_array_equal(got[0], want[0])
    assert got[1] == want[1]


def test_the_same_bits_where_values_have_several_uses() -> None:
    """A product that is also an output in one loop and not in another must not be fused with a sum in the other."""

    def turn(c: sd.Expr, _: object) -> tuple[sd.Expr, sd.Expr]:
        new = 0.9 * sd.sin(c * a + w) + 0.1 * c
        return new, new * c * 0.7 + c

    def gradient(max_bytes: int | None) -> sd.Expr:
        last, every = sd.scan(turn, w, length=11, max_bytes=max_bytes)
        return sd.gradient(sd.sum(last * last) + sd.sum(sd.cos(every)), w)

    point = (RNG.normal(size=3), 0.3)
    want, got = (sd.compile(gradient(m), [w, a])(*point) for m in (None, 4 * STATE))
    np.testing.assert_array_equal(got, want)


def test_memory_is_bounded() -> None:
    """The buffers of a gradient over 10 000 turns, with room for 8 states and without a bound."""

    def buffers(max_bytes: int | None) -> int:
        fn = sd.compile(sd.gradient(loss(max_bytes, 10_000), w), [w, a])
        return sum(b.n_bytes for b in fn.program.temps)

    assert buffers(None) > 10_000 * STATE
    assert buffers(8 * STATE) < 60 * STATE + 2000


def turns_run(slots: int, length: int) -> int:
    """How often the body runs in a gradient: counted by the sines of the interpreter."""
    ran = 0

    def around(node: sd.Expr, args: list, evaluate):  # type: ignore[no-untyped-def, type-arg]  # the interpreter's hook
        nonlocal ran
        ran += node.op.name == "sin"
        return evaluate(args)

    interpret([sd.gradient(loss(slots * STATE, length), w)], {w: np.full(3, 0.3), a: np.array(0.2)}, around=around)
    return ran


def test_recomputation_is_what_theory_says() -> None:
    """37 turns with 5 states: no turn too many. The last state, which the loss reads, costs 37 turns before."""
    assert turns_run(5, 37) == 37 + fewest_turns(37, 5)


def test_a_state_that_does_not_fit() -> None:
    with pytest.raises(sd.DerivativeError, match=r"keeps at least two states of 24 bytes, and max_bytes=30"):
        sd.gradient(loss(30), w)


def test_states_of_run_time_size() -> None:
    v = sd.vector("v", "n")
    f = sd.sum(sd.scan(lambda c, _: (sd.sin(c), None), v, length=9, max_bytes=1000)[0])
    with pytest.raises(sd.DerivativeError, match="needs states of a known size, got 8\\*n bytes"):
        sd.gradient(f, v)
    turns = sd.while_loop(lambda c, k: k < 9, lambda c, k: [sd.sin(c), k + 1], [v, 0.0])[0]
    got = sd.compile(sd.gradient(sd.sum(turns), v), [v])(np.array([0.5, -1.0]))
    want = np.ones(2)
    c = np.array([0.5, -1.0])
    for _ in range(9):
        want, c = want * np.cos(c), np.sin(c)
    np.testing.assert_allclose(got, want, rtol=64 * np.finfo(float).eps)


def test_a_bound_for_the_whole_gradient() -> None:
    point = (RNG.normal(size=3), 0.3)
    free, bound = (sd.gradient(loss(None), w, max_bytes=m) for m in (None, 5 * STATE))
    assert free is not bound
    got = [sd.compile(g, [w, a])(*point) for g in (free, bound)]
    np.testing.assert_array_equal(*got)
