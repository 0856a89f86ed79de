"""A look at a running minimisation: the callback's argument and the live panel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from symdiff.live import Live

PERIOD = 0.05  # seconds between two looks


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a run, given to the callback about 20 times a second.

    `x` holds the current unknowns by symbol, `elapsed` the seconds since the first step, `rate` steps per second.
    """

    step: int
    loss: float
    grad_norm: float
    x: dict[Any, Any]
    elapsed: float
    rate: float


def panel(title: str, max_steps: int, tol: float) -> Live:
    """Return the live display of a run."""

    def line(now: Progress) -> str:
        return (
            f"{title}: step {now.step}  loss {now.loss:.10g}  grad_norm {now.grad_norm:.3e}  "
            f"{now.rate:.4g} steps/s  {now.elapsed:.1f} s"
        )

    def picture(now: Progress, message: str | None) -> Any:
        from rich.panel import Panel
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim")
        grid.add_column(justify="right")
        grid.add_row("step", f"{now.step:,} of at most {max_steps:,}")
        grid.add_row("loss", f"{now.loss:.10g}")
        grid.add_row("gradient norm", f"{now.grad_norm:.3e}  (tol {tol:.1e})")
        grid.add_row("rate", f"{now.rate:,.0f} steps/s")
        grid.add_row("elapsed", f"{now.elapsed:.1f} s")
        if message:
            grid.add_row("", Text(message, overflow="fold"))
        return Panel(grid, title=title, title_align="left", expand=False)

    return Live(line, picture, lambda now, message: f"{line(now)}\n{title}: {message}")
