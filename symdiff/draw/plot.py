"""LinePlot and sparkline: curves in the terminal, eight dots a character."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.text import Text

# The dots of a Braille character as bits, [row][column] (Unicode 15, chapter 21.1).
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_BRAILLE = 0x2800
_BARS = "▁▂▃▄▅▆▇█"
_ASCII_BARS = "_.-=+*%#"
STYLES = ("cyan", "magenta", "yellow", "green", "blue", "red")


@dataclass(frozen=True, slots=True)
class Series:
    """One curve: its name in the legend, and its points with x growing."""

    name: str
    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True, slots=True)
class Mark:
    """A character at a point, in the colour of curve `k`; consoles without Unicode show `ascii_text`."""

    x: float
    y: float
    text: str
    ascii_text: str
    k: int


@dataclass(frozen=True, slots=True)
class LinePlot:
    """Curves over a common x axis, with the ends of both axes written out.

    `log_x` and `log_y` take logarithms; points where these do not exist, and NaN, leave gaps. `low` and `high`
    fix the y axis. The legend names the curves in their colours. `marks` stand over the curves.
    """

    series: Sequence[Series]
    width: int = 72
    height: int = 10
    log_x: bool = False
    log_y: bool = False
    low: float | None = None
    high: float | None = None
    x_label: str = ""
    marks: Sequence[Mark] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the curves."""
        from rich.text import Text

        curves = [_scaled(s, self.log_x, self.log_y) for s in self.series]
        (left, right), (bottom, top) = self._limits(curves)
        labels = [_number(top, self.log_y), _number(bottom, self.log_y)]
        margin = max(map(len, labels))
        columns = max(8, min(self.width, options.max_width) - margin - 2)
        ascii_only = options.ascii_only
        cells = _Cells(columns, self.height)
        for k, (x, y) in enumerate(curves):
            cells.draw(k, (x - left) / (right - left), (y - bottom) / (top - bottom))
        for mark in self.marks:
            across, up = _log(mark.x, self.log_x) - left, _log(mark.y, self.log_y) - bottom
            cells.place(mark, across / (right - left), up / (top - bottom), ascii_only)
        for row in range(self.height):
            label = labels[0] if row == 0 else labels[1] if row == self.height - 1 else ""
            line = Text(f"{label:>{margin}} ", style="dim", no_wrap=True)
            line.append("|" if ascii_only else "│")
            yield line.append_text(cells.row(row, ascii_only))
        start, end = _number(left, self.log_x), _number(right, self.log_x)
        axis = f"{start}{self.x_label.center(max(1, columns - len(start) - len(end)))}{end}"
        yield Text(" " * (margin + 2) + axis, style="dim", no_wrap=True)
        if any(s.name for s in self.series):
            yield self._legend(margin + 2, ascii_only)

    def _legend(self, margin: int, ascii_only: bool) -> Text:
        from rich.text import Text

        out = Text(" " * margin, no_wrap=True)
        for k, s in enumerate(self.series):
            style = STYLES[k % len(STYLES)]
            out.append(f"{_mark(k) if ascii_only else '━━'} ", style=style).append(f"{s.name}   ")
        return out

    def _limits(
        self, curves: Sequence[tuple[np.ndarray, np.ndarray]]
    ) -> tuple[tuple[float, float], tuple[float, float]]:
        xs = np.concatenate([x[np.isfinite(x) & np.isfinite(y)] for x, y in curves] or [np.zeros(0)])
        ys = np.concatenate([y[np.isfinite(x) & np.isfinite(y)] for x, y in curves] or [np.zeros(0)])
        low, high = _ends(ys)
        low = low if self.low is None else _log(self.low, self.log_y)
        high = high if self.high is None else _log(self.high, self.log_y)
        return _ends(xs), (low, high) if high > low else (low - 0.5, low + 0.5)


