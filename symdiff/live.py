"""Live: what a running loop shows, redrawn in a terminal, one line a second where the output is a file or a pipe."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

_LINE_PERIOD = 1.0  # seconds between two lines where the output is no terminal
# Seconds between two pictures: one takes some milliseconds, and the run waits for it.
_PICTURE_PERIOD = 0.25


class Live:
    """A display of states. `line(now)` is its text for a file, `picture(now, message)` what a terminal shows.

    `closing(now, message)` is the last text for a file. The message says how the run ended; it is None before.
    """

    def __init__(
        self,
        line: Callable[[Any], str],
        picture: Callable[[Any, str | None], Any],
        closing: Callable[[Any, str], str],
    ) -> None:
        """Prepare the display; nothing is printed before it is entered."""
        from rich.console import Console
        from rich.live import Live as RichLive

        self._line, self._picture, self._closing = line, picture, closing
        self._console = Console()
        # No refresh thread: the loop between the chunks refreshes.
        self._live = RichLive(console=self._console, auto_refresh=False) if self._console.is_terminal else None
        self._shown = -_LINE_PERIOD

    def __enter__(self) -> Live:
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

    def show(self, now: Any) -> None:
        """Show the state of the run."""
        if time.monotonic() - self._shown < (_PICTURE_PERIOD if self._live else _LINE_PERIOD):
            return
        if self._live:
            self._live.update(self._picture(now, None), refresh=True)
        else:
            self._print(self._line(now))
        self._shown = time.monotonic()

    def close(self, now: Any, message: str) -> None:
        """Show the last state and how the run ended."""
        if self._live:
            self._live.update(self._picture(now, message), refresh=True)
        else:
            self._print(self._closing(now, message))

    def _print(self, text: str) -> None:
        # print, not the console: lines in a file are not wrapped at 80 columns.
        print(text, file=self._console.file)
