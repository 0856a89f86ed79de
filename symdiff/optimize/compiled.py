"""The compiled functions of an iteration, kept: a second `minimize` of the same function compiles nothing."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from symdiff.ir.node import Node, const
from symdiff.optimize.loop import Carry, Iteration

# Iterations that are remembered, with their graphs and code.
_MOST = 32

Run = Callable[..., list[Any]]


class Compiled:
    """An iteration as two functions: of the start, and of a chunk of steps, which is compiled when it is asked for."""

    def __init__(self, iteration: Iteration, data: Sequence[Node], target: str) -> None:
        self._iteration, self._data, self._target = iteration, list(data), target
        outputs, inputs = iteration.start()
        zero = const(0, "int64")
        self._template = first_carry(inputs, outputs, zero, zero)
        self.start = _compile(outputs, [*inputs, *data], target)

    @functools.cached_property
    def chunk(self) -> Run:
        """The function of a carry, a step to stop at, a tolerance and the data; see `Iteration.chunk`."""
        outputs, inputs = self._iteration.chunk(self._template)
        return _compile(outputs, [*inputs, *self._data], self._target)


def compiled(iteration: Iteration, data: Sequence[Node], target: str) -> Compiled:
    """Return the functions of an iteration whose other symbols are `data`, those of an earlier call if it is there."""
    try:
        return _remembered(iteration, tuple(data), target)
    except TypeError as error:
        # A rule of the user's own may hold arrays or lists, which have no hash.
        if "unhashable" not in str(error):
            raise
        return Compiled(iteration, data, target)


@functools.lru_cache(maxsize=_MOST)
def _remembered(iteration: Iteration, data: tuple[Node, ...], target: str) -> Compiled:
    return Compiled(iteration, data, target)


def first_carry(x: Sequence[Any], out: Sequence[Any], step: Any, status: Any) -> Carry:
    """Return the carry at the start `x`, for the outputs of `Iteration.start`: nodes or arrays."""
    n = len(x)
    loss, norm, rest = out[0], out[1], tuple(out[2:])
    return Carry(step, status, loss, norm, step, loss, norm, tuple(x), rest[:n], tuple(x), rest[n:])


def _compile(outputs: list[Node], inputs: list[Node], target: str) -> Run:
    # Late: the compiler loads LLVM.
    from symdiff.compile import compile

    return compile(outputs, inputs, target=target)
