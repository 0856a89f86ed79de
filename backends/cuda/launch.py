"""launch: a kernel of a step: `kernel(turn, words)` gives the block its shared memory and minds the go flag."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.cuda.geometry import Geometry
from backends.cuda.steps import Built, build_call, build_nest, vector_width
from backends.cuda.tiles import Tiled, waits
from backends.cuda.words import Words
from symdiff.program.ir import Call, Loop, Nest

if TYPE_CHECKING:
    from backends.cuda.skeletons import Functions


def built(
    statement: Nest | Call | Tiled, name: str, layout: Words, g: Geometry,
    memory: Mapping[int, np.ndarray] | None = None,
) -> Built:  # fmt: skip
    """Build a skeleton of a statement around emitted code, or around interpreted code on the simulator's memory."""
    if isinstance(statement, Tiled):
        return _built_tiles(statement, layout, g, memory)
    if memory is None:
        from numba.types import int64

        from backends.cuda import functions

        if isinstance(statement, Call):
            return build_call(statement, name, functions.emitted_call(statement, layout), g)
        f = nest_functions(statement, layout, memory)
        return build_nest(statement, name, f, g, lambda p: functions.inlined(p, int64(int64, int64)))
    from backends.cuda import simulated

    if isinstance(statement, Call):
        return build_call(statement, name, simulated.interpreted_call(statement, layout, memory), g)
    return build_nest(statement, name, nest_functions(statement, layout, memory), g, lambda p: p)


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


def nest_functions(nest: Nest, layout: Words, memory: Mapping[int, np.ndarray] | None) -> Functions:
    """The device functions of a nest."""
    if memory is None:
        from backends.cuda import functions

        return functions.emitted(nest, layout, vector_width(nest))
    from backends.cuda import simulated

    return simulated.interpreted(nest, layout, vector_width(nest), memory)


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
    return kernel_of(reside(loop, layout, g, f, memory), name, layout, memory)


def kernel_of(part: Built, name: str, layout: Words, memory: Mapping[int, np.ndarray] | None = None) -> Any:
    """Return the kernel of a step, a function `kernel(turn, words)` that numba-cuda compiles."""
    from numba import types

    from backends.cuda.grid import cuda

    size = max(part.tile_words, 1)
    if memory is None:
        from backends.cuda import functions

        signature = types.void(types.int64, types.UniTuple(types.int64, layout.count), functions.tile_type())
        step, go = functions.inlined(part.step, signature), functions.goes_on(layout)
    else:
        from backends.cuda import simulated

        step, go = part.step, simulated.go_is_up(memory)

    def kernel(turn: int, words: Any) -> None:
        tile = cuda.shared.array(size, types.int64)
        if go(words):
            step(turn, words, tile)

    return named(kernel, name)


def named(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Give a function the name under which its kernel appears in PTX and in profilers."""
    function.__name__ = function.__qualname__ = name
    return function


def signature(layout: Words) -> Any:
    """The types of a kernel's parameters."""
    from numba import types

    return (types.int64, types.UniTuple(types.int64, layout.count))
