"""Saved states on the disk while a run goes: killed, cut, on a disk that is full, over files of others."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff import pde
from symdiff.pde import run as run_module
from symdiff.pde.files import about_run
from symdiff.pde.media import medium

k = sd.symbols("k")
u = pde.field("u")
OPTIONS: dict[str, Any] = {
    "until": 0.1,
    "dt": 0.0025,
    "save_every": 0.03,
    "parameters": {k: 0.7},
    "target": "reference",
}
TRACK = {"mass": pde.integral(u), "top": "largest(u)"}


@pytest.fixture(params=["states", "a.nc", "a.zarr"])
def place(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> pathlib.Path:
    """Every kind of place for states."""
    if "." in request.param:
        for name in ("xarray", "h5netcdf", "zarr"):
            pytest.importorskip(name)
    path: pathlib.Path = tmp_path / request.param
    return path


def test_what_is_streamed_is_what_memory_holds(heat: Any, place: pathlib.Path) -> None:
    solver = heat.discretize(9)
    plain = solver.run(**OPTIONS, track=TRACK)
    for sol in (solver.run(**OPTIONS, track=TRACK, save_to=place), pde.load(place)):
        assert (sol.times.tolist(), sol.steps, sol.finished, sol.dt) == (plain.times.tolist(), 40, True, plain.dt)
        assert sol.equations == ["u_t = k*u_laplacian"]
        assert sol.parameters == {"k": 0.7}
        np.testing.assert_array_equal(np.asarray(sol.saved[u]), plain.saved[u])
        np.testing.assert_array_equal(sol.saved[u][-2], plain.saved[u][-2])
        np.testing.assert_array_equal(sol.saved[u][1:3], plain.saved[u][1:3])
        assert len(list(sol.saved[u])) == 5
        with pytest.raises(IndexError):
            sol.saved[u][5]
        np.testing.assert_array_equal(sol.tracked["top"], plain.tracked["top"])
    with pytest.raises(sd.DomainError, match="holds 5 saved states of another run; take another name"):
        solver.run(**OPTIONS, save_to=place)


def test_others_read_the_stream(heat: Any, place: pathlib.Path) -> None:
    if place.suffix == "":
        pytest.skip("a folder is read by numpy.load")
    import xarray

    plain = heat.discretize(9).run(**OPTIONS, save_to=place, track=TRACK)
    options = {"engine": "h5netcdf"} if place.suffix == ".nc" else {"engine": "zarr", "consolidated": False}
    with xarray.open_dataset(place, **options) as data:
        assert data["u"].dims == ("t", "x")
        np.testing.assert_array_equal(data["u"], np.asarray(plain.saved[u]))
        np.testing.assert_array_equal(data["x"], plain.grid.x)
        np.testing.assert_array_equal(data["mass"], plain.tracked["mass"])
        assert data.attrs["parameters"] == "k = 0.7"
        assert data.attrs["message"] == "reached t = 0.1"


def test_a_stream_goes_on_without_lost_or_double_times(
    heat: Any, place: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "PERIOD", 0.0)
    solver, file = heat.discretize(9), place.parent / "run.npz"
    whole = solver.run(**OPTIONS, track=TRACK)

    def cut(state: pde.Progress) -> None:
        if state.step == 20:
            raise KeyboardInterrupt

    keeping = {**OPTIONS, "track": TRACK, "save_to": place, "checkpoint": file}
    assert solver.run(**keeping, callback=cut).steps == 20
    # The state where it was cut is there too, and makes room for those that a whole run saves.
    assert pde.load(place).times[-1] == pytest.approx(0.05)
    assert pde.load(place).tracked["mass"].shape == (21,)
    solver.run(**keeping)
    sol = pde.load(place)
    assert sol.times.tolist() == whole.times.tolist()
    np.testing.assert_array_equal(np.asarray(sol.saved[u]), whole.saved[u])
    assert sol.tracked["mass"].tobytes() == whole.tracked["mass"].tobytes()
    with pytest.raises(sd.DomainError, match=r"had saved 5 states, .*other.* holds 0"):
        solver.run(**{**keeping, "save_to": place.with_name(f"other{place.suffix}")})


def test_a_full_disk_keeps_what_is_there(heat: Any, place: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "PERIOD", 0.0)
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    solver, options = heat.discretize(2001), {**OPTIONS, "method": "crank-nicolson", "dt": 0.01, "save_every": 0.01}
    seen: list[int] = []

    def fill(state: pde.Progress) -> None:
        # No file may grow any more: like a full disk, it fails in the midst of a write.
        if state.t > 0.05 and not seen:
            seen.append(state.step)
            size = sum(f.stat().st_size for f in place.iterdir()) if place.suffix == "" else 0
            most = 10_000 if size or place.suffix == ".zarr" else place.stat().st_size + 5_000
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))

    try:
        with pytest.warns(RuntimeWarning, match=r"1 saved state could not be written to .*The run goes on"):
            sol = solver.run(**options, save_to=place, callback=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sol.finished
    assert sol.message.endswith("kept in memory.")
    plain = solver.run(**options)
    np.testing.assert_array_equal(np.asarray(sol.saved[u]), plain.saved[u])
    left = pde.load(place)
    assert 5 < len(left.times) < 11
    np.testing.assert_array_equal(np.asarray(left.saved[u]), plain.saved[u][: len(left.times)])


def test_a_process_that_is_killed_leaves_what_it_saved(place: pathlib.Path) -> None:
    if place.suffix == "":
        pytest.skip("tests of checkpoints kill one")
    code = f"""
