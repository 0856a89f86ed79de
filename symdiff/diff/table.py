"""The comparison as a table for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff.diff.exact import DIGITS
from symdiff.ir.node import Node

if TYPE_CHECKING:
    from symdiff.diff.compare import Comparison

# More entries than this are summarised.
_SHOWN = 3


def comparison_table(cmp: Comparison) -> Any:
    """Return a rich table with one line per method, the reference first and the notes below."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    names = ", ".join(str(x.params["name"]) for x in cmp.wrt)
    at = ", ".join(f"{x.params['name']} = {_brief(v)}" for x, v in cmp.point.items())
    table = Table(title=f"derivative by {names} at {at}", box=box.SIMPLE_HEAD, caption="\n".join(cmp.notes) or None)
    table.caption_justify = "left"
    table.add_column("method", no_wrap=True)
    table.add_column("value", no_wrap=True)
    for heading in ("abs error", "ulp", "ops", "time", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    blocks = _blocks(cmp.reference, cmp.wrt)
    table.add_row("50 digits (mpmath)", _value(blocks, 20), "", "", "", "", "")
    for row in cmp.rows:
        mark = Text("✓", "green") if row.passed else Text("✗", "bold red")
        cells = (f"{row.max_abs_error:.1e}", _ulp(row.max_ulp), str(row.ops), _time(row.seconds))
        table.add_row(row.method, _value(_blocks(row.value, cmp.wrt), 17), *cells, mark)
    return table


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
