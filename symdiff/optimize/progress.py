"""A look at a running minimisation: the callback's argument and the live panel."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any

PERIOD = 0.05  # seconds between two looks
_LINE_PERIOD = 1.0  # seconds between two lines where the output is no terminal


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


class Panel:
    """A live panel in a terminal; one line a second where the output is a file or a pipe."""

    def __init__(self, title: str, max_steps: int, tol: float) -> None:
        """Prepare the panel; nothing is printed before it is entered."""
        from rich.console import Console
        from rich.live import Live

        self._title, self._max_steps, self._tol = title, max_steps, tol
        self._console = Console()
        # No refresh thread: the loop between the chunks refreshes.
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None
        self._printed = -_LINE_PERIOD

    def __enter__(self) -> Panel:
        """Start the display."""
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the terminal back, also after an error."""
        if self._live:
            self._live.stop()

    def show(self, now: Progress) -> None:
        """Show the state of the run."""
        if self._live:
            self._live.update(self._table(now), refresh=True)
        elif time.monotonic() - self._printed >= _LINE_PERIOD:
            self._printed = time.monotonic()
            self._line(now)

    def close(self, now: Progress, message: str) -> None:
        """Show the last state and why the run ended."""
        if self._live:
            self._live.update(self._table(now, message), refresh=True)
        else:
            self._line(now)
            print(f"{self._title}: {message}", file=self._console.file)

    def _line(self, now: Progress) -> None:
        # print, not the console: lines in a file are not wrapped at 80 columns.
        print(
            f"{self._title}: step {now.step}  loss {now.loss:.10g}  grad_norm {now.grad_norm:.3e}  "
            f"{now.rate:.4g} steps/s  {now.elapsed:.1f} s",
            file=self._console.file,
        )

    def _table(self, now: Progress, message: str | None = None) -> Any:
        from rich.panel import Panel as Box
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim")
        grid.add_column(justify="right")
        grid.add_row("step", f"{now.step:,} of at most {self._max_steps:,}")
        grid.add_row("loss", f"{now.loss:.10g}")
        grid.add_row("gradient norm", f"{now.grad_norm:.3e}  (tol {self._tol:.1e})")
        grid.add_row("rate", f"{now.rate:,.0f} steps/s")
        grid.add_row("elapsed", f"{now.elapsed:.1f} s")
        if message:
            grid.add_row("", Text(message, overflow="fold"))
        return Box(grid, title=self._title, title_align="left", expand=False)
