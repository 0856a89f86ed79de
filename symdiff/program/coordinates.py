"""Coordinates: which entry of an array an address is, for addresses that are polynomials in the sizes.

A nest addresses memory by offset and strides, and loops that run over contiguous memory are merged. Here they are
taken apart again: (i, j) of an array of shape (n, m + 2) is at i*(m + 2) + j, so division by the strides gives i and j.
"""

from __future__ import annotations

from dataclasses import replace

from symdiff.ir.dims import Dim, Extent, Shape, multiply
from symdiff.program.ir import Access, Affine, Const, Guard, Instr, Load, Nest, Op
from symdiff.program.views import c_strides

Monomial = tuple[object, ...]


def divide(a: Extent, b: Extent) -> tuple[Extent, Extent]:
    """Return (q, r) with a = q*b + r, no term of r being divisible by the leading term of b.

    >>> n = Dim(((("n",), 1),))
    >>> divide(n * n + 3 * n - 1, n + 2)
    (n + 1, -3)
    """
    lead, scale = _terms(b)[0]
    quotient: Extent = 0
    rest: Extent = 0
    left = a
    while left != 0:
        monomial, c = _terms(left)[0]
        factor = _without(monomial, lead)
        if factor is None or c // scale == 0:
            term = _term(monomial, c)
            rest, left = rest + term, left - term
            continue
        part = _term(factor, c // scale)
        quotient, left = quotient + part, left - multiply(part, b)
    return quotient, rest


def is_negative(extent: Extent) -> bool:
    """Whether an extent is below 0 for all large sizes: by the sign of its leading term."""
    terms = _terms(extent)
    return bool(terms) and terms[0][1] < 0


def coordinates(offset: Extent, spans: Shape, shape: Shape) -> tuple[Extent, ...] | None:
    """Return the first entry of a box of extents `spans` in an array of `shape` that starts at `offset`; None outside.

    >>> n = Dim(((("n",), 1),))
    >>> coordinates(2 * n - 1, (1, 1), (n, n))
    (1, n - 1)
    """
    place: list[Extent] = []
    for stride in c_strides(shape):
        if stride == 0:
            return None
        index, offset = divide(offset, stride)
        place.append(index)
    for axis in range(len(shape) - 1, 0, -1):
        # n - 1 divided by n is 1 with remainder -1, but the entry is the last one of row 0.
        for _ in range(2):
            if is_negative(place[axis]):
                place[axis] = place[axis] + shape[axis]
                place[axis - 1] = place[axis - 1] - 1
            elif is_negative(shape[axis] - spans[axis] - place[axis]):
                place[axis] = place[axis] - shape[axis]
                place[axis - 1] = place[axis - 1] + 1
    fits = not any(is_negative(x) or is_negative(d - s - x) for x, s, d in zip(place, spans, shape, strict=True))
    return tuple(place) if fits else None


def unmerge(nest: Nest, shape: Shape, strides: tuple[Extent, ...]) -> Nest:
    """Take the merged loops of a nest apart again; `strides` are those of an access to an array of `shape`."""
    steps = c_strides(shape)
    k = 0
    while k < len(nest.space):
        axis = next((a for a, s in enumerate(steps) if s != 0 and s == strides[k]), None)
        if axis is None or axis == 0 or shape[axis] == 0:
            k += 1
            continue
        outer, rest = divide(nest.space[k], shape[axis])
        if rest != 0 or outer in (0, 1):
            k += 1
            continue
        nest = _split(nest, k, outer, shape[axis])
        strides = (*strides[:k], multiply(strides[k], shape[axis]), *strides[k:])
    return nest


def _split(nest: Nest, k: int, outer: Extent, inner: Extent) -> Nest:
    """Replace loop k by one of `outer` turns around one of `inner` turns."""
    space = (*nest.space[:k], outer, inner, *nest.space[k + 1 :])

    def move(offset: Extent, v: tuple[Extent, ...]) -> tuple[Extent, tuple[Extent, ...]]:
        return offset, (*v[:k], multiply(v[k], inner), *v[k:])

    return replace(moved(nest, move), space=space)


def moved(nest: Nest, move: object) -> Nest:
    """Apply a function to every pair of an offset and coefficients over the loop indices."""
    assert callable(move)

    def guard(g: Guard) -> Guard:
        offset, coefs = move(g.offset, g.coefs)
        return replace(g, offset=offset, coefs=coefs)

    def access(a: Access) -> Access:
        offset, strides = move(a.offset, a.strides)
        return replace(a, offset=offset, strides=strides, guards=tuple(map(guard, a.guards)))

    def instr(i: Instr) -> Instr:
        match i:
            case Load():
                return replace(i, access=access(i.access))
            case Affine():
                offset, coefs = move(i.offset, i.coefs)
                return replace(i, offset=offset, coefs=coefs, guards=tuple(map(guard, i.guards)))
            case Const():
                return replace(i, guards=tuple(map(guard, i.guards)))
            case Op():
                return i

    stores = tuple(replace(s, access=access(s.access)) for s in nest.stores)
    return replace(nest, body=tuple(map(instr, nest.body)), stores=stores)


def _terms(extent: Extent) -> tuple[tuple[Monomial, int], ...]:
    if isinstance(extent, Dim):
        return extent.terms
    return (((), extent),) if extent else ()


def _term(monomial: Monomial, c: int) -> Extent:
    return Dim(((monomial, c),)) if monomial else c  # type: ignore[arg-type]  # the atoms come from a Dim


def _without(monomial: Monomial, lead: Monomial) -> Monomial | None:
    """Return monomial / lead, or None where it is not divisible."""
    left = list(monomial)
    for atom in lead:
        if atom not in left:
            return None
        left.remove(atom)
    return tuple(left)
