"""Solve the problems and print what they give beside what is known.

A first run compiles each time loop, about a second a problem; later ones find it in the kernel store.
Run with: python -m demos.gallery [GROUP or PROBLEM …]
"""

import sys
import time

from rich.console import Console
from rich.live import Live

from demos.gallery.problems import chosen
from symdiff.terminal.tables import mark, seconds, table

solvers = chosen(sys.argv[1:])
missed = 0
legend = "✓: the difference is within the bound below it, which the line under the figure explains"
rows = table("problem", "figure", ">ours", ">known", ">difference", "", caption=legend)
with Live(rows, console=Console(), refresh_per_second=4):
    for solve in solvers:
        began = time.perf_counter()
        outcome = solve()
        spent = seconds(time.perf_counter() - began)
        shape = "×".join(map(str, outcome.solution.grid.shape))
        about = f"{outcome.title}\n[dim]{outcome.solution.method}, {shape}, {spent}[/]"
        for figure in outcome.figures:
            missed += not figure.holds
            difference = f"{abs(figure.ours - figure.known):.1e}"
            bounded = f"{difference}\n[dim]≤ {figure.within:.1e}[/]"
            numbers = (f"{figure.ours:.7g}", f"{figure.known:.7g}") if figure.known else (difference, "–")
            what = f"{figure.what}\n[dim]{figure.why}[/]"
            rows.add_row(about, what, *numbers, bounded, mark(figure.holds))
            about = ""
raise SystemExit(missed)
