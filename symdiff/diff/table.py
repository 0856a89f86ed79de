"""Comparisons and tests of derivatives as tables for people."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff.diff.exact import DIGITS
from symdiff.ir.node import Node

if TYPE_CHECKING:
    from symdiff.diff.compare import Comparison

# More entries than this are summarised.
_SHOWN = 3


def printed(renderable: Any) -> str:
    """Return a rich renderable as plain text."""
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=110, no_color=True, force_terminal=False, color_system=None).print(renderable)
    return out.getvalue().rstrip("\n")


def report_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[Any]], notes: Sequence[str]) -> Any:
    """Return a rich table of texts set to the right; the last cell of a row is its verdict, None for none."""
    table = _table()
    for heading in (*headings, ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for *cells, verdict in rows:
        table.add_row(*cells, "" if verdict is None else _mark(verdict))
    return _framed(title, table, notes)


def _table() -> Any:
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD)


def _framed(title: str, table: Any, notes: Sequence[str]) -> Any:
    """Return a title, a table and notes below each other; as parts of the table they would be as narrow as it is."""
    from rich.console import Group
    from rich.text import Text

    return Group(Text(title, "italic"), table, *(Text(f"note: {note}", "yellow") for note in notes))


def _mark(passed: bool) -> Any:
    from rich.text import Text

    return Text("✓", "green") if passed else Text("✗", "bold red")


def comparison_table(cmp: Comparison) -> Any:
    """Return a rich table with one line per method, the reference first and the notes below."""
    names = ", ".join(str(x.params["name"]) for x in cmp.wrt)
    at = ", ".join(f"{x.params['name']} = {_brief(v)}" for x, v in cmp.point.items())
    along = " along a random direction" if cmp.direction is not None else ""
    table = _table()
    table.add_column("method", no_wrap=True)
    table.add_column("value", no_wrap=True)
    for heading in ("abs error", "ulp", "ops", "time", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    blocks = _blocks(cmp.reference, cmp.wrt)
    if cmp.reference is not None:
        table.add_row("50 digits (mpmath)", _value(blocks, 20), "", "", "", "", "")
    for row in cmp.rows:
        # What a test of slopes has none of is NaN and stays empty; elsewhere a NaN is an error and shows.
        tested = row.method.startswith("taylor")
        errors = ("", "") if tested else (f"{row.max_abs_error:.1e}", _ulp(row.max_ulp))
        value = f"slope {row.value:.2f}" if tested else _value(_blocks(row.value, cmp.wrt), 17)
        table.add_row(row.method, value, *errors, str(row.ops), _time(row.seconds), _mark(row.passed))
    return _framed(f"derivative by {names}{along} at {at}", table, cmp.notes)


def _blocks(value: Any, wrt: tuple[Node, ...]) -> list[Any]:
    return value if isinstance(value, list) and len(value) == len(wrt) else [value]


def _value(blocks: list[Any], digits: int) -> str:
    entries = [e for block in blocks for e in np.asarray(block, dtype=object).ravel()]
    more = [f"… {len(entries) - _SHOWN} more"] if len(entries) > _SHOWN else []
    return "\n".join([_number(e, digits) for e in entries[:_SHOWN]] + more)


def _number(value: Any, digits: int) -> str:
    import mpmath

    # mpf(…) rounds to the working precision, also what is an mpf already.
    with mpmath.workdps(DIGITS):
        return str(mpmath.nstr(mpmath.mpf(value), digits))


def _brief(value: np.ndarray) -> str:
    return f"{value.item():.6g}" if value.ndim == 0 else f"array{value.shape}"


def _ulp(ulp: float) -> str:
    return f"{ulp:.1f}" if ulp < 1000 else f"{ulp:.0e}"


def _time(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
