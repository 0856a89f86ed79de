"""One turn of a loop, pulled back once and symbolically: what all ways to run a loop backwards share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from symdiff.diff.gather import gathered
from symdiff.diff.loops import needed_slots, reads, varied_slots
from symdiff.ir.dims import Extent, multiply, product
from symdiff.ir.graph import made_order, substitute
from symdiff.ir.node import PRIMITIVES, Node, make
from symdiff.ops import elementwise as el
from symdiff.ops.index import broadcast_to, embed, scatter_add, slice_, take, zeros_like

Pull = Callable[[Sequence[Node], Sequence[Node], Sequence[Node]], list[Node | None]]
_BYTES = {"float64": 8, "float32": 4, "int64": 8, "bool": 1}


@dataclass(frozen=True, slots=True)
class PulledTurn:
    """One turn of a loop, pulled back: the cotangents as nodes over the loop's inputs and `marks`.

    `lead` are the state values that have cotangents, `marks` the symbols that stand for these after the turn,
    `before` the cotangents before it; `outer` are the positions of the arguments that the body only reads, and
    `added` what the turn adds to their cotangents. `needed` are the state values that all of this reads.
    """

    loop: Node
    lead: list[int]
    marks: list[Node]
    before: list[Node]
    outer: list[int]
    added: list[Node]
    needed: list[int]

    @property
    def slots(self) -> list[Node]:
        """The inputs of the body."""
        found: list[Node] = self.loop.params["body"].input_nodes()
        return found

    @property
    def n_state(self) -> int:
        """The number of values in the state."""
        return len(self.loop.params["body"].outputs)

    @property
    def invariants(self) -> dict[Node, Node]:
        """What each input is that no turn changes."""
        body = self.loop.params["body"]
        return {
            s: a
            for k, (s, a) in enumerate(zip(self.slots, self.loop.args, strict=True))
            if k >= len(body.outputs) or body.outputs[k] is s
        }

    def step_back(self, state: Mapping[int, Node], bars: Sequence[Node]) -> list[Node]:
        """Return the cotangents before a turn: of `lead`, then the sums for `outer`.

        `state` holds the needed values before the turn; `bars` the cotangents after it, in the same order.
        """
        n = len(self.lead)
        values = {**self.invariants, **{self.slots[k]: v for k, v in state.items()}, **self._sliced(state)}
        values |= dict(zip(self.marks, bars[:n], strict=True))
        pulled = substitute([*self.before, *self.added], values)
        return [*pulled[:n], *(add_onto(acc, more) for acc, more in zip(bars[n:], pulled[n:], strict=True))]

    def _sliced(self, state: Mapping[int, Node]) -> dict[Node, Node]:
        """Return the slices of values that are rows of stacks, as rows of sliced stacks: no row is copied for them."""
        rows = {self.slots[k]: v for k, v in state.items() if v.op is take and v.args[1].shape == ()}
        out = {}
        for node in made_order([*self.before, *self.added]):
            if node.op is slice_ and node.args[0] in rows:
                stack, index = rows[node.args[0]].args
                p = node.params
                some = slice_(
                    stack, starts=(0, *p["starts"]), extents=(stack.shape[0], *p["extents"]), steps=(1, *p["steps"])
                )
                out[node] = take(some, index, axis=0)
        return out

    def start(self, bars: Mapping[int, Node]) -> list[Node]:
        """The cotangents after the last turn."""
        lead = [bars[k] if k in bars else zeros_like(self.loop.args[k]) for k in self.lead]
        return [*lead, *(zeros_like(self.loop.args[k]) for k in self.outer)]


def pull_turn(node: Node, bars: Mapping[int, Node], active: Sequence[bool], pull: Pull) -> PulledTurn:
    """Pull one turn of a loop back, for cotangents `bars` of some values of its final state."""
    body = node.params["body"]
    slots = body.input_nodes()
    n = len(body.outputs)
    varied = varied_slots(body, active)
    useful = needed_slots(body, [k for k in bars if varied[k]])
    lead = [k for k in range(n) if varied[k] and k in useful]
    if all(body.outputs[k] is slots[k] for k in lead):
        return PulledTurn(node, [], [], [], [], [], [])
    outer = [k for k in reads([body.outputs[k] for k in lead], slots) if k >= n and varied[k]]
    marks = [_mark(j, slots[k]) for j, k in enumerate(lead)]
    pulled = pull([body.outputs[k] for k in lead], marks, [slots[k] for k in (*lead, *outer)])
    full = gathered(
        zeros_like(slots[k]) if p is None else broadcast_to(p, shape=slots[k].shape)
        for k, p in zip((*lead, *outer), pulled, strict=True)
    )
    changed = [k for k in reads(full, slots) if k < n and body.outputs[k] is not slots[k]]
    return PulledTurn(node, lead, marks, full[: len(lead)], outer, full[len(lead) :], changed)


def _mark(j: int, like: Node) -> Node:
    return make(PRIMITIVES["symbol"], (), {"name": f"\0after{j}", "shape": like.shape, "dtype": like.dtype})


def state_bytes(turn: PulledTurn, positions: Sequence[int]) -> Extent:
    """The bytes of one copy of some values of the state."""
    total: Extent = 0
    for k in positions:
        arg = turn.loop.args[k]
        total = multiply(product(arg.shape), _BYTES[arg.dtype]) + total
    return total


def add_onto(acc: Node, more: Node) -> Node:
    """Return acc + more, one part after the other where parts touch few entries, so that these are added in place."""
    parts, stack = [], [more]
    while stack:
        node = stack.pop()
        if node.op is el.add and all(a.shape == node.shape for a in node.args):
            stack += reversed(node.args)
        else:
            parts.append(node)
    if not any(p.op is scatter_add or p.op is embed for p in parts):
        return acc + more
    for p in parts:
        acc = acc + p
    return acc
