"""The live look at a run: lines in a file, and pictures in a terminal."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from symdiff import live as live_module
from symdiff import pde
from symdiff.pde import run as run_module
from symdiff.pde.panel import drawn

u, v = pde.field("u"), pde.field("v")


def text(thing: Any) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=90, color_system=None).print(thing)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_one_axis_is_drawn_as_curves_over_it() -> None:
    grid = pde.Grid(pde.Box(x=(-2, 3)), (6,), (False,))
    lines = text(drawn(grid, {u: np.arange(6.0), v: np.ones(6)}))
    assert any("u" in line and "v" in line for line in lines)  # the legend
    assert any("-2" in line and "3" in line for line in lines)


@pytest.mark.parametrize("axes", ["xy", "xyz"])
def test_a_map_has_the_proportions_of_the_box(axes: str) -> None:
    box = pde.Box(**{axis: (0, 3 - n) for n, axis in enumerate(axes)})
    shape = (4, 5, 6)[: len(axes)]
    values = np.zeros(shape)
    values[(slice(None), 4, 3)[: len(axes)]] = 1.0  # the upper side, in the slice in the middle
    *rows, scale = text(drawn(pde.Grid(box, shape, (False,) * len(axes)), {u: values}))
    # 3 to 2, and a character is twice as high as wide.
    assert abs(max(map(len, rows)) / len(rows) - 3) < 0.2
    assert set(rows[0]) == {"@"}
    assert set("".join(rows[-3:])) <= {" "}
    assert scale.split()[0] == "0"
    assert scale.split()[-1] == "1"


def test_a_terminal_shows_the_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("COLUMNS", "150")
    monkeypatch.setattr(run_module, "PERIOD", 0.0)
    monkeypatch.setattr(live_module, "_PICTURE_PERIOD", 0.0)
    problem = pde.Problem(
        pde.Eq(pde.dt(u), -u), pde.Box(x=(0, 1), y=(0, 1)), {"x": pde.Periodic(), "y": pde.Periodic()}, {u: 1}
    )
    out = io.StringIO()
    with redirect_stdout(out):
        problem.discretize((8, 9)).run(0.1, dt=0.02, progress=True, target="reference")
    for part in ("rk4 on 8 x 9 points", "step 2 of 5", "steps/s", "s left", "▀", "reached t = 0.1"):
        assert part in out.getvalue()
