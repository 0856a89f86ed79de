"""A live look at a run: how far it is, at what rate, how long it will take, and its fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symdiff.ir.node import Node
from symdiff.live import Live
from symdiff.pde.domain import Grid
from symdiff.pde.pictures import middle, plane
from symdiff.pde.solution import Progress

_BAR = 24  # characters
_HEIGHT = 18  # lines of the picture: with what is above and below it fits a terminal of 24


def panel(title: str) -> Live:
    """Return the live display of a run: a line, and below it in a terminal the fields."""

    def line(now: Progress) -> str:
        done = 100 * now.step / now.steps
        left = f", {now.eta:.0f} s left" if now.step < now.steps and now.rate > 0 else ""
        rate = f"  {now.rate:.4g} steps/s{left}" if now.rate > 0 else ""
        return f"{title}  {done:5.1f} %  t = {now.t:.6g}  step {now.step} of {now.steps}{rate}"

    def closing(now: Progress, message: str) -> str:
        return f"{line(now)}: {message}"

    def whole(now: Progress, message: str | None) -> Any:
        from rich.console import Group
        from rich.text import Text

        last = f"{now.eta:.0f} s left" if message is None and now.rate > 0 else message or ""
        shown = now.fields if len(now.grid.axes) == 1 else now.fields[:1]
        picture = drawn(now.grid, {u: now[u] for u in shown})
        head = Text.assemble((title, "bold"), "  ", (last, "dim" if message is None else "green"))
        caption = _caption(now.grid, shown)
        return Group(head, _bar(now), picture, *([Text(caption, "dim")] if caption else []))

    return Live(line, whole, closing)


def _bar(now: Progress) -> Any:
    """Return what draws how far a run is, as a bar and in numbers."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    row = Table.grid(padding=(0, 2))
    numbers = (
        f"{100 * now.step / now.steps:.0f} %", f"t = {now.t:.4g} of {now.until:.4g}",
        f"step {now.step:,} of {now.steps:,}", f"{now.rate:,.4g} steps/s",
    )  # fmt: skip
    row.add_row(ProgressBar(now.steps, now.step, width=_BAR), *numbers)
    return row


def _caption(grid: Grid, shown: Sequence[Node]) -> str:
    """Return what the picture shows; curves have a legend of their own."""
    if len(grid.axes) == 1:
        return ""
    place = f" at {grid.axes[2]} = {middle(grid.points[2]):.4g}" if len(grid.axes) == 3 else ""
    return f"{shown[0].params['name']}{place}, {grid.axes[0]} to the right, {grid.axes[1]} upwards"


def drawn(grid: Grid, fields: Mapping[Node, np.ndarray]) -> Any:
    """Return what draws fields in a terminal: their curves over one axis, else the map of the first.

    Of a field with three axes it is the slice in the middle of the last.
    """
    from symdiff.draw.heatmap import HeatMap
    from symdiff.draw.plot import LinePlot, Series

    if len(grid.axes) == 1:
        curves = [Series(u.params["name"], grid.points[0], values) for u, values in fields.items()]
        return LinePlot(curves, height=_HEIGHT - 3, x_label=grid.axes[0])
    (left, right), (lower, upper) = grid.box.intervals[:2]
    values = next(iter(fields.values()))
    return HeatMap(plane(values), height=_HEIGHT, aspect=(upper - lower) / (right - left))
