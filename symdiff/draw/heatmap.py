"""HeatMap: an array as a picture in the terminal, two pixels a character.

The character ▀ has one colour above and one below, and a character cell is about twice as high as wide, so pixels
are square. Without colours a ramp of characters takes their place; what is not finite always stands out.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff.draw.colours import BAD, LEVELS, palette
from symdiff.ir.errors import ShapeError

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.segment import Segment

_RAMP = " .:-=+*#%@"
_BAD_CHARACTER = "?"
_BAD_LEVEL = -1
_LOWEST = 4  # rows of characters


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A picture of a field, its first axis to the right and its second upwards, above a legend with the scale.

    `low` and `high` fix the scale (by default the extremes of the values; values outside take the last colour).
    `width` and `height` bound the picture in characters, `aspect` is the physical height over width (by default
    that of the array). A field with one axis is drawn as a curve.
    """

    values: np.ndarray
    low: float | None = None
    high: float | None = None
    colours: str = "viridis"
    width: int = 72
    height: int = 24
    aspect: float | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the picture."""
        field = np.asarray(self.values, dtype=float)
        if field.ndim == 1:
            from symdiff.draw.plot import LinePlot, Series

            low, high = self.scale()
            series = Series("", np.arange(len(field)), field)
            yield LinePlot([series], width=self.width, height=self.height // 2, low=low, high=high)
            return
        if field.ndim != 2 or not field.size:
            raise ShapeError(f"A heat map shows arrays with one or two axes and at least one entry, got {field.shape}.")
        low, high = self.scale()
        levels = _levels(_resample(field, *self._pixels(field, options.max_width)), low, high)
        draw = _shades if console.no_color or console.color_system is None else _blocks
        yield from draw(levels.T[::-1], self.colours)
        yield from self._legend(console, min(levels.shape[0], options.max_width), low, high, draw is _blocks)

    def scale(self) -> tuple[float, float]:
        """Return the values at the ends of the scale."""
        found = np.asarray(self.values, dtype=float)
        finite = found[np.isfinite(found)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        return (low if self.low is None else self.low), (high if self.high is None else self.high)

    def _pixels(self, field: np.ndarray, room: int) -> tuple[int, int]:
        """Return how many pixels fit, to the right and upwards; an even number upwards."""
        aspect = self.aspect or field.shape[1] / field.shape[0]
        across = max(1, min(self.width, room, round(2 * self.height / aspect)))
        rows = max(_LOWEST, min(self.height, round(across * aspect / 2)))
        return across, 2 * rows

    def _legend(self, console: Console, width: int, low: float, high: float, coloured: bool) -> Iterator[Segment]:
        from rich.segment import Segment

        left, right = f"{low:.3g} ", f" {high:.3g}"
        bad = "" if np.isfinite(np.asarray(self.values, dtype=float)).all() else f"  {_BAD_CHARACTER} not finite"
        n = max(4, width - len(left) - len(right) - len(bad))
        bar = np.linspace(0, LEVELS - 1, n).astype(int)
        yield Segment(left)
        if coloured:
            for level in bar:
                yield Segment("▀", _pair(self.colours, int(level), int(level)))
        else:
            yield Segment("".join(_character(int(level)) for level in bar))
        yield Segment(right)
        if bad:
            yield Segment(bad, _pair(self.colours, _BAD_LEVEL, None) if coloured else None)
        yield Segment.line()


def _resample(field: np.ndarray, across: int, up: int) -> np.ndarray:
    """Return the means over the entries under each pixel, the nearest entry where pixels are smaller."""
    for axis, n in enumerate((across, up)):
        extent = field.shape[axis]
        if n >= extent:
            nearest = ((np.arange(n) + 0.5) * extent / n).astype(int)
            field = field.take(nearest, axis=axis)
        else:
            starts = np.arange(n) * extent // n
            counts = np.diff(np.append(starts, extent))
            with np.errstate(invalid="ignore"):
                total = np.add.reduceat(field, starts, axis=axis)
            field = total / counts.reshape((-1, 1) if axis == 0 else (1, -1))
    return field


def _levels(pixels: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return the number of the colour of each pixel, `_BAD_LEVEL` where the value is not finite."""
    span = high - low if high > low else 1.0
    finite = np.isfinite(pixels)
    scaled = np.clip(np.where(finite, (np.where(finite, pixels, low) - low) / span, 0.0), 0.0, 1.0)
    return np.where(finite, np.rint(scaled * (LEVELS - 1)).astype(int), _BAD_LEVEL)


def _blocks(levels: np.ndarray, colours: str) -> Iterator[Segment]:
    from rich.segment import Segment

    for above, below in zip(levels[::2], levels[1::2], strict=True):
        pairs = list(zip(above.tolist(), below.tolist(), strict=True))
        k = 0
        while k < len(pairs):
            n = k + 1
            while n < len(pairs) and pairs[n] == pairs[k]:
                n += 1
            yield Segment("▀" * (n - k), _pair(colours, *pairs[k]))
            k = n
        yield Segment.line()


def _shades(levels: np.ndarray, colours: str) -> Iterator[Segment]:
    from rich.segment import Segment

    for above, below in zip(levels[::2], levels[1::2], strict=True):
        line = (
            _character(_BAD_LEVEL if _BAD_LEVEL in (a, b) else int(a + b) // 2)
            for a, b in zip(above, below, strict=True)
        )
        yield Segment("".join(line))
        yield Segment.line()


def _character(level: int) -> str:
    return _BAD_CHARACTER if level == _BAD_LEVEL else _RAMP[level * len(_RAMP) // LEVELS]


@functools.lru_cache(maxsize=LEVELS * LEVELS)
def _pair(colours: str, above: int, below: int | None) -> Any:
    """The style of a character with these two colours."""
    from rich.color import Color
    from rich.style import Style

    def colour(level: int) -> Color:
        return Color.from_rgb(*(BAD if level == _BAD_LEVEL else palette(colours)[level]))

    return Style(color=colour(above), bgcolor=None if below is None else colour(below))
