"""`symdiff minimize`: results, exit codes, data from files, and what is said to wrong input."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

from symdiff.terminal.app import run

ROSENBROCK = "(1-x)**2 + 100*(y-x**2)**2"


def test_a_minimum(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["minimize", ROSENBROCK, "--start", "x=-1.2,y=1", "--method", "bfgs", "--target", "reference"])
    out = capsys.readouterr().out
    assert code == 0
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.strip()}
    np.testing.assert_allclose([float(rows["x"][0]), float(rows["y"][0])], 1.0, atol=1e-8)
    assert "Converged after" in out
    assert "f above its lowest" in out


def test_the_exit_code_tells_of_failure(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--start", "x=1", "--target", "reference"]
    assert run(["minimize", "-x**2", *options, "--steps", "5"]) == 1
    assert "Not converged after 5 steps" in capsys.readouterr().out
    assert run(["minimize", "log(x)", "--start", "x=-1", "--target", "reference"]) == 1
    assert "Not started: the loss is nan" in capsys.readouterr().out
    assert run(["minimize", "(x-3)**2", *options, "--tol", "1e-3", "--method", "gd"]) == 0


def test_a_run_of_one_step_has_no_curve(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["minimize", "(x-3)**2", "--start", "x=1", "--target", "reference"]) == 0
    out = capsys.readouterr().out
    assert "Converged after 1 step:" in out
    assert "f above its lowest" not in out


def test_data_as_numbers_and_as_columns(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["minimize", "(x-a)**2 + b", "--start", "x=0", "--data", "a=1/4,b=2", "--target", "reference"]) == 0
    assert "0.25" in capsys.readouterr().out
    t = np.linspace(0, 3, 7)
    file = tmp_path / "decay.csv"
    rows = [f"{a},{b}" for a, b in zip(t, 2 * np.exp(-0.75 * t), strict=True)]
    file.write_text("\n".join(["t,y", *rows]))
    formula = "(y - a*exp(-b*t))**2"
    assert run(["minimize", formula, "--start", "a=1,b=1", "--data", str(file), "--target", "reference"]) == 0
    found = {line.split()[0]: line.split()[1] for line in capsys.readouterr().out.splitlines() if len(line.split()) > 1}
    np.testing.assert_allclose([float(found["a"]), float(found["b"])], [2, 0.75], rtol=1e-7)
    assert run(["minimize", "(q - x)**2", "--start", "x=1", "--data", str(file)]) == 2
    assert "has the columns t, y, the expression has" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["x**2"], 2, "write --start x=…"),
        (["x**2", "--start", "z=1"], 2, "--start gives 'z' a value, but the expression has x"),
        (["x**2", "--start", "x=one"], 2, "--start x=one: the value is a number"),
        (["x**2 + a", "--start", "x=1"], 1, "needs 'a'"),
        (["x**2", "--start", "x=1", "--method", "lbgfs"], 1, "no method 'lbgfs'"),
        (["x**2", "--start", "x=1", "--data", "none.csv"], 1, "none.csv cannot be read"),
        (["x**2", "--start", "x=1", "--tol", "-1"], 1, "tol is a number >= 0"),
        (["x**", "--start", "x=1"], 2, "x**"),
    ],
    ids=["no start", "unknown", "no number", "missing", "method", "file", "tol", "formula"],
)
def test_wrong_input(arguments: list[str], code: int, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["minimize", *arguments]) == code
    assert text in capsys.readouterr().err
