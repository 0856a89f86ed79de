"""The comparison of derivatives as a table that fits the window, wrong digits in red."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from symdiff.diff.exact import DIGITS
from symdiff.terminal.tables import mark, seconds, table

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.text import Text

    from symdiff.diff.compare import Comparison
    from symdiff.diff.study import Row

_MOST = 12  # lines of one method
_REFERENCE = "50 digits (mpmath)"
_SHORT = {_REFERENCE: "50 digits", "forward difference": "forward diff.", "central difference": "central diff."}


class _Form(NamedTuple):
    """How much a table shows: entries side by side, operations and time, digits of values and of the reference."""

    side_by_side: bool
    costs: bool
    digits: int = 17
    reference: int = 22
    short_names: bool = False


_FORMS = (
    _Form(True, True),
    _Form(True, False),
    _Form(False, True),
    _Form(False, False),
    _Form(False, False, 11, 11, True),
)
_NARROW = _Form(True, False, 11, 11, True)


@dataclass(frozen=True, slots=True)
class ComparisonTable:
    """One line per method: derivatives, largest error, error in ulp, operations, time, verdict.

    Derivatives stand side by side where the window is wide enough, else one below the other; operations, time and
    the last digits are left out of narrow windows.
    """

    cmp: Comparison

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the widest form that fits, and the notes."""
        from rich.measure import Measurement
        from rich.text import Text

        labels, reference = self._entries()
        forms = _FORMS if 1 < len(labels) <= 3 else [f for f in _FORMS if f.side_by_side is (len(labels) == 1)]
        if len(labels) == 1:
            forms = [*forms, _NARROW]
        for form in forms:
            drawn = self._draw(form, labels, reference, options.ascii_only)
            if Measurement.get(console, options.update(width=10_000), drawn).maximum <= options.max_width:
                break
        yield drawn
        for note in self.cmp.notes:
            yield Text(f"note: {note}", style="yellow")

    def _draw(self, form: _Form, labels: Sequence[str], reference: Sequence[Any], ascii_only: bool) -> Any:
        from rich.text import Text

        out = table("method", *(labels if form.side_by_side else ["derivative"]), ">error", ">ulp")
        for name in ("ops", "time") if form.costs else ():
            out.add_column(name, justify="right")
        out.add_column("")
        for column in out.columns:
            column.no_wrap = True
        exact = [_text(v, form.reference) for v in reference]
        # Where there is no derivative, no method is right.
        judged = self.cmp.reference is None or all(t.strip() != "nan" for t in exact)
        for row in ([] if self.cmp.reference is None else [None]) + list(self.cmp.rows):
            values = [Text(t, "bold") for t in exact] if row is None else _values(row, self.cmp, exact, form.digits)
            cells = values if form.side_by_side else [_stack(labels, values)]
            name = _REFERENCE if row is None else row.method
            out.add_row(
                _SHORT.get(name, name) if form.short_names else name,
                *cells,
                *_verdict(row, form.costs, judged, ascii_only),
            )
        return out

    def _entries(self) -> tuple[list[str], list[Any]]:
        """Return the name and the exact value of every derivative; NaN where there is no reference."""
        if self.cmp.direction is not None:
            return ["along v"], [np.nan if self.cmp.reference is None else self.cmp.reference]
        labels, values = [], []
        for x, block in zip(self.cmp.wrt, _blocks(self.cmp.reference, self.cmp), strict=True):
            for index, value in np.ndenumerate(np.asarray(block, dtype=object)):
                labels.append(f"∂/∂{x}" + (f"[{', '.join(map(str, index))}]" if index else ""))
                values.append(value)
        return labels, values


def _blocks(value: Any, cmp: Comparison) -> Sequence[Any]:
    return value if isinstance(value, list) and len(value) == len(cmp.wrt) else [value]


def _values(row: Row, cmp: Comparison, exact: Sequence[str], digits: int) -> list[Text]:
    from rich.text import Text

    if row.method.startswith("taylor"):
        return [Text(f" slope {row.value:.2f}")]
    entries = [e for block in _blocks(row.value, cmp) for e in np.asarray(block).ravel()]
    if cmp.reference is None or row.method == "dot product":
        return [Text(_text(e, digits)) for e in entries]
    return [_coloured(_text(e, digits), t) for e, t in zip(entries, exact, strict=True)]


def _verdict(row: Row | None, costs: bool, judged: bool, ascii_only: bool) -> list[Any]:
    if row is None:
        return [""] * (5 if costs else 3)
    ulp = f"{row.max_ulp:.1f}" if row.max_ulp < 1000 else f"{row.max_ulp:.0e}"
    tested = row.method.startswith("taylor")
    cells: list[Any] = [f"{row.max_abs_error:.1e}", ulp] if judged and not tested else ["", ""]
    if costs:
        cells += [str(row.ops), seconds(row.seconds)]
    return [*cells, mark(row.passed if judged else None, ascii_only)]


def _stack(labels: Sequence[str], values: Sequence[Text]) -> Text:
    from rich.text import Text

    width = max(map(len, labels))
    lines = [Text(f"{label:<{width}} ", "dim") + value for label, value in zip(labels, values, strict=True)]
    if len(lines) > _MOST:
        lines = [*lines[: _MOST - 1], Text(f"… {len(lines) - _MOST + 1} more", "dim")]
    return Text("\n").join(lines)


def _text(value: Any, digits: int) -> str:
    """A number with room for its sign, so that digits stand below each other."""
    import mpmath

    # mpf(…) rounds to the working precision, also what is an mpf already.
    with mpmath.workdps(DIGITS):
        text = str(mpmath.nstr(mpmath.mpf(value), digits, strip_zeros=False))
    return text if text.startswith("-") else f" {text}"


def _coloured(text: str, exact: str) -> Text:
    """Return a number whose digits are red from the first one that differs from the reference."""
    from rich.text import Text

    same = next((k for k, (a, b) in enumerate(zip(text, exact, strict=False)) if a != b), len(text))
    # The last digit of a double is rounded and may differ from the digit of the exact value.
    return Text(text) if same >= len(text) - 2 else Text(text[:same]).append(text[same:], "red")
