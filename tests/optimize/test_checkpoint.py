"""Checkpoints: runs that are cut and taken up again, files of others, damaged files, disks that are full."""

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
from symdiff.optimize import SGD, Adam, Progress

ROWS, D = 23, 3


def problem() -> tuple[Any, Any, dict[Any, Any]]:
    a, y, w = sd.matrix("A", "n", D), sd.vector("y", "n"), sd.vector("w", D)
    rng = np.random.default_rng(7)
    data = {a: rng.standard_normal((ROWS, D)), y: rng.standard_normal(ROWS)}
    return w, sd.mean((a @ w - y) ** 2) + 0.1 * sd.sum(w**4), data


def same(a: Any, b: Any, w: Any) -> None:
    assert a.x[w].tobytes() == b.x[w].tobytes()
    assert (a.fun, a.grad_norm, a.steps, a.message) == (b.fun, b.grad_norm, b.steps, b.message)
    for name in ("step", "loss", "grad_norm"):
        assert a.history[name].tobytes() == b.history[name].tobytes()


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("lbfgs", {}),
        (Adam(lr=0.03, amsgrad=True), {}),
        (SGD(lr=0.05, momentum=0.9), {"batch_size": 5, "seed": 3}),
        (SGD(lr=0.05), {"batch_size": 4, "sampling": "replacement"}),
    ],
    ids=["lbfgs", "adam", "batches", "replacement"],
)
def test_a_resumed_run_makes_the_same_steps(
    method: Any, options: dict[str, Any], tmp_path: pathlib.Path, target: str
) -> None:
    w, f, data = problem()
    file = tmp_path / "run.npz"

    def run(max_steps: int, checkpoint: Any = None) -> Any:
        return sd.minimize(
            f,
            {w: np.ones(D)},
            data,
            method,
            tol=0.0,
            max_steps=max_steps,
            target=target,
            checkpoint=checkpoint,
            **options,
        )

    whole = run(37)
    for steps in (0, 1, 8, 19):
        assert run(steps, file).steps == min(steps, whole.steps)
    same(run(37, file), whole, w)
    same(run(37, file), whole, w)  # nothing is left to do
    assert os.listdir(tmp_path) == ["run.npz"]


def test_the_tolerance_may_change(tmp_path: pathlib.Path) -> None:
    w, f, data = problem()

    def run(tol: float, checkpoint: Any = None) -> Any:
        return sd.minimize(f, {w: np.ones(D)}, data, "bfgs", tol=tol, target="reference", checkpoint=checkpoint)

    file = tmp_path / "run.npz"
    rough, fine = run(1e-2, file), run(1e-8)
    assert rough.converged
    assert rough.steps < fine.steps
    same(run(1e-8, file), fine, w)
    assert run(1e-2, file).converged  # beyond what is asked


def test_an_interrupted_run_goes_on(tmp_path: pathlib.Path) -> None:
    w, f, data = problem()
    file = tmp_path / "run.npz"

    def interrupt(state: Progress) -> None:
        if state.step > 3:
            raise KeyboardInterrupt

    def run(max_steps: int, **options: Any) -> Any:
        return sd.minimize(f, {w: np.ones(D)}, data, Adam(lr=1e-3), 0.0, max_steps, target="reference", **options)

    cut = run(10**7, callback=interrupt, checkpoint=file)
    assert cut.message.startswith("Interrupted")
    n = cut.steps + 50
    same(run(n, checkpoint=file), run(n), w)


