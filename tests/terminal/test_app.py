"""The command line: results, exit codes, one line of error, plain output in pipes and narrow windows."""

import json
import os
import subprocess
import sys

import mpmath
import pytest

import symdiff
from symdiff.terminal.app import run


def symdiff_command(*arguments, stdin="", **environment):
    env = {**os.environ, "COLUMNS": "80", **environment}
    return subprocess.run(
        [sys.executable, "-m", "symdiff.terminal", *arguments],
        input=stdin, capture_output=True, text=True, env=env, timeout=300, check=False,
    )  # fmt: skip


def test_version(capsys):
    assert run(["version"]) == 0
    assert capsys.readouterr().out == f"symdiff {symdiff.__version__}\n"


def test_diff_prints_formula_derivatives_and_every_method(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["diff", "-x**2*sin(y)", "--at", "x=1.2, y=pi/4"]) == 0
    out = capsys.readouterr().out
    for text in ("f = -x²·sin(y)", "∂f", "50 digits", "symbolic", "reverse", "complex step", "-1.697056274847"):
        assert text in out
    assert "\x1b" not in out


def test_json_holds_the_derivative_to_50_digits(capsys):
    assert run(["diff", "exp(-x**2)*sin(y)", "--at", "x=1.2,y=0.7", "--wrt", "y", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    with mpmath.workdps(60):
        exact = mpmath.exp(-(mpmath.mpf(1.2) ** 2)) * mpmath.cos(mpmath.mpf(0.7))
        assert abs(mpmath.mpf(found["reference"]["y"]) - exact) < mpmath.mpf(10) ** -49
    assert found["passed"] is True
    assert list(found["derivatives"]) == ["y"]
    assert {m["method"] for m in found["methods"]} >= {"symbolic", "forward", "reverse", "complex step"}


def test_json_has_no_nan(capsys):
    assert run(["diff", "log(x)", "--at", "x=-1", "--format", "json"]) == 0
    assert "NaN" not in capsys.readouterr().out


def test_latex(capsys):
    assert run(["diff", "x**2*y", "--at", "x=3,y=2", "--format", "latex"]) == 0
    out = capsys.readouterr().out
    assert r"\frac{\partial f}{\partial x}" in out
    assert out.count(r"\begin{") == out.count(r"\end{") == 2


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["diff", "x+", "--at", "x=1"], 2, ["ends too early"]),
        (["diff", "__import__('os')", "--at", "x=1"], 2, []),
        (["diff", "x*y", "--at", "x=1"], 2, ["no value for y", "x=…,y=…"]),
        (["diff", "x", "--at", "y=1"], 2, ["'y'", "has x"]),
        (["diff", "x", "--at", "x=1,x=2"], 2, ["two values"]),
        (["diff", "x", "--at", "x"], 2, ["x=1.2"]),
        (["diff", "x", "--at", "x=y"], 2, ["number"]),
        (["diff", "x", "--at", "x=1/0"], 2, ["inf"]),
        (["diff", "x", "--at", "x=1", "--wrt", "z"], 2, ["'z'"]),
        (["diff", "3", "--at", ""], 2, ["no symbols"]),
        (["diff", "x > 1", "--at", "x=1"], 1, ["bool", "the expression:1"]),
        (["diff"], 2, ["Missing argument"]),
        (["diff", "x", "--at", "x=1", "--format", "xml"], 2, ["xml"]),
        (["fly"], 2, ["fly"]),
    ],
)
def test_errors_are_one_line_with_the_right_exit_code(arguments, code, words, capsys):
    assert run(arguments) == code
    captured = capsys.readouterr()
    assert captured.err.startswith("symdiff: ")
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
    for word in words:
        assert word in captured.err


def test_debug_shows_the_traceback():
    result = symdiff_command("diff", "x+", "--at", "x=1", "--debug")
    assert "Traceback" in result.stderr
    assert "ParseError" in result.stderr


def test_no_arguments_print_the_help(capsys):
    assert run([]) == 2
    captured = capsys.readouterr()
    assert "tour" in captured.out + captured.err


@pytest.mark.parametrize("width", ["60", "72", "100", "140"])
def test_the_table_fits_the_window(width, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", width)
    assert run(["diff", "exp(-x**2)*sin(y)", "--at", "x=1.2,y=0.7"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= int(width)
    assert sum("✓" in line for line in lines) == 7
    assert not any("…" in line for line in lines)


def test_the_reference_shows_digits_beyond_a_double(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    run(["diff", "exp(x)", "--at", "x=1"])
    assert "2.718281828459045235360" in capsys.readouterr().out


def test_where_there_is_no_derivative_no_method_gets_a_mark(capsys):
    assert run(["diff", "where(x > 1, 1, 0)", "--at", "x=1"]) == 0
    out = capsys.readouterr().out
    assert "jumps" in out
    assert "✓" not in out


def test_a_console_without_unicode_gets_ascii():
    # Python writes what ASCII lacks as \uXXXX; the drawings themselves must not need it.
    result = symdiff_command("diff", "x**2/y", "--at", "x=1,y=2", PYTHONIOENCODING="ascii:backslashreplace")
    assert result.returncode == 0
    assert "x**2/y" in result.stdout


def test_repl_runs_a_piped_script():
    script = (
        "f = x*sin(y)\nf\ngradient(f, [x, y])\ncompile(f, [x, y])(2.0, 0.0)\nfor k in range(2):\n    print('k', k)\n"
    )
    result = symdiff_command("repl", stdin=script)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[0] == "x·sin(y)"
    assert "[0] = sin(y)" in result.stdout
    assert "0.0" in result.stdout.splitlines()
    assert result.stdout.splitlines()[-2:] == ["k 0", "k 1"]
    assert "\x1b" not in result.stdout


def test_repl_goes_on_after_an_error():
    result = symdiff_command("repl", stdin="nobody\n1 + 1\n")
    assert "NameError" in result.stderr
    assert result.stdout == "2\n"


def test_doctor_finds_this_machine_well(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    code = run(["doctor"])
    out = capsys.readouterr().out
    assert code == 0, out
    for word in ("numpy", "processor", "vectors", "threads", "GPU", "MPI", "kernel store", "self-check", "All is well"):
        assert word in out
    assert max(map(len, out.splitlines())) <= 60


def test_doctor_tells_of_a_store_that_cannot_be_written(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    result = symdiff_command("doctor", SYMDIFF_CACHE_DIR=str(blocked))
    assert result.returncode == 1
    assert "not writable" in " ".join(result.stdout.split())
    assert "SYMDIFF_CACHE_DIR" in result.stdout
