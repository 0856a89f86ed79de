"""Where the states of a run are written one by one: a folder of .npz files, a netCDF file, a zarr store.

A state is there when all of it is: its time is written last, and is NaN before. What a process leaves that is killed,
or whose disk is full, are the states that have a time.
"""

from __future__ import annotations

import errno
import math
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

import numpy as np

from symdiff.ir.errors import DomainError
from symdiff.pde import formats
from symdiff.pde.domain import Grid
from symdiff.pde.formats import ABOUT, checked, points, read_npz, write_npz, xarray_for
from symdiff.pde.jets import TIME
from symdiff.pde.track import RECORD_TIME

_MOST_ENTRIES = 2**27  # of a chunk of a field: HDF5 takes 4 GiB at most
_TIMES = 1024  # in a chunk of times and of tracked numbers
# Room for what HDF5 writes besides the entries of a state, generously: nodes of its trees have some KiB.
_MARGIN = 2**17

_FRAME = re.compile(r"\d{6,}\.npz")
_SUMMARY = "run.npz"

States = Mapping[str, np.ndarray]
Mode = Literal["r", "r+"]


@final
@dataclass(frozen=True)
class Frames:
    """The saved states of a field, read when asked for: `frames[k]`, `frames[2:5]`, `numpy.asarray(frames)`."""

    count: int
    grid_shape: tuple[int, ...]
    read: Callable[[int], np.ndarray]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array of all states."""
        return (self.count, *self.grid_shape)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[k] for k in range(len(self)))

    def __getitem__(self, k: Any) -> np.ndarray:
        """Return a state, or the array of several."""
        chosen = range(self.count)[k]
        if isinstance(chosen, int):
            return self.read(chosen)
        return np.stack([self.read(j) for j in chosen]) if chosen else np.empty((0, *self.grid_shape))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return the array of all states."""
        return np.asarray(self[:], dtype=dtype)


class Medium(ABC):
    """A place for states; `about` says what is no array of them. Only what writes needs `grid` and `about`."""

    def __init__(self, path: Path, grid: Grid | None = None, about: Mapping[str, Any] | None = None):
        self.path, self.about = path, about or {}
        self.points = points(grid) if grid else {}
        self.shape = grid.shape if grid else ()

    @abstractmethod
    def begin(self, count: int | None, most: int) -> None:
        """Make it for `most` states, or keep the first `count` of one that is there.

        Raises DomainError where there are others, or fewer, and OSError where it cannot be written.
        """

    @abstractmethod
    def write(self, k: int, t: float, states: States) -> None:
        """Write state k. Raises OSError where it cannot, which leaves those before."""

    @abstractmethod
    def read(self, k: int, name: str) -> np.ndarray:
        """Return a field of state k."""

    @abstractmethod
    def finish(self, count: int, about: Mapping[str, Any], tracked: States) -> None:
        """Write what is known at the end of a run that wrote `count` states. Raises OSError where it cannot."""

    def check(self, found: int, count: int | None) -> None:
        """Raise DomainError where the states that are found are not those to go on from."""
        if count is None and found:
            raise DomainError(
                f"save_to: {self.path} holds {found} saved states of another run; take another name, or remove them."
            )
        if count is not None and found < count:
            raise DomainError(
                f"save_to: the run of the checkpoint had saved {count} states, {self.path} holds {found}; name "
                "the place of that run, or remove the checkpoint to begin anew."
            )


def medium(path: Path, grid: Grid | None = None, about: Mapping[str, Any] | None = None) -> Medium:
    """Return the place of a path: by its ending a netCDF file or a zarr store, else a folder."""
    kinds: dict[str, type[Medium]] = {".nc": NetCDF, ".zarr": Zarr}
    return kinds.get(path.suffix, Folder)(path, grid, about)


