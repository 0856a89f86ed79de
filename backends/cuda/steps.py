"""Steps: which kernels a statement is made of, with how many threads, blocks and launches, and how much scratch.

All of it depends on sizes alone. A step is what runs between two barriers of the whole grid; its skeleton is a device
function `step(turn, words, tile)`, of which `launch` makes a kernel, or `resident` a whole loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backends.cuda.batches import Batched, parts_of_rows, pays, scratch_starts
from backends.cuda.fused import Fused
from backends.cuda.fused import pays as fusing_pays
from backends.cuda.geometry import Geometry
from backends.cuda.kinds import Inline, int64, tile, void, words
from backends.cuda.tiles import Tiled, n_tiles
from backends.cuda.words import VECTOR_BYTES, extents_of, is_scatter, kept_axes, reduced_axes
from symdiff.ir.dims import evaluate, product
from symdiff.program.ir import ITEMSIZE, Access, Call, Load, Member, Nest
from symdiff.program.native import NATIVE

if TYPE_CHECKING:
    from backends.cuda.calls import CallFunctions
    from backends.cuda.skeletons import Functions, Skeleton

Sizes = Mapping[str, int]
# Statements that may be one kernel together.
Joined = Batched | Fused
# What kernels are made of.
Launched = Nest | Call | Tiled | Joined
# Bodies up to this long are written out for several points of a thread; a function is as long as so many operations.
_WIDE_BODY, _FUNCTION = 128, 16


@dataclass(frozen=True, slots=True)
class Step:
    """One skeleton of a statement, launched once for every turn from 0 up."""

    skeleton: str
    blocks: int
    threads: int
    turns: int = 1


@dataclass(frozen=True, slots=True)
class Built:
    """A skeleton's device function, and the words of shared memory that it uses."""

    step: Skeleton
    tile_words: int


# --- nests ------------------------------------------------------------------------


def vector_width(nest: Nest) -> int:
    """How many neighbouring points of a nest make whole vectors; 1 where its arrays are not read so."""
    accesses = [i.access for i in nest.body if isinstance(i, Load)] + [x.access for x in nest.stores]
    straight = [a for a in accesses if _is_straight(a)]
    length = sum(1 if getattr(i, "name", "add") in NATIVE else _FUNCTION for i in nest.body)
    if nest.reductions or nest.serial or len(nest.space) != 1 or length > _WIDE_BODY or not straight:
        return 1
    return VECTOR_BYTES // max(ITEMSIZE[a.buffer.dtype] for a in straight)


def _is_straight(access: Access) -> bool:
    return access.strides == (1,) and access.offset == 0 and not (access.guards or access.gathers)


def skeletons_of(statement: Launched, g: Geometry) -> tuple[str, ...]:
    """The skeletons that a statement may be launched with."""
    if isinstance(statement, Tiled):
        return ("sweep_tiles",)
    if isinstance(statement, Fused):
        return ("gemm",)
    if isinstance(statement, Batched):
        return ("batches", *(f"combine_rows{k}" for k in statement.sums))
    return _SKELETONS[statement.name] if isinstance(statement, Call) else _skeletons_of_nest(statement, g)


def steps_of(statement: Launched, sizes: Sizes, g: Geometry) -> list[Step]:
    """What to launch for a statement, in order."""
    if isinstance(statement, Tiled):
        return [Step("sweep_tiles", min(n_tiles(statement.sweep, statement.tile, sizes), g.most_blocks), g.threads)]
    if isinstance(statement, Batched):
        return _steps_of_batches(statement, sizes, g)
    if isinstance(statement, Fused):
        return _steps_of_call(statement.call, sizes, g)
    return _steps_of_call(statement, sizes, g) if isinstance(statement, Call) else _steps_of_nest(statement, sizes, g)


def _skeletons_of_nest(nest: Nest, g: Geometry) -> tuple[str, ...]:
    names: tuple[str, ...] = ("clear",) if nest.zero else ()
    if nest.reductions:
        return (*names, *_reductions(nest, g))
    if nest.serial:
        return (*names, "by_owner" if is_scatter(nest) else "in_order")
    if vector_width(nest) > 1:
        return (*names, "map_vectors")
    return (*names, *_maps(nest, g))


