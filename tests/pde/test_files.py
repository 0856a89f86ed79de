"""Solutions in files: what is read is what was written; folders and files that cannot be."""

from __future__ import annotations

import os
import pathlib
import sys
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff import pde

k = sd.symbols("k")
x, y = pde.coordinates("x y")
u, v = pde.field("u"), pde.field("v")


@pytest.fixture(scope="module")
def sol() -> pde.Solution:
    """Two fields on a plate, three saved states, a tracked number."""
    problem = pde.Problem(
        [pde.Eq(pde.dt(u), pde.laplacian(u) - v), pde.Eq(pde.dt(v), u)],
        pde.Box(x=(0, 1), y=(-1, 2)),
        {"x": pde.Periodic(), "y": pde.Dirichlet(0)},
        {u: sd.sin(y) * y, v: x},
    )
    track = {"mass": pde.integral(u)}
    return problem.discretize((5, 7)).run(0.02, dt=0.005, save_every=0.01, track=track, target="reference")


@pytest.mark.parametrize("kind", [".npz", ".nc", ".zarr"])
def test_what_is_read_is_what_was_written(sol: pde.Solution, kind: str, tmp_path: pathlib.Path) -> None:
    if kind != ".npz":
        pytest.importorskip("xarray")
        pytest.importorskip({".nc": "h5py", ".zarr": "zarr"}[kind])
    path = tmp_path / f"run{kind}"
    for _ in range(2):  # the second time over the first
        sol.save(path)
    assert os.listdir(tmp_path) == [path.name]
    same = pde.load(path)
    assert repr(same) == repr(sol)
    assert repr(same.grid) == repr(sol.grid)
    assert (same.t, same.steps, same.finished, same.times.tolist()) == (sol.t, sol.steps, True, sol.times.tolist())
    for f in (u, v):
        np.testing.assert_array_equal(same[f], sol[f])
        np.testing.assert_array_equal(same.saved[f], sol.saved[f])
    np.testing.assert_array_equal(same.tracked["mass"], sol.tracked["mass"])
    np.testing.assert_array_equal(same.tracked.times, sol.tracked.times)


def test_numpy_reads_the_fields_by_name(sol: pde.Solution, tmp_path: pathlib.Path) -> None:
    sol.save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as found:
        assert found["u"].shape == (3, 5, 7)
        assert found["t"].tolist() == [0.0, 0.01, 0.02]
        np.testing.assert_array_equal(found["y"], sol.grid.y)
        assert found["mass"].shape == found["t_tracked"].shape == (5,)


def test_a_dataset_has_names_and_coordinates(sol: pde.Solution) -> None:
    pytest.importorskip("xarray")
    data = sol.to_xarray()
    assert data["u"].dims == ("t", "x", "y")
    assert float(data["v"].sel(t=0.0, x=0.4, y=0.5)) == 0.4
    assert data["mass"].dims == ("t_tracked",)
    assert data.attrs["equations"] == "u_t = u_laplacian - v\nv_t = u"
    assert data.attrs["method"] == "rk4"
    assert data.attrs["dt"] == sol.dt
    assert data.attrs["source"].startswith(f"symdiff {sd.__version__}, NumPy {np.__version__}, Python 3.")


def test_without_xarray_the_extra_is_named(
    sol: pde.Solution, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xarray", None)
    for attempt in (sol.to_xarray, lambda: sol.save(tmp_path / "a.nc"), lambda: pde.load(tmp_path / "a.zarr")):
        with pytest.raises(sd.DomainError, match=r"pip install 'symdiff\[xarray\]'"):
            attempt()
    assert os.listdir(tmp_path) == []


def test_states_go_to_a_folder_and_come_back(heat: Any, tmp_path: pathlib.Path) -> None:
    options: dict[str, Any] = {"save_every": 0.03, "parameters": {k: 1.0}, "target": "reference"}
    options["track"] = {"mean": pde.mean(u)}
    plain = heat.discretize(9).run(0.1, **options)
    for sol in (heat.discretize(9).run(0.1, **options, save_to=tmp_path / "a" / "b"), pde.load(tmp_path / "a" / "b")):
        np.testing.assert_array_equal(sol[u], plain[u])
        assert sol.times.tolist() == plain.times.tolist()
        assert sol.saved[u].shape == (5, 9)
        np.testing.assert_array_equal(np.asarray(sol.saved[u]), plain.saved[u])
        np.testing.assert_array_equal(sol.saved[u][-2], plain.saved[u][-2])
        np.testing.assert_array_equal(sol.saved[u][1:3], plain.saved[u][1:3])
        assert len(list(sol.saved[u])) == 5
        assert (sol.message, sol.steps, sol.finished) == (plain.message, plain.steps, True)
        np.testing.assert_array_equal(sol.tracked["mean"], plain.tracked["mean"])
    with pytest.raises(sd.DomainError, match="holds 5 saved states of another run"):
        heat.discretize(9).run(0.1, **options, save_to=tmp_path / "a" / "b")


def test_the_folder_of_a_checkpoint_must_be_whole(heat: Any, tmp_path: pathlib.Path) -> None:
    options: dict[str, Any] = {
        "until": 0.1, "save_every": 0.03, "parameters": {k: 1.0}, "target": "reference", "save_to": tmp_path / "a",
        "checkpoint": tmp_path / "run.npz",
    }  # fmt: skip
    heat.discretize(9).run(**options)
    (tmp_path / "a" / "000002.npz").unlink()
    with pytest.raises(sd.DomainError, match=r"had saved 5 states, .*a holds 4"):
        heat.discretize(9).run(**options)


def test_places_that_cannot_be_written_are_named(sol: pde.Solution, heat: Any, tmp_path: pathlib.Path) -> None:
    taken = tmp_path / "file"
    taken.write_text("")
    for folder in (taken, taken / "below"):
        with pytest.raises(sd.DomainError, match="is no place to write to: "):
            heat.discretize(9).run(0.1, parameters={k: 1.0}, target="reference", save_to=folder)
    with pytest.raises(sd.DTypeError, match=r"save_to is a folder, or a \.nc or \.zarr file, such as 'states', got 5"):
        heat.discretize(9).run(0.1, parameters={k: 1.0}, target="reference", save_to=5)
    with pytest.raises(sd.DomainError, match=r"cannot be written to .*none/a\.npz: No such file .* not lost"):
        sol.save(tmp_path / "none" / "a.npz")
    with pytest.raises(sd.DomainError, match=r"save writes \.npz, \.nc, \.zarr files, got 'a\.txt'"):
        sol.save("a.txt")


def test_what_is_no_solution_is_named(tmp_path: pathlib.Path) -> None:
    np.savez(tmp_path / "other.npz", a=np.arange(3))
    (tmp_path / "text.npz").write_text("no archive")
    (tmp_path / "empty").mkdir()
    for name in ("other.npz", "text.npz", "none.npz"):
        with pytest.raises(sd.DomainError, match=f"{name} is no whole solution"):
            pde.load(tmp_path / name)
    with pytest.raises(sd.DomainError, match="empty holds no saved states"):
        pde.load(tmp_path / "empty")
