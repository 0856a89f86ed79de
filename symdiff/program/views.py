"""Views: how a node reads memory that holds another node, without moving it.

Broadcasting, transposing, slicing, embedding and most reshaping only change offset, strides and guards.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from symdiff.ir.dims import Extent, Shape, multiply
from symdiff.ir.node import Node
from symdiff.program.ir import Access, Affine, Buffer, Const, Gather, Guard, Instr, Load


@dataclass(frozen=True, slots=True)
class View:
    """Entry i of an array of `shape` is base[offset + sum(strides * i)], or 0 where a guard fails.

    `base` is a buffer, "index" (the affine number itself: iota) or a literal.
    """

    base: Buffer | Const | str
    offset: Extent
    strides: tuple[Extent, ...]
    shape: Shape
    guards: tuple[Guard, ...] = ()

    def is_contiguous(self) -> bool:
        """Whether the entries lie one after another in C order, without guards."""
        return not self.guards and self.strides == c_strides(self.shape)


def c_strides(shape: Shape) -> tuple[Extent, ...]:
    """The strides of C order, in elements; 0 for axes of extent 1."""
    strides: list[Extent] = []
    step: Extent = 1
    for extent in reversed(shape):
        strides.append(0 if extent == 1 else step)
        step = multiply(step, extent)
    return tuple(reversed(strides))


def whole(buffer: Buffer) -> View:
    """The view of a buffer as it is."""
    return View(buffer, 0, c_strides(buffer.shape), buffer.shape)


def of_literal(value: Any, dtype: str) -> View:
    """The view of a scalar literal."""
    return View(Const(value, dtype), 0, (), ())


def through(node: Node, view: View) -> View | None:
    """Return the view of `node`, a view operation, given that of its argument; None if the entries must move."""
    p = node.params
    match node.op.name:
        case "broadcast_to":
            return broadcast(view, node.shape)
        case "transpose":
            return _remap(view, node.shape, [(p["perm"].index(k),) for k in range(len(view.shape))])
        case "slice":
            return sliced(view, p["starts"], p["extents"], p["steps"])
        case "embed":
            return _embed(view, p["shape"], p["starts"], p["steps"])
        case "reshape":
            return reshaped(view, node.shape)
    return None


def broadcast(view: View, shape: Shape) -> View:
    """Repeat along leading axes and axes of extent 1."""
    if view.shape == shape:
        return view
    if not view.shape and not view.guards:
        return View(view.base, view.offset, (0,) * len(shape), shape)
    lead = len(shape) - len(view.shape)
    moved = _remap(view, shape, [(k + lead,) for k in range(len(view.shape))])
    strides = tuple(
        0 if k >= lead and view.shape[k - lead] == 1 and d != 1 else s
        for k, (s, d) in enumerate(zip(moved.strides, shape, strict=True))
    )
    guards = tuple(
        replace(
            g,
            coefs=tuple(
                0 if k >= lead and view.shape[k - lead] == 1 and d != 1 else c
                for k, (c, d) in enumerate(zip(g.coefs, shape, strict=True))
            ),
        )
        for g in moved.guards
    )
    return replace(moved, strides=strides, guards=guards)


def _remap(view: View, shape: Shape, places: list[tuple[int, ...]]) -> View:
    """Send old axis k to the new axes `places[k]` (none: the axis is dropped, its index is 0)."""

    def move(coefs: tuple[Extent, ...]) -> tuple[Extent, ...]:
        out: list[Extent] = [0] * len(shape)
        for k, c in enumerate(coefs):
            for place in places[k]:
                out[place] = c
        return tuple(out)

    guards = tuple(replace(g, coefs=move(g.coefs)) for g in view.guards)
    return View(view.base, view.offset, move(view.strides), shape, guards)


def sliced(view: View, starts: tuple[Extent, ...], extents: Shape, steps: tuple[int, ...]) -> View:
    """Read every step-th entry from start on, along every axis."""

    def shift(offset: Extent, coefs: tuple[Extent, ...]) -> Extent:
        for c, start in zip(coefs, starts, strict=True):
            offset = multiply(c, start) + offset
        return offset

    def scale(coefs: tuple[Extent, ...]) -> tuple[Extent, ...]:
        return tuple(multiply(c, step) for c, step in zip(coefs, steps, strict=True))

    guards = tuple(replace(g, offset=shift(g.offset, g.coefs), coefs=scale(g.coefs)) for g in view.guards)
    return View(view.base, shift(view.offset, view.strides), scale(view.strides), extents, guards)


def _embed(view: View, shape: Shape, starts: tuple[Extent, ...], steps: tuple[int, ...]) -> View | None:
    if any(abs(step) != 1 for step in steps):
        return None
    # New index i reads old index (i - start)*step, step being its own inverse.
    back = tuple(multiply(multiply(start, step), -1) for start, step in zip(starts, steps, strict=True))
    moved = sliced(view, back, shape, steps)
    guards = list(moved.guards)
    for k, (extent, step) in enumerate(zip(view.shape, steps, strict=True)):
        if extent != shape[k]:
            coefs = tuple(step if j == k else 0 for j in range(len(shape)))
            guards.append(Guard(back[k], coefs, extent))
    return replace(moved, guards=tuple(guards))


def reshaped(view: View, shape: Shape) -> View | None:
    """Read the same entries in C order under another shape; None if they must move for that."""
    # Inserting and removing axes of extent 1 works for any view.
    kept = [k for k, d in enumerate(view.shape) if d != 1]
    places = [k for k, d in enumerate(shape) if d != 1]
    if [view.shape[k] for k in kept] == [shape[k] for k in places]:
        where = dict(zip(kept, places, strict=True))
        return _remap(view, shape, [(where[k],) if k in where else () for k in range(len(view.shape))])
    if view.is_contiguous():
        return View(view.base, view.offset, c_strides(shape), shape)
    if isinstance(view.base, Const) and not view.guards:
        return View(view.base, 0, (0,) * len(shape), shape)
    return None


def read(view: View, gathers: tuple[Gather, ...] = ()) -> Instr:
    """Return the body instruction that reads the view at the loop index."""
    match view.base:
        case Buffer():
            return Load(Access(view.base, view.offset, view.strides, view.guards, gathers), view.base.dtype)
        case Const():
            return replace(view.base, guards=view.guards)
        case _:
            return Affine(view.offset, view.strides, view.guards)


def write(view: View, gathers: tuple[Gather, ...] = ()) -> Access:
    """Return the address that a store into the view has."""
    assert isinstance(view.base, Buffer)
    assert not view.guards
    return Access(view.base, view.offset, view.strides, (), gathers)


def over(target: View, space: Shape, axes: tuple[int, ...]) -> View:
    """The target of a reduction as a view over the full space, with stride 0 along the reduced axes."""
    strides = iter(target.strides)
    return View(target.base, target.offset, tuple(0 if k in axes else next(strides) for k in range(len(space))), space)


def parts_of(node: Node, target: View) -> list[View]:
    """The places of a concatenation's arguments inside its own."""
    axis = node.params["axis"]
    parts, start = [], 0
    for arg in node.args:
        starts = tuple(start if k == axis else 0 for k in range(node.ndim))
        part = sliced(target, starts, arg.shape, (1,) * node.ndim)
        # As everywhere, an axis of extent 1 has stride 0: a column that is written in place is then known as such.
        strides = tuple(0 if d == 1 else s for s, d in zip(part.strides, part.shape, strict=True))
        parts.append(replace(part, strides=strides))
        start = arg.shape[axis] + start
    return parts


def through_units(place: View, shape: Shape) -> View | None:
    """Read the same entries with axes of extent 1 put in or left out; None if more than that differs."""
    squeezed = [d for d in place.shape if d != 1]
    return reshaped(place, shape) if squeezed == [d for d in shape if d != 1] else None


def steps_forward(stride: Extent, view: View) -> bool:
    """Whether a stride goes from one row of memory to a later one, whatever the run-time sizes are."""
    assert isinstance(view.base, Buffer)
    if isinstance(stride, int):
        return stride > 1
    # n - 1 may be a stride of memory and -n + 1 one of reversed rows: the sign of a polynomial does not show.
    return stride in c_strides(view.base.shape) or all(c > 0 for _, c in stride.terms)
