"""Early stopping: a run ends when it no longer gets better on data that it is not fitted to."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from symdiff.ir.errors import UnknownSymbolError
from symdiff.ir.graph import free_symbols
from symdiff.ir.node import Node, as_node, brief
from symdiff.models.checks import check_count, check_not_negative
from symdiff.optimize import Progress


class EarlyStopping:
    """A `callback` of `minimize` that stops the run when the validation loss `f` no longer falls.

    `f` is an expression of the unknowns, and `data` gives its other symbols, so it is the training loss with other data
    as a rule. The run stops where the loss has not fallen by more than `min_delta` for `patience` steps, seen at the
    callback's looks about 20 times a second. What `minimize` returns is the last point; the best one is `best_x`, with
    `best_loss` and `best_step`; `history` holds the pairs (step, loss).

    >>> import symdiff as sd
    >>> w = sd.symbols("w")
    >>> t = sd.symbols("t")
    >>> loss = (w - t) ** 2
    >>> stop = EarlyStopping(loss, {t: 0.5}, patience=5, target="reference")
    >>> res = sd.minimize(loss, {w: 0.0}, {t: 1.0}, sd.optimize.SGD(lr=0.01), callback=stop, target="reference")
    >>> bool(stop.best_loss < 0.25)
    True
    """

    def __init__(
        self,
        f: Any,
        data: Mapping[Any, Any] | None = None,
        patience: int = 100,
        min_delta: float = 0.0,
        target: str = "cpu",
    ) -> None:
        """Prepare the loss. Raises DomainError for a patience below 1 or a min_delta below 0."""
        check_count("EarlyStopping", patience=patience)
        check_not_negative("EarlyStopping", min_delta=min_delta)
        self.f, self.patience, self.min_delta, self.target = as_node(f), patience, min_delta, target
        self.data = {as_node(key): value for key, value in (data or {}).items()}
        self.best_x: dict[Any, Any] = {}
        self.best_loss, self.best_step = np.inf, 0
        self.history: list[tuple[int, float]] = []

    def __call__(self, now: Progress) -> bool:
        """Look at the run; returns whether it shall stop."""
        known = {**self.data, **{as_node(key): value for key, value in now.x.items()}}
        missing = [brief(s) for s in self._symbols if s not in known]
        if missing:
            raise UnknownSymbolError(f"EarlyStopping: data gives no value of {', '.join(missing)}.")
        loss = float(self._value(*(known[s] for s in self._symbols)))
        self.history.append((now.step, loss))
        # NaN compares false: it never counts as better.
        if loss < self.best_loss - self.min_delta:
            self.best_x, self.best_loss, self.best_step = dict(now.x), loss, now.step
        return now.step - self.best_step >= self.patience

    @functools.cached_property
    def _symbols(self) -> list[Node]:
        return free_symbols([self.f])

    @functools.cached_property
    def _value(self) -> Any:
        from symdiff.compile import compile  # late: the compiler loads LLVM

        return compile(self.f, self._symbols, target=self.target)


__all__ = ["EarlyStopping"]