import os
from symdiff import pde
from symdiff.pde import run
run.PERIOD = 0.0
x, u = pde.coordinates("x"), pde.field("u")
def look(state):
    if state.step == 7:
        os._exit(9)
heat = pde.Problem(pde.Eq(pde.dt(u), pde.laplacian(u)), pde.Box(x=(0, 1)), {{"x": pde.Dirichlet(0)}}, {{u: x*(1-x)}})
heat.discretize(9).run(0.05, dt=0.005, save_every=0.01, target="reference", callback=look, save_to={str(place)!r})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 9, done.stderr
    sol = pde.load(place)
    np.testing.assert_allclose(sol.times, [0, 0.01, 0.02, 0.03], rtol=1e-15)
    assert np.isfinite(np.asarray(sol.saved[u])).all()
    assert not sol.finished


def test_wrong_places_are_named(heat: Any, tmp_path: pathlib.Path) -> None:
    for name in ("xarray", "h5netcdf", "zarr"):
        pytest.importorskip(name)
    (tmp_path / "a.nc").write_text("no netCDF")
    (tmp_path / "a.zarr").mkdir()
    for name, match in (
        ("a.nc", "a.nc is no place to write to|a.nc is no file of saved states"),
        ("a.zarr", "a.zarr is no place to write to|a.zarr is no file of saved states"),
        ("a.npz", r"save_to is a folder, or a \.nc or \.zarr file, got .*sol\.save writes a \.npz"),
    ):
        with pytest.raises(sd.DomainError, match=match):
            heat.discretize(9).run(**OPTIONS, save_to=tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == ["a.nc", "a.zarr"]


def test_without_xarray_the_extra_is_named(heat: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(sd.DomainError, match=r"pip install 'symdiff\[xarray\]'"):
        heat.discretize(9).run(**OPTIONS, save_to=tmp_path / "a.zarr")


@pytest.mark.parametrize("ending", [".nc", ".zarr"])
def test_the_header_of_a_run_that_saved_nothing_is_not_taken_over(ending: str, tmp_path: pathlib.Path) -> None:
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf" if ending == ".nc" else "zarr")

    def solver(length: float) -> Any:
        box, sides = pde.Box(x=(0, length)), {"x": pde.Neumann(0)}
        return pde.Problem(pde.Eq(pde.dt(u), pde.laplacian(u)), box, sides, {u: 1}).discretize(9)

    options: dict[str, Any] = {"until": 0.01, "method": "euler", "dt": 1e-3, "target": "reference"}
    place = tmp_path / f"run{ending}"
    other = solver(2).run(**options)
    about, _ = about_run(other)
    medium(place, other.grid, about).begin(None, 4)  # and is killed at once
    solver(1).run(**options, save_to=place)
    how = {"engine": "h5netcdf"} if ending == ".nc" else {"engine": "zarr", "consolidated": False}
    with xarray.open_dataset(place, **how) as found:
        assert found["x"][-1] == 1.0


def test_a_summary_without_states_is_of_another_run(tmp_path: pathlib.Path) -> None:
    problem = pde.Problem(pde.Eq(pde.dt(u), pde.laplacian(u)), pde.Box(x=(0, 1)), {"x": pde.Neumann(0)}, {u: 1})
    problem.discretize(9).run(0.01, "euler", dt=1e-3, target="reference").save(tmp_path / "run.npz")
    with pytest.raises(sd.DomainError, match=r"run\.npz is of another run"):
        problem.discretize(9).run(0.01, "euler", dt=1e-3, save_to=tmp_path, target="reference")
    assert pde.load(tmp_path / "run.npz").grid.x[-1] == 1.0
