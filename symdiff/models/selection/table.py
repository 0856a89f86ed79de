"""Progress tables: one row for each model that was tried, redrawn in the terminal while more are tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from symdiff.live import Live

_MOST_ROWS = 15  # of a table in the terminal: the best and the last ones


@dataclass(frozen=True, slots=True)
class Trial:
    """Something that was tried: its settings, and what came out, with its spread where it is a mean."""

    settings: Mapping[str, Any]
    value: float
    spread: float | None = None
    seconds: float = 0.0


def table(title: str, what: str, larger_is_better: bool = True) -> Live:
    """Return the live display of a list of trials, given to its `show` and `close`; `what` names their values."""

    def best(trials: Sequence[Trial]) -> int:
        sign = 1 if larger_is_better else -1
        return max(range(len(trials)), key=lambda k: sign * trials[k].value)

    def line(trials: Sequence[Trial]) -> str:
        last, top = trials[-1], trials[best(trials)]
        return (
            f"{title}: {len(trials)}  {_settings(last)}  {what} {_value(last)}  best {_value(top)} at {_settings(top)}"
        )

    def picture(trials: Sequence[Trial], message: str | None) -> Any:
        from rich.table import Table

        grid = Table(title=title, title_justify="left", caption=message, caption_justify="left")
        grid.add_column("#", justify="right", style="dim")
        for name in trials[0].settings:
            grid.add_column(name, justify="right")
        grid.add_column(what, justify="right")
        grid.add_column("seconds", justify="right", style="dim")
        top = best(trials)
        for k in _shown(len(trials), top):
            t = trials[k]
            cells = [str(k + 1), *map(_short, t.settings.values()), _value(t), f"{t.seconds:.2f}"]
            grid.add_row(*cells, style="bold green" if k == top else None)
        return grid

    return Live(line, picture, lambda trials, message: f"{line(trials)}\n{title}: {message}")


def _shown(n: int, top: int) -> list[int]:
    last = list(range(max(0, n - _MOST_ROWS), n))
    return last if top in last else [top, *last[1:]]


def _settings(trial: Trial) -> str:
    return ", ".join(f"{name}={_short(value)}" for name, value in trial.settings.items())


def _value(trial: Trial) -> str:
    return f"{trial.value:.6g}" if trial.spread is None else f"{trial.value:.6g} ± {trial.spread:.2g}"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
