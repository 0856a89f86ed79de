"""resident: a whole loop as one kernel, all of whose blocks run at once and wait for each other between steps.

A turn then costs a few microseconds however small its steps are, and loops inside of loops need no word from the host.
Buffers are exchanged in every thread's words. The kernel's `turn` is the most turns that it makes; its record tells
how it ended.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from backends.cuda.geometry import Geometry
from backends.cuda.grid import cuda
from backends.cuda.kinds import STEP, Inline, tile, void, words
from backends.cuda.launch import built, nest_functions
from backends.cuda.loop_functions import LoopFunctions
from backends.cuda.steps import Built, skeletons_of
from backends.cuda.words import Words
from symdiff.program.ir import Call, Load, Loop, Nest, Statement, walk

# A piece of a turn, `part(words, tile) -> words`.
Part = Callable[[Any, Any], Any]


def reside(
    loop: Loop, layout: Words, g: Geometry, f: LoopFunctions, inline: Inline, memory: Mapping[int, np.ndarray] | None
) -> Built:
    """Return the step that makes the turns of a loop; `layout` is `Words.of(loop)`."""
    return _Composer(layout, g, f, inline, memory).whole(loop)


class _Composer:
    """Puts steps together: device functions that call one or two others."""

    def __init__(
        self, layout: Words, g: Geometry, f: LoopFunctions, inline: Inline, memory: Mapping[int, np.ndarray] | None
    ):
        self.layout, self.g, self.f, self.inline, self.memory = layout, g, f, inline, memory
        self.tile_words = 0
        self.wait = inline(_barrier(f.arrive, f.arrived), void(words))

    def _part(self, function: Part) -> Part:
        out: Part = self.inline(function, words(words, tile))
        return out

    def whole(self, loop: Loop) -> Built:
        """The step that makes the turns of a loop, and then writes its record."""
        condition, body, flag, exchange = self._pieces(loop)
        report = self.f.report

        def resident(turn: int, words: Any, tile: Any) -> None:
            words = condition(words, tile)
            turns = 0
            while turns < turn and flag(words) != 0:
                words = condition(exchange(body(words, tile)), tile)
                turns += 1
            if cuda.grid(1) == 0:
                report(words, flag(words), turns)

        return Built(resident, self.tile_words)

    def _pieces(self, loop: Loop) -> tuple[Part, Part, Any, Any]:
        condition = self._sequence(loop.cond)
        if _can_fail(loop):
            condition = self._settled(condition, self.f.settle(loop))
        return condition, self._sequence(loop.body), self.f.flag(loop), self.f.exchange(loop)

    def _loop(self, loop: Loop) -> Part:
        condition, body, flag, exchange = self._pieces(loop)

        def turns(words: Any, tile: Any) -> Any:
            words = condition(words, tile)
            while flag(words) != 0:
                words = condition(exchange(body(words, tile)), tile)
            return words

        return self._part(turns)

    def _settled(self, condition: Part, settle: Any) -> Part:
        """A condition that does not hold once an index was out of range: with what is read then it might for ever.

        One thread decides for all, between two barriers: others may be about to report.
        """
        wait = self.wait

        def settled(words: Any, tile: Any) -> Any:
            words = condition(words, tile)
            if cuda.grid(1) == 0:
                settle(words)
            wait(words)
            return words

        return self._part(settled)

    def _sequence(self, statements: Sequence[Statement]) -> Part:
        """Statements in order, a barrier behind each step; recursion goes to the nesting of loops."""
        parts: list[Part] = []
        for s in statements:
            assert isinstance(s, (Nest, Call, Loop))  # CUDA's programs have been lowered to these
            parts += [self._loop(s)] if isinstance(s, Loop) else self._of(s)
        return functools.reduce(self._both, parts) if parts else self._waiting()

    def _waiting(self) -> Part:
        wait = self.wait

        def waiting(words: Any, tile: Any) -> Any:
            wait(words)
            return words

        return self._part(waiting)

    def _both(self, first: Part, second: Part) -> Part:
        def both(words: Any, tile: Any) -> Any:
            return second(first(words, tile), tile)

        return self._part(both)

    def _of(self, s: Nest | Call) -> list[Part]:
        """The parts of a statement; one that sizes decide where there are two ways."""
        names = skeletons_of(s, self.g)
        if isinstance(s, Call):
            return [self._step(s, name) for name in names]
        clears = [self._step(s, names[0], turn) for turn in range(len(s.zero))]
        names = names[bool(s.zero) :]
        if len(names) == 3:
            by_thread, *by_block = (self._step(s, name) for name in names)
            return [*clears, self._either(s, by_thread, functools.reduce(self._both, by_block))]
        # Points or rows do the same; a reduction by blocks has two steps.
        return clears + [self._step(s, name) for name in (names if s.reductions else names[:1])]

    def _either(self, nest: Nest, by_thread: Part, by_block: Part) -> Part:
        f = nest_functions(nest, self.layout, self.memory)
        n_kept, n_reduced, short, many = f.n_kept, f.n_reduced, self.g.short, self.g.many

        def either(words: Any, tile: Any) -> Any:
            if n_reduced(words) <= short or n_kept(words) >= many:
                words = by_thread(words, tile)
            else:
                words = by_block(words, tile)
            return words

        return self._part(either)

    def _step(self, s: Nest | Call, name: str, turn: int = 0) -> Part:
        """A step in one of its turns, and the barrier behind it."""
        found = built(s, name, self.layout, self.g, self.memory)
        self.tile_words = max(self.tile_words, found.tile_words)
        step, wait = self.inline(found.step, STEP), self.wait

        def part(words: Any, tile: Any) -> Any:
            step(turn, words, tile)
            wait(words)
            return words

        return self._part(part)


def _barrier(arrive: Any, arrived: Any) -> Any:
    """All threads of all blocks wait for each other; what they wrote before, all see after.

    The blocks run at once, or a grid of several would wait for ever. The count only grows: round r ends at r * blocks.
    """

    def wait(words: Any) -> None:
        cuda.syncthreads()
        if cuda.gridDim.x > 1:
            if cuda.threadIdx.x == 0:
                cuda.threadfence()
                round_end = (arrive(words) // cuda.gridDim.x + 1) * cuda.gridDim.x
                while arrived(words) < round_end:
                    pass
                cuda.threadfence()
            cuda.syncthreads()

    return wait


def _can_fail(loop: Loop) -> bool:
    """Whether an index may be out of range."""
    nests = [s for s in walk((loop,)) if isinstance(s, Nest)]
    accesses = [i.access for n in nests for i in n.body if isinstance(i, Load)]
    accesses += [s.access for n in nests for s in n.stores]
    return any(a.gathers for a in accesses)
