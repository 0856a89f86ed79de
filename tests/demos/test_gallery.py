"""The gallery on small grids: every figure within the bound that its problem derives."""

from __future__ import annotations

import runpy
from typing import Any

import pytest

from demos.gallery.problems import GROUPS

# The bounds are truncation errors, which grow with the spacing: fewer points show the same.
SMALL: dict[str, dict[str, Any]] = {
    "membrane": {"n": 65},
    "turning": {"n": 41},
    "drum": {"n": 23},
    "trap": {"n": 90},
    "packet": {"n": 300},
    "sine_modes": {"n": 33},
    "kink": {"n": 41},
    "cole_hopf": {"n": 33},
    "nagumo": {"n": 101},
    "ablowitz_zeppetella": {"n": 101},
    "front": {"n": 101},
    # Thousands of steps, or of iterations: compiled.
    "steepest": {"n": 769, "target": "cpu"},
    "slowest": {"n": 601, "target": "cpu"},
    "circle": {"n": 61, "target": "cpu"},
    "cavity_100": {"n": 33, "target": "cpu"},
    "cavity_400": {"n": 65, "target": "cpu"},
    "call": {"n": 201},
    "pfhub": {"n": 64, "target": "cpu"},
}
PROBLEMS = [solve for group in GROUPS.values() for solve in group]


# Thousands of steps; the equations are tested in tests/pde too.
SLOW = {
    *("circle", "kink", "packet", "spinodal", "front", "steepest", "slowest", "trap", "pfhub"),
    *("cavity_100", "cavity_400"),
}


@pytest.mark.parametrize(
    "solve",
    [pytest.param(f, marks=pytest.mark.slow) if f.__name__ in SLOW else f for f in PROBLEMS],
    ids=lambda f: f.__name__,
)
def test_figures_are_within_their_bounds(solve: Any) -> None:
    outcome = solve(**{"target": "reference", **SMALL.get(solve.__name__, {})})
    for figure in outcome.figures:
        assert figure.holds, f"{figure}"


def test_the_table_prints(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["demos.gallery", "boundary_layer"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module("demos.gallery", run_name="__main__")
    printed = capsys.readouterr().out
    assert "layer" in printed
    assert "✓" in printed
    monkeypatch.setattr("sys.argv", ["demos.gallery", "poison"])
    with pytest.raises(SystemExit, match="There is no problem poison"):
        runpy.run_module("demos.gallery", run_name="__main__")
