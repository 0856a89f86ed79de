"""Reverse mode: linearise with the jvp rules, then transpose the linear part.

An elementwise node's linear part is a product with its partials, whose transpose is the same product; a
structured node is linearised by its `jvp` on placeholders, and the linear graph that results is transposed node
by node (Radul et al. 2022, "You Only Linearize Once"). There is no second table of rules.

A cotangent that comes out of `where` is kept as a pair (guard, value) meaning where(guard, value, 0). The
guard is applied after the products with partials, so a partial that is infinite or NaN in the branch not taken
never meets a zero. Nodes reached under several guards have their disjunction: there, and only there, they matter.
Structured nodes carry a guard to the entries of their arguments that the guarded entries depend on.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Container, Iterable, Sequence

from symdiff.diff.flow import flowing
from symdiff.diff.forward import linear_part, scaled
from symdiff.diff.reverse_loops import pull_loop
from symdiff.ir.dims import broadcast_shapes
from symdiff.ir.graph import made_order, substitute
from symdiff.ir.node import PRIMITIVES, Node, const, here, make
from symdiff.ir.primitive import Elementwise, Linear, Structured, cast
from symdiff.ops import elementwise as el
from symdiff.ops.custom import custom
from symdiff.ops.index import broadcast_to, reshape, unbroadcast, zeros_like
from symdiff.ops.square import Stacked

Guarded = tuple[Node | None, Node]


def pull(
    outputs: Sequence[Node], cotangents: Sequence[Node], inputs: Sequence[Node], max_bytes: int | None = None
) -> list[Node | None]:
    """Return the cotangents of `inputs` for those of `outputs`; None is an exact zero.

    `max_bytes` bounds what a loop may remember of its states, unless the loop says so itself.
    """
    pulled = _pull(outputs, [(None, bar) for bar in cotangents], inputs, frozenset(inputs), False, max_bytes)
    return [None if bar is None else _settle(bar) for bar in pulled]


def _pull(
    outputs: Sequence[Node],
    cotangents: Sequence[Guarded],
    inputs: Sequence[Node],
    ends: Container[Node],
    linear: bool,
    max_bytes: int | None,
) -> list[Guarded | None]:
    """Pull guarded cotangents; at `ends` guards are of no more use. A `linear` graph is transposed as it stands."""
    active = _active(outputs, inputs)
    bars: dict[Node, Guarded] = {}
    loops: dict[Node, dict[int, Guarded]] = {}
    for f, bar in zip(outputs, cotangents, strict=True):
        if f in active:
            _accumulate(bars, f, bar)
    stops = set(inputs)
    saved = here.source
    try:
        for node in reversed(made_order(outputs, known=stops)):
            here.source = node.source
            if node in loops:
                for arg, bar in _through_loop(node, loops.pop(node), active, max_bytes):
                    _accumulate(bars, arg, bar)
            elif node not in active or node not in bars:
                continue
            elif node.op.name == "item":
                # All values of a loop's final state are pulled back together, when the loop is reached.
                loops.setdefault(node.args[0], {})[node.params["k"]] = bars.pop(node)
            else:
                for arg, bar in _contributions(node, bars.pop(node), active, ends, linear):
                    _accumulate(bars, arg, bar)
    finally:
        here.source = saved
    return [bars.get(x) for x in inputs]


def _active(outputs: Sequence[Node], inputs: Iterable[Node]) -> set[Node]:
    """The nodes through which a real value flows from an input to an output."""
    active = set(inputs)
    for node in made_order(outputs, known=active):
        if (node.dtype.startswith("float") or node.dtype == "tuple") and any(a in active for a in flowing(node)):
            active.add(node)
    return active


def _contributions(
    node: Node, bar: Guarded, active: set[Node], ends: Container[Node], linear: bool
) -> list[tuple[Node, Guarded]]:
    op = node.op
    if isinstance(op, Elementwise):
        return list(_elementwise(node, bar, active))
    assert isinstance(op, Structured)
    if linear or isinstance(op, Linear):
        value = _settle(bar)
        return [
            (a, (None if a in ends and _is_plain(op) else _reached(node, bar[0], k), op.transpose(node, value, k)))
            for k, a in enumerate(node.args)
            if a in active
        ]
    # Linearise on placeholders, transpose what comes out.
    marks = [_placeholder(k, a) if a in active else None for k, a in enumerate(node.args)]
    tangent = linear_part(node, marks)
    if tangent is None:
        return []
    pairs = [(a, m) for a, m in zip(node.args, marks, strict=True) if m is not None]
    inner_ends = {m for a, m in pairs if a in ends}
    pulled = _pull([tangent], [bar], [m for _, m in pairs], inner_ends, True, None)
    found = [(a, p) for (a, _), p in zip(pairs, pulled, strict=True) if p is not None]
    return _without([m for _, m in pairs], found, [node, *node.args, *bar]) if op is custom else found


def _without(
    marks: Sequence[Node], found: list[tuple[Node, Guarded]], known: Sequence[Node | None]
) -> list[tuple[Node, Guarded]]:
    """Put zeros for the tangents of a rule with loops: these run once more for their states, tangents and all.

    The cotangents of a linear map do not depend on its arguments. The walk stops at nodes that are `known`.
    """
    memo = {k: k for k in known if k is not None} | {m: zeros_like(m) for m in marks}
    flat = substitute([n for _, bar in found for n in bar if n is not None], memo)
    fresh = iter(flat)
    return [(a, (None if guard is None else next(fresh), next(fresh))) for a, (guard, _) in found]


def _through_loop(
    node: Node, bars: dict[int, Guarded], active: set[Node], max_bytes: int | None
) -> list[tuple[Node, Guarded]]:
    """Pull the values of a loop's final state back. Where all are guarded, so are its arguments: as a whole."""
    guards = [cast(g, "int64") for g, _ in bars.values() if g is not None]
    guard: Node | None = None
    if len(guards) == len(bars):
        # Counted: an empty axis has a sum and no maximum.
        hits = [PRIMITIVES["sum"](g, axes=tuple(range(g.ndim))) for g in guards]
        guard = functools.reduce(operator.or_, (h > 0 for h in hits))

    def inner(outputs: Sequence[Node], cotangents: Sequence[Node], inputs: Sequence[Node]) -> list[Node | None]:
        return pull(outputs, cotangents, inputs, max_bytes)

    settled = {k: _settle(bar) for k, bar in bars.items()}
    settled = {k: broadcast_to(bar, shape=node.params["body"].inputs[k][0]) for k, bar in settled.items()}
    pulled = pull_loop(node, settled, [a in active for a in node.args], inner, max_bytes)
    # What a branch reads matters only where the branch is taken.
    taken = node.params["cond"].call(node.args)[0] if node.params.get("turns") == "once" else None
    inside = taken if guard is None else guard if taken is None else guard & taken
    n = len(node.params["body"].outputs)
    return [(node.args[k], (guard if k < n else inside, bar)) for k, bar in pulled]


