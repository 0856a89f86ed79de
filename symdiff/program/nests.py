"""normalise: choose the order of a nest's loops and merge those that run over contiguous memory.

    axes of extent 1 are dropped;  the innermost loop is the one that most accesses run along;
    (i, j) with strides (m*s, s) and extent m of j in every access becomes one loop

Needs: nothing.  Keeps: what the nest computes; with reductions, the set of reduced entries.
"""

from __future__ import annotations

from dataclasses import replace

from symdiff.ir.dims import Extent, multiply
from symdiff.program.ir import Access, Affine, Const, Guard, Instr, Load, Nest, Store


def normalise(nest: Nest) -> Nest:
    """Return an equal nest in its best loop order with as few loops as possible."""
    if nest.serial or not nest.space:
        return nest
    keep = [k for k, d in enumerate(nest.space) if d != 1]
    nest = _select(nest, keep)
    if nest.reductions and not nest.reduced:
        # Reduced loops of extent 1 only: each result is its one entry.
        stored = tuple(Store(r.value, r.access) for r in nest.reductions)
        nest = replace(nest, stores=nest.stores + stored, reductions=())
    return _merged(_select(nest, _order(nest)), 0)


def outermost(nest: Nest, axis: int) -> Nest:
    """Return an equal nest whose outermost loop is the one over `axis`, which is not the innermost."""
    rest = [k for k in range(len(nest.space)) if k != axis]
    return _merged(_select(nest, [axis, *rest]), 1)


def _merged(nest: Nest, first: int) -> Nest:
    """Merge loops from `first` on."""
    for k in reversed(range(first, len(nest.space) - 1)):
        if _mergeable(nest, k):
            nest = _merge(nest, k)
    return nest


def _vectors(nest: Nest) -> list[tuple[Extent, ...]]:
    """Every coefficient vector over the loop indices."""
    out = []
    for instr in nest.body:
        match instr:
            case Load():
                out += [instr.access.strides, *(g.coefs for g in instr.access.guards)]
            case Affine():
                out += [instr.coefs, *(g.coefs for g in instr.guards)]
            case Const():
                out += [g.coefs for g in instr.guards]
    out += [s.access.strides for s in nest.stores]
    out += [r.access.strides for r in nest.reductions]
    return out


def _map(nest: Nest, space: tuple[Extent, ...], reduced: tuple[int, ...], move: object) -> Nest:
    """Apply a function to every coefficient vector."""
    assert callable(move)

    def guards(gs: tuple[Guard, ...]) -> tuple[Guard, ...]:
        return tuple(replace(g, coefs=move(g.coefs)) for g in gs)

    def access(a: Access) -> Access:
        return replace(a, strides=move(a.strides), guards=guards(a.guards))

    def instr(i: Instr) -> Instr:
        match i:
            case Load():
                return replace(i, access=access(i.access))
            case Affine():
                return replace(i, coefs=move(i.coefs), guards=guards(i.guards))
            case Const():
                return replace(i, guards=guards(i.guards)) if i.guards else i
            case _:
                return i

    return replace(
        nest,
        space=space,
        body=tuple(instr(i) for i in nest.body),
        stores=tuple(replace(s, access=access(s.access)) for s in nest.stores),
        reductions=tuple(replace(r, access=access(r.access)) for r in nest.reductions),
        reduced=reduced,
    )


def _select(nest: Nest, order: list[int]) -> Nest:
    """Put the loops into the given order; a loop that is left out has extent 1."""
    if order == list(range(len(nest.space))):
        return nest
    space = tuple(nest.space[k] for k in order)
    reduced = tuple(j for j, k in enumerate(order) if k in nest.reduced)
    return _map(nest, space, reduced, lambda v: tuple(v[k] for k in order))


def _order(nest: Nest) -> list[int]:
    """Kept loops outside, reduced ones inside, unless memory runs along a kept loop: then that one is innermost."""
    rank = len(nest.space)
    if rank <= 1:
        return list(range(rank))
    strides = [i.access.strides for i in nest.body if isinstance(i, Load)] + [s.access.strides for s in nest.stores]

    def score(axis: int) -> tuple[int, int]:
        along = sum(1 if s[axis] == 1 else 0 if s[axis] == 0 else -1 for s in strides)
        return along, axis

    inner = max(range(rank), key=score)
    kept = [k for k in range(rank) if k not in nest.reduced and k != inner]
    reduced = [k for k in range(rank) if k in nest.reduced and k != inner]
    return [*kept, *reduced, inner]


def _mergeable(nest: Nest, k: int) -> bool:
    if (k in nest.reduced) != (k + 1 in nest.reduced):
        return False
    extent = nest.space[k + 1]
    return all(v[k] == multiply(v[k + 1], extent) for v in _vectors(nest))


def _merge(nest: Nest, k: int) -> Nest:
    space = (*nest.space[:k], multiply(nest.space[k], nest.space[k + 1]), *nest.space[k + 2 :])
    reduced = tuple(sorted({j if j <= k else j - 1 for j in nest.reduced}))
    return _map(nest, space, reduced, lambda v: (*v[:k], *v[k + 1 :]))
