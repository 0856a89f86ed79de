"""boxes: which box of an array each part of a nest writes, and how far from a point it reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from symdiff.ir.dims import Extent
from symdiff.program.coordinates import coordinates, moved, unmerge
from symdiff.program.ir import Access, Buffer, Instr, Load, Nest, Op, Reduce, Store
from symdiff.program.views import c_strides

Offsets = tuple[Extent, ...]

# fmt: off
_PLAIN = frozenset({
    "add", "sub", "mul", "neg", "abs", "sign", "max", "min", "floor", "ceil", "trunc", "lt", "le", "gt", "ge", "eq",
    "ne", "and", "or", "xor", "not", "where", "cast", "div", "sqrt",
})
# fmt: on


def _is_call(i: Instr) -> bool:
    return isinstance(i, Op) and i.name not in _PLAIN


def loads(body: Iterable[Instr]) -> list[Load]:
    """The instructions of a body that read memory."""
    return [i for i in body if isinstance(i, Load)]


class NotASweep(Exception):  # control flow inside this module
    """The loop does something that tiles do not."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The part of a nest that writes one box: as a piece, with offsets that may still depend on the sizes."""

    body: tuple[Instr, ...]
    reads: tuple[tuple[int, Buffer, Offsets], ...]
    stores: tuple[tuple[Store, tuple[int, ...]], ...]
    lower: tuple[Extent, ...]
    spans: tuple[Extent, ...]


def need(condition: bool) -> None:
    """Go on only if a condition holds. Raises NotASweep."""
    if not condition:
        raise NotASweep


def whole(extent: Extent) -> int:
    """An extent as a number. Raises NotASweep for one that depends on the sizes."""
    if not isinstance(extent, int):
        raise NotASweep
    return extent


def restricted(nest: Nest, stores: Iterable[Store], reductions: Sequence[Reduce] = ()) -> Nest:
    """Return a nest with some of its stores only, and the instructions that they need."""
    kept = list(stores)
    needed = {s.value for s in kept} | {g.value for s in kept for g in s.access.gathers} | {r.value for r in reductions}
    for k in range(len(nest.body) - 1, -1, -1):
        if k in needed:
            needed |= set(_arguments(nest.body[k]))
    number = {k: i for i, k in enumerate(sorted(needed))}

    def access(a: Access) -> Access:
        return replace(a, gathers=tuple(replace(g, value=number[g.value]) for g in a.gathers))

    def renumbered(i: Instr) -> Instr:
        if isinstance(i, Op):
            return replace(i, args=tuple(number[a] for a in i.args))
        return replace(i, access=access(i.access)) if isinstance(i, Load) else i

    return replace(
        nest,
        body=tuple(renumbered(nest.body[k]) for k in sorted(needed)),
        stores=tuple(replace(s, value=number[s.value], access=access(s.access)) for s in kept),
        reductions=tuple(replace(r, value=number[r.value]) for r in reductions),
    )


def _arguments(i: Instr) -> tuple[int, ...]:
    if isinstance(i, Op):
        return i.args
    return tuple(g.value for g in i.access.gathers) if isinstance(i, Load) else ()


class Boxes:
    """Takes nests apart by the boxes of swept arrays that they write; `arrays` are these and those they replace."""

    def __init__(self, arrays: set[Buffer], rank: int):
        self.arrays, self.rank = arrays, rank

    def cuts(self, nest: Nest) -> list[Cut]:
        """Split a nest by the boxes that it writes."""
        first = nest.stores[0].access
        nest = unmerge(nest, first.buffer.shape, first.strides)
        axes = self._axes(nest)
        groups: list[tuple[Offsets, list[Store]]] = []
        for s in nest.stores:
            place = self._place(s.access, nest, axes)
            for start, members in groups:
                if all(isinstance(p - q, int) for p, q in zip(place, start, strict=True)):
                    members.append(s)
                    break
            else:
                groups.append((place, [s]))
        return [self._cut(restricted(nest, members), axes, start) for start, members in groups]

    def _axes(self, nest: Nest) -> list[int]:
        """The axis that each loop runs along."""
        access = nest.stores[0].access
        steps = c_strides(access.buffer.shape)
        axes = []
        for stride in access.strides:
            need(stride != 0 and stride in steps)
            axes.append(steps.index(stride))
        need(len(set(axes)) == len(axes))
        if any(_is_call(i) for i in nest.body):
            # Offsets functions may round differently from scalar ones: the innermost loop has to stay the same.
            need(bool(axes) and axes[-1] == self.rank - 1)
        return axes

    def _place(self, access: Access, nest: Nest, axes: Sequence[int]) -> Offsets:
        """The entry of a swept array at loop index 0."""
        need(not access.guards and not access.gathers)
        steps = c_strides(access.buffer.shape)
        spans: list[Extent] = [1] * self.rank
        for k, stride in enumerate(access.strides):
            if stride != 0:
                need(stride == steps[axes[k]])
                spans[axes[k]] = nest.space[k]
        place = coordinates(access.offset, tuple(spans), access.buffer.shape)
        if place is None:
            raise NotASweep
        return place

    def _cut(self, nest: Nest, axes: Sequence[int], start: Offsets) -> Cut:
        reads = []
        for k, i in enumerate(nest.body):
            if isinstance(i, Load) and i.access.buffer in self.arrays:
                place = self._place(i.access, nest, axes)
                # One row for all points of a box is no stencil.
                need(all(x != 0 or d == 1 for x, d in zip(i.access.strides, nest.space, strict=True)))
                reads.append((k, i.access.buffer, tuple(p - s for p, s in zip(place, start, strict=True))))
            elif isinstance(i, Load):
                need(not i.access.gathers)
        stores = []
        for s in nest.stores:
            place = self._place(s.access, nest, axes)
            stores.append((s, tuple(whole(p - q) for p, q in zip(place, start, strict=True))))
        spans: list[Extent] = [1] * self.rank
        for j, a in enumerate(axes):
            spans[a] = nest.space[j]

        def move(offset: Extent, v: Offsets) -> tuple[Extent, Offsets]:
            """From loop indices to points."""
            coefs: list[Extent] = [0] * self.rank
            for c, a in zip(v, axes, strict=True):
                coefs[a] = c
                offset = offset - c * start[a]
            return offset, tuple(coefs)

        at = moved(nest, move)
        return Cut(
            at.body,
            tuple(reads),
            tuple((s, w) for s, (_, w) in zip(at.stores, stores, strict=True)),
            start,
            tuple(spans),
        )
