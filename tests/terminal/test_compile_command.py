"""`symdiff compile`: the files it writes, run without Python, and its errors."""

from __future__ import annotations

import shutil
import subprocess

import mpmath
import numpy as np
import pytest

from symdiff.terminal.app import run

EPS = np.finfo(float).eps
needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler cc on this machine")


@needs_compiler
def test_a_formula_becomes_a_program_without_python(tmp_path, capsys):
    folder = tmp_path / "a folder"
    assert run(["compile", "exp(-x**2)*sin(3*x)", "--name", "bump", "--gradient", "--folder", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "int bump(double x, double *value, double *d_x);\n" in out
    # what it says is what to copy
    commands = out[out.index("cd ") :]
    subprocess.run(commands, shell=True, check=True, capture_output=True)
    printed = subprocess.run([folder / "bump_example"], env={}, check=True, capture_output=True, text=True).stdout
    value, slope = (float(line.partition(" = ")[2]) for line in printed.splitlines()[:2])
    with mpmath.workdps(50):
        point = mpmath.mpf(0.25)
        f = mpmath.exp(-(point**2)) * mpmath.sin(3 * point)
        g = 3 * mpmath.cos(3 * point) * mpmath.exp(-(point**2)) - 2 * point * f
    # 8 eps: two functions and at most four roundings
    np.testing.assert_allclose([value, slope], [float(f), float(g)], rtol=8 * EPS)


def test_arguments_and_derivatives_are_chosen(tmp_path, capsys):
    command = ["compile", "-x*y", "--name", "g", "--folder", str(tmp_path), "--no-library"]
    assert run([*command, "--arguments", "t, y,x", "--wrt", "x", "--dtype", "float32"]) == 0
    out = capsys.readouterr().out
    assert "int g(float t, float y, float x, float *value, float *d_x);\n" in out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["g.h", "g.o", "g_example.c"]
    assert run([*command, "--overwrite"]) == 0
    assert "int g(double x, double y, double *value);\n" in capsys.readouterr().out


def test_another_processor(tmp_path, capsys):
    command = ["compile", "x*y", "--folder", str(tmp_path), "--no-library"]
    assert run([*command, "--triple", "aarch64-unknown-linux-gnu"]) == 0
    assert "aarch64-unknown-linux-gnu, generic" in (tmp_path / "f.h").read_text()
    assert (tmp_path / "f.o").read_bytes()[18:20] == b"\xb7\x00"  # e_machine of ELF: AArch64


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["x+"], 2, ["ends too early"]),
        (["x", "--name", "sin"], 1, ["'sin' is a function of the C library"]),
        (["x", "--name", "a b"], 1, ["C identifier"]),
        (["x*y", "--arguments", "x"], 2, ["--arguments leaves out y"]),
        (["x*y", "--arguments", "x,y,x"], 2, ["twice"]),
        (["x*y", "--wrt", "z"], 2, ["'z'", "x, y"]),
        (["x", "--dtype", "float16"], 2, ["float16"]),
        (["besselj(0, x)"], 1, ["SciPy's jv", "the expression:1"]),
        (["x", "--cpu", "pentagon"], 1, ["cpu='pentagon'"]),
        (["x", "--gradent"], 2, ["--gradent"]),
        (["2", "--gradient"], 2, ["no symbols"]),
    ],
)
def test_errors_are_one_line(arguments, code, words, tmp_path, capsys):
    assert run(["compile", *arguments, "--folder", str(tmp_path), "--no-library"]) == code
    captured = capsys.readouterr()
    assert captured.err.startswith("symdiff: ")
    assert captured.err.count("\n") == 1
    for word in words:
        assert word in captured.err
    assert not list(tmp_path.iterdir())
