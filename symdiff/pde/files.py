"""Solutions in files: NumPy's .npz always, netCDF and zarr through xarray where it is installed.

In every format a field has its own name, its axes are time "t" and those of the grid, and tracked numbers stand over
"t_tracked". So `numpy.load("heat.npz")["u"]` is the array of all saved states.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from symdiff.checkpoint import replaced
from symdiff.ir.errors import DomainError
from symdiff.ir.node import Node
from symdiff.pde.domain import Box, Grid
from symdiff.pde.jets import TIME, jet
from symdiff.pde.track import RECORD_TIME, Tracked

if TYPE_CHECKING:
    from symdiff.pde.solution import Solution

_ABOUT = "symdiff"  # the entry with everything that is no array, as JSON
_FORMAT = "symdiff solution 1"
_FRAME = re.compile(r"\d{6,}\.npz")
_SUMMARY = "run.npz"
_KINDS = (".npz", ".nc", ".zarr")
_NEEDS = {".nc": ("h5py", "h5netcdf"), ".zarr": ("zarr",)}
_DAMAGED = (zipfile.BadZipFile, ValueError, KeyError, EOFError, OSError, NotImplementedError)


# -- states of a run, one file each -------------------------------------------------------------------------------


def frame_path(folder: Path, k: int) -> Path:
    """Return the file of the k-th saved state."""
    return folder / f"{k:06d}.npz"


def frames_in(folder: Path) -> list[Path]:
    """Return the files of saved states in their order."""
    found = [p for p in folder.iterdir() if _FRAME.fullmatch(p.name)]
    return sorted(found, key=lambda p: int(p.stem))


def write_frame(path: Path, grid: Grid, t: float, fields: Mapping[Node, np.ndarray], method: str) -> None:
    """Write one state."""
    about = {"steps": 0, "dt": float("nan"), "method": method, "message": f"saved at t = {t:g}", "finished": False}
    saved = {u.params["name"]: array[None] for u, array in fields.items()}
    _write_npz(path, _about(grid, list(saved), about), {**_points(grid), TIME: np.array([t]), **saved})


def write_summary(folder: Path, sol: Solution) -> None:
    """Write what is known of a run at its end: everything but its states."""
    about, arrays = _about_run(sol)
    _write_npz(folder / _SUMMARY, about, {**_points(sol.grid), **arrays})


def remove_summary(folder: Path) -> None:
    """Remove what a run that goes on will write again."""
    (folder / _SUMMARY).unlink(missing_ok=True)


@final
@dataclass(frozen=True)
class Frames:
    """The saved states of a field, read when they are asked for: `frames[k]`, `frames[2:5]`, `numpy.asarray(frames)`.

    The entries are files, or arrays that could not be written.
    """

    entries: Sequence[Any]
    name: str
    grid_shape: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array of all states."""
        return (len(self.entries), *self.grid_shape)

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[k] for k in range(len(self)))

    def __getitem__(self, k: Any) -> np.ndarray:
        """Return a state, or the array of several."""
        if isinstance(k, slice):
            states = [self._read(entry) for entry in self.entries[k]]
            return np.stack(states) if states else np.empty((0, *self.grid_shape))
        return self._read(self.entries[k])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return the array of all states."""
        return np.asarray(self[:], dtype=dtype)

    def _read(self, entry: Any) -> np.ndarray:
        if isinstance(entry, np.ndarray):
            return entry
        _, arrays = _read_npz(entry)
        state: np.ndarray = arrays[self.name][0]
        return state


# -- whole solutions ----------------------------------------------------------------------------------------------


def save(sol: Solution, path: str | os.PathLike[str]) -> None:
    """Write a solution; see `Solution.save`."""
    target = Path(path)
    if target.suffix not in _KINDS:
        raise DomainError(f"save writes {', '.join(_KINDS)} files, got {os.fspath(path)!r}.")
    about, arrays = _contents(sol)
    try:
        if target.suffix == ".npz":
            _write_npz(target, about, arrays)
        else:
            _write_xarray(target, to_xarray(sol))
    except OSError as error:
        raise DomainError(
            f"The solution cannot be written to {target}: {error.strerror or error}. It is not lost; save it elsewhere."
        ) from None


def load(path: str | os.PathLike[str]) -> Solution:
    """Read a solution from a file that `Solution.save` wrote, or from the folder of a run's `save_to`.

    Raises DomainError for what is neither.

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
        if source.suffix == ".zarr" or source.suffix == ".nc":
            about, arrays = _read_xarray(source)
        elif source.is_dir():
            return _from_folder(source)
        else:
            about, arrays = _read_npz(source)
        return _solution(about, arrays)
    except _DAMAGED as error:
        raise DomainError(f"{source} is no whole solution: {error}.") from None


def to_xarray(sol: Solution) -> Any:
    """Return an xarray.Dataset; see `Solution.to_xarray`."""
    xarray = _xarray()
    about, arrays = _contents(sol)
    fields, axes = about["fields"], about["axes"]
    variables: dict[str, Any] = {name: ((TIME, *axes), arrays[name]) for name in fields}
    variables |= {name: ((RECORD_TIME,), arrays[name]) for name in about["tracked"]}
    coordinates = {name: arrays[name] for name in (TIME, *axes)}
    coordinates |= {RECORD_TIME: arrays[RECORD_TIME]} if about["tracked"] else {}
    return xarray.Dataset(variables, coordinates, {_ABOUT: json.dumps(about)})


