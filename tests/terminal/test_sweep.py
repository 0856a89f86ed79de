"""The V of differences in the terminal, and comparisons along a direction in its tables."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

import symdiff as sd
from symdiff.draw.plot import LinePlot, Mark, Series
from symdiff.terminal.app import run
from symdiff.terminal.comparison import ComparisonTable
from symdiff.terminal.sweep import SweepPlot

x = sd.symbols("x")


def draw(thing, width=80):
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(thing)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_marks_stand_where_they_belong():
    line = Series("", np.logspace(-4, 0, 9), np.logspace(0, 4, 9))
    marks = [Mark(1e-4, 1e4, "A", "a", 0), Mark(1.0, 1.0, "B", "b", 0), Mark(1e3, 1.0, "C", "c", 0)]
    rows = draw(LinePlot([line], width=40, height=5, log_x=True, log_y=True, marks=marks))
    assert rows[0].endswith("│A" + rows[0].split("│A")[1])
    assert rows[4].endswith("B")
    assert "C" not in "".join(rows)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_v_is_drawn_with_best_and_expected_steps(width):
    rows = draw(SweepPlot(sd.compare(sd.exp(x), {x: 0.4}).sweep), width)
    assert max(map(len, rows)) <= width
    plot = [r for r in rows if "│" in r]
    assert sum(r.count("◆") for r in plot) >= 1
    assert sum(r.count("◆") + r.count("◇") for r in plot) >= 3
    # Down on the left, up on the right.
    column = max(r.find("◆") for r in plot)
    assert any(ch not in " │" for r in plot[:3] for ch in r[10:column])
    assert any(ch not in " │" for r in plot[:3] for ch in r[column:])
    assert any("theory" in r and "forward" in r for r in rows)


def test_what_has_no_error_has_no_curve():
    rows = draw(SweepPlot(sd.compare(abs(x), {x: 0.0}).sweep))
    assert rows == ["error over step: none, or not a number, at any step"]


def test_the_command_draws_it(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["diff", "exp(-x**2)*sin(y)", "--at", "x=1.2,y=0.7"]) == 0
    out = capsys.readouterr().out
    assert "error of differences over their step" in out
    assert out.count("◆") == out.count("◇") == 4  # two curves and the lines below them


def test_the_command_explains_lost_digits(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert run(["diff", "(1-cos(x))/x**2", "--at", "x=1e-5"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "1 - cos(x) (the expression:1) loses 9 of 16 digits" in out


def test_json_has_the_curves(capsys):
    assert run(["diff", "exp(x)", "--at", "x=1", "--format", "json"]) == 0
    sweep = json.loads(capsys.readouterr().out)["sweep"]
    assert [c["method"] for c in sweep] == ["forward", "central", "complex"]
    assert all(len(c["steps"]) == len(c["errors"]) == 33 for c in sweep)
    assert sweep[2]["theory_step"] is None


def test_narrow_windows_show_errors_in_full():
    result = sd.compare((1 - sd.cos(x)) / x**2, {x: 1e-5})
    rows = draw(ComparisonTable(result), 60)
    assert any("8.3e-03" in r and "8e+19" in r for r in rows)


@pytest.mark.parametrize("n", [30, 60_000])
def test_comparisons_along_a_direction(n):
    v = sd.vector("v", n)
    f = sd.sum(sd.sin(v) * sd.exp(v))
    rows = draw(ComparisonTable(sd.compare(f, {v: np.linspace(-1, 1, n)}, limit=3000)), 100)
    assert any("taylor, reverse" in r and "slope 2.0" in r and "✓" in r for r in rows)
    assert any("50 digits" in r for r in rows) == (n == 30)
    assert not any("nan" in r for r in rows)
