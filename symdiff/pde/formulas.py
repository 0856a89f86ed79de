"""Derivatives and terms as array expressions: sums of shifted slices of the extended unknowns."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from symdiff.front.symbols import symbols
from symdiff.ir.dims import Extent
from symdiff.ir.node import Node
from symdiff.ops.index import broadcast_to, concatenate, reshape, slice_
from symdiff.ops.reduce import max_, min_, sum_
from symdiff.pde import stencils
from symdiff.pde.jets import added, d, is_field, jet, jets, orders, terms
from symdiff.pde.layers import cut, ghost, layer, scaled
from symdiff.pde.layout import Region, grid_size, outside, slopes_given

if TYPE_CHECKING:
    from symdiff.pde.fields import Fields

Line = Mapping[int, Fraction]
"""The weights of a formula along one axis, by offset."""


def evaluate(fields: Fields, expressions: Sequence[Node], region: Region) -> list[Node]:
    """Return expressions in jets, terms, coordinates and t on a region; they broadcast against it."""
    values = {w: _jet(fields, w, region) for w in jets(expressions)}
    values |= {w: _term(fields, w, region) for w in terms(expressions)}
    return fields.semi.on_region(expressions, region, fields.t, values)


def _term(fields: Fields, w: Node, region: Region) -> Node:
    match w.params["term"]:
        case "flux":
            return _flux(fields, w.params["of"], fields.semi.axes.index(w.params["by"][0]), region)
        case "nodal":
            return _nodal(fields, w.params["of"], fields.semi.axes.index(w.params["by"][0]), region)
        case "biased":
            return _biased(fields, w, region)
        case "largest":
            return max_(everywhere(fields, w.params["of"]), axes=tuple(range(fields.dim)))
        case "smallest":
            return min_(everywhere(fields, w.params["of"]), axes=tuple(range(fields.dim)))
        case _:
            return _integral(fields, w.params["of"])


# -- derivatives of fields ----------------------------------------------------------------------------------------


def _jet(fields: Fields, w: Node, region: Region) -> Node:
    """Return a derivative of a field on a region: central formulas, those of the middles along its half axis."""
    u = jet(w.params["field"], ())
    semi, counts = fields.semi, orders(w)
    if is_field(w) and semi.layout[u].region == region:
        return fields.block(u)
    lines: list[Line] = []
    for axis, name in enumerate(semi.axes):
        n = counts[name]
        on_half = stencils.half(n, semi.order) if axis == region.half else None
        lines.append(on_half or (stencils.central(n, semi.order) if n else {0: Fraction(1)}))
    return _formula(fields, u, lines, [counts[name] for name in semi.axes], region)


def _biased(fields: Fields, w: Node, region: Region) -> Node:
    """Return the derivative of a field along one axis by a formula that leans to one side."""
    (name,), semi = w.params["by"], fields.semi
    accuracy = w.params["accuracy"] or semi.order
    weights, beyond = stencils.biased(accuracy, w.params["direction"]), stencils.beside_leaning(accuracy)
    if beyond != (semi.order, semi.order) and not semi.problem.is_periodic(name):
        axis, first = semi.axes.index(name), min(weights)
        extent = region.extents[axis]
        reach = max(weights) - first
        line = _line(fields, w.params["of"], axis, region, (region.starts[axis] + first, extent + reach), beyond)
        parts = [scaled(c, cut(line, axis, k - first, extent)) for k, c in weights.items()]
        return added(parts) * (1.0 / semi.spacings[axis])
    lines: list[Line] = [weights if axis == name else {0: Fraction(1)} for axis in semi.axes]
    return _formula(fields, w.params["of"], lines, [int(axis == name) for axis in semi.axes], region)


def _formula(fields: Fields, u: Node, lines: Sequence[Line], counts: Sequence[int], region: Region) -> Node:
    """Return the product of the formulas along the axes, divided by the spacings to the powers `counts`."""
    weights: dict[tuple[int, ...], Fraction] = {}
    for combination in itertools.product(*(line.items() for line in lines)):
        weight = combination[0][1]
        for _, factor in combination[1:]:
            weight = weight * factor
        weights[tuple(k for k, _ in combination)] = weight
    total = added(_pairs(fields, u, weights, region))
    scale: Node | None = None
    for h, n in zip(fields.semi.spacings, counts, strict=True):
        for _ in range(n):
            scale = h if scale is None else scale * h
    return total if scale is None else total * (1.0 / scale)


def _pairs(fields: Fields, u: Node, weights: Mapping[tuple[int, ...], Fraction], region: Region) -> list[Node]:
    """Return the terms of a formula, mirrored offsets joined.

    Offsets that mirror each other often have equal or opposite weights. Joining them halves the products, and a
    mirrored state keeps its symmetry to the last bit.
    """
    # Offsets k mirror to c - k, c = 1 along an axis of middles.
    centre = tuple(int(axis == region.half) for axis in range(len(region.starts)))

    def distance(k: tuple[int, ...]) -> int:
        return max(abs(2 * i - c) for i, c in zip(k, centre, strict=True))

    out = []
    for k, w in sorted(weights.items(), key=lambda item: -distance(item[0])):
        mirror = tuple(c - i for i, c in zip(k, centre, strict=True))
        paired = abs(weights.get(mirror, Fraction(0))) == abs(w)
        if paired and k < mirror:
            continue
        x = _shifted(fields, u, k, region)
        if paired and k != mirror:
            other = _shifted(fields, u, mirror, region)
            x = x + other if weights[mirror] == w else x - other
        out.append(scaled(w, x))
    return out


def _shifted(fields: Fields, u: Node, offset: Sequence[int], region: Region) -> Node:
    """Return the values of a field on a region moved by an offset."""
    layout = fields.semi.layout[u]
    firsts = [s - lower for s, (lower, _) in zip(layout.starts, layout.beyond, strict=True)]
    starts = tuple(s + k - first for s, k, first in zip(region.starts, offset, firsts, strict=True))
    return slice_(fields.extension(u), starts=starts, extents=region.extents, steps=(1,) * len(starts))


# -- fluxes -------------------------------------------------------------------------------------------------------


def _flux(fields: Fields, f: Node, axis: int, region: Region) -> Node:
    """Return D_axis f as differences of f between the points.

    Fluxes exist in the middles inside of the domain. On a periodic axis those beyond an end are evaluated where they
    are on the other one; else they continue the flux on the side, which the condition there determines.
    """
    semi, order = fields.semi, fields.semi.order
    name, start, extent = semi.axes[axis], region.starts[axis], region.extents[axis]
    reach = order // 2
    first, count = start - reach, extent + (2 * reach - 1)
    if semi.problem.is_periodic(name):
        line = _on(fields, f, region.along(axis, first, count, half=True))
    else:
        below, above = outside(first, count, grid_size(name) - 1)
        inside = _on(fields, f, region.along(axis, first + below, count - (below + above), half=True))
        line = inside
        if below or above:
            before = _flux_ghosts(fields, f, inside, region, axis, 0, below)[::-1]
            line = concatenate(*before, inside, *_flux_ghosts(fields, f, inside, region, axis, 1, above), axis=axis)
    terms_ = []
    for k, w in sorted(stencils.half(1, order).items(), reverse=True):
        if k > 0:
            ahead, behind = (cut(line, axis, reach - 1 + j, extent) for j in (k, 1 - k))
            terms_.append(scaled(w, ahead - behind))
    return added(terms_) * (1.0 / semi.spacings[axis])


def _on(fields: Fields, f: Node, region: Region) -> Node:
    (value,) = evaluate(fields, [f], region)
    return broadcast_to(value, shape=region.extents)


def _flux_ghosts(fields: Fields, f: Node, inside: Node, region: Region, axis: int, end: int, count: int) -> list[Node]:
    """Return `count` layers of fluxes beyond a side, outwards."""
    if not count:
        return []
    place = 0 if end == 0 else grid_size(fields.semi.axes[axis]) - 1
    here = _on(fields, f, region.along(axis, place, 1))
    found = stencils.flux_ghosts(fields.semi.order, count)
    return [ghost(g.weights, [(g.data, here)], inside, axis, end) for g in found]


# -- values at the points of a line ---------------------------------------------------------------------------------


def _nodal(fields: Fields, f: Node, axis: int, region: Region) -> Node:
    """Return D_axis D_axis f by the central formula on the values of f at the points."""
    weights, h = stencils.central(2, fields.semi.order), fields.semi.spacings[axis]
    reach, extent = max(weights), region.extents[axis]
    places = (region.starts[axis] - reach, extent + 2 * reach)
    line = _line(fields, f, axis, region, places, (fields.semi.order, fields.semi.order))
    parts = {k: cut(line, axis, reach + k, extent) for k in weights}
    terms_ = [scaled(weights[k], parts[k] + parts[-k]) for k in range(reach, 0, -1)]
    return added([*terms_, scaled(weights[0], parts[0])]) * (1.0 / (h * h))


def _line(
    fields: Fields, f: Node, axis: int, region: Region, places: tuple[Extent, Extent], beyond: tuple[int, int]
) -> Node:
    """Return the values of f at places along an axis, given by the first and their number.

    `beyond` are those of the points beyond sides of given value and slope.

    On a periodic axis those beyond an end are on the other one; else they continue f as fields are continued: with its
    slope on the side where that of one of its fields is given, with its value there where all of them are.
    """
    name, (first, count) = fields.semi.axes[axis], places
    below, above = (0, 0) if fields.semi.problem.is_periodic(name) else outside(first, count, grid_size(name))
    line = _on(fields, f, region.along(axis, first + below, count - (below + above)))
    if not below and not above:
        return line
    before, behind = (
        _line_ghosts(fields, f, line, region, axis, end, n, beyond) if n else [] for end, n in ((0, below), (1, above))
    )
    return concatenate(*before[::-1], line, *behind, axis=axis)


def _line_ghosts(
    fields: Fields, f: Node, line: Node, region: Region, axis: int, end: int, count: int, beyond: tuple[int, int]
) -> list[Node]:
    """Return `count` layers of the values of f beyond a side, outwards."""
    semi = fields.semi
    name = semi.axes[axis]
    if not slopes_given(semi.problem, f, name, end):
        # The line has the side itself, from which the ghosts of given values do not start.
        here, found = layer(line, axis, end, 0), stencils.dirichlet_ghosts(beyond[0], count + 1)[1:]
        return [ghost({k + 1: w for k, w in g.weights.items()}, [(g.data, here)], line, axis, end) for g in found]
    side = region.along(axis, 0 if end == 0 else grid_size(name) - 1, 1)
    slope = _on(fields, d(f, symbols(name)), side) * semi.spacings[axis]
    outward = slope if end else -slope
    return [ghost(g.weights, [(g.data, outward)], line, axis, end) for g in stencils.slope_ghosts(beyond[1], count)]


# -- numbers of the whole domain ------------------------------------------------------------------------------------


def _whole(fields: Fields) -> Region:
    sizes = tuple(grid_size(axis) for axis in fields.semi.axes)
    return Region((0,) * len(sizes), sizes)


def everywhere(fields: Fields, f: Node) -> Node:
    """Return f at all points of the grid."""
    return _on(fields, f, _whole(fields))


def _integral(fields: Fields, f: Node) -> Node:
    """Return the integral of f over the domain, by a quadrature of the order of the formulas."""
    region = _whole(fields)
    (value,) = evaluate(fields, [f], region)
    if value.shape == ():
        for lower, upper in fields.semi.problem.domain.intervals:
            value = value * (upper - lower)
        return value
    x = broadcast_to(value, shape=region.extents)
    for axis in reversed(range(fields.dim)):
        x = _integral_along(fields, x, axis)
    return reshape(x, shape=())


def _integral_along(fields: Fields, x: Node, axis: int) -> Node:
    """Return the integral along an axis, which keeps the extent 1."""
    semi = fields.semi
    shape = tuple(1 if k == axis else d for k, d in enumerate(x.shape))
    parts = [reshape(sum_(x, axes=(axis,)), shape=shape)]
    if not semi.problem.is_periodic(semi.axes[axis]):
        for k, w in enumerate(stencils.quadrature(semi.order)):
            parts.append(scaled(w, layer(x, axis, 0, k) + layer(x, axis, 1, k)))
    return added(parts) * semi.spacings[axis]
