"""Checkpoints of runs: cut anywhere and taken up again, files of others, disks that are full."""

from __future__ import annotations

import errno
import os
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff import checkpoint as checkpoint_module
from symdiff import pde
from symdiff.pde import run as run_module

k = sd.symbols("k")
x, t = pde.coordinates("x t")
u = pde.field("u")
OPTIONS: dict[str, Any] = {"until": 0.1, "save_every": 0.03, "parameters": {k: 0.7}, "target": "reference"}


def cut_at(step: int) -> Any:
    def look(state: pde.Progress) -> None:
        if state.step >= step:
            raise KeyboardInterrupt

    return look


def same(a: pde.Solution, b: pde.Solution) -> None:
    assert (a.t, a.steps, a.message, a.finished) == (b.t, b.steps, b.message, b.finished)
    assert a[u].tobytes() == b[u].tobytes()
    assert a.times.tolist() == b.times.tolist()
    assert np.asarray(a.saved[u]).tobytes() == np.asarray(b.saved[u]).tobytes()
    assert a.tracked.times.tobytes() == b.tracked.times.tobytes()
    assert list(a.tracked) == list(b.tracked)
    for name in a.tracked:
        assert a.tracked[name].tobytes() == b.tracked[name].tobytes()


@pytest.mark.parametrize(
    ("method", "folder"), [("rk4", True), ("rk45", True), ("rk45", False), ("crank-nicolson", False), ("bdf2", False)]
)
def test_a_run_that_is_cut_goes_on_bit_for_bit(
    heat: Any, method: str, folder: bool, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "PERIOD", 0.0)
    solver, file = heat.discretize(11), tmp_path / "run.npz"
    options = {**OPTIONS, "method": method, "dt": 0.004, "track": {"mass": pde.integral(u), "top": "largest(u)"}}
    whole = solver.run(**options)
    assert whole.finished
    keeping = {**options, "checkpoint": file, "save_to": tmp_path / "states" if folder else None}
    for step in (0, 3, 8, 17):
        sol = solver.run(**keeping, callback=cut_at(step))
        if sol.steps < whole.steps:
            assert sol.message.startswith(f"interrupted at t = {sol.t:g}")
            assert sol.times[-1] == sol.t
            assert len(sol.tracked["mass"]) == sol.steps + 1
    same(solver.run(**keeping), whole)
    same(solver.run(**keeping), whole)  # nothing is left to do
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


def test_compiled_runs_go_on_too(heat: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "PERIOD", 0.0)
    solver, options = heat.discretize(23), {**OPTIONS, "target": "cpu", "track": {"mean": pde.mean(u)}}
    whole = solver.run(**options)
    for step in (1, 20, 41):
        assert not solver.run(**options, checkpoint=tmp_path / "a", callback=cut_at(step)).finished
    same(solver.run(**options, checkpoint=tmp_path / "a"), whole)


