"""What files of solutions hold, and how .npz, netCDF and zarr are read and written.

In every format a field has its own name, its axes are time "t" and those of the grid, and tracked numbers stand over
"t_tracked". Everything that is no array is JSON under the name `ABOUT`.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from symdiff.checkpoint import replaced
from symdiff.ir.errors import DomainError
from symdiff.ir.node import Node
from symdiff.pde.domain import Grid
from symdiff.pde.jets import TIME
from symdiff.pde.track import RECORD_TIME

ABOUT = "symdiff"
FORMAT = "symdiff solution 1"
KINDS = (".npz", ".nc", ".zarr")
_NEEDS = {".nc": ("h5py", "h5netcdf"), ".zarr": ("zarr",)}
_LONGEST = 20_000  # characters of equations: an attribute of a netCDF file has 64 KiB at most


def describe(grid: Grid, fields: Sequence[str], rest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is no array of the saved states of a run; `rest` goes before."""
    return {
        "format": FORMAT,
        "axes": list(grid.axes),
        "intervals": [list(pair) for pair in grid.box.intervals],
        "periodic": [bool(p) for p in grid.periodic],
        "fields": list(fields),
        "tracked": [],
        **rest,
    }


def points(grid: Grid) -> dict[str, np.ndarray]:
    """Return the coordinates along the axes, by name."""
    return dict(zip(grid.axes, grid.points, strict=True))


def attributes(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is no array for readers of a Dataset: in words, and once more as JSON for `pde.load`."""
    from symdiff import __version__

    parameters = ", ".join(f"{name} = {value!r}" for name, value in about.get("parameters", {}).items())
    return {
        "equations": "\n".join(about.get("equations", ())),
        "parameters": parameters,
        "method": about["method"],
        "dt": about["dt"],
        "message": about["message"],
        "source": f"symdiff {__version__}, NumPy {np.__version__}, Python {platform.python_version()}",
        ABOUT: json.dumps(about),
    }


def shown(equations: Sequence[Any]) -> list[str]:
    """Return equations as text, short enough for an attribute all together."""
    texts, left = [], _LONGEST
    for equation in equations:
        text = str(equation)
        texts.append(text if len(text) <= left else f"{text[:left]} …")
        left = max(left - len(text), 0)
    return texts


def numbers(values: Mapping[Node, Any]) -> dict[str, Any]:
    """Return the values of parameters by name, of one that is an array its shape in words."""
    shapes = {s: np.shape(value) for s, value in values.items()}
    return {
        s.params["name"]: f"array of shape {shapes[s]}" if shapes[s] else float(value) for s, value in values.items()
    }


def dataset(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Any:
    """Return the xarray.Dataset of a solution's contents."""
    fields, axes = about["fields"], about["axes"]
    variables: dict[str, Any] = {name: ((TIME, *axes), arrays[name]) for name in fields}
    variables |= {name: ((RECORD_TIME,), arrays[name]) for name in about["tracked"]}
    coordinates = {name: arrays[name] for name in (TIME, *axes)}
    coordinates |= {RECORD_TIME: arrays[RECORD_TIME]} if about["tracked"] else {}
    return xarray_for("").Dataset(variables, coordinates, attributes(about))


def checked(text: str) -> dict[str, Any]:
    """Return what JSON of a file says. Raises ValueError for another format."""
    about: dict[str, Any] = json.loads(text)
    if about["format"] != FORMAT:
        raise ValueError(f"it has the format {about['format']!r}, this version reads {FORMAT!r}")
    return about


def write_npz(path: Path, about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write a .npz file as a whole."""
    values: dict[str, Any] = {ABOUT: np.array(json.dumps(about)), **arrays}
    with replaced(path) as file:
        np.savez(file, **values)


def read_npz(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read a .npz file."""
    with np.load(path, allow_pickle=False) as found:
        arrays = {name: found[name] for name in found.files}
    return checked(str(arrays.pop(ABOUT))), arrays


def xarray_for(kind: str) -> Any:
    """Return xarray, which reads and writes a kind of file with other packages. Raises DomainError without them."""
    try:
        for name in _NEEDS.get(kind, ()):
            importlib.import_module(name)
        return importlib.import_module("xarray")
    except ImportError as error:
        raise DomainError(f"This needs {error.name}; run: pip install 'symdiff[xarray]'.") from None


def write_dataset(path: Path, data: Any, **options: Any) -> None:
    """Write a netCDF file or a zarr store beside `path`, then put it in its place."""
    xarray_for(path.suffix)
    new = path.with_name(f".unfinished-{os.getpid()}-{path.name}")
    try:
        if path.suffix == ".nc":
            data.to_netcdf(new, engine="h5netcdf", **options)
        else:
            data.to_zarr(new, mode="w", consolidated=False, **options)
            if path.is_dir():
                shutil.rmtree(path)
        os.replace(new, path)
    finally:
        if new.is_dir():
            shutil.rmtree(new)
        else:
            new.unlink(missing_ok=True)