class _Cells:
    """The dots of a plot, and the curve that each character belongs to."""

    def __init__(self, columns: int, rows: int):
        self.dots = np.zeros((4 * rows, 2 * columns), dtype=bool)
        self.owner = np.full((rows, columns), -1)
        self.marks: dict[tuple[int, int], tuple[str, int]] = {}

    def draw(self, k: int, x: np.ndarray, y: np.ndarray) -> None:
        """Draw a curve, given in fractions of both axes: in each column of dots from the last height to the next."""
        rows, columns = self.dots.shape
        last = None
        for column in range(columns):
            here = np.interp(column / (columns - 1), x, y, left=np.nan, right=np.nan) if len(x) else np.nan
            if not np.isfinite(here) or not -0.5 / rows <= here <= 1 + 0.5 / rows:
                last = None
                continue
            row = round((1 - min(max(here, 0.0), 1.0)) * (rows - 1))
            first = row if last is None else last + (row > last) - (row < last)
            for r in range(min(first, row), max(first, row) + 1):
                self.dots[r, column] = True
                self.owner[r // 4, column // 2] = k
            last = row

    def place(self, mark: Mark, x: float, y: float, ascii_only: bool) -> None:
        """Put a mark into the character at a point in fractions of both axes; outside there is none."""
        if 0 <= x <= 1 and 0 <= y <= 1:
            rows, columns = self.owner.shape
            dot = round((1 - y) * (4 * rows - 1)), round(x * (2 * columns - 1))
            self.marks[dot[0] // 4, dot[1] // 2] = mark.ascii_text if ascii_only else mark.text, mark.k

    def row(self, row: int, ascii_only: bool) -> Text:
        """Return one line of characters."""
        from rich.text import Text

        out = Text(no_wrap=True)
        for column in range(self.owner.shape[1]):
            if (row, column) in self.marks:
                text, k = self.marks[row, column]
                out.append(text, style=f"bold {STYLES[k % len(STYLES)]}")
                continue
            owner = int(self.owner[row, column])
            if owner < 0:
                out.append(" ")
                continue
            bits = sum(_DOTS[r][c] for r in range(4) for c in range(2) if self.dots[4 * row + r, 2 * column + c])
            out.append(_mark(owner) if ascii_only else chr(_BRAILLE + bits), style=STYLES[owner % len(STYLES)])
        return out


def _mark(k: int) -> str:
    return "*o+x#@"[k % 6]


def sparkline(values: Sequence[float] | np.ndarray, width: int = 24, ascii_only: bool = False) -> str:
    """Return values as a row of bars, the mean of neighbours where there are more than `width`; NaN as a blank.

    >>> sparkline([0, 1, 2, 3, 4, 5, 6, 7])
    '▁▂▃▄▅▆▇█'
    """
    array = np.asarray(values, dtype=float).ravel()
    if len(array) > width:
        starts = np.arange(width) * len(array) // width
        array = np.add.reduceat(array, starts) / np.diff(np.append(starts, len(array)))
    finite = array[np.isfinite(array)]
    low, high = _ends(finite)
    bars = _ASCII_BARS if ascii_only else _BARS
    return "".join(bars[round((v - low) / (high - low) * 7)] if np.isfinite(v) else " " for v in array)


def _ends(values: np.ndarray) -> tuple[float, float]:
    if not values.size:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _scaled(s: Series, log_x: bool, log_y: bool) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(s.x, dtype=float), np.asarray(s.y, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = (np.log10(x) if log_x else x), (np.log10(y) if log_y else y)
    # log 0 is -inf, which would be a line to the bottom of the world.
    keep = np.isfinite(x)
    return x[keep], np.where(np.isfinite(y), y, np.nan)[keep]


def _log(value: float, log: bool) -> float:
    return float(np.log10(value)) if log else value


def _number(value: float, log: bool) -> str:
    return f"{10.0**value:.3g}" if log else f"{value:.4g}"
