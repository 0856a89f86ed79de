"""tiled_run: loops whose turns are chains of stencils, run tile by tile: see `tiles`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from backends.cuda.cards import SHARED_RATE, USUAL
from backends.cuda.loops import Turns, run_loop
from backends.cuda.tiles import Tiled, fits, points, record_bytes, tile_of
from backends.cuda.words import RECORD
from symdiff.ir.dims import evaluate, product
from symdiff.program.ir import Call, Loop, Nest, Program
from symdiff.program.merge import merge
from symdiff.program.sweep import find

if TYPE_CHECKING:
    from backends.cuda.geometry import Geometry
    from backends.cuda.run import Launches, Run


def tilings(program: Program, g: Geometry) -> dict[int, Tiling]:
    """The loops of a program that are faster in tiles, by identity."""
    n = 1 + max((b.id for b in (*program.inputs, *program.outputs, *program.temps)), default=0)
    found = {}
    for loop in (s for s in program.statements if isinstance(s, Loop)):
        sweep = find(loop, n)
        tile = None if sweep is None else tile_of(sweep, g)
        if sweep is not None and tile is not None:
            found[id(loop)] = Tiling(loop, Tiled(sweep, tile), g)
            n += len(sweep.checks)
    return found


class Tiling:
    """A loop that may run tile by tile.

    What a turn does beside its stencils runs ahead, for as many turns as a tile makes, and is recorded.
    """

    def __init__(self, loop: Loop, tiled: Tiled, g: Geometry):
        self.loop, self.tiled, self.geometry = loop, tiled, g
        self.checks = [s for s in merge([nest for nest, _ in tiled.sweep.checks]) if isinstance(s, Nest)]
        self.fills = [s for s in merge(tiled.sweep.fills) if isinstance(s, Nest)]

    @property
    def statements(self) -> tuple[Nest | Call | Tiled, ...]:
        """What is launched beside the loop's condition."""
        ahead = [s for s in self.tiled.sweep.ahead if isinstance(s, (Nest, Call))]
        return (*ahead, *self.beside)

    @property
    def beside(self) -> tuple[Nest | Tiled, ...]:
        """What is launched beside what runs ahead."""
        return (*self.checks, *self.fills, self.tiled)

    def pays(self, sizes: Mapping[str, int]) -> bool:
        """Whether a grid is large enough."""
        return fits(self.tiled.sweep, self.tiled.tile, sizes, self.geometry)

    def estimate(self, sizes: Mapping[str, int]) -> np.ndarray:
        """The bytes that a turn moves, and the least seconds by memory, by arithmetic, and by shared memory."""
        tile = self.tiled.tile
        per_point = [tile.moved, tile.moved / USUAL.copy, tile.arithmetic, tile.shared / SHARED_RATE]
        return points(self.tiled.sweep, sizes) * np.array(per_point)

    def record_bytes(self, sizes: Mapping[str, int]) -> int:
        """The bytes that a run keeps beside its arrays."""
        return record_bytes(self.tiled.sweep, self.tiled.tile, sizes) if self.pays(sizes) else 0

    def run(self, kernel: Launches, run: Run, go: int) -> None:
        """Run the loop, if the flag at `go` is up."""
        sweep, depth = self.tiled.sweep, self.tiled.tile.depth
        place = run.base + run.plan.record
        for k, (_, flag) in enumerate(sweep.checks):
            run.addresses[flag.id] = place + 8 * k
        run.launch_all(self.checks, go)
        differences = np.zeros(len(sweep.checks))
        run.device.download(place, differences, run.stream)
        if np.any(differences != 0):
            # Points beyond a periodic side that do not repeat those inside: the first turn reads them as they are.
            kernel.image(run.device, run.plan.sizes, self.loop.body)
            run_loop(self.loop, run, go)
            return
        first = place + 8 * len(sweep.checks)
        sizes = run.plan.sizes
        entries = [evaluate(product(b.shape), sizes) for b in sweep.recorded]

        def record(turn: int) -> None:
            at = first + 8 * turn * sum(entries)
            for b, n in zip(sweep.recorded, entries, strict=True):
                run.device.copy(at, run.addresses[b.id], evaluate(b.n_bytes, sizes), run.stream)
                at += 8 * n

        def together(go: int) -> None:
            words = run.words(kernel.layout(self.tiled), go)
            words[1 + RECORD] = place
            (step,) = kernel.steps(self.tiled, sizes)
            run.device.launch(run.image, kernel.name(self.tiled, step), step.blocks, step.threads, words, run.stream)

        run_loop(self.loop, run, go, Turns(sweep.ahead, sweep.ahead_swaps, depth, record, together, sweep.states))
        run.launch_all(self.fills, go)
