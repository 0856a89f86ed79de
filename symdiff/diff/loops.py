"""Loops in forward mode and under batch, and what their bodies depend on.

The tangent of a loop is a loop over state and tangents; mapping a loop gives a loop over stacked states.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from symdiff.ir.graph import depends_on, made_order, substitute
from symdiff.ir.node import Node, const
from symdiff.ir.subgraph import Subgraph
from symdiff.ops import elementwise as el
from symdiff.ops.control import build_loop
from symdiff.ops.index import broadcast_to, concatenate, reshape, take, zeros_like
from symdiff.ops.leaves import iota
from symdiff.ops.reduce import max_, sum_

Push = Callable[[Sequence[Node], Mapping[Node, Node | None]], list[Node | None]]
Batch = Callable[[Sequence[Node], Mapping[Node, Node]], list[Node]]


def varied_slots(body: Subgraph, given: Sequence[bool], real: bool = True) -> list[bool]:
    """Return which inputs of a body vary in some turn when the `given` ones do, real ones only by default."""
    slots, varied = body.input_nodes(), list(given)
    while True:
        moved = depends_on(body.outputs, [s for s, v in zip(slots, varied, strict=True) if v])
        grown = list(varied)
        for k, out in enumerate(body.outputs):
            grown[k] = varied[k] or (out in moved and (not real or slots[k].dtype.startswith("float")))
        if grown == varied:
            return varied
        varied = grown


def needed_slots(body: Subgraph, wanted: Collection[int]) -> set[int]:
    """Return the state values that the `wanted` ones depend on in some later turn, themselves included."""
    slots = body.input_nodes()
    needed = set(wanted)
    while True:
        read = set(made_order([body.outputs[k] for k in sorted(needed)]))
        grown = needed | {k for k in range(len(body.outputs)) if slots[k] in read}
        if grown == needed:
            return needed
        needed = grown


def options(node: Node) -> dict[str, Any]:
    """The settings of a loop that another loop over its turns keeps."""
    return {k: v for k, v in node.params.items() if k not in ("cond", "body")}


def push_loop(node: Node, dots: Sequence[Node | None], push: Push) -> dict[int, Node]:
    """Return the tangents of a loop's state: the loop runs over (state, tangents of its active part)."""
    cond, body = node.params["cond"], node.params["body"]
    n = len(body.outputs)
    varied = varied_slots(body, [d is not None for d in dots])
    lead = [k for k in range(n) if varied[k]]
    outer = list(node.args[n:])

    def next_state(*state: Node) -> list[Node]:
        values = body.call([*state[:n], *outer])
        tangents: dict[Node, Node | None] = dict(zip(outer, dots[n:], strict=True))
        tangents |= dict.fromkeys(state[:n])
        tangents |= {state[k]: state[n + j] for j, k in enumerate(lead)}
        pushed = push([values[k] for k in lead], tangents)
        return [*values, *(zeros_like(values[k]) if p is None else p for k, p in zip(lead, pushed, strict=True))]

    start = [d if d is not None else zeros_like(node.args[k]) for k, d in ((k, dots[k]) for k in lead)]
    result = build_loop(
        lambda *state: cond.call([*state[:n], *outer])[0], next_state, [*node.args[:n], *start], **options(node)
    )
    return {k: result[n + j] for j, k in enumerate(lead)}


def batch_loop(node: Node, args: Sequence[Node], flags: Sequence[bool], batch: Batch) -> list[Node]:
    """Return the final state of a loop with a leading axis in front of every value.

    Instances that are done keep their state while the others go on, so nothing of theirs can overflow. Where the body
    might fail on a final state, it gets the arguments of another instance instead, one that goes on.
    """
    cond, body = node.params["cond"], node.params["body"]
    n = len(body.outputs)
    size = next(a.shape[0] for a, f in zip(args, flags, strict=True) if f)
    stacked = varied_slots(body, flags, real=False)
    slots = body.input_nodes()
    judged = any(s in made_order(cond.outputs) for s, f in zip(slots, stacked, strict=True) if f)
    if judged:
        # Each instance stops by itself, so every value of its state is its own.
        stacked = [True] * n + stacked[n:]
    start = [_stack(a, size) if s and not f else a for a, s, f in zip(args, stacked, flags, strict=True)]
    outer = start[n:]
    mapped = [s for s, f in zip(slots, stacked, strict=True) if f]

    def instances(roots: Sequence[Node], given: Sequence[Node], each: bool = True) -> list[Node]:
        """The values of `roots`, one for `each` instance or, where none of them can differ, one for all."""
        values = dict(zip(slots, given, strict=True))
        rows = batch(roots, {s: values[s] for s in mapped}) if each and mapped else list(roots)
        return substitute(rows, {s: v for s, v in values.items() if s not in mapped})

    def goes_on(*state: Node) -> Node:
        if not judged:
            return instances(cond.outputs, [*state, *outer], each=False)[0]
        return sum_(el.cast(instances(cond.outputs, [*state, *outer])[0], "int64"), axes=(0,)) > 0

    def next_state(*state: Node) -> list[Node]:
        given = [*state, *outer]
        if judged:
            going = instances(cond.outputs, given)[0]
            if any(f.op.name in _FALLIBLE for f in made_order(body.outputs)):
                given = _like_one_that_goes_on(given, stacked, going)
        single = iter(instances([f for f, s in zip(body.outputs, stacked, strict=False) if not s], given, each=False))
        many = iter(instances([f for f, s in zip(body.outputs, stacked, strict=False) if s], given))
        after = [next(many if s else single) for s in stacked[:n]]
        return [_each(going, new, old) for new, old in zip(after, state, strict=True)] if judged else after

    result = build_loop(goes_on, next_state, start[:n], **options(node))
    return [r if s else _stack(r, size) for r, s in zip(result, stacked[:n], strict=True)]


# What may fail, or never end, on a state after which the loop was to stop.
_FALLIBLE = frozenset({"take", "set_row", "scatter_add", "while_loop", "opaque"})


def _like_one_that_goes_on(given: Sequence[Node], stacked: Sequence[bool], going: Node) -> list[Node]:
    """Replace the arguments of instances that are done by those of the last one that is not."""
    # With the zero in front there is a maximum for no instances, too.
    numbers = concatenate(
        broadcast_to(const(0, "int64"), shape=(1,)), el.where(going, iota(n=going.shape[0]), 0), axis=0
    )
    number = max_(numbers, axes=(0,))
    return [_each(going, a, take(a, number, axis=0)) if s else a for a, s in zip(given, stacked, strict=True)]


def _each(chosen: Node, x: Node, y: Node) -> Node:
    """Choose between x and y for each instance."""
    return el.where(reshape(chosen, shape=(*chosen.shape, *(1,) * (x.ndim - 1))), x, y)


def _stack(x: Node, size: object) -> Node:
    return broadcast_to(x, shape=(size, *x.shape))


def reads(roots: Iterable[Node | None], slots: Sequence[Node]) -> list[int]:
    """Return the positions of the slots that some root reads."""
    seen = set(made_order([r for r in roots if r is not None]))
    return [k for k, s in enumerate(slots) if s in seen]
