"""The consoles for results and for errors, and what a terminal can show."""

from __future__ import annotations

from typing import Any


def output() -> Any:
    """Return the console of standard output, without rich's guesses about numbers and names in plain text."""
    from rich.console import Console

    return Console(highlight=False)


def fail(message: str) -> None:
    """Print one line on standard error."""
    from rich.console import Console
    from rich.text import Text

    line = Text("symdiff: ", "bold red").append(" ".join(message.split()), "default")
    # soft_wrap: a message is one line for whoever reads it by program.
    Console(stderr=True, highlight=False).print(line, soft_wrap=True)


def can_animate(console: Any) -> bool:
    """Whether lines on this console can be redrawn: not in files, pipes, dumb terminals."""
    return bool(console.is_terminal and not console.is_dumb_terminal)
