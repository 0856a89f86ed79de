"""Cost over size: curves of build and run times in the terminal, and as PNG files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from symdiff.bench.cases import CASES, Sizes
from symdiff.bench.measure import OURS
from symdiff.bench.runner import Comparison
from symdiff.draw.plot import STYLES, LinePlot, Mark, Series
from symdiff.ir.errors import CompileError

TIMES = {"run_s": "run", "build_s": "build"}


@dataclass(frozen=True, slots=True)
class Curves:
    """One kind of time of one case, in seconds over the work of a run: ours first, then peers, the fastest first."""

    case: str
    key: str
    series: tuple[Series, ...]

    @property
    def title(self) -> str:
        """What is drawn."""
        return f"{self.case}: seconds to {TIMES[self.key]}"

    @property
    def x_label(self) -> str:
        """What a run does."""
        return f"{CASES[self.case].unit}s a run"


def curves(comparisons: Sequence[Comparison]) -> Iterator[Curves]:
    """Yield the curves of the cases that were measured at more than one size."""
    for case in dict.fromkeys(c.case for c in comparisons):
        here = sorted((c for c in comparisons if c.case == case), key=lambda c: _work(c.case, c.sizes))
        for key in TIMES:
            points: dict[str, list[tuple[float, float]]] = {}
            for c in here:
                for e in c.entries:
                    if (seconds := e.median(key)) is not None:
                        points.setdefault(e.name, []).append((_work(case, c.sizes), seconds))
            found = [Series(name, *np.array(p, dtype=float).T) for name, p in points.items()]
            if max((len(s.x) for s in found), default=0) > 1:
                ordered = sorted(found, key=lambda s: (s.name.partition(":")[0] != OURS, -len(s.x), s.y[-1]))
                yield Curves(case, key, tuple(ordered))


def _work(case: str, p: Sizes) -> float:
    # What a call costs has no work; its sizes are those of the arrays.
    return CASES[case].work(p) if CASES[case].unit != "call" else p["n"]


def terminal_plot(found: Curves) -> LinePlot:
    """Return the plot, of as many curves as there are colours; both axes are logarithmic."""
    series = found.series[: len(STYLES)]
    marks = [Mark(x, y, "●", "#", k) for k, s in enumerate(series) for x, y in zip(s.x, s.y, strict=True)]
    return LinePlot(series, height=12, log_x=True, log_y=True, x_label=found.x_label, marks=marks)


def save_png(found: Sequence[Curves], folder: Path) -> list[Path]:
    """Write one picture for each case, run and build side by side, and return the files.

    Raises CompileError where matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise CompileError("Pictures need matplotlib: pip install 'symdiff[plot]'.") from None
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for case in dict.fromkeys(c.case for c in found):
        here = [c for c in found if c.case == case]
        figure = Figure(figsize=(5.5 * len(here), 4), layout="constrained")
        for axes, one in zip(figure.subplots(1, len(here), squeeze=False)[0], here, strict=True):
            _draw(axes, one)
        files.append(folder / f"{case}.png")
        figure.savefig(files[-1], dpi=150)
    return files


def _draw(axes: Any, found: Curves) -> None:
    for s in found.series:
        width = 2.5 if s.name.partition(":")[0] == OURS else 1.2
        axes.loglog(s.x, s.y, marker="o", markersize=4, linewidth=width, label=s.name)
    axes.set(title=found.title, xlabel=found.x_label, ylabel="seconds")
    axes.grid(which="major", alpha=0.3)
    axes.legend(fontsize="small")
