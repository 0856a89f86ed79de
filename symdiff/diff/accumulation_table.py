"""The orders of accumulation as a table for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from symdiff.ir.dims import Dim, Extent, evaluate

if TYPE_CHECKING:
    from symdiff.diff.accumulation import Accumulation

# A longer description says only how it begins.
_LONG = 60


def accumulation_table(result: Accumulation) -> Any:
    """Return a rich table with one line per order, the cheapest marked."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    rows, cols = (_count(n) for n in result.shape)
    table = Table(title=f"Jacobian of {rows} by {cols}: order of accumulation", box=box.SIMPLE_HEAD)
    caption = "memory: numbers held at once; the local derivatives themselves are not counted"
    if any(isinstance(r.mults, Dim) or isinstance(r.adds, Dim) for r in result.rows):
        caption += "\ncompared at " + ", ".join(f"{k} = {v}" for k, v in result.example.items())
    table.caption, table.caption_justify = caption, "left"
    table.add_column("order", no_wrap=True)
    for heading in ("products", "sums", "memory", "÷ least"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("how")
    best = result.cheapest
    least = evaluate(best.mults + best.adds, result.example)
    for row in result.rows:
        price = evaluate(row.mults + row.adds, result.example)
        ratio = f"{price / least:.3g}" if least else ""
        cells = [_count(row.mults), _count(row.adds), _count(row.memory)]
        how = row.how if len(row.how) <= _LONG else row.how[: _LONG - 1] + "…"
        name = Text(f"{row.name} ✓", "bold green") if row is best else Text(row.name)
        table.add_row(name, *cells, ratio, how)
    return table


def _count(n: Extent) -> str:
    return str(n).replace("- 1*", "- ") if isinstance(n, Dim) else f"{n:,}"
