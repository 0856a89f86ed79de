"""Checkpoints: run the turns of a loop backwards with memory for a few states only.

States are stored at some turns; the others are computed again from the nearest one before. Where to store them is
binomial and optimal: with s states in memory, beta(s, r) = (s + r)! / (s! r!) turns can be reversed while none is
computed more than r times before its own reversal (Griewank & Walther 2000, ACM TOMS 26, 19-45, algorithm 799).

    while end > 0:                                   # the turns end-1, …, 0 are still to be pulled back
        turn, state = the last checkpoint
        while turn < end - 1:                        # go there, leaving checkpoints on the way
            next = turn + split(end - turn, free)
            run the turns turn … next - 1;  store the state if there is room
        pull turn end - 1 back;  end -= 1;  drop the last checkpoint if nothing after it is left

All of it is loops over nodes, so it has derivatives itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symdiff.diff.loops import needed_slots
from symdiff.diff.turn import PulledTurn, state_bytes
from symdiff.ir.dims import Extent, multiply
from symdiff.ir.errors import DerivativeError
from symdiff.ir.graph import substitute
from symdiff.ir.node import Node, as_node, const
from symdiff.ir.primitive import cast
from symdiff.ops import elementwise as el
from symdiff.ops.control import build_loop
from symdiff.ops.index import take
from symdiff.ops.rows import empty, set_row

# Memory for checkpoints of a loop whose number of turns nobody knows beforehand, and the most states worth keeping:
# a million turns are then computed twice at most.
DEFAULT_BYTES = 64 * 2**20
MOST_SLOTS = 1500
# For states of a size that is known only at run time.
DEFAULT_SLOTS = 64


def slots_for(turn: PulledTurn, turns: Extent | None, max_bytes: int | None) -> int | None:
    """Return how many states are kept, None if all of a known number of turns are.

    Raises: DerivativeError if two states do not fit into `max_bytes`, or if their size is not known.
    """
    if turns is not None and max_bytes is None:
        return None
    each = state_bytes(turn, _carried(turn))
    if turns is not None:
        total = multiply(state_bytes(turn, turn.needed), turns)
        if isinstance(total, int) and max_bytes is not None and total <= max_bytes:
            return None
    if not isinstance(each, int):
        if max_bytes is None:
            return DEFAULT_SLOTS
        raise DerivativeError(
            f"max_bytes={max_bytes} for the loop at {turn.loop.line} needs states of a known size, got {each} bytes; "
            "declare the sizes of its arrays as ints, or leave out max_bytes."
        )
    room = (DEFAULT_BYTES if max_bytes is None else max_bytes) // max(each, 1)
    if max_bytes is not None and room < 2:
        raise DerivativeError(
            f"The gradient of the loop at {turn.loop.line} keeps at least two states of {each} bytes, "
            f"and max_bytes={max_bytes} has no room for them."
        )
    return max(2, min(room, MOST_SLOTS))


def _carried(turn: PulledTurn) -> list[int]:
    """The changing values of the state that a turn, or its pull-back, reads: a checkpoint."""
    body = turn.loop.params["body"]
    return [k for k in sorted(needed_slots(body, turn.needed)) if body.outputs[k] is not turn.slots[k]]


def checkpointed(turn: PulledTurn, bars: Sequence[Node], turns: Extent | None, max_bytes: int | None) -> list[Node]:
    """Return the cotangents before the first turn for the `bars` after the last one.

    The turns are counted first if nobody knows their number. Cost: with s states in memory, n <= beta(s, r) turns
    are run at most r times more.
    """
    carried = _carried(turn)
    slots = slots_for(turn, turns, max_bytes) or DEFAULT_SLOTS
    start = [turn.loop.args[k] for k in carried]
    # One row more than slots: where there is no room, the state goes to the last row, which nobody reads.
    room = [empty(shape=(slots + 1, *a.shape), dtype=a.dtype) for a in start]
    zero = const(0, "int64")
    places = set_row(empty(shape=(slots + 1,), dtype="int64"), zero, zero)
    stacks = [set_row(r, a, zero) for r, a in zip(room, start, strict=True)]
    n = len(carried)

    def reverse(end: Node, top: Node, places: Node, *rest: Node) -> list[Node]:
        stacks, bars = rest[:n], rest[n:]
        here = [take(places, top, axis=0), *(take(s, top, axis=0) for s in stacks)]

        def approach(at: Node, top: Node, places: Node, *rest: Node) -> list[Node]:
            stacks, state = rest[:n], rest[n:]
            free = (slots - 1) - top
            has_room = free > 0
            stop = el.where(has_room, at + split(end - at, el.maximum(free + 1, 2)), end - 1)
            after = _run(turn, carried, at, stop, state)
            row = el.where(has_room, top + 1, const(slots, "int64"))
            stored = [set_row(s, v, row) for s, v in zip(stacks, after, strict=True)]
            return [stop, el.where(has_room, top + 1, top), set_row(places, stop, row), *stored, *after]

        _, top, places, *found = build_loop(
            lambda at, *_: at < end - 1, approach, [here[0], top, places, *stacks, *here[1:]]
        )
        state = found[n:]
        before = turn.step_back(dict(zip(carried, state, strict=True)), bars)
        last = end - 1
        done = (take(places, top, axis=0) >= last) & (top > 0)
        return [last, el.where(done, top - 1, top), places, *found[:n], *before]

    count = _count(turn.loop) if turns is None else cast(as_node(turns), "int64")
    final = build_loop(lambda end, *_: end > 0, reverse, [count, zero, places, *stacks, *bars])
    return final[3 + n :]


def _run(turn: PulledTurn, carried: Sequence[int], at: Node, stop: Node, state: Sequence[Node]) -> list[Node]:
    """Return the carried values after the turns at … stop - 1."""
    body = turn.loop.params["body"]

    def once_more(at: Node, *state: Node) -> list[Any]:
        values = {**turn.invariants, **{turn.slots[k]: v for k, v in zip(carried, state, strict=True)}}
        return [at + 1, *substitute([body.outputs[k] for k in carried], values)]

    return build_loop(lambda at, *_: at < stop, once_more, [at, *state])[1:]


def _count(loop: Node) -> Node:
    """Return the number of turns of a loop, by running it."""
    cond, body = loop.params["cond"], loop.params["body"]
    n = len(body.outputs)
    outer = list(loop.args[n:])
    result = build_loop(
        lambda *state: cond.call([*state[:n], *outer])[0],
        lambda *state: [*body.call([*state[:n], *outer]), state[n] + 1],
        [*loop.args[:n], const(0, "int64")],
    )
    return result[n]


def split(length: Node, slots: Node) -> Node:
    """Return after how many of `length` turns the next checkpoint stands, with `slots` states including the first.

    With r the least number such that length <= beta(slots, r), every m with
    beta(s, r-2) <= m <= beta(s, r-1) and beta(s-1, r-1) <= length - m <= beta(s-1, r) is optimal (Griewank &
    Walther 2008, proposition 12.3); this is the smallest. Numbers are float64: exact below 2^53.
    """
    wanted, s = cast(length, "float64"), cast(slots, "float64")
    unit = const(1.0)

    def longer(r: Node, beta: Node, before: Node, _: Node) -> list[Node]:
        # beta(s, r + 1) = beta(s, r) (s + r + 1) / (r + 1)
        return [r + 1, beta * (s + r + 1) / (r + 1), beta, before]

    # (r, beta(s, r), beta(s, r-1), beta(s, r-2)), beginning with r = 0.
    r, beta, _, second = build_loop(
        lambda r, beta, *_: beta < wanted, longer, [const(0.0), unit, const(0.0), const(0.0)]
    )
    fewer = beta * s / (s + r)  # beta(s-1, r)
    m = el.maximum(el.maximum(second, wanted - fewer), unit)
    return cast(el.minimum(m, wanted - unit), "int64")
