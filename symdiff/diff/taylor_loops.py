"""Taylor mode through loops: the series of a loop is a loop over the state and its coefficients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from symdiff.diff.loops import options, varied_slots
from symdiff.ir.node import Node
from symdiff.ops.control import build_loop
from symdiff.ops.index import zeros_like

Series = list[Node | None]


def expand_loop(
    loop: Node,
    args: Sequence[Series],
    order: int,
    expand: Callable[[Sequence[Node], Mapping[Node, Series], int], list[Series]],
) -> list[Series]:
    """Return the series of a while_loop's state from those of its arguments; zeros beyond where a series ends."""
    cond, body = loop.params["cond"], loop.params["body"]
    n = len(body.outputs)
    varied = varied_slots(body, [any(c is not None for c in s[1:]) for s in args])
    lead = [k for k in range(n) if varied[k]]
    outer = [_first(s) for s in args[n:]]
    start = [_first(s) for s in args[:n]]
    for k in lead:
        start += [zeros_like(start[k]) if c is None else c for c in _padded(args[k], order)[1:]]

    def next_state(*state: Node) -> list[Node]:
        given: dict[Node, Series] = {o: [o, *s[1:]] for o, s in zip(outer, args[n:], strict=True)}
        given |= {x: [x] for x in state[:n]}
        given |= {state[k]: [state[k], *state[n + j * order : n + (j + 1) * order]] for j, k in enumerate(lead)}
        values = body.call([*state[:n], *outer])
        rows = expand([values[k] for k in lead], given, order)
        after = [zeros_like(values[k]) if c is None else c for k, row in zip(lead, rows, strict=True) for c in row[1:]]
        return [*values, *after]

    result = build_loop(lambda *state: cond.call([*state[:n], *outer])[0], next_state, start, **options(loop))
    out: list[Series] = [[x, *[None] * order] for x in result[:n]]
    for j, k in enumerate(lead):
        out[k] = [result[k], *result[n + j * order : n + (j + 1) * order]]
    return out


def _first(s: Series) -> Node:
    assert s[0] is not None  # only later coefficients are left out
    return s[0]


def _padded(s: Series, order: int) -> Series:
    return [*s, *[None] * (order + 1 - len(s))][: order + 1]
