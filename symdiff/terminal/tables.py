"""One style for every table, and numbers as people read them."""

from __future__ import annotations

from typing import Any


def table(*columns: str, title: str | None = None, caption: str | None = None) -> Any:
    """Return an empty rich table; a column whose name begins with ">" is set to the right."""
    from rich import box
    from rich.table import Table

    out = Table(
        title=title, caption=caption, box=box.SIMPLE_HEAD, title_justify="left", caption_justify="left",
        title_style="bold", header_style="dim", pad_edge=False,
    )  # fmt: skip
    for name in columns:
        out.add_column(name.removeprefix(">"), justify="right" if name.startswith(">") else "left", overflow="fold")
    return out


def seconds(value: float) -> str:
    """Return a duration with three digits and its unit.

    >>> seconds(0.00123), seconds(12.0)
    ('1.23 ms', '12 s')
    """
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if value * scale >= 1:
            return f"{value * scale:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


def size(n_bytes: float) -> str:
    """Return a size in bytes with a binary unit.

    >>> size(1536)
    '1.5 KiB'
    """
    value = float(n_bytes)
    for unit in ("bytes", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.4g} {unit}"
        value /= 1024
    return f"{value:.4g} GiB"


def mark(passed: bool | None, ascii_only: bool = False) -> Any:
    """Return ✓, ✗, or – for something optional that is not there."""
    from rich.text import Text

    yes, no, none = ("ok", "x", "-") if ascii_only else ("✓", "✗", "–")
    return Text(none, "dim") if passed is None else Text(yes, "green") if passed else Text(no, "bold red")