def _contents(sol: Solution) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return everything that a file holds: what is no array, and the arrays by name."""
    about, tracked = _about_run(sol)
    saved = {u.params["name"]: np.asarray(states) for u, states in sol.saved.items()}
    return about, {**_points(sol.grid), TIME: sol.times, **saved, **tracked}


def _about_run(sol: Solution) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return what is no array, and the tracked numbers."""
    names = ("steps", "dt", "method", "message", "finished", "seconds", "compile_seconds")
    about = _about(sol.grid, [u.params["name"] for u in sol.arrays], {name: getattr(sol, name) for name in names})
    about["tracked"] = list(sol.tracked)
    return about, {RECORD_TIME: sol.tracked.times, **sol.tracked.values} if len(sol.tracked) else {}


def _about(grid: Grid, fields: Sequence[str], rest: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "axes": list(grid.axes),
        "intervals": [list(pair) for pair in grid.box.intervals],
        "periodic": [bool(p) for p in grid.periodic],
        "fields": list(fields),
        "tracked": [],
        **rest,
    }


def _points(grid: Grid) -> dict[str, np.ndarray]:
    return dict(zip(grid.axes, grid.points, strict=True))


def _solution(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray], saved: Any = None) -> Solution:
    from symdiff.pde.solution import Solution  # late: it uses this module

    times, names = arrays[TIME], about["fields"]
    box = Box(**dict(zip(about["axes"], about["intervals"], strict=True)))
    tracked = Tracked(arrays[RECORD_TIME], {n: arrays[n] for n in about["tracked"]}) if about["tracked"] else Tracked()
    return Solution(
        grid=Grid(box, [len(arrays[axis]) for axis in about["axes"]], about["periodic"]),
        arrays={jet(name, ()): arrays[name][-1] for name in names},
        t=float(times[-1]),
        times=times,
        saved=saved or {jet(name, ()): arrays[name] for name in names},
        steps=about["steps"],
        dt=about["dt"],
        message=about["message"],
        finished=about["finished"],
        seconds=about.get("seconds", 0.0),
        compile_seconds=about.get("compile_seconds", 0.0),
        method=about["method"],
        tracked=tracked,
    )


def _from_folder(folder: Path) -> Solution:
    files = frames_in(folder)
    if not files:
        raise DomainError(f"{folder} holds no saved states.")
    about, arrays = _read_npz(files[-1])
    shape = tuple(len(arrays[axis]) for axis in about["axes"])
    times = np.array([_time(file) for file in files])
    saved = {jet(name, ()): Frames(files, name, shape) for name in about["fields"]}
    if (folder / _SUMMARY).exists():
        about, tracked = _read_npz(folder / _SUMMARY)
        arrays |= tracked
    return _solution(about, {**arrays, TIME: times}, saved)


# -- formats ------------------------------------------------------------------------------------------------------


def _write_npz(path: Path, about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    values: dict[str, Any] = {_ABOUT: np.array(json.dumps(about)), **arrays}
    with replaced(path) as file:
        np.savez(file, **values)


def _read_npz(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with np.load(path, allow_pickle=False) as found:
        arrays = {name: found[name] for name in found.files}
    return _checked(str(arrays.pop(_ABOUT))), arrays


def _time(path: Path) -> float:
    with np.load(path, allow_pickle=False) as found:
        return float(found[TIME][0])


def _checked(text: str) -> dict[str, Any]:
    about: dict[str, Any] = json.loads(text)
    if about["format"] != _FORMAT:
        raise ValueError(f"it has the format {about['format']!r}, this version reads {_FORMAT!r}")
    return about


def _xarray(kind: str = "") -> Any:
    """Return xarray, which reads and writes a kind of file with other packages."""
    try:
        for name in _NEEDS.get(kind, ()):
            importlib.import_module(name)
        return importlib.import_module("xarray")
    except ImportError as error:
        raise DomainError(f"This needs {error.name}; run: pip install 'symdiff[xarray]'.") from None


def _write_xarray(path: Path, data: Any) -> None:
    """Write a whole file or store beside `path`, then put it in its place."""
    _xarray(path.suffix)
    new = path.with_name(f".unfinished-{os.getpid()}-{path.name}")
    try:
        if path.suffix == ".nc":
            data.to_netcdf(new, engine="h5netcdf")
        else:
            data.to_zarr(new, mode="w", consolidated=False)
            if path.is_dir():
                shutil.rmtree(path)
        os.replace(new, path)
    finally:
        if new.is_dir():
            shutil.rmtree(new)
        else:
            new.unlink(missing_ok=True)


def _read_xarray(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    xarray = _xarray(path.suffix)
    if not path.exists():
        raise FileNotFoundError(f"there is no {path.name}")
    is_zarr = path.suffix == ".zarr"
    opened = xarray.open_zarr(path, consolidated=False) if is_zarr else xarray.open_dataset(path, engine="h5netcdf")
    with opened as data:
        return _checked(data.attrs[_ABOUT]), {str(name): np.asarray(data[name]) for name in data.variables}
