"""resident: a whole loop as one kernel, all of whose blocks run at once and wait for each other between steps.

A turn then costs a few microseconds however small its steps are, and loops inside of loops need no word from the host.
Buffers are exchanged in every thread's words. The kernel's `turn` is the most turns that it makes; its record tells
how it ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from backends.cuda.geometry import Geometry
from backends.cuda.grid import cuda
from backends.cuda.launch import built, nest_functions
from backends.cuda.loop_functions import LoopFunctions
from backends.cuda.steps import Built, skeletons_of
from backends.cuda.words import Words
from symdiff.program.ir import Call, Load, Loop, Nest, Statement, walk

# A piece of a turn, `part(words, tile) -> words`.
Part = Callable[[Any, Any], Any]
# A step, `step(turn, words, tile)`, and its turn.
_Turn = tuple[Any, int]


def reside(
    loop: Loop, layout: Words, g: Geometry, f: LoopFunctions, memory: Mapping[int, np.ndarray] | None = None
) -> Built:
    """Return the step that makes the turns of a loop; `layout` is `Words.of(loop)`."""
    return _Composer(layout, g, f, memory).whole(loop)


class _Composer:
    """Puts steps together: device functions that call two others, which numba-cuda compiles one by one."""

    def __init__(self, layout: Words, g: Geometry, f: LoopFunctions, memory: Mapping[int, np.ndarray] | None):
        self.layout, self.g, self.f, self.memory = layout, g, f, memory
        self.tile_words = 0
        self.wait = f.barrier(_barrier(f.arrive, f.arrived))

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

        return self.f.part(turns)

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

        return self.f.part(settled)

    def _sequence(self, statements: Sequence[Statement]) -> Part:
        """Statements in order, a barrier behind each step; recursion goes to the nesting of loops."""
        parts: list[Part] = []
        run: list[_Turn] = []
        for s in statements:
            assert isinstance(s, (Nest, Call, Loop))  # CUDA's programs have been lowered to these
            found = self._loop(s) if isinstance(s, Loop) else self._of(s)
            if isinstance(found, list):
                run += found
            else:
                parts += [*self._in_threes(run), found]
                run = []
        parts += self._in_threes(run)
        if not parts:
            return self._waiting()
        part = parts[0]
        for other in parts[1:]:
            part = self._both(part, other)
        return part

    def _waiting(self) -> Part:
        wait = self.wait

        def waiting(words: Any, tile: Any) -> Any:
            wait(words)
            return words

        return self.f.part(waiting)

    def _both(self, first: Part, second: Part) -> Part:
        def both(words: Any, tile: Any) -> Any:
            return second(first(words, tile), tile)

        return self.f.part(both)

    def _of(self, s: Nest | Call) -> list[_Turn] | Part:
        """The steps of a statement; a part where sizes decide between two ways."""
        names = skeletons_of(s, self.g)
        if isinstance(s, Call):
            return self._turns(s, names)
        clears = [(step, turn) for step, _ in self._turns(s, names[: bool(s.zero)]) for turn in range(len(s.zero))]
        names = names[bool(s.zero) :]
        if len(names) == 3:
            thread, block = (self._in_threes(self._turns(s, some))[0] for some in (names[:1], names[1:]))
            part = self._either(s, thread, block)
            for before in reversed(self._in_threes(clears)):
                part = self._both(before, part)
            return part
        # Points or rows do the same; a reduction by blocks has two steps.
        return clears + self._turns(s, names if s.reductions else names[:1])

    def _either(self, nest: Nest, by_thread: Part, by_block: Part) -> Part:
        f = nest_functions(nest, self.layout, self.memory)
        n_kept, n_reduced, short, many = f.n_kept, f.n_reduced, self.g.short, self.g.many

        def either(words: Any, tile: Any) -> Any:
            if n_reduced(words) <= short or n_kept(words) >= many:
                words = by_thread(words, tile)
            else:
                words = by_block(words, tile)
            return words

        return self.f.part(either)

    def _turns(self, s: Nest | Call, names: Sequence[str]) -> list[_Turn]:
        found = [built(s, name, self.layout, self.g, self.memory) for name in names]
        self.tile_words = max([self.tile_words, *(one.tile_words for one in found)])
        return [(self.f.step(one.step), 0) for one in found]

    def _in_threes(self, steps: Sequence[_Turn]) -> list[Part]:
        """Steps as parts of up to three: every device function costs numba-cuda as much as a step."""
        return [self.f.part(_part(steps[k : k + 3], self.wait)) for k in range(0, len(steps), 3)]


def _part(steps: Sequence[_Turn], wait: Any) -> Part:
    (first, i), (second, j), (third, k) = (*steps, *[steps[-1]] * (3 - len(steps)))

    def one(words: Any, tile: Any) -> Any:
        first(i, words, tile)
        wait(words)
        return words

    def two(words: Any, tile: Any) -> Any:
        first(i, words, tile)
        wait(words)
        second(j, words, tile)
        wait(words)
        return words

    def three(words: Any, tile: Any) -> Any:
        first(i, words, tile)
        wait(words)
        second(j, words, tile)
        wait(words)
        third(k, words, tile)
        wait(words)
        return words

    return (one, two, three)[len(steps) - 1]


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
