"""The error of differences over their steps, as curves: the V of truncation and rounding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from symdiff.draw.plot import STYLES, LinePlot, Mark, Series

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.text import Text

    from symdiff.diff.sweep import Curve, Sweep

_BEST, _THEORY = ("◆", "X"), ("◇", "T")


@dataclass(frozen=True, slots=True)
class SweepPlot:
    """Errors over steps on logarithmic axes; ◆ marks the best step of a method, ◇ where theory expects it.

    An error of exactly 0 has no logarithm and is drawn at the foot of the plot.
    """

    sweep: Sweep
    width: int = 88
    height: int = 12

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the curves, and a line for each method."""
        from rich.text import Text

        errors = np.concatenate([c.errors for c in self.sweep.curves])
        positive = errors[np.isfinite(errors) & (errors > 0)]
        if not positive.size:
            yield Text("error over step: none, or not a number, at any step", "dim")
            return
        foot = float(positive.min()) / 3
        yield Text("error of differences over their step", "bold")
        yield LinePlot(
            [Series("", c.steps, np.maximum(c.errors, foot)) for c in self.sweep.curves],
            width=self.width,
            height=self.height,
            log_x=True,
            log_y=True,
            low=foot,
            high=float(positive.max()),
            x_label="step / max(|x|, 1)",
            marks=list(self._marks(foot)),
        )
        for k, curve in enumerate(self.sweep.curves):
            yield _line(curve, k, options.ascii_only)

    def _marks(self, foot: float) -> Iterator[Mark]:
        for k, c in enumerate(self.sweep.curves):
            if not np.isfinite(c.theory_step):
                continue  # no V, so no best step either
            at = np.interp(np.log(c.theory_step), np.log(c.steps), np.log(np.maximum(c.errors, foot)))
            if np.isfinite(at):
                yield Mark(c.theory_step, float(np.exp(at)), *_THEORY, k)
            yield Mark(c.best_step, max(c.best_error, foot), *_BEST, k)


def _line(curve: Curve, k: int, ascii_only: bool) -> Text:
    from rich.text import Text

    best, theory = _BEST[ascii_only], _THEORY[ascii_only]
    out = Text(f"{'*o+x#@'[k % 6] if ascii_only else '━━'} ", STYLES[k % len(STYLES)], overflow="fold")
    out.append(f"{curve.method:<7}  ", "default")
    if not np.isfinite(curve.best_error):
        return out.append("no value at any step", "default")
    if not np.isfinite(curve.theory_step):
        return out.append(f"  best {curve.best_error:.1e}", "default")
    out.append(f"{best} best {curve.best_error:.1e} at {curve.best_step:.1e}  ", "default")
    return out.append(f"{theory} theory {curve.theory_error:.1e} at {curve.theory_step:.1e}", "default")
