"""Where a run keeps its saved states: in memory, or in a folder as one file for each."""

from __future__ import annotations

import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from symdiff.ir.errors import DomainError, DTypeError
from symdiff.ir.node import Node
from symdiff.pde.domain import Grid
from symdiff.pde.files import Frames, frame_path, frames_in, remove_summary, write_frame, write_summary

if TYPE_CHECKING:
    from symdiff.pde.solution import Solution

Arrays = dict[Node, np.ndarray]


class Store(ABC):
    """The saved states of a run, in the order of their times."""

    times: list[float]

    @abstractmethod
    def append(self, t: float, fields: Arrays) -> None:
        """Keep a state."""

    @abstractmethod
    def saved(self) -> dict[Node, Any]:
        """Return the states of each field, as an array or what reads one."""

    @abstractmethod
    def values(self) -> dict[str, np.ndarray]:
        """Return what a checkpoint holds of it; there is none while it has a `note`."""

    @abstractmethod
    def begin(self, values: Mapping[str, np.ndarray] | None) -> None:
        """Begin empty, or go on from a checkpoint. Raises DomainError where that is impossible."""

    @property
    def note(self) -> str:
        """What a run's message says of it, nothing where all is well."""
        return ""

    def finish(self, sol: Solution) -> Solution:
        """Keep what is known of the run at its end, and return the solution."""
        return sol


@final
class Memory(Store):
    """States in memory."""

    def __init__(self, fields: Sequence[Node]):
        self.fields = fields
        self.times = []
        self._states: list[Arrays] = []

    def append(self, t: float, fields: Arrays) -> None:
        # The time last: Ctrl-C may leave a state without its time, never the other way round.
        del self._states[len(self.times) :]
        self._states.append(fields)
        self.times.append(t)

    def saved(self) -> dict[Node, Any]:
        return {u: np.stack([state[u] for state in self._states[: len(self.times)]]) for u in self.fields}

    def values(self) -> dict[str, np.ndarray]:
        saved = self.saved().values() if self.times else ()
        return {"times": np.array(self.times), **{f"saved{k}": array for k, array in enumerate(saved)}}

    def begin(self, values: Mapping[str, np.ndarray] | None) -> None:
        if values is not None:
            for n, t in enumerate(values["times"].tolist()):
                self.append(t, {u: values[f"saved{k}"][n] for k, u in enumerate(self.fields)})


@final
class Folder(Store):
    """States in a folder, each in a file that is always whole, so that nothing is lost however a run ends.

    A state that cannot be written is kept in memory and tried again with the next one: the run goes on.
    """

    def __init__(self, path: str | os.PathLike[str], grid: Grid, fields: Sequence[Node], method: str):
        if not isinstance(path, (str, os.PathLike)):
            raise DTypeError(f"save_to is a folder, such as 'states', got {path!r}.")
        self.path, self.grid, self.fields, self.method = Path(path), grid, fields, method
        self.times = []
        self.problem = ""
        self._pending: dict[int, tuple[float, Arrays]] = {}

    def begin(self, values: Mapping[str, np.ndarray] | None) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            found = frames_in(self.path)
            writable = os.access(self.path, os.W_OK | os.X_OK)
        except OSError as error:
            raise DomainError(f"save_to: {self.path} is no folder to write to: {error.strerror or error}.") from None
        if not writable:
            raise DomainError(f"save_to: {self.path} is no folder to write to: Permission denied.")
        count = 0 if values is None else len(values["times"])
        if values is None and found:
            raise DomainError(
                f"save_to: {self.path} holds {len(found)} saved states of another run; name another folder, or "
                "remove them."
            )
        if len(found) < count:
            raise DomainError(
                f"save_to: the run of the checkpoint had saved {count} states, {self.path} holds {len(found)}; name "
                "the folder of that run, or remove the checkpoint to begin anew."
            )
        if values is not None:
            self.times = values["times"].tolist()
            for file in found[count:]:
                file.unlink()
            remove_summary(self.path)

    def append(self, t: float, fields: Arrays) -> None:
        k = len(self.times)
        self._pending[k] = (t, fields)
        self.times.append(t)
        self._write()

    def _write(self) -> None:
        had = self.problem
        for k, (t, fields) in list(self._pending.items()):
            try:
                write_frame(frame_path(self.path, k), self.grid, t, fields, self.method)
            except OSError as error:
                self.problem = str(error.strerror or error)
                if not had:
                    warnings.warn(f"{self.note} The run goes on.", RuntimeWarning, stacklevel=2)
                return
            del self._pending[k]
        self.problem = ""

    @property
    def note(self) -> str:
        if not self._pending:
            return ""
        n = len(self._pending)
        return f"{n} saved state{'s' * (n > 1)} could not be written to {self.path}: {self.problem}; kept in memory."

    def finish(self, sol: Solution) -> Solution:
        try:
            write_summary(self.path, sol)
        except OSError as error:
            if not self.note:
                lost = f"The summary in {self.path} could not be written: {error.strerror or error}."
                return replace(sol, message=f"{sol.message.rstrip('.')}. {lost}")
        return sol

    def saved(self) -> dict[Node, Any]:
        def entry(k: int, u: Node) -> Any:
            return self._pending[k][1][u] if k in self._pending else frame_path(self.path, k)

        return {
            u: Frames([entry(k, u) for k in range(len(self.times))], u.params["name"], self.grid.shape)
            for u in self.fields
        }

    def values(self) -> dict[str, np.ndarray]:
        return {"times": np.array(self.times)}
