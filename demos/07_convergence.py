"""Theorems on convergence, measured: rates, exponents and noise beside what is proved, with curves.

Convex and strongly convex functions, the condition number with and without momentum, the noise of SGD, Newton's
quadratic convergence. Run with: python demos/07_convergence.py [STEPS]
"""

import sys

import theory
from rich.console import Console

from symdiff.draw.plot import LinePlot, Series
from symdiff.terminal.tables import table

console = Console()
steps = [int(a) for a in sys.argv[1:2]]
# The x axis, whether it is logarithmic, and where the y axis ends.
PLOTS = {
    "convex": ("f - f* by step", True, 1e-13),
    "linear": ("gradient norm by step", False, 1e-13),
    "condition": ("steps by condition number", True, None),
    "noise": ("mean loss of 100 batches, by step", False, 1e-3),
    "Newton": ("error by step", False, 1e-12),
}

for name, experiment in theory.EXPERIMENTS.items():
    console.rule(f"[bold]{name}")
    console.print((experiment.__doc__ or "").splitlines()[0], style="dim")
    found = list(experiment(*steps) if name in ("convex", "noise") else experiment())
    rows = table("method", "theorem", "number", ">predicted", ">measured", ">apart", "bound")
    for f in found:
        apart = abs(f.measured / f.predicted - 1)
        holds = "holds" if f.holds else "[red]broken[/]"
        rows.add_row(f.method, f.theorem, f.number, f"{f.predicted:.4g}", f"{f.measured:.4g}", f"{apart:.1%}", holds)
    console.print(rows)
    label, log_x, low = PLOTS[name]
    curves = [Series(f.method, *f.curve) for f in found if f.curve is not None]
    console.print(LinePlot(curves, log_x=log_x, log_y=True, height=12, x_label=label, low=low))
