"""A live line of a run: how far it is, at what rate, and how long it will take."""

from __future__ import annotations

import time
from types import TracebackType

from symdiff.pde.solution import Progress

_LINE_PERIOD = 1.0  # seconds between two lines where the output is no terminal


class Panel:
    """One line that is redrawn in a terminal; one line a second where the output is a file or a pipe."""

    def __init__(self, title: str):
        from rich.console import Console
        from rich.live import Live

        self._title = title
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
            self._live.update(self._line(now), refresh=True)
        elif time.monotonic() - self._printed >= _LINE_PERIOD:
            self._printed = time.monotonic()
            print(self._line(now), file=self._console.file)

    def close(self, now: Progress, message: str) -> None:
        """Show the last state and how the run ended."""
        text = f"{self._line(now)}: {message}"
        if self._live:
            self._live.update(text, refresh=True)
        else:
            print(text, file=self._console.file)

    def _line(self, now: Progress) -> str:
        done = 100 * now.step / now.steps
        left = f", {now.eta:.0f} s left" if now.step < now.steps and now.rate > 0 else ""
        rate = f"{now.rate:.4g} steps/s{left}"
        return f"{self._title}  {done:5.1f} %  t = {now.t:.6g}  step {now.step} of {now.steps}  {rate}"