def _reductions(nest: Nest, g: Geometry) -> tuple[str, ...]:
    """What a reduction may need: with numbers for extents, or few terms, it is known which of both ways it goes."""
    kept, reduced = (product(extents_of(nest, axes(nest))) for axes in (kept_axes, reduced_axes))
    alone = (_alone(nest, g),)
    shared = ("reduce_by_block", "combine_parts")
    if (isinstance(reduced, int) and reduced <= g.short) or (isinstance(kept, int) and kept >= g.many):
        return alone
    return shared if isinstance(reduced, int) and isinstance(kept, int) else (*alone, *shared)


def _alone(nest: Nest, g: Geometry) -> str:
    """How a result is found without partial results: by a warp where the terms of one lie side by side."""
    reduced = product(extents_of(nest, reduced_axes(nest)))
    is_short = isinstance(reduced, int) and 2 * reduced <= g.warp
    terms = _has_neighbours(nest, reduced_axes(nest)) and not is_short
    return "reduce_by_warp" if terms else "reduce_by_thread"


def _has_neighbours(nest: Nest, axes: tuple[int, ...]) -> bool:
    """Whether steps along the last of some axes read neighbouring entries of an array with an entry for every point."""
    whole = [a for a in _loads(nest) if all(s != 0 for s, d in zip(a.strides, nest.space, strict=True) if d != 1)]
    return bool(axes) and len(nest.space) > 1 and any(a.strides[axes[-1]] == 1 for a in whole)


def _loads(nest: Nest) -> list[Access]:
    return [i.access for i in nest.body if isinstance(i, Load) and not i.access.gathers]


def _maps(nest: Nest, g: Geometry) -> tuple[str, ...]:
    """What a map of several axes may need: rows that are known to be short, or long, need one of both."""
    columns = nest.space[-1] if len(nest.space) > 1 else 1
    if not isinstance(columns, int):
        return "map_points", "map_rows"
    return ("map_rows",) if columns >= g.row_length else ("map_points",)