def _is_plain(op: Structured) -> bool:
    """Whether the coefficients of a linear map are 0 and 1; those of a product or solve may be NaN, and 0 * NaN too."""
    return isinstance(op, Linear) or op.name in ("sum", "concatenate")


def _reached(node: Node, guard: Node | None, k: int) -> Node | None:
    """Return which entries of argument `k` the guarded entries of a structured node depend on."""
    if guard is None:
        return None
    op, arg = node.op, node.args[k]
    assert isinstance(op, Structured)
    hits = broadcast_to(cast(guard, node.dtype), shape=node.shape)
    if _is_plain(op):
        # The transpose counts.
        return op.transpose(node, hits, k) > 0
    if op.name == "matmul":
        return _counted(node, hits, k) > 0
    lead = node.args[0].ndim - 2 if isinstance(op, Stacked) else 0
    counts = PRIMITIVES["sum"](hits, axes=tuple(range(lead, node.ndim)))
    spread = reshape(counts, shape=(*counts.shape, *(1,) * (arg.ndim - lead)))
    return broadcast_to(spread, shape=arg.shape) > 0


def _counted(product: Node, hits: Node, k: int) -> Node:
    """Return the number of hits in the row of each entry of the left factor (k = 0), in the column of one of the right.

    Sums and copies: products with ones, which count the same, would double the products of a gradient.
    """
    a, b = (x.shape for x in product.args)
    a, b = (1, *a) if len(a) == 1 else a, (*b, 1) if len(b) == 1 else b
    lead = broadcast_shapes(a[:-2], b[:-2])
    full = reshape(hits, shape=(*lead, a[-2], b[-1]))
    along = len(lead) + (1 if k == 0 else 0)
    line = (*lead, a[-2], 1) if k == 0 else (*lead, 1, b[-1])
    counts = reshape(PRIMITIVES["sum"](full, axes=(along,)), shape=line)
    arg = a if k == 0 else b
    short = tuple(1 if j == len(arg) - (1 if k == 0 else 2) else d for j, d in enumerate(arg))
    return reshape(broadcast_to(unbroadcast(counts, short), shape=arg), shape=product.args[k].shape)


