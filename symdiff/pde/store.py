"""Where a run keeps its saved states: in memory, or on the disk."""

from __future__ import annotations

import functools
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from symdiff.ir.errors import DomainError, DTypeError
from symdiff.ir.node import Node
from symdiff.pde.domain import Grid
from symdiff.pde.files import about_run
from symdiff.pde.formats import describe, numbers, shown
from symdiff.pde.media import Frames, medium

if TYPE_CHECKING:
    from symdiff.pde.problem import Problem
    from symdiff.pde.solution import Solution
    from symdiff.pde.solver import Solver
    from symdiff.pde.track import Track

Arrays = dict[Node, np.ndarray]


def store_of(path: str | os.PathLike[str] | None, solver: Solver, most: int, about: Mapping[str, Any]) -> Store:
    """Return the memory, or a place on the disk, for up to `most` states; `about` says what is no array of a run."""
    fields = solver.problem.states
    return Memory(fields) if path is None else Disk(path, solver.grid, fields, most, about)


def about_start(problem: Problem, method: str, dt: float, values: Mapping[Node, Any], track: Track) -> dict[str, Any]:
    """Return what is known of a run when it starts, for a file that is read while it goes or when it was killed."""
    return {
        "method": method,
        "dt": dt,
        "message": "the run has not ended",
        "tracked": list(track.functionals),
        "equations": shown(problem.equations),
        "parameters": numbers(values),
    }


class Store(ABC):
    """The saved states of a run, in the order of their times."""

    times: list[float]

    @abstractmethod
    def append(self, t: float, fields: Arrays) -> None:
        """Keep a state."""

    @abstractmethod
    def saved(self) -> Mapping[Node, Any]:
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
class Stacked(Mapping[Node, np.ndarray]):
    """The states of each field as one array, which is made when it is first asked for: large runs rarely look."""

    def __init__(self, fields: Sequence[Node], states: Sequence[Arrays]):
        self.fields, self.states = fields, states
        self._made: Arrays = {}

    def __getitem__(self, u: Node) -> np.ndarray:
        """Return the states of a field."""
        if u not in self._made:
            self._made[u] = np.stack([state[u] for state in self.states])
        return self._made[u]

    def __iter__(self) -> Iterator[Node]:
        """Go through the fields."""
        return iter(self.fields)

    def __len__(self) -> int:
        """The number of fields."""
        return len(self.fields)


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

    def saved(self) -> Mapping[Node, Any]:
        return Stacked(self.fields, self._states[: len(self.times)])

    def values(self) -> dict[str, np.ndarray]:
        saved = self.saved().values() if self.times else ()
        return {"times": np.array(self.times), **{f"saved{k}": array for k, array in enumerate(saved)}}

    def begin(self, values: Mapping[str, np.ndarray] | None) -> None:
        if values is not None:
            for n, t in enumerate(values["times"].tolist()):
                self.append(t, {u: values[f"saved{k}"][n] for k, u in enumerate(self.fields)})


@final
class Disk(Store):
    """States on the disk, each whole as soon as it is there, so that nothing is lost however a run ends.

    A state that cannot be written is kept in memory and tried again with the next one: the run goes on.
    """

    def __init__(
        self, path: str | os.PathLike[str], grid: Grid, fields: Sequence[Node], most: int, about: Mapping[str, Any]
    ):
        if not isinstance(path, (str, os.PathLike)):
            raise DTypeError(f"save_to is a folder, or a .nc or .zarr file, such as 'states', got {path!r}.")
        if Path(path).suffix == ".npz":
            raise DomainError(f"save_to is a folder, or a .nc or .zarr file, got {path}; sol.save writes a .npz file.")
        names = [u.params["name"] for u in fields]
        self.medium = medium(Path(path), grid, describe(grid, names, about))
        self.grid, self.fields, self.most = grid, fields, most
        self.times = []
        self.problem = ""
        self._pending: dict[int, tuple[float, Arrays]] = {}

    def begin(self, values: Mapping[str, np.ndarray] | None) -> None:
        try:
            self.medium.begin(None if values is None else len(values["times"]), self.most)
        except OSError as error:
            raise DomainError(
                f"save_to: {self.medium.path} is no place to write to: {error.strerror or error}."
            ) from None
        if values is not None:
            self.times = values["times"].tolist()

    def append(self, t: float, fields: Arrays) -> None:
        k = len(self.times)
        self._pending[k] = (t, fields)
        self.times.append(t)
        self._write()

    def _write(self) -> None:
        had = self.problem
        for k, (t, fields) in list(self._pending.items()):
            try:
                self.medium.write(k, t, {u.params["name"]: a for u, a in fields.items()})
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
        n, path = len(self._pending), self.medium.path
        return f"{n} saved state{'s' * (n > 1)} could not be written to {path}: {self.problem}; kept in memory."

    def finish(self, sol: Solution) -> Solution:
        try:
            self.medium.finish(len(self.times) - len(self._pending), *about_run(sol))
        except OSError as error:
            if not self.note:
                lost = f"The summary in {self.medium.path} could not be written: {error.strerror or error}."
                return replace(sol, message=f"{sol.message.rstrip('.')}. {lost}")
        return sol

    def saved(self) -> dict[Node, Any]:
        return {u: Frames(len(self.times), self.grid.shape, functools.partial(self._read, u)) for u in self.fields}

    def _read(self, u: Node, k: int) -> np.ndarray:
        return self._pending[k][1][u] if k in self._pending else self.medium.read(k, u.params["name"])

    def values(self) -> dict[str, np.ndarray]:
        return {"times": np.array(self.times)}