def test_a_process_that_is_killed_leaves_a_whole_file(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "run.npz"
    code = f"""
import os, symdiff as sd, symdiff.checkpoint
x = sd.symbols("x")
def look(state):
    if state.step > 5:
        os._exit(9)
sd.checkpoint._PERIOD = sd.checkpoint._SHARE = 0.0
sd.minimize((x - 1) ** 2, {{x: 0.0}}, method=sd.optimize.Adam(), tol=0.0, max_steps=10**9, callback=look,
            target="reference", checkpoint={str(file)!r})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 9, done.stderr
    x = sd.symbols("x")
    options = {"method": Adam(), "tol": 0.0, "target": "reference"}
    steps = 1 + sd.minimize((x - 1) ** 2, {x: 0.0}, max_steps=0, checkpoint=file, **options).steps
    assert steps > 1
    resumed = sd.minimize((x - 1) ** 2, {x: 0.0}, max_steps=steps, checkpoint=file, **options)
    assert resumed.x[x] == sd.minimize((x - 1) ** 2, {x: 0.0}, max_steps=steps, **options).x[x]


def test_files_of_other_problems_are_refused(tmp_path: pathlib.Path) -> None:
    w, f, data = problem()
    file = tmp_path / "run.npz"

    def run(function: Any = f, start: Any = 1.0, values: Any = data, method: Any = "gd", **options: Any) -> Any:
        begin = {w: np.full(D, start)}
        return sd.minimize(function, begin, values, method, target="reference", checkpoint=file, **options)

    run(max_steps=3)
    other = {s: v + 1 for s, v in data.items()}
    for change in (
        {"function": f + sd.sum(w)},
        {"start": 2.0},
        {"values": other},
        {"method": "newton"},
        {"method": sd.optimize.GradientDescent(lr=0.1)},
        {"method": "sgd", "batch_size": 5},
    ):
        with pytest.raises(sd.DomainError, match=r"run\.npz belongs to another problem"):
            run(**change)
    assert run(max_steps=5).steps == 5


@pytest.mark.parametrize("damage", ["cut", "other", "empty", "pickle"])
def test_damaged_files_are_refused(damage: str, tmp_path: pathlib.Path) -> None:
    x = sd.symbols("x")
    file = tmp_path / "run.npz"

    def run() -> Any:
        return sd.minimize(x**2, {x: 1.0}, method="gd", target="reference", checkpoint=file)

    run()
    raw = file.read_bytes()
    if damage == "pickle":
        np.savez(file, carry0=np.array([{}], dtype=object))
    else:
        file.write_bytes({"cut": raw[: len(raw) // 2], "other": b"no checkpoint", "empty": b""}[damage])
    with pytest.raises(sd.DomainError, match=r"run\.npz is no whole checkpoint"):
        run()


def test_folders_that_cannot_be_written_are_named_first(tmp_path: pathlib.Path) -> None:
    x = sd.symbols("x")
    missing = tmp_path / "none" / "run.npz"
    with pytest.raises(sd.DomainError, match="cannot be written: No such file or directory"):
        sd.minimize(x**2, {x: 1.0}, target="reference", checkpoint=missing)
    with pytest.raises(sd.DomainError, match="cannot be read: Is a directory"):
        sd.minimize(x**2, {x: 1.0}, target="reference", checkpoint=tmp_path)


def test_a_save_that_fails_loses_neither_run_nor_file(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = sd.symbols("x")
    file = tmp_path / "run.npz"
    replace, calls = os.replace, 0

    def full(source: str, target: str) -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr("os.replace", full)
    with pytest.warns(RuntimeWarning, match="No space left on device"):
        res = sd.minimize((x - 1) ** 2, {x: 0.0}, method="gd", target="reference", checkpoint=file)
    assert res.converged
    assert "could not be written: No space left" in res.message
    assert os.listdir(tmp_path) == ["run.npz"]
    monkeypatch.undo()
    assert sd.minimize((x - 1) ** 2, {x: 0.0}, method="gd", target="reference", checkpoint=file).converged


def test_what_has_no_checkpoints_says_so(tmp_path: pathlib.Path) -> None:
    x = sd.symbols("x")
    for options in ({"method": "scipy:BFGS"}, {"constraints": [x <= 1], "method": "bfgs"}):
        with pytest.raises(sd.DomainError, match="checkpoint"):
            sd.minimize(x**2, {x: 1.0}, checkpoint=tmp_path / "a", **options)
