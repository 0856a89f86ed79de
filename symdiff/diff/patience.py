"""Patience: values of functions with loops at points where the loop may never end.

A difference with a wide step leaves the neighbourhood of its point: y -> a y until y > 100 ends for a = 2 and
never for a = 1. Such a value is NaN, once it has taken far more operations than the value at the point itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.diff.finite import Values
from symdiff.ir.graph import made_order
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node

_FACTOR, _LEAST = 20, 10_000


class _Endless(Exception):
    """Raised in the middle of a loop, and caught where the value was asked for."""


class Patient:
    """Evaluates a function as `interpret` does, but gives up on values that take far longer than at `point`."""

    def __init__(self, f: Node, point: Values):
        self.f, self.spent = f, 0
        self.limit: int | None = None
        self.shape: tuple[int, ...] = ()
        if any(node.op.name == "while_loop" for node in made_order([f])):
            (value,) = interpret([f], point, around=self._watch)
            self.shape = np.shape(value)
            self.limit = max(_FACTOR * self.spent, _LEAST)

    def _watch(self, node: Node, args: list[Any], evaluate: Callable[[list[Any]], Any]) -> Any:
        self.spent += 1
        if self.limit is not None and self.spent > self.limit:
            raise _Endless
        return evaluate(args)

    def __call__(self, values: Values, numbers: str = "numpy") -> np.ndarray:
        """Return the value, NaN where patience ends."""
        if self.limit is None:
            return np.asarray(interpret([self.f], values, numbers)[0])
        self.spent = 0
        try:
            return np.asarray(interpret([self.f], values, numbers, around=self._watch)[0])
        except _Endless:
            return np.full(self.shape, np.nan)
