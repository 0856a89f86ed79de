"""Minibatches: every step sees some rows of the data.

The rows of a batch are gathered inside the compiled loop. Which rows is decided outside, epoch by epoch, by a
counter-based generator (Philox, Salmon et al. 2011) keyed by the seed and the epoch: the same on every target and for
any number of threads, and a run can be taken up anywhere.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from symdiff.ir.dims import Dim, as_extent, size_names
from symdiff.ir.errors import DomainError, ShapeError
from symdiff.ir.graph import substitute
from symdiff.ir.node import PRIMITIVES, Node, as_node, brief, make
from symdiff.ir.primitive import cast
from symdiff.ir.renamed import renamed
from symdiff.ops.elementwise import floor
from symdiff.ops.index import take
from symdiff.optimize.inputs import Problem
from symdiff.optimize.objective import Objective
from symdiff.optimize.rule import Rule

SAMPLINGS = ("reshuffle", "once", "replacement")
_MOST_ROWS = 1 << 22  # of all batches of a chunk together


@dataclass(frozen=True, slots=True)
class BatchStep(Objective):
    """The objective on one batch; `whole` is that on all rows, and an epoch has `per_epoch` steps."""

    whole: Objective
    per_epoch: Node


@dataclass(frozen=True, slots=True)
class BatchObjective(Objective):
    """The objective on batch k: `rows` pairs symbols of a batch's arrays with those of all rows.

    `index` holds the row numbers of some batches, one batch a row, the first of which is number `first`. `whole` is the
    objective on all rows.
    """

    rows: tuple[tuple[Node, Node], ...]
    index: Node
    first: Node
    whole: Objective

    def for_step(self, step: Node) -> Objective:
        """Return the objective on the batch of a step."""
        chosen = take(self.index, step - self.first, axis=0)
        place = {part: take(whole, chosen, axis=0) for part, whole in self.rows}
        n_rows, size = (as_node(extent) for extent in (self.rows[0][1].shape[0], self.index.shape[1]))
        per_epoch = cast(floor(n_rows / size), "int64")
        return BatchStep(substitute([self.f], place)[0], self.unknowns, self.whole, per_epoch)


class Batches:
    """The batches of a run: its symbols and their values for any stretch of steps."""

    def __init__(self, problem: Problem, batch_size: Any, seed: Any, sampling: str):
        size = _positive("batch_size", batch_size)
        if sampling not in SAMPLINGS:
            raise DomainError(f"minimize: sampling is one of {', '.join(map(repr, SAMPLINGS))}, got {sampling!r}.")
        self.seed, self.sampling, self.size = _seed(seed), sampling, size
        parts = _batched(problem)
        rows = parts[0].shape[0]
        self.rows = problem.data[parts[0]].shape[0]
        if size > self.rows:
            raise DomainError(f"minimize: batch_size is {size}, the data have {self.rows} rows ({brief(parts[0])}).")
        self.per_epoch = self.rows // size
        sizes = frozenset().union(*(size_names(s.shape) for s in (*problem.data, *problem.start)))
        some = as_extent(_unused("some_batches", sizes))
        index, first = _symbol("index", (some, rows), "int64"), _symbol("first", (), "int64")
        # The user's size is the number of rows in a batch; the number of all rows has another name.
        every = {name: _unused(f"all_{name}", sizes) for name in sorted(size_names((rows,)))}
        objective, alls = problem.objective, renamed(parts, every)
        wholes = [_symbol(f"all{k}", s.shape, s.dtype) for k, s in enumerate(alls)]
        (f,) = substitute(renamed([objective.f], every), dict(zip(alls, wholes, strict=True)))
        self.objective = BatchObjective(
            objective.f,
            objective.unknowns,
            tuple(zip(parts, wholes, strict=True)),
            index,
            first,
            Objective(f, objective.unknowns),
        )
        values = {s: v for s, v in problem.data.items() if s not in parts}
        values |= {whole: problem.data[part] for part, whole in zip(parts, wholes, strict=True)}
        self.problem = replace(problem, objective=self.objective, data=values)
        self.symbols = [index, first]
        self._order: tuple[int, np.ndarray] | None = None

    @property
    def most_steps(self) -> int:
        """The number of steps whose batches are made at once."""
        return max(1, _MOST_ROWS // self.size)

    def values(self, first: int, count: int) -> list[Any]:
        """Return the values of `symbols` for the batches first, first + 1, …: (count, batch_size) row numbers."""
        return [np.stack([self._batch(first + k) for k in range(count)]), first]

    def _batch(self, k: int) -> np.ndarray:
        epoch, position = divmod(k, self.per_epoch)
        return self._epoch(epoch)[position * self.size : (position + 1) * self.size]

    def _epoch(self, epoch: int) -> np.ndarray:
        """The rows of an epoch in their order. What is left over by whole batches waits for another epoch."""
        key = 0 if self.sampling == "once" else epoch
        if self._order is None or self._order[0] != key:
            random = np.random.Generator(np.random.Philox(key=[self.seed, key]))
            if self.sampling == "replacement":
                order = random.integers(0, self.rows, self.per_epoch * self.size)
            else:
                order = random.permutation(self.rows)
            self._order = key, order
        return self._order[1]


def check_rule(rule: Rule) -> None:
    """Raise DomainError for a rule that compares losses of one step with those of another."""
    if not rule.on_batches:
        raise DomainError(
            f"minimize: with batch_size every step has another loss, and {type(rule).__name__} compares them; choose a "
            "rule that reads gradients only, such as SGD or Adam."
        )


def _batched(problem: Problem) -> list[Node]:
    """The data whose first extent is one run-time size: the rows."""
    found: dict[Any, list[Node]] = {}
    for symbol in problem.data:
        if symbol.shape and isinstance(symbol.shape[0], Dim):
            found.setdefault(symbol.shape[0], []).append(symbol)
    if len(found) != 1:
        every = ", ".join(f"{brief(s)} ({n})" for n, symbols in found.items() for s in symbols)
        raise ShapeError(
            "minimize: batch_size needs data whose first extent is one run-time size, such as sd.matrix('A', 'n', 3); "
            + (f"there are several: {every}." if found else "there is none.")
        )
    ((extent, symbols),) = found.items()
    for symbol in (*problem.data, *problem.start):
        inner = symbol.shape[1:] if symbol in symbols else symbol.shape
        if size_names((extent,)) & size_names(inner):
            raise ShapeError(f"minimize: {brief(symbol)} has the size {extent} of the batched rows along another axis.")
    return symbols


def _unused(name: str, taken: frozenset[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _positive(what: str, value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or operator.index(value) < 1:
        raise DomainError(f"minimize: {what} is a positive int, got {value!r}.")
    return operator.index(value)


def _seed(value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or not 0 <= operator.index(value) < 2**64:
        raise DomainError(f"minimize: seed is an int from 0 to 2**64 - 1, got {value!r}.")
    return operator.index(value)


def _symbol(name: str, shape: Any, dtype: str) -> Node:
    return make(PRIMITIVES["symbol"], (), {"name": f"\0{name}", "shape": shape, "dtype": dtype})


__all__ = ["SAMPLINGS", "BatchObjective", "Batches", "check_rule"]