@final
class Folder(Medium):
    """A .npz file for each state."""

    def begin(self, count: int | None, most: int) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        files = self.files()
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        self.check(len(files), count)
        for file in files[count:]:
            file.unlink()
        summary = self.path / _SUMMARY
        if count is None and summary.exists():
            raise DomainError(f"save_to: {summary} is of another run; take another folder, or remove it.")
        summary.unlink(missing_ok=True)

    def files(self) -> list[Path]:
        """Return the files of the states in their order."""
        found = [p for p in self.path.iterdir() if _FRAME.fullmatch(p.name)]
        return sorted(found, key=lambda p: int(p.stem))

    def _file(self, k: int) -> Path:
        return self.path / f"{k:06d}.npz"

    def write(self, k: int, t: float, states: States) -> None:
        about = {**self.about, "message": f"saved at t = {t:g}"}
        arrays = {name: a[None] for name, a in states.items()}
        write_npz(self._file(k), about, {**self.points, TIME: np.array([t]), **arrays})

    def read(self, k: int, name: str) -> np.ndarray:
        with np.load(self._file(k), allow_pickle=False) as found:
            state: np.ndarray = found[name][0]
        return state

    def state(self, k: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return everything that the file of state k holds."""
        return read_npz(self._file(k))

    def times(self) -> np.ndarray:
        """Return the times of the states."""
        return np.array([float(self.read(k, TIME)) for k in range(len(self.files()))])

    def finish(self, count: int, about: Mapping[str, Any], tracked: States) -> None:
        write_npz(self.path / _SUMMARY, about, {**self.points, **tracked})

    def summary(self) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
        """Return what `finish` wrote."""
        path = self.path / _SUMMARY
        return read_npz(path) if path.exists() else None


class Growing(Medium):
    """A file or store with room for all states from the start, which takes none of the disk.

    So what says how large its arrays are is never written while they are.
    """

    @abstractmethod
    def _make(self, empty: Any, chunks: Mapping[str, tuple[int, ...]]) -> None:
        """Write a Dataset without states."""

    @abstractmethod
    def _opened(self, mode: Mode) -> Any:
        """Open it, as a context that gives arrays by name and has `attrs`."""

    def _reserve(self, n_bytes: int) -> None:
        """Raise OSError where there is no room, before anything is written."""

    def begin(self, count: int | None, most: int) -> None:
        xarray_for(self.path.suffix)
        try:
            self.check(self._count() if self.path.exists() else 0, count)
            if count is None:
                # A run that saved nothing may have left a file, whose header is not this run's.
                self.path.absolute().parent.mkdir(parents=True, exist_ok=True)
                self._make(self._empty(), self._chunks())
            with self._opened("r+") as file:
                for name in (*self.about["fields"], TIME):
                    _resize(file[name], most)
                file[TIME][count or 0 :] = np.nan
        except DomainError:
            raise
        except (KeyError, ValueError) as error:
            raise DomainError(f"save_to: {self.path} is no file of saved states: {error}.") from None

    def _count(self) -> int:
        with self._opened("r") as file:
            return _whole(file[TIME][:])

    def _empty(self) -> Any:
        states = {name: np.empty((0, *self.shape)) for name in self.about["fields"]}
        times = {name: np.empty(0) for name in (TIME, RECORD_TIME, *self.about["tracked"])}
        return formats.dataset(self.about, {**self.points, **states, **times})

    def _chunks(self) -> dict[str, tuple[int, ...]]:
        shape = self.shape
        rows = max(1, min(shape[0], _MOST_ENTRIES // math.prod(shape[1:])))
        tracked = [RECORD_TIME, *self.about["tracked"]] if self.about["tracked"] else []
        return {
            **dict.fromkeys([TIME, *tracked], (_TIMES,)),
            **dict.fromkeys(self.about["fields"], (1, rows, *shape[1:])),
        }

    def write(self, k: int, t: float, states: States) -> None:
        self._reserve(sum(a.nbytes for a in states.values()))
        with self._opened("r+") as file:
            for name, values in states.items():
                file[name][k] = values
            file[TIME][k] = t

    def read(self, k: int, name: str) -> np.ndarray:
        with self._opened("r") as file:
            return np.asarray(file[name][k])

    def contents(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return everything but the states. Raises OSError, KeyError or ValueError for a file of others."""
        xarray_for(self.path.suffix)
        if not self.path.exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        with self._opened("r") as file:
            about = checked(file.attrs[ABOUT])
            tracked = [RECORD_TIME, *about["tracked"]] if about["tracked"] else []
            arrays = {name: np.asarray(file[name][:]) for name in (TIME, *about["axes"], *tracked)}
        return about, {**arrays, TIME: arrays[TIME][: _whole(arrays[TIME])]}

    def finish(self, count: int, about: Mapping[str, Any], tracked: States) -> None:
        self._reserve(sum(a.nbytes for a in tracked.values()))
        with self._opened("r+") as file:
            for name in (*about["fields"], TIME):
                _resize(file[name], count)
            for name, values in tracked.items():
                _resize(file[name], len(values))
                file[name][:] = values
            for name, value in formats.attributes(about).items():
                file.attrs[name] = value


@final
class NetCDF(Growing):
    """A netCDF file, opened for every state and closed behind it: a process that is killed leaves a whole one."""

    def _make(self, empty: Any, chunks: Mapping[str, tuple[int, ...]]) -> None:
        encoding = {name: {"chunksizes": sizes} for name, sizes in chunks.items()}
        grow = [name for name in (TIME, RECORD_TIME) if name in empty.sizes]
        formats.write_dataset(self.path, empty, unlimited_dims=grow, encoding=encoding)

    def _opened(self, mode: Mode) -> Any:
        import h5py

        return h5py.File(self.path, mode)

    def _reserve(self, n_bytes: int) -> None:
        # HDF5 that runs out of room in the midst of its tables leaves a file that cannot be read.
        if hasattr(os, "posix_fallocate"):
            descriptor = os.open(self.path, os.O_RDWR)
            try:
                os.posix_fallocate(descriptor, os.fstat(descriptor).st_size, n_bytes + _MARGIN)
            finally:
                os.close(descriptor)


@final
class Zarr(Growing):
    """A zarr store: a file for each state of a field, and one for each array's size, all replaced as a whole."""

    def _make(self, empty: Any, chunks: Mapping[str, tuple[int, ...]]) -> None:
        formats.write_dataset(self.path, empty, encoding={name: {"chunks": sizes} for name, sizes in chunks.items()})

    def _opened(self, mode: Mode) -> Any:
        import zarr

        return nullcontext(zarr.open_group(self.path, mode=mode))


def _resize(array: Any, n: int) -> None:
    if array.shape[0] != n:
        array.resize((n, *array.shape[1:]))


def _whole(times: np.ndarray) -> int:
    """Return how many states have their time."""
    missing = np.flatnonzero(np.isnan(times))
    return int(missing[0]) if len(missing) else len(times)