def _steps_of_nest(nest: Nest, sizes: Sizes, g: Geometry) -> list[Step]:
    kept, reduced = (_points(nest, axes, sizes) for axes in (kept_axes(nest), reduced_axes(nest)))
    steps = []
    if nest.zero:
        most = max(evaluate(b.n_bytes, sizes) for b in nest.zero)
        steps.append(Step("clear", g.blocks(most), g.threads, len(nest.zero)))
    if kept == 0:
        return steps
    if nest.reductions:
        return steps + _reduction(nest, kept, reduced, g)
    if nest.serial:
        name = "by_owner" if is_scatter(nest) else "in_order"
        owners = evaluate(nest.stores[0].access.gathers[0].extent, sizes) if name == "by_owner" else 1
        return [*steps, Step(name, g.blocks(kept * max(1, min(owners, reduced))), g.threads)]
    width = vector_width(nest)
    if width > 1:
        return [*steps, Step("map_vectors", g.blocks(-(-kept // width)), g.threads)]
    columns = evaluate(nest.space[-1], sizes) if nest.space else 1
    if len(nest.space) > 1 and columns >= g.row_length:
        rows = -(-(kept // columns) // g.rows)
        tiles = -(-columns // g.threads) * rows
        return [*steps, Step("map_rows", max(1, min(tiles, g.most_blocks)), g.threads)]
    return [*steps, Step("map_points", g.blocks(kept), g.threads)]


def _steps_of_batches(statement: Batched, sizes: Sizes, g: Geometry) -> list[Step]:
    n_parts = parts_of_rows(g)(evaluate(statement.rows.extent, sizes))
    steps = [Step("batches", n_parts, g.threads)]
    for k in statement.sums:
        kept = _points(statement.nests[k], kept_axes(statement.nests[k]), sizes)
        steps.append(Step(f"combine_rows{k}", g.blocks(kept * g.warp), g.threads))
    return steps


def _points(nest: Nest, axes: tuple[int, ...], sizes: Sizes) -> int:
    return evaluate(product(extents_of(nest, axes)), sizes)


def _reduction(nest: Nest, kept: int, reduced: int, g: Geometry) -> list[Step]:
    if g.by_thread(kept, reduced):
        name = _alone(nest, g)
        return [Step(name, g.blocks(kept * (g.warp if name == "reduce_by_warp" else 1)), g.threads)]
    threads = g.tree_threads(len(nest.reductions))
    lanes = _lanes(nest, g)
    strips = -(-kept // lanes)
    n_parts = parts_of(g, threads // lanes)(strips, reduced)
    return [
        Step("reduce_by_block", min(strips * n_parts, g.most_blocks), threads),
        Step("combine_parts", g.blocks(kept * g.warp), g.threads),
    ]


def _lanes(nest: Nest, g: Geometry) -> int:
    """How many results the threads of a block share: neighbouring ones where they read neighbouring entries."""
    threads = g.tree_threads(len(nest.reductions))
    return min(g.lanes, threads) if _has_neighbours(nest, kept_axes(nest)) else 1


def parts_of(g: Geometry, threads: int) -> Callable[[int, int], int]:
    """The number of blocks, with so many threads for a result, that share its terms, as a function that kernels have.

    It is one of the strips of results that a block has and of the terms of a result.
    """
    terms, most = threads * g.terms_per_thread, g.most_parts

    def n_parts(n_strips: int, n_reduced: int) -> int:
        return max(1, min((n_reduced + terms - 1) // terms, most // max(n_strips, 1)))

    return n_parts


def build_nest(nest: Nest, name: str, f: Functions, g: Geometry, inline: Inline) -> Built:
    """Build a skeleton of a nest."""
    from backends.cuda import skeletons as s

    n = len(nest.reductions)
    threads = g.tree_threads(n) if n else g.threads
    lanes = _lanes(nest, g)
    n_parts = inline(parts_of(g, threads // lanes), int64(int64, int64))
    match name:
        case "clear":
            return Built(s.clear(f), 0)
        case "map_vectors":
            return Built(s.map_vectors(f, vector_width(nest)), 0)
        case "map_rows":
            return Built(s.map_rows(f, g.threads, g.rows), 0)
        case "in_order":
            return Built(s.in_order(f), 0)
        case "by_owner":
            return Built(s.by_owner(f), 0)
        case "reduce_by_thread":
            return Built(s.reduce_by_thread(f), 0)
        case "reduce_by_warp":
            return Built(s.reduce_by_warp(f, g.warp), 0)
        case "reduce_by_block":
            tree = inline(s.tree(f, threads, lanes), void(int64, tile))
            return Built(s.reduce_by_block(f, threads, lanes, n_parts, tree), threads * n)
        case "combine_parts":
            parts = inline(s.parts_by_strips(f, n_parts, lanes), int64(words))
            return Built(s.combine_parts(f, parts, g.warp), 0)
        case _:
            return Built(s.map_points(f), 0)


def build_member(member: Member, f: Functions, per_row: Any, g: Geometry, inline: Inline) -> Built:
    """Build what a member of batches does with a batch: see `batch_skeletons`."""
    from backends.cuda import batch_skeletons as s
    from backends.cuda.skeletons import tree

    nest = member.statement
    assert isinstance(nest, Nest)
    n = len(nest.reductions)
    if member.sums:
        threads = g.tree_threads(n)
        lanes = _lanes(nest, g)
        by_tree = inline(tree(f, threads, lanes), void(int64, tile))
        return Built(s.sum_batch(f, per_row, threads, lanes, g.batch, by_tree), threads * n)
    if not n:
        return Built(s.map_batch(f, per_row), 0)
    by_warp = _alone(nest, g) == "reduce_by_warp"
    return Built(s.reduce_batch_by_warp(f, per_row, g.warp) if by_warp else s.reduce_batch(f, per_row), 0)


# --- library calls ------------------------------------------------------------------

_SKELETONS: Mapping[str, tuple[str, ...]] = {
    "gemm": ("gemm",),
    "recurrence": ("recurrence",),
    "argsort": ("open_keys", "merge_runs", "close_order"),
    "cholesky": ("cholesky",),
    "lu": ("lu",),
    "lu_solve": ("substitution",),
    "triangular_solve": ("substitution",),
    "adjugate": ("lu", "adjugate"),
    "qr": ("qr",),
    "eigh": ("eigh",),
    "banded_solve": ("banded_solve",),
}
CALLS = frozenset(_SKELETONS)
"""The library calls that have kernels."""


def operands_used(call: Call) -> int:
    """How many of its operands the kernels of a call use: their scratch is of another size, and comes separately."""
    return {"argsort": 2, "lu": 1, "lu_solve": 2, "banded_solve": 2, "eigh": 1, "qr": 1, "adjugate": 2}.get(
        call.name, len(call.operands)
    )


def _steps_of_call(call: Call, sizes: Sizes, g: Geometry) -> list[Step]:
    extents = [evaluate(e, sizes) for e in call.extents]
    names = _SKELETONS[call.name]
    points = 1
    for e in extents:
        points *= e
    # An empty sum of products is 0, and has to be written.
    if points == 0 and not (call.name == "gemm" and extents[0] * extents[1] * extents[3] > 0):
        return []
    match call.name:
        case "gemm":
            side = g.product_edge * g.product_per
            squares = -(-extents[0] // side) * -(-extents[1] // side) * extents[3]
            return [Step("gemm", min(squares, g.most_blocks), g.product_edge**2)]
        case "recurrence":
            return [Step(names[0], g.blocks(points // extents[-2]), g.threads)]
        case "argsort":
            # Runs are merged in pairs until one is left.
            turns = (1, max(extents[-1] - 1, 0).bit_length(), 1)
            return [Step(n, g.blocks(points), g.threads, t) for n, t in zip(names, turns, strict=True) if t]
        case "banded_solve":
            return [Step(names[0], g.blocks(extents[0]), g.threads)]
        case "lu_solve" | "triangular_solve":
            return [Step(names[0], min(extents[0] * extents[2], g.most_blocks), g.threads)]
    return [Step(n, min(extents[0], g.most_blocks), g.threads) for n in names]


def joined_pays(joined: Joined, sizes: Sizes, g: Geometry) -> bool:
    """Whether statements are faster as one kernel."""
    return pays(joined, sizes, g) if isinstance(joined, Batched) else fusing_pays(joined, sizes)


def build_call(call: Call, name: str, f: CallFunctions, g: Geometry) -> Built:
    """Build a skeleton of a library call."""
    from backends.cuda import banded, lines, orthogonal, products, triangular

    if name == "gemm":
        edge, per = g.product_edge, g.product_per
        return Built(products.gemm(f, edge, per), 2 * edge * edge * per)
    room = next(m for m in (banded, lines, orthogonal, triangular) if hasattr(m, name))
    return Built(getattr(room, name)(f, call), {"qr": 1, "eigh": 2 * g.threads}.get(name, 0))


# --- scratch --------------------------------------------------------------------------


def scratch_words(statement: Launched, sizes: Sizes, g: Geometry) -> int:
    """The words of scratch that a statement needs while it runs."""
    if isinstance(statement, Batched):
        return evaluate(scratch_starts(statement, g)[-1], sizes) if pays(statement, sizes, g) else 0
    if isinstance(statement, (Tiled, Fused)):
        return 0
    if isinstance(statement, Nest):
        kept, reduced = (_points(statement, axes(statement), sizes) for axes in (kept_axes, reduced_axes))
        if not statement.reductions or g.by_thread(kept, reduced):
            return 0
        n = len(statement.reductions)
        lanes = _lanes(statement, g)
        return kept * parts_of(g, g.tree_threads(n) // lanes)(-(-kept // lanes), reduced) * n
    extents = [evaluate(e, sizes) for e in statement.extents]
    count, *core = extents
    match statement.name:
        case "argsort":
            points = 1
            for e in extents:
                points *= e
            return 4 * points
        case "adjugate":
            return count * core[0]
        case "qr":
            return count * core[1]
        case "eigh":
            n = core[0]
            return count * (2 * n * n + n + 1)
        case "banded_solve":
            lower, upper = map(int, statement.flags)
            return count * (core[0] + lower) * (2 * lower + upper + 1)
    return 0
