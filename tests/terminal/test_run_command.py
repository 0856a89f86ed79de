"""`symdiff run`: results, pictures, exit codes, and what is said to wrong files and places."""

from __future__ import annotations

import importlib.util
import pathlib
import re
from typing import Any

import numpy as np
import pytest

from symdiff import pde
from symdiff.pde import run as run_module
from symdiff.terminal.app import run

HEAT = """
title = "A rod"
domain = {x = [0, 1]}
parameters = {k = 0.1}
equations = {u = "k*laplace(u)"}
initial = {u = "sin(pi*x)"}
boundary = {x = "u = 0"}
grid = {shape = 21}
run = {until = 0.1, save_every = 0.05}
track = {heat = "integral(u)"}
"""
FAST = ["--target", "reference"]
HAS_PICTURES = importlib.util.find_spec("matplotlib") is not None
FILES = "rod.npz, rod.png" if HAS_PICTURES else "rod.npz"


@pytest.fixture
def rod(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A problem file in an empty folder, which is where the command runs."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "rod.toml"
    file.write_text(HEAT)
    return file


def test_a_problem_is_solved_and_written(rod: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", "rod.toml", *FAST]) == 0
    out = capsys.readouterr().out
    for text in ("A rod", "u_t = k*u_laplacian", "reached t = 0.1", "heat", FILES, "100.0 %"):
        assert text in out
    sol = pde.load("rod.npz")
    # The sine mode on 20 intervals, to the error of the steps in time.
    rate = 0.1 * 4 * np.sin(np.pi / 40) ** 2 * 400
    np.testing.assert_allclose(sol["u"], np.exp(-rate * 0.1) * np.sin(np.pi * sol.grid.x), atol=1e-5)
    assert sol.times.tolist() == [0.0, 0.05, 0.1]
    assert len(sol.tracked["heat"]) == sol.steps + 1
    assert not HAS_PICTURES or pathlib.Path("rod.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_is_overwritten_unless_asked(rod: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", "rod.toml", "-o", "a.npz", *FAST]) == 0
    assert run(["run", "rod.toml", "-o", "a.npz", *FAST]) == 1
    assert "a.npz exists; name another file, or add --overwrite" in capsys.readouterr().err
    assert run(["run", "rod.toml", "-o", "a.npz", "--overwrite", *FAST]) == 0


def test_states_are_streamed_to_a_folder(rod: pathlib.Path) -> None:
    assert run(["run", "rod.toml", "-o", "states", *FAST]) == 0
    assert pde.load("states").times.tolist() == [0.0, 0.05, 0.1]


@pytest.mark.parametrize("name", ["a.nc", "a.zarr"])
def test_states_are_streamed_to_a_file(rod: pathlib.Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    for needed in ("xarray", "h5netcdf", "zarr"):
        pytest.importorskip(needed)
    assert run(["run", "rod.toml", "-o", name, *FAST]) == 0
    assert pde.load(name).times.tolist() == [0.0, 0.05, 0.1]
    assert run(["run", "rod.toml", "-o", name, *FAST]) == 1
    assert f"{name} exists" in capsys.readouterr().err
    assert run(["run", "rod.toml", "-o", name, "--overwrite", *FAST]) == 0
    assert pde.load(name).finished


def test_an_interrupted_run_is_written_and_goes_on(
    rod: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "PERIOD", 0.0)
    look = run_module.Run._look

    def interrupt(self: Any, force: bool = False) -> bool:
        if self.step == 4 and not force:
            raise KeyboardInterrupt
        return look(self, force)

    monkeypatch.setattr(run_module.Run, "_look", interrupt)
    options = ["-o", "a.npz", "--checkpoint", "keep.npz", *FAST]
    assert run(["run", "rod.toml", *options]) == 130
    captured = capsys.readouterr()
    assert "interrupted at t = " in captured.out
    assert captured.err == "symdiff: interrupted\n"
    assert pde.load("a.npz").steps == 4
    monkeypatch.setattr(run_module.Run, "_look", look)
    assert run(["run", "rod.toml", "--overwrite", *options]) == 0
    assert pde.load("a.npz").finished
    whole = pde.from_toml(rod).run(target="reference")
    np.testing.assert_array_equal(pde.load("a.npz")["u"], whole["u"])


def test_a_run_that_fails_keeps_what_it_has(rod: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = HEAT.replace("k*laplace(u)", "u**2 + k").replace("until = 0.1", "until = 9, dt = 0.01")
    text = text.replace('"u = 0"', '"periodic"').replace("sin(pi*x)", "1 + x")
    rod.write_text(text)
    assert run(["run", "rod.toml", *FAST]) == 1
    captured = capsys.readouterr()
    assert "made 'u' infinite or NaN at x = " in captured.err
    assert FILES in captured.out
    sol = pde.load("rod.npz")
    assert np.isfinite(sol["u"]).all()
    assert not sol.finished


def test_a_monitor_in_a_file_ends_the_run(rod: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    rod.write_text(HEAT.replace('"integral(u)"', '"conserved(integral(u))"'))
    assert run(["run", "rod.toml", *FAST]) == 1
    assert "'heat' is not conserved: after step 1, at t = " in capsys.readouterr().err
    assert pde.load("rod.npz").steps >= 1


def test_a_steady_problem_is_solved(rod: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = HEAT.replace('"k*laplace(u)"', '"laplace(u) + 2 = 0"')
    rod.write_text(text)
    assert run(["run", "rod.toml", *FAST]) == 2
    assert "has a time derivative, so track, until, save_every means nothing" in capsys.readouterr().err
    rod.write_text("\n".join(line for line in text.splitlines() if not line.startswith(("run =", "track ="))))
    assert run(["run", "rod.toml", *FAST]) == 0
    sol = pde.load("rod.npz")
    # Second differences of a parabola are exact.
    np.testing.assert_allclose(sol["u"], sol.grid.x * (1 - sol.grid.x), atol=1e-14)
    assert run(["run", "rod.toml", "-o", "states", *FAST]) == 2


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        (("grid =", "gird ="), 2, r"rod\.toml, line 8, \[gird\]: Unknown key 'gird' .*did you mean 'grid'\?"),
        (("shape = 21}", "shape = 21"), 2, r"not TOML: .*line \d+"),
        (("k*laplace(u)", "k*laplace(w)"), 2, r"rod\.toml, line 5, \[equations\] u: .*'w'"),
        (("integral(u)", "integral(w)"), 2, r"\[track\] heat: .*'w'"),
        (('"integral(u)"', '"u"'), 1, "'heat' is one number"),
        (
            ("save_every = 0.05", "save_every = 0"),
            1,
            r"line 9, \[run\] save_every: save_every is a positive",
        ),
        (("until = 0.1,", ""), 2, r"add until = … to \[run\]"),
        (("shape = 21", "shape = 2"), 1, r"line 8, \[grid\] shape: .*needs at least 3 points"),
        (('"u = 0"', '["u = 0", "periodic"]'), 1, r"rod\.toml: .*eriodic"),
        (('"integral(u)"', '"conserved(integral(u), 3)"'), 2, r"rod\.toml, line 10, \[track\] heat: "),
        (("run = {", 'run = {method = "rk5", '), 1, r"line 9, \[run\] method: .*'rk5' is not known"),
    ],
)
def test_wrong_problems_are_named(
    rod: pathlib.Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str], code: int, text: str
) -> None:
    rod.write_text(HEAT.replace(*change))
    assert run(["run", "rod.toml", *FAST]) == code
    err = capsys.readouterr().err
    assert re.search(text, err), err
    assert err.count("\n") == 1
    assert not pathlib.Path("rod.npz").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["none.toml"], 2, "none.toml cannot be read"),
        (["rod.toml", "-o", "none/a.npz"], 1, "none does not exist"),
        (["rod.toml", "-o", "a.csv"], 2, "--output is a .npz, .nc, .zarr file or a folder, got a.csv"),
        (
            ["rod.toml", "--picture", "a.xyz"],
            1,
            "(a.xyz cannot be written|needs matplotlib).* Written: rod.npz",
        ),
        (["rod.toml", "--checkpoint", "none/a"], 1, "checkpoint: none/a cannot be written"),
        ([], 2, "PROBLEM"),
    ],
)
def test_wrong_places_are_named(
    rod: pathlib.Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, text: str
) -> None:
    assert run(["run", *arguments, *FAST]) == code
    err = capsys.readouterr().err
    assert re.search(text, err), err


def test_the_demo_is_a_problem() -> None:
    file = pde.from_toml(pathlib.Path(__file__).parents[2] / "demos" / "problems" / "gray_scott.toml")
    assert file.title == "Gray-Scott"
    assert list(file.track) == ["mean_u", "spots"]
    assert file.problem.discretize((20, 16)).run(20, parameters=file.parameters, target="reference").finished
