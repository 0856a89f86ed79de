"""`symdiff minimize`: the minimum of a formula, with the way there."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from symdiff.diff.batch import batch
from symdiff.draw.plot import LinePlot, Series
from symdiff.front.parser import parse
from symdiff.ir.dims import as_extent
from symdiff.ir.errors import ParseError
from symdiff.ir.graph import free_symbols
from symdiff.ir.node import PRIMITIVES, Node, make
from symdiff.ops.reduce import sum_
from symdiff.terminal.derivatives import example, from_expression, parse_values
from symdiff.terminal.maths import Maths
from symdiff.terminal.tables import mark, seconds, table

_ROWS = "rows"  # the run-time size of a file's columns


def run_minimize(
    console: Any, text: str, start: str, method: str, tol: float, steps: int, data: str, target: str
) -> bool:
    """Minimise the formula `text` from a start such as "x=-1.2,y=1", and print the result; returns if it converged.

    `data` gives other symbols their values, as "a=2,b=0.5" or as the columns of a CSV file; with a file the mean of the
    formula over its rows is minimised.
    """
    with from_expression():
        f = parse(text)
        known = {s.params["name"]: s for s in free_symbols([f])}
        first = parse_values(start, known, "--start")
        if not first:
            raise ParseError(f"--start gives the unknowns and where to begin; write --start {example(known)}.")
        f, values = _with_data(f, known, data)
    from symdiff.optimize import minimize

    before = time.perf_counter()
    found = minimize(f, first, values, method=method, tol=tol, max_steps=steps, target=target)
    taken = time.perf_counter() - before
    console.print(Maths(f, "f"))
    console.print()
    console.print(_result(found, taken, console))
    console.print()
    _draw(console, found.history)
    return found.converged


def _with_data(f: Node, known: dict[str, Node], text: str) -> tuple[Node, dict[Any, Any]]:
    """Return the function that is minimised, and the data by symbol."""
    if not (text.endswith((".csv", ".csv.gz")) or os.path.exists(text)):
        return f, dict(parse_values(text, known, "--data"))
    from symdiff.data import read_csv

    columns = read_csv(text)
    used = [name for name in columns.names if name in known]
    if not used:
        raise ParseError(
            f"--data: {text} has the columns {', '.join(columns.names)}, the expression has {', '.join(known)}; "
            "name the symbols like the columns."
        )
    shape = (as_extent(_ROWS),)
    vectors = {
        known[name]: make(PRIMITIVES["symbol"], (), {"name": name, "shape": shape, "dtype": "float64"}) for name in used
    }
    (each,) = batch([f], vectors)
    numbers = {name: columns.numbers[:, columns.names.index(name)] for name in used}
    return sum_(each, axes=(0,)) / each.shape[0], {vectors[known[name]]: numbers[name] for name in used}


def _result(found: Any, taken: float, console: Any) -> Any:
    out = table("", "")
    out.show_header = False
    out.add_row("converged", mark(found.converged, console.options.ascii_only))
    for symbol, value in found.x.items():
        out.add_row(str(symbol), f"{float(value):.15g}")
    out.add_row("f", f"{found.fun:.15g}")
    out.add_row("gradient norm", f"{found.grad_norm:.3e}")
    out.add_row("steps", f"{found.steps} in {seconds(taken)}, compilation included")
    out.add_row("", found.message)
    return out


def _draw(console: Any, history: Any) -> None:
    """Draw the gradient norm by step, and how far the loss is above the lowest."""
    step, loss, norm = (np.asarray(history[name], dtype=float) for name in ("step", "loss", "grad_norm"))
    if np.count_nonzero(norm > 0) < 2:
        return  # a curve on a logarithmic axis has two points at least
    above = loss - np.nanmin(loss) if np.isfinite(loss).any() else loss
    curves = [Series("gradient norm", step, norm), Series("f above its lowest", step, above)]
    console.print(LinePlot(curves, log_y=True, x_label="step"))
