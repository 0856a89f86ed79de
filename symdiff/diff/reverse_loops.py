"""Reverse mode through loops: the gradient of a loop is a loop that runs its turns backwards.

A turn is pulled back once, symbolically; what its cotangents read of the state decides what must be remembered:

    once         nothing: the state before the only turn is the initial one
    turns known  every state is stored as a row of a stack, and read back by the reverse loop
    otherwise    checkpoints, see `checkpoint`: the turns are counted first

The size of the graph does not depend on the number of turns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symdiff.diff.checkpoint import checkpointed, slots_for
from symdiff.diff.turn import Pull, PulledTurn, pull_turn
from symdiff.ir.dims import Dim, Extent
from symdiff.ir.node import Node, as_node, const
from symdiff.ops import elementwise as el
from symdiff.ops.control import build_loop
from symdiff.ops.index import take
from symdiff.ops.rows import empty, set_row


def pull_loop(
    node: Node, bars: Mapping[int, Node], active: Sequence[bool], pull: Pull, max_bytes: int | None
) -> list[tuple[int, Node]]:
    """Return (position, cotangent) for the `active` arguments of a loop, for the cotangents of its final state."""
    turn = pull_turn(node, bars, active, pull)
    if not turn.lead:
        return [(k, bar) for k, bar in bars.items() if active[k]]
    turns = node.params.get("turns")
    limit = node.params.get("max_bytes", max_bytes)
    if turns == "once":
        final = _once(turn, bars)
    elif turns is not None and slots_for(turn, turns, limit) is None:
        final = _stored(turn, bars, turns)
    else:
        final = checkpointed(turn, turn.start(bars), turns, limit)
    ends = dict(zip(turn.lead, final, strict=False))
    # A value that the body passes on unchanged keeps its cotangent.
    kept = [(k, bar) for k, bar in bars.items() if active[k] and k not in ends]
    return [*kept, *((k, b) for k, b in ends.items() if active[k]), *zip(turn.outer, final[len(ends) :], strict=True)]


def _once(turn: PulledTurn, bars: Mapping[int, Node]) -> list[Node]:
    """The state before the only turn is the initial one; the turn is pulled back if it was taken."""
    node = turn.loop
    happens = node.params["cond"].call(node.args)[0]
    state = {k: node.args[k] for k in turn.needed}
    off = const(0, "bool")
    _, *final = build_loop(
        lambda go, *_: go, lambda _, *bars: [off, *turn.step_back(state, bars)], [happens, *turn.start(bars)],
        turns="once",
    )  # fmt: skip
    return final


def _stored(turn: PulledTurn, bars: Mapping[int, Node], turns: Extent) -> list[Node]:
    """Store every state that is needed in the forward loop, read it back in the reverse loop."""
    node = turn.loop
    cond, body = node.params["cond"], node.params["body"]
    n, outer = turn.n_state, list(node.args[turn.n_state :])
    known = {k: c for k in turn.needed if (c := _counter(turn, k)) is not None}
    rows = [k for k in turn.needed if k not in known]
    zero = const(0, "int64")

    def forward(*state: Node) -> list[Node]:
        j, stacks = state[n], state[n + 1 :]
        stored = [set_row(stack, state[k], j) for stack, k in zip(stacks, rows, strict=True)]
        return [*body.call([*state[:n], *outer]), j + 1, *stored]

    stacks: list[Node] = []
    if rows:
        room = [empty(shape=(turns, *node.args[k].shape), dtype=node.args[k].dtype) for k in rows]
        result = build_loop(
            lambda *state: cond.call([*state[:n], *outer])[0], forward, [*node.args[:n], zero, *room], turns=turns
        )
        stacks = result[n + 1 :]

    def backward(j: Node, *bars: Node) -> list[Node]:
        t = j - 1
        state = {k: take(stack, t, axis=0) for k, stack in zip(rows, stacks, strict=True)}
        state |= {k: first + t * step for k, (first, step) in known.items()}
        return [t, *turn.step_back(state, bars)]

    _, *final = build_loop(lambda j, *_: j > 0, backward, [_as_int(turns), *turn.start(bars)], turns=turns)
    return final


def _as_int(turns: Extent) -> Node:
    return as_node(turns) if isinstance(turns, Dim) else const(turns, "int64")


def _counter(turn: PulledTurn, k: int) -> tuple[Node, Node] | None:
    """Return (first, step) of a state value that grows by a literal: it needs no memory."""
    out, slot = turn.loop.params["body"].outputs[k], turn.slots[k]
    if out.dtype == "int64" and out.op is el.add:
        for a, b in (out.args, out.args[::-1]):
            if a is slot and b.op.name == "const":
                return turn.loop.args[k], b
    return None