def _placeholder(k: int, like: Node) -> Node:
    return make(PRIMITIVES["symbol"], (), {"name": f"\0tangent{k}", "shape": like.shape, "dtype": like.dtype})


def _elementwise(node: Node, bar: Guarded, active: set[Node]) -> Iterable[tuple[Node, Guarded]]:
    guard, value = bar
    op = node.op
    if op is el.where:
        c, x, y = node.args
        for arg, taken in ((x, c), (y, ~c)):
            if arg in active:
                both = taken if guard is None else guard & taken
                yield arg, _to_shape(arg, node, both, value)
        return
    assert isinstance(op, Elementwise)
    if op.partials is None:
        return
    for arg, partial in zip(node.args, op.partials(node, *node.args), strict=True):
        if partial is not None and arg in active:
            yield arg, _to_shape(arg, node, guard, scaled(partial, value, node.dtype))


def _to_shape(arg: Node, node: Node, guard: Node | None, value: Node) -> Guarded:
    """Sum a cotangent of `node` over the axes along which `arg` was broadcast."""
    value = cast(value, arg.dtype)
    if arg.shape == node.shape:
        return guard, value
    if guard is None:
        return None, unbroadcast(broadcast_to(value, shape=node.shape), arg.shape)
    chosen = broadcast_to(_settle((guard, value)), shape=node.shape)
    hits = broadcast_to(cast(guard, arg.dtype), shape=node.shape)
    return unbroadcast(hits, arg.shape) > 0, unbroadcast(chosen, arg.shape)


def _settle(bar: Guarded) -> Node:
    guard, value = bar
    return value if guard is None else el.where(guard, value, const(0.0, value.dtype))


def _accumulate(bars: dict[Node, Guarded], node: Node, bar: Guarded) -> None:
    if node not in bars:
        bars[node] = bar
        return
    (g, v), (h, w) = bars[node], bar
    if g is h:
        bars[node] = (g, v + w)
    else:
        bars[node] = (None if g is None or h is None else g | h, _settle((g, v)) + _settle((h, w)))


def vjp_nodes(
    outputs: Sequence[Node], inputs: Sequence[Node], cotangents: Sequence[Node], max_bytes: int | None = None
) -> list[Node]:
    """Return the cotangents of the symbols `inputs` for those of `outputs`."""
    pulled = pull(outputs, cotangents, inputs, max_bytes)
    return [zeros_like(x) if p is None else broadcast_to(p, shape=x.shape) for x, p in zip(inputs, pulled, strict=True)]
