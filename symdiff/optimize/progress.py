"""A look at a running minimisation: the callback's argument and the live panel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.live import Live

PERIOD = 0.05  # seconds between two looks
# The steps whose gradient norms tell the rate of convergence, and how many there are at least.
_RECENT, _FEWEST = 256, 8


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a run, given to the callback about 20 times a second.

    `x` holds the current unknowns by symbol, `elapsed` the seconds since the first step, `rate` steps per second. `eta`
    is the seconds to the end, NaN while nothing is known, and `end` what ends the run then: "tol", where the gradient
    norm goes on falling as in the last steps, or "max_steps".
    """

    step: int
    loss: float
    grad_norm: float
    x: dict[Any, Any]
    elapsed: float
    rate: float
    eta: float = math.nan
    end: str = ""


def remaining(norms: np.ndarray, tol: float, steps: int, rate: float) -> tuple[float, str]:
    """Return the seconds to the end of a run, and what ends it: see `Progress`.

    `norms` are gradient norms of the last steps, `steps` how many may follow.
    """
    if not rate > 0:
        return math.nan, ""
    recent = norms[-_RECENT:]
    known = np.isfinite(recent) & (recent > 0)
    if tol > 0 and np.count_nonzero(known) >= _FEWEST:
        at = np.arange(len(recent))[known]
        slope, level = np.polyfit(at, np.log(recent[known]), 1)
        to_tol = (math.log(tol) - (level + slope * at[-1])) / slope if slope < 0 else math.inf
        if to_tol < steps:
            return max(0.0, to_tol) / rate, "tol"
    return steps / rate, "max_steps"


def panel(title: str, max_steps: int, tol: float) -> Live:
    """Return the live display of a run."""

    def line(now: Progress) -> str:
        return (
            f"{title}: step {now.step}  loss {now.loss:.10g}  grad_norm {now.grad_norm:.3e}  "
            f"{now.rate:.4g} steps/s  {now.elapsed:.1f} s{_eta(now, '  ETA ')}"
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
        if message is None and now.end:
            grid.add_row("remaining", _eta(now))
        if message:
            grid.add_row("", Text(message, overflow="fold"))
        return Panel(grid, title=title, title_align="left", expand=False)

    return Live(line, picture, lambda now, message: f"{line(now)}\n{title}: {message}")


def _eta(now: Progress, before: str = "") -> str:
    """The time to the end in words."""
    if not math.isfinite(now.eta):
        return ""
    minutes, seconds = divmod(now.eta, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours:.0f} h {minutes:.0f} min" if hours else f"{minutes:.0f} min" if minutes else f"{seconds:.1f} s"
    return f"{before}{text} to {now.end}"
