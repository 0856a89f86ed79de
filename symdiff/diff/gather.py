"""gathered: write the cotangents that stencils scatter as sums of shifted slices of one padded array.

    embed(a*x, 0) + embed(b*x, 1) + embed(a*x, 2)   ->   a*(p[2:] + p[:-2]) + b*p[1:-1],   p = (0, 0, x, 0, 0)

A stencil reads neighbours, y = a*u[:-2] + b*u[1:-1] + a*u[2:], so its transpose adds to neighbours. In the form on the
right it reads neighbours too: one loop nest without guards instead of one for each neighbour. Where what is cut off at
one end is added at the other, as on a periodic axis, p continues x round the ends.

Needs: nothing.  Keeps: every value, up to the order of sums and products.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from symdiff.ir.dims import Extent, Shape
from symdiff.ir.graph import made_order, rebuild
from symdiff.ir.node import Node, const
from symdiff.ops import elementwise as el
from symdiff.ops.elementwise.values import is_literal
from symdiff.ops.index import broadcast_to, concatenate, embed, slice_

# A sum of more terms than this is left as it is.
_MOST = 128

Start = tuple[Extent, ...]
Windows = dict[tuple[Node, Start], Node]
"""Arrays whose sum a node is: by base and start the factor f of f*base[i - start], which is 0 beyond the base."""


def gathered(nodes: Iterable[Node]) -> list[Node]:
    """Return nodes with sums of embedded arrays in the form above, others as they are."""
    roots = list(nodes)
    table: dict[Node, Windows] = {}
    new: dict[Node, Node] = {}

    def rewritten(node: Node) -> Node:
        stack = [node]
        while stack:
            top = stack[-1]
            if top not in new and any(not _is_inside(*w, top.shape) for w in table[top]):
                new[top] = _rewritten(top, table[top])
            elif top not in new:
                waiting = [a for a in top.args if a not in new]
                if waiting:
                    stack += waiting
                    continue
                new[top] = _with_args(top, [new[a] for a in top.args])
            stack.pop()
        return new[node]

    def rebuilt(node: Node) -> Node:
        return _with_args(node, [rewritten(a) for a in node.args])

    for node in made_order(roots):
        found = _windows(node, table, rewritten) if node.ndim and node.dtype.startswith("float") else None
        if found is None or len(found) > _MOST:
            base = rebuilt(node)
            found = {(base, (0,) * node.ndim): const(1.0, node.dtype if node.dtype.startswith("float") else "float64")}
        table[node] = found
    return [rewritten(r) for r in roots]


def _with_args(node: Node, args: Sequence[Node]) -> Node:
    return node if all(a is b for a, b in zip(args, node.args, strict=True)) else rebuild(node, args)


def _is_inside(base: Node, start: Start, shape: Shape) -> bool:
    """Whether a window is a part of its base, as those of slices are: nothing of it lies beyond."""
    sizes = zip(start, base.shape, shape, strict=True)
    return all(_is_at_most(s, 0) and _is_at_most(m - n - s, 0) for s, n, m in sizes)


# -- taking sums apart ----------------------------------------------------------------------------------------------


def _windows(node: Node, table: Mapping[Node, Windows], rewritten: Callable[[Node], Node]) -> Windows | None:
    """Return the windows whose sum a node is, None for one that is only itself."""
    op, args = node.op, node.args
    if op is el.neg:
        return {w: -f for w, f in table[args[0]].items()}
    if op is el.mul and () in (args[0].shape, args[1].shape):
        scalar, array = args if args[0].shape == () else args[::-1]
        return {w: rewritten(scalar) * f for w, f in table[array].items()}
    if op in (el.add, el.sub) and all(a.shape == node.shape for a in args):
        return _sum(op is el.sub, table[args[0]], table[args[1]])
    if op in (embed, slice_) and set(node.params["steps"]) == {1}:
        return _shifted(node, table, rewritten)
    return None


def _shifted(node: Node, table: Mapping[Node, Windows], rewritten: Callable[[Node], Node]) -> Windows | None:
    """Return the windows of a slice or of an embedded array.

    A sum that is embedded is one array of its own: the stages of a step would become one stencil as wide as all of them
    otherwise. Slices are looked through, for what periodic axes add at the other end is a slice.
    """
    is_slice = node.op is slice_
    place = tuple(-p if is_slice else p for p in node.params["starts"])
    scale, inner = (const(1.0, node.dtype), node.args[0]) if is_slice else _without_factors(node.args[0])
    if not is_slice and inner.op is not slice_:
        ((base, start), factor), *others = table[inner].items()
        if others or any(start) or base.shape != inner.shape:
            return {(rewritten(inner), place): scale}
        return {(base, place): scale * factor}
    move = _sliced if is_slice else _embedded
    out: Windows = {}
    for (base, start), factor in table[inner].items():
        moved = move(node, base, start)
        if moved is None and not is_slice and len(table[inner]) == 1:
            return {(_placed(base, start, inner.shape), place): scale * factor}
        if moved is None:
            return {(rewritten(inner), place): scale}
        if moved:
            out[base, moved[0]] = _plus(out.get((base, moved[0])), scale * factor)
    return out or None


def _without_factors(node: Node) -> tuple[Node, Node]:
    """Return (scalar, array) with node = scalar * array, all scalars taken out."""
    scale = const(1.0, node.dtype)
    while True:
        if node.op is el.neg:
            scale, node = -scale, node.args[0]
        elif node.op is el.mul and () in (node.args[0].shape, node.args[1].shape):
            scalar, node = node.args if node.args[0].shape == () else node.args[::-1]
            scale = scale * scalar
        else:
            return scale, node


def _sum(is_difference: bool, a: Windows, b: Windows) -> Windows | None:
    """Return the sum; None where nothing is shifted and different arrays are added."""
    out = dict(a)
    for w, f in b.items():
        out[w] = _plus(out.get(w), -f if is_difference else f)
    bases = {base for base, _ in out}
    still = all(isinstance(e, int) and e == 0 for _, start in out for e in start)
    return None if still and len(bases) > 1 else out


def _plus(a: Node | None, b: Node) -> Node:
    return b if a is None else a + b


def _sliced(node: Node, base: Node, start: Start) -> tuple[Start, ...] | None:
    """Return the start of a window in a slice; () where nothing of it is seen, None where that depends on sizes."""
    moved = tuple(s - p for s, p in zip(start, node.params["starts"], strict=True))
    for s, n, m, old in zip(moved, base.shape, node.shape, node.args[0].shape, strict=True):
        if m == old:
            continue
        behind, before = s - m, s + n
        if (isinstance(behind, int) and behind >= 0) or (isinstance(before, int) and before <= 0):
            return ()
        # Windows at numbers are read from padded arrays, whether anything of them is seen or not.
        plain = isinstance(s, int) and isinstance(m - n, int)
        if not plain and not (_is_positive(s + n, n, m) and _is_positive(m - s, n, m)):
            return None
    return (moved,)


def _is_positive(e: Extent, n: Extent, m: Extent) -> bool:
    """Whether an extent is at least 1 whenever n and m are."""
    bounds = ((e, 1), (e - n, 0), (e - m, 0), (e - n - m, -1), (e - n - n, -1))
    return any(isinstance(rest, int) and rest >= least for rest, least in bounds)


def _embedded(node: Node, base: Node, start: Start) -> tuple[Start, ...] | None:
    """Return the start of a window in an embedding array; None where that would show what was cut off before."""
    (inner,) = node.args
    for s, n, m, p, outer in zip(start, base.shape, inner.shape, node.params["starts"], node.shape, strict=True):
        over = s + n - m
        if not _is_at_most(over, 0) and p + m != outer:
            return None
        if not _is_at_most(-s, 0) and p != 0:
            return None
    return (tuple(s + p for s, p in zip(start, node.params["starts"], strict=True)),)


def _is_at_most(extent: Extent, bound: int) -> bool:
    return isinstance(extent, int) and extent <= bound


# -- putting them together again ------------------------------------------------------------------------------------


def _rewritten(root: Node, windows: Windows) -> Node:
    total: Node | None = None
    for base in dict.fromkeys(base for base, _ in windows):
        for term in _terms(base, {start: f for (b, start), f in windows.items() if b is base}, root.shape):
            total = _plus(total, term)
    assert total is not None
    return total


def _terms(base: Node, windows: dict[Start, Node], shape: Shape) -> list[Node]:
    """Return the terms of the windows of one base."""
    rounds = [a for a in range(base.ndim) if _goes_round(windows, base.shape[a], shape[a], a)]
    kept = {s: f for s, f in windows.items() if all(isinstance(s[a], int) for a in rounds)}
    plan = Padding.of(base, list(kept), shape, rounds)
    if plan is None or (len(kept) == 1 and not rounds and plan.is_wider):
        return [_times(f, _placed(base, start, shape)) for start, f in windows.items()]
    padded = plan.apply(base)
    groups: dict[Node, Node] = {}
    for start, f in kept.items():
        begin = tuple(lo - s for lo, s in zip(plan.before, start, strict=True))
        part = slice_(padded, starts=begin, extents=shape, steps=(1,) * base.ndim)
        groups[f] = _plus(groups.get(f), part)
    return [_times(f, part) for f, part in groups.items()]


def _times(f: Node, part: Node) -> Node:
    return -part if is_literal(f, -1.0) else f * part


def _goes_round(windows: dict[Start, Node], n: Extent, m: Extent, axis: int) -> bool:
    """Whether what every window loses at an end of an axis another one adds at the other end."""
    if n != m or not any(s[axis] != 0 for s in windows):
        return False
    for start, f in windows.items():
        s = start[axis]
        if isinstance(s, int) and s == 0:
            continue
        partners = [s - n, s + n]
        there = [(*start[:axis], p, *start[axis + 1 :]) for p in partners]
        if not any(windows.get(p) is f for p in there):
            return False
    return True


@dataclass(frozen=True, slots=True)
class Padding:
    """How many entries an array is continued by along each axis: by zeros, or round the ends of the axes `rounds`."""

    before: tuple[int, ...]
    behind: tuple[int, ...]
    rounds: tuple[int, ...]

    @staticmethod
    def of(base: Node, starts: Sequence[Start], shape: Shape, rounds: Sequence[int]) -> Padding | None:
        """Return the padding that windows at these starts need; None if it depends on the sizes."""
        before, behind = [], []
        for a, (n, m) in enumerate(zip(base.shape, shape, strict=True)):
            low = [e for e in (s[a] for s in starts) if isinstance(e, int)]
            high = [e for e in (m - n - s[a] for s in starts) if isinstance(e, int)]
            if len(low) + len(high) < 2 * len(starts):
                return None
            before.append(max(0, *low))
            behind.append(max(0, *high))
        return Padding(tuple(before), tuple(behind), tuple(rounds))

    @property
    def is_wider(self) -> bool:
        """Whether there is anything to add."""
        return any(self.before) or any(self.behind)

    def apply(self, x: Node) -> Node:
        """Return the padded array."""
        for a, (lo, hi) in enumerate(zip(self.before, self.behind, strict=True)):
            n = x.shape[a]
            if a in self.rounds:
                parts = [_cut(x, a, n - lo, lo), x, _cut(x, a, 0, hi)]
            else:
                parts = [_zeros(x, a, lo), x, _zeros(x, a, hi)]
            x = concatenate(*(p for p in parts if p.shape[a] != 0), axis=a)
        return x


def _cut(x: Node, axis: int, start: Extent, extent: int) -> Node:
    starts = tuple(start if a == axis else 0 for a in range(x.ndim))
    return slice_(x, starts=starts, extents=_with(x.shape, axis, extent), steps=(1,) * x.ndim)


def _zeros(x: Node, axis: int, extent: int) -> Node:
    return broadcast_to(const(0.0, x.dtype), shape=_with(x.shape, axis, extent))


def _with(shape: Shape, axis: int, extent: int) -> Shape:
    return (*shape[:axis], extent, *shape[axis + 1 :])


def _placed(base: Node, start: Start, shape: Shape) -> Node:
    """Return one window: its visible part, embedded."""
    x, begins = base, []
    for a, (s, n, m) in enumerate(zip(start, base.shape, shape, strict=True)):
        first = -s if _is_below(s) else 0
        over = s + n - m
        last = n if _is_below(over) else n - over
        starts = tuple(first if k == a else 0 for k in range(x.ndim))
        x = slice_(x, starts=starts, extents=_with(x.shape, a, last - first), steps=(1,) * x.ndim)
        begins.append(0 if _is_below(s) else s)
    if x.shape == shape:
        return x
    return embed(x, shape=shape, starts=tuple(begins), steps=(1,) * base.ndim)


def _is_below(s: Extent) -> bool:
    """Whether a start lies before the array: those that are no numbers come from its ends.

    They are products of extents such as n*m - 2*n, whose terms of the highest degree outweigh the others.
    """
    if isinstance(s, int):
        return s < 0
    degree = max(len(m) for m, _ in s.terms)
    return all(c < 0 for m, c in s.terms if len(m) == degree)
