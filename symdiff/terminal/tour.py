"""`symdiff tour`: the whole way once, in five chapters on real input."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from symdiff.terminal.console import can_animate
from symdiff.terminal.tables import seconds
from symdiff.terminal.tour_compile import machine_code
from symdiff.terminal.tour_derivatives import comparison, expression
from symdiff.terminal.tour_fit import logistic_regression
from symdiff.terminal.tour_heat import heat_equation


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a chapter plays: the console, whether it is a short show, and whether pictures may move."""

    console: Any
    fast: bool = False
    live: bool = True

    def say(self, text: str) -> None:
        """Print a paragraph; square brackets are rich's markup."""
        self.console.print(text)
        self.console.print()

    def show(self, thing: Any) -> None:
        """Print something that rich can draw."""
        self.console.print(thing)
        self.console.print()


CHAPTERS: tuple[tuple[str, Callable[[Stage], None]], ...] = (
    ("A formula and its gradient", expression),
    ("Seven ways to the same derivative", comparison),
    ("From the formula to machine code", machine_code),
    ("Fitting a model to real data", logistic_regression),
    ("The heat equation", heat_equation),
)


def run_tour(console: Any, fast: bool = False, live: bool = True) -> None:
    """Play all chapters. `fast` makes problems small, `live` moves pictures where the console can."""
    stage = Stage(console, fast, live and can_animate(console))
    began = time.perf_counter()
    for k, (title, chapter) in enumerate(CHAPTERS, 1):
        console.rule(f"[bold]{k}  {title}", style="cyan", align="left")
        console.print()
        chapter(stage)
    console.rule(f"[bold]the end, after {seconds(time.perf_counter() - began)}", style="cyan", align="left")
    stage.say(
        "\nNext: [cyan]symdiff repl[/] for a prompt, [cyan]symdiff diff 'sin(x*y)' --at x=1,y=2[/] for a formula of "
        "your own, [cyan]symdiff doctor[/] for what this machine can do, and the folder [cyan]demos/[/] for scripts."
    )
