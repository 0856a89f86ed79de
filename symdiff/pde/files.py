"""Solutions in files: NumPy's .npz always, netCDF and zarr through xarray where it is installed.

`numpy.load("heat.npz")["u"]` is the array of all saved states of a field; `formats` says what else there is.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff.checkpoint import DAMAGED
from symdiff.ir.errors import DomainError
from symdiff.pde.domain import Box, Grid
from symdiff.pde.formats import (
    KINDS,
    dataset,
    describe,
    points,
    read_npz,
    write_dataset,
    write_npz,
)
from symdiff.pde.jets import TIME, jet
from symdiff.pde.media import Folder, Frames, Growing, Medium, medium
from symdiff.pde.track import RECORD_TIME, Tracked

if TYPE_CHECKING:
    from symdiff.pde.solution import Solution

# What a file says of a run that is no array, and what is said where a run did not get to its end.
_ABOUT_RUN: dict[str, Any] = {
    "steps": 0, "dt": math.nan, "method": "", "message": "", "finished": False, "seconds": 0.0,
    "compile_seconds": 0.0, "equations": (), "parameters": {},
}  # fmt: skip


def save(sol: Solution, path: str | os.PathLike[str]) -> None:
    """Write a solution; see `Solution.save`."""
    target = Path(path)
    if target.suffix not in KINDS:
        raise DomainError(f"save writes {', '.join(KINDS)} files, got {os.fspath(path)!r}.")
    about, arrays = _contents(sol)
    try:
        if target.suffix == ".npz":
            write_npz(target, about, arrays)
        else:
            write_dataset(target, to_xarray(sol))
    except OSError as error:
        raise DomainError(
            f"The solution cannot be written to {target}: {error.strerror or error}. It is not lost; save it elsewhere."
        ) from None


def load(path: str | os.PathLike[str]) -> Solution:
    """Read a solution from a file that `Solution.save` wrote, or from the place of a run's `save_to`.

    A run that was killed has left there what it had saved. Raises DomainError for what is neither.

    >>> import tempfile
    >>> from symdiff import pde
    >>> x, u = pde.coordinates("x"), pde.field("u")
    >>> heat = pde.Problem(pde.Eq(pde.dt(u), pde.laplacian(u)), pde.Box(x=(0, 1)), {"x": pde.Dirichlet(0)}, {u: x})
    >>> sol = heat.discretize(11).run(until=0.01)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sol.save(f"{folder}/heat.npz")
    ...     same = pde.load(f"{folder}/heat.npz")
    >>> bool((same[u] == sol[u]).all()), same.message
    (True, 'reached t = 0.01')
    """
    source = Path(path)
    try:
        place = medium(source)
        if isinstance(place, Growing):
            return _from_stream(source, place)
        if source.is_dir():
            return _from_folder(source)
        about, arrays = read_npz(source)
        return _solution(about, arrays, arrays)
    except DAMAGED as error:
        raise DomainError(f"{source} is no whole solution: {error}.") from None


def to_xarray(sol: Solution) -> Any:
    """Return an xarray.Dataset; see `Solution.to_xarray`."""
    return dataset(*_contents(sol))


def _contents(sol: Solution) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return everything that a file holds: what is no array, and the arrays by name."""
    about, tracked = about_run(sol)
    saved = {u.params["name"]: np.asarray(states) for u, states in sol.saved.items()}
    return about, {**points(sol.grid), TIME: sol.times, **saved, **tracked}


def about_run(sol: Solution) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return what is no array, and the tracked numbers."""
    fields = [u.params["name"] for u in sol.arrays]
    about = describe(sol.grid, fields, {name: getattr(sol, name) for name in _ABOUT_RUN})
    about["tracked"] = list(sol.tracked)
    return about, {RECORD_TIME: sol.tracked.times, **sol.tracked.values} if len(sol.tracked) else {}


def _solution(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray], saved: Mapping[str, Any]) -> Solution:
    from symdiff.pde.solution import Solution  # late: it uses this module

    times, names = arrays[TIME], about["fields"]
    box = Box(**dict(zip(about["axes"], about["intervals"], strict=True)))
    tracked = Tracked(arrays[RECORD_TIME], {n: arrays[n] for n in about["tracked"]}) if about["tracked"] else Tracked()
    return Solution(
        grid=Grid(box, [len(arrays[axis]) for axis in about["axes"]], about["periodic"]),
        arrays={jet(name, ()): saved[name][-1] for name in names},
        t=float(times[-1]),
        times=times,
        saved={jet(name, ()): saved[name] for name in names},
        tracked=tracked,
        **{name: about.get(name, default) for name, default in _ABOUT_RUN.items()},
    )


def _from_folder(path: Path) -> Solution:
    folder = Folder(path)
    times = folder.times()
    if not len(times):
        raise DomainError(f"{path} holds no saved states.")
    about, arrays = folder.state(len(times) - 1)
    saved = _frames(folder, about, arrays, len(times))
    summary = folder.summary()
    if summary is not None:
        about, tracked = summary
        arrays |= tracked
    return _solution(about, {**arrays, TIME: times}, saved)


def _from_stream(path: Path, place: Growing) -> Solution:
    about, arrays = place.contents()
    if not len(arrays[TIME]):
        raise DomainError(f"{path} holds no saved states.")
    return _solution(about, arrays, _frames(place, about, arrays, len(arrays[TIME])))


def _frames(place: Medium, about: Mapping[str, Any], arrays: Mapping[str, np.ndarray], count: int) -> dict[str, Frames]:
    shape = tuple(len(arrays[axis]) for axis in about["axes"])
    return {name: Frames(count, shape, functools.partial(place.read, name=name)) for name in about["fields"]}
