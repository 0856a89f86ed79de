"""The compiled functions of an iteration, kept: a second `minimize` of the same function compiles nothing."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.ir.dims import evaluate
from symdiff.ir.interpret import bind_sizes
from symdiff.ir.node import Node, const
from symdiff.optimize.loop import FEW_STEPS, MOST_STEPS, Carry, Iteration, Status
from symdiff.optimize.objective import Objective
from symdiff.optimize.rule import OnHost
from symdiff.optimize.settings import check_bound

# Iterations that are remembered, with their graphs and code.
_MOST = 32

Run = Callable[..., list[Any]]


class Compiled:
    """An iteration as a function of a carry and the data, which makes some steps; compiled when it is asked for."""

    def __init__(self, iteration: Iteration, data: Sequence[Node], target: str) -> None:
        self._iteration, self._data, self._target = iteration, list(data), target
        self._like = iteration.start(iteration.objective.unknowns, const(0, "int64"), const(0.0))
        self._plans: dict[Any, Plan] = {}
        self._blanks = {n: np.zeros(n, self._like.loss.dtype) for n in (FEW_STEPS, MOST_STEPS)}

    @functools.cached_property
    def chunk(self) -> Run:
        """The function of a carry, blank records, a step to stop at, a tolerance and the data: `Iteration.chunk`."""
        outputs, inputs = self._iteration.chunk(self._like)
        return _compile(outputs, [*inputs, *self._data], self._target)

    @functools.cached_property
    def on_host(self) -> OnHost | None:
        """The part of a step that Python runs; see `Rule.on_host`."""
        return self._iteration.rule.on_host(self._iteration.objective, self._data, self._target)

    def blank(self, n: int) -> np.ndarray:
        """Return a blank record of at least n entries; there are few lengths, as every other is new to a function."""
        return self._blanks[FEW_STEPS if n <= FEW_STEPS else MOST_STEPS]

    def plan(self, start: Sequence[np.ndarray], data: Sequence[np.ndarray]) -> Plan:
        """Return what is known of runs on arrays of these shapes."""
        shapes = tuple([a.shape for a in start]), tuple([np.shape(a) for a in data])
        if shapes not in self._plans:
            if len(self._plans) >= _MOST:
                self._plans.clear()
            symbols = [*self._iteration.objective.unknowns, *self._data]
            sizes = bind_sizes({s: np.asarray(a) for s, a in zip(symbols, (*start, *data), strict=True)})
            blank = [_zero(a, sizes) for a in self._like.flat()]
            self._plans[shapes] = Plan(self._like.like(blank)._replace(status=int(Status.NEW), step=0))
        return self._plans[shapes]


@dataclass
class Plan:
    """A carry without values, and how many steps were seen to fit in a chunk: a run begins where another left off."""

    blank: Carry
    steps: int = 0

    def begin(self, x: Sequence[Any]) -> list[Any]:
        """Return the flat carry of a run from `x`."""
        values = self._flat.copy()
        values[self._first : self._first + len(x)] = x
        return values

    def x(self, values: Sequence[Any]) -> Sequence[Any]:
        """Return the point of a flat carry."""
        return values[self._first : self._first + len(self.blank.x)]

    @functools.cached_property
    def _flat(self) -> list[Any]:
        return self.blank.flat()

    @functools.cached_property
    def _first(self) -> int:
        return len(self._flat) - sum(map(len, self.blank[7:]))


def compiled(iteration: Iteration, data: Sequence[Node], target: str) -> Compiled:
    """Return the functions of an iteration whose other symbols are `data`, those of an earlier call if it is there."""
    check_bound(iteration.rule, data)
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


@functools.lru_cache(maxsize=_MOST)
def evaluation(objective: Objective, data: tuple[Node, ...], target: str) -> Run:
    """Return loss and gradient norm as a function of the unknowns and the data."""
    point = objective.at(objective.unknowns)
    return _compile([point.loss, point.norm], [*objective.unknowns, *data], target)


def _zero(like: Node, sizes: Mapping[str, int]) -> Any:
    value = np.zeros([evaluate(extent, sizes) for extent in like.shape], like.dtype)
    return value if like.shape else value.item()


def _compile(outputs: list[Node], inputs: list[Node], target: str) -> Run:
    # Late: the compiler loads LLVM.
    from symdiff.compile import compile

    return compile(outputs, inputs, target=target)
