"""launch: a kernel of a step: `kernel(turn, words)` gives the block its shared memory and minds the go flag."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.cuda.batches import Batched, parts_of_rows, points_per_row, scratch_starts
from backends.cuda.fused import Fused
from backends.cuda.geometry import Geometry
from backends.cuda.kinds import Inline, int64, words
from backends.cuda.steps import Built, Launched, build_call, build_member, build_nest, vector_width
from backends.cuda.tiles import Tiled, waits
from backends.cuda.words import Words
from symdiff.ir.dims import Extent
from symdiff.program.ir import Call, Loop, Nest

if TYPE_CHECKING:
    from backends.cuda.skeletons import Functions


def built(
    statement: Launched, name: str, layout: Words, g: Geometry,
    memory: Mapping[int, np.ndarray] | None = None,
) -> Built:  # fmt: skip
    """Build a skeleton of a statement around emitted code, or around interpreted code on the simulator's memory."""
    if isinstance(statement, Tiled):
        return _built_tiles(statement, layout, g, memory)
    if isinstance(statement, Batched):
        return _built_batches(statement, name, layout, g, memory)
    if isinstance(statement, Fused):
        return _built_call(statement.call, name, layout, g, memory, statement)
    if isinstance(statement, Call):
        return _built_call(statement, name, layout, g, memory)
    f = nest_functions(statement, layout, memory)
    return build_nest(statement, name, f, g, _inline(memory))


def _inline(memory: Mapping[int, np.ndarray] | None) -> Inline:
    if memory is not None:
        return lambda function, signature: function
    from backends.cuda.templates import inlined

    return inlined


def _built_call(
    call: Call, name: str, layout: Words, g: Geometry, memory: Mapping[int, np.ndarray] | None,
    epilogue: Fused | None = None,
) -> Built:  # fmt: skip
    if memory is None:
        from backends.cuda import functions

        return build_call(call, name, functions.emitted_call(call, layout, epilogue), g)
    from backends.cuda import simulated

    return build_call(call, name, simulated.interpreted_call(call, layout, memory, epilogue), g)


def _built_tiles(statement: Tiled, layout: Words, g: Geometry, memory: Mapping[int, np.ndarray] | None) -> Built:
    from backends.cuda.tiled import sweep_tiles

    sweep, tile = statement.sweep, statement.tile
    if memory is None:
        from backends.cuda.tiled_functions import emitted_sweep

        f, words = emitted_sweep(sweep, tile, layout), -(-tile.n_bytes // 8)
    else:
        from backends.cuda.tiled_simulated import interpreted_sweep

        # A word for every number, at the number of its first byte.
        f, words = interpreted_sweep(sweep, tile, layout, memory), tile.n_bytes
    return Built(sweep_tiles(f, tile, waits(sweep), g.lanes), words)


def _built_batches(
    statement: Batched, name: str, layout: Words, g: Geometry, memory: Mapping[int, np.ndarray] | None
) -> Built:
    """The kernel of all members, or "combine_rows" with the number of a member that sums."""
    from backends.cuda.batch_skeletons import BATCH, batches, in_turn, parts_by_rows
    from backends.cuda.skeletons import combine_parts

    starts, inline = scratch_starts(statement, g), _inline(memory)

    def number(extent: Extent) -> Any:
        if memory is None:
            from backends.cuda import functions

            return functions.number(extent, layout)
        from backends.cuda import simulated

        return simulated.number(extent, layout, memory)

    n_parts = inline(parts_of_rows(g), int64(int64))
    n_rows = number(statement.rows.extent)
    if name != "batches":
        k = int(name.removeprefix("combine_rows"))
        f = nest_functions(statement.nests[k], layout, memory, starts[k])
        return Built(combine_parts(f, inline(parts_by_rows(n_rows, n_parts), int64(words)), g.warp), 0)
    members, tile_words = [], 0
    for k, member in enumerate(statement.rows.members):
        f = nest_functions(statement.nests[k], layout, memory, starts.get(k, 0))
        built = build_member(member, f, number(points_per_row(member)), g, inline)
        members.append(inline(built.step, BATCH))
        tile_words = max(tile_words, built.tile_words)
    return Built(batches(in_turn(members, inline), n_rows, n_parts, g.batch), tile_words)


def nest_functions(nest: Nest, layout: Words, memory: Mapping[int, np.ndarray] | None, start: Extent = 0) -> Functions:
    """The device functions of a nest, whose partial results stand in the scratch from word `start` on."""
    if memory is None:
        from backends.cuda import functions

        return functions.emitted(nest, layout, vector_width(nest), start)
    from backends.cuda import simulated

    return simulated.interpreted(nest, layout, vector_width(nest), memory, start)


def loop_kernel(
    loop: Loop, name: str, layout: Words, g: Geometry, memory: Mapping[int, np.ndarray] | None = None
) -> Any:
    """Return the kernel that makes the turns of a loop; `layout` is `Words.of(loop)`."""
    from backends.cuda.resident import reside

    if memory is None:
        from backends.cuda import functions

        f = functions.emitted_loop(loop, layout)
    else:
        from backends.cuda import simulated

        f = simulated.interpreted_loop(loop, layout, memory)
    return kernel_of(reside(loop, layout, g, f, _inline(memory), memory), name, layout, memory)


def kernel_of(part: Built, name: str, layout: Words, memory: Mapping[int, np.ndarray] | None = None) -> Any:
    """Return the kernel of a step: emitted, or a function `kernel(turn, words)` for the simulator."""
    if memory is None:
        from backends.cuda.functions import emitted_kernel

        return emitted_kernel(part.step, name, part.tile_words, layout)
    from numba import types

    from backends.cuda.grid import cuda
    from backends.cuda.simulated import go_is_up

    size, step, go = max(part.tile_words, 1), part.step, go_is_up(memory)

    def kernel(turn: int, words: Any) -> None:
        tile = cuda.shared.array(size, types.int64)
        if go(words):
            step(turn, words, tile)

    kernel.__name__ = kernel.__qualname__ = name
    return kernel