def test_a_process_that_is_killed_loses_little(tmp_path: pathlib.Path) -> None:
    code = f"""
import os, symdiff as sd, symdiff.checkpoint
from symdiff import pde
from symdiff.pde import run
symdiff.checkpoint._PERIOD = symdiff.checkpoint._SHARE = run.PERIOD = 0.0
x, u = pde.coordinates("x"), pde.field("u")
def look(state):
    if state.step == 7:
        os._exit(9)
heat = pde.Problem(pde.Eq(pde.dt(u), pde.laplacian(u)), pde.Box(x=(0, 1)), {{"x": pde.Dirichlet(0)}}, {{u: x*(1-x)}})
heat.discretize(9).run(0.05, dt=0.005, save_every=0.02, target="reference", callback=look,
                       checkpoint={str(tmp_path / "run.npz")!r}, save_to={str(tmp_path / "states")!r})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 9, done.stderr
    assert pde.load(tmp_path / "states").times.tolist() == [0.0, 0.02]
    problem = pde.Problem(
        pde.Eq(pde.dt(u), pde.laplacian(u)), pde.Box(x=(0, 1)), {"x": pde.Dirichlet(0)}, {u: x * (1 - x)}
    )
    solver, options = problem.discretize(9), {"dt": 0.005, "save_every": 0.02, "target": "reference"}
    seen: list[int] = []
    sol = solver.run(
        0.05, **options, checkpoint=tmp_path / "run.npz", save_to=tmp_path / "states",
        callback=lambda state: seen.append(state.step),
    )  # fmt: skip
    assert seen[0] == 7
    same(sol, solver.run(0.05, **options))


def test_files_of_other_runs_are_refused(heat: Any, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "run.npz"
    heat.discretize(9).run(**OPTIONS, checkpoint=file)
    for n, change in (
        (10, {}),
        (9, {"until": 0.2}),
        (9, {"dt": 0.001}),
        (9, {"method": "heun"}),
        (9, {"parameters": {k: 0.8}}),
        (9, {"track": {"mass": pde.integral(u)}}),
        (9, {"save_to": tmp_path / "states"}),
    ):
        with pytest.raises(sd.DomainError, match=r"run\.npz belongs to another problem: its equations, grid"):
            heat.discretize(n).run(**{**OPTIONS, **change}, checkpoint=file)
    other = pde.Problem(
        pde.Eq(pde.dt(u), k * pde.laplacian(u)), pde.Box(x=(0, 1)), {"x": pde.Dirichlet(0)}, {u: x * (1 - x)}
    )
    with pytest.raises(sd.DomainError, match="belongs to another problem"):
        other.discretize(9).run(**OPTIONS, checkpoint=file)
    with pytest.raises(sd.DomainError, match="cannot be written: No such file"):
        heat.discretize(9).run(**OPTIONS, checkpoint=tmp_path / "none" / "a")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(sd.DomainError, match="no whole checkpoint"):
        heat.discretize(9).run(**OPTIONS, checkpoint=file)


def test_a_save_that_fails_loses_neither_run_nor_file(
    heat: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, solver = tmp_path / "run.npz", heat.discretize(9)
    replace, calls = os.replace, 0

    def full(source: str, target: str) -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr("os.replace", full)
    with pytest.warns(RuntimeWarning, match=r"could not be written: No space left on device\. The run goes on"):
        sol = solver.run(**OPTIONS, checkpoint=file)
    assert sol.finished
    assert sol.message.startswith("reached t = 0.1. The checkpoint")
    assert os.listdir(tmp_path) == ["run.npz"]
    monkeypatch.undo()
    np.testing.assert_array_equal(solver.run(**OPTIONS, checkpoint=file)[u], sol[u])


def test_a_full_disk_keeps_states_in_memory(heat: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace, room = os.replace, 2

    def full(source: Any, target: Any) -> None:
        nonlocal room
        room -= 1
        if room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr("os.replace", full)
    with pytest.warns(RuntimeWarning, match="1 saved state could not be written to .*states: No space left"):
        sol = heat.discretize(9).run(**OPTIONS, save_to=tmp_path / "states")
    assert sol.message.endswith("No space left on device; kept in memory.")
    assert sorted(os.listdir(tmp_path / "states")) == ["000000.npz", "000001.npz"]
    room = 5
    sol = heat.discretize(9).run(**OPTIONS, save_to=tmp_path / "others")
    assert sol.message.endswith("others could not be written: No space left on device.")
    assert "saved state" not in sol.message
    plain = heat.discretize(9).run(**OPTIONS)
    np.testing.assert_array_equal(np.asarray(sol.saved[u]), plain.saved[u])


def test_a_callback_that_fails_leaves_a_checkpoint(
    heat: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "PERIOD", 0.0)

    def look(state: pde.Progress) -> None:
        if state.step == 5:
            raise RuntimeError("mine")

    solver, seen = heat.discretize(9), []
    with pytest.raises(RuntimeError, match="mine"):
        solver.run(**OPTIONS, callback=look, checkpoint=tmp_path / "a")
    solver.run(**OPTIONS, callback=lambda state: seen.append(state.step), checkpoint=tmp_path / "a")
    assert seen[0] == 5


def test_saves_are_as_far_apart_as_they_are_long(heat: Any, tmp_path: pathlib.Path) -> None:
    file = checkpoint_module.Checkpoint(tmp_path / "a", "id", "kind 1", "parts")
    assert file.is_due
    file.begin({"a": np.arange(3)})
    assert not file.is_due
    loaded = file.load()
    assert loaded is not None
    assert loaded["a"].tolist() == [0, 1, 2]
