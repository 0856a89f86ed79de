"""What a run returns, and what its callback sees."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symdiff.ir.errors import UnknownSymbolError
from symdiff.ir.node import Node
from symdiff.pde import files, pictures
from symdiff.pde.domain import Grid
from symdiff.pde.track import Tracked


def lookup(fields: dict[Node, Any], key: Any) -> Any:
    """Return the entry of a field, given itself or by name. Raises UnknownSymbolError."""
    for u, value in fields.items():
        # dt(u), the derivative of a field, and the field that it has become, have the same name.
        if u.params["name"] in (key, key.params.get("name") if isinstance(key, Node) else None):
            return value
    names = ", ".join(u.params["name"] for u in fields)
    raise UnknownSymbolError(f"There is no field {key!s}; the solution has {names}.")


@dataclass(frozen=True, slots=True, repr=False)
class Solution:
    """The outcome of a run: `sol[u]` is the last state of a field on `grid`, at the time `t`.

    `times` are the saved times, the first and the last included, and `saved[u][k]` is the state at `times[k]`, read
    from its file when a run saved to a folder. `tracked["mass"]` are the numbers at `tracked.times` that it recorded.
    `steps` were made, of size `dt` (the last before a save point may be smaller). `message` says how the run ended,
    `finished` whether it reached its end. `throughput` is grid points times steps per second, compilation
    (`compile_seconds`) left out. `equations` and `parameters` say what was solved.
    """

    grid: Grid
    arrays: dict[Node, np.ndarray]
    t: float
    times: np.ndarray
    saved: Mapping[Node, Any]
    steps: int
    dt: float
    message: str
    finished: bool
    seconds: float
    compile_seconds: float
    method: str
    tracked: Tracked = field(default_factory=Tracked)
    equations: Sequence[str] = ()
    parameters: Mapping[str, float] = field(default_factory=dict)

    def __getitem__(self, key: Any) -> np.ndarray:
        """Return the last state of a field, given itself or by name."""
        value: np.ndarray = lookup(self.arrays, key)
        return value

    @property
    def throughput(self) -> float:
        """Grid points times steps per second, for each field."""
        points = float(np.prod(self.grid.shape))
        return points * self.steps / self.seconds if self.seconds > 0 else 0.0

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to a file, atomically: .npz, or with xarray installed .nc (netCDF) or .zarr.

        `pde.load` reads it again. Raises DomainError for another kind of file, and where it cannot be written.
        """
        files.save(self, path)

    def to_xarray(self) -> Any:
        """Return the saved states as an xarray.Dataset: each field over t and the axes, tracked numbers over t_tracked.

        Its attributes are the equations, parameters, method, dt, message and versions.

        Raises DomainError where xarray is not installed.
        """
        return files.to_xarray(self)

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Return a matplotlib figure of all fields, and write it to `path`, such as heat.png.

        Over one axis it has up to five saved states, over more the last one; over three, its middle slice. Raises
        DomainError where matplotlib is not installed, or the file cannot be written.
        """
        return pictures.plot(self, path)

    def animate(self, path: str | os.PathLike[str], rate: int = 10) -> None:
        """Write a film of the saved states, `rate` a second: .gif, or .mp4 where ffmpeg is installed.

        Raises DomainError where matplotlib is not installed, there is only one state, or the file cannot be written.
        """
        pictures.animate(self, path, rate)

    def __repr__(self) -> str:
        names = ", ".join(f"{u.params['name']}: {a.shape}" for u, a in self.arrays.items())
        return (
            f"Solution({names}; t = {self.t:g}, {self.steps} steps of {self.method} with dt = {self.dt:.6g}, "
            f"{self.seconds:.3g} s, {self.throughput / 1e6:.4g} MPts/s; {self.message})"
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """A look at a running solver, about 20 times a second: `state[u]` is the field now, `t` of `until` is reached."""

    t: float
    until: float
    step: int
    steps: int
    elapsed: float
    rate: float
    grid: Grid
    fields: tuple[Node, ...]
    _assemble: Callable[[], dict[Node, np.ndarray]] = field(repr=False)

    def __getitem__(self, key: Any) -> np.ndarray:
        """Return a field on the whole grid."""
        value: np.ndarray = lookup(self._assemble(), key)
        return value

    @property
    def eta(self) -> float:
        """The seconds that are left at the present rate."""
        return (self.steps - self.step) / self.rate if self.rate > 0 else float("inf")
