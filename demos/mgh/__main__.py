"""Print steps and time of our methods on every problem, and what they reached beside the published minimum.

A first run compiles each loop, one to three seconds a cell; later ones find it in the kernel store. The time is that of
a second call in the same process. Run with: python -m demos.mgh [NUMBER …] [METHOD …]
"""

import sys
import time

from rich.console import Console
from rich.live import Live

import symdiff as sd
from demos.mgh.problems import PROBLEMS
from symdiff.terminal.tables import seconds, table

DEFAULT = ("newton", "trust-region", "bfgs", "lbfgs", "levenberg-marquardt")


def solve(problem, method):
    """Run one method; returns its result, the sum of squares, and the seconds of a second call."""
    x, r = problem.expressions()
    of_squares = method in ("levenberg-marquardt", "gauss-newton")
    f, run, factor = (r, sd.least_squares, 2) if of_squares else (sd.sum(r * r), sd.minimize, 1)
    for _ in range(2):
        began = time.perf_counter()
        res = run(f, {x: problem.start}, method=method, max_steps=5000)
        spent = time.perf_counter() - began
    return res, factor * res.fun, spent


def cell(problem, method):
    """Describe one run: green where a published minimum is reached, with a dash where the gradient is not small."""
    res, value, spent = solve(problem, method)
    colour = "green" if problem.reached(value) is not None else "red"
    mark = "" if res.converged else " –"
    return f"[{colour}]{value:.3e}[/]{mark}\n{res.steps} steps  {seconds(spent)}"


numbers = {int(a) for a in sys.argv[1:] if a.isdigit()}
methods = [a for a in sys.argv[1:] if not a.isdigit()] or DEFAULT
headings = [">" + m.replace("-", "-\n") for m in methods]
legend = "green: a published minimum; –: the gradient is larger than tol"
rows = table("problem (unknowns)", ">published", *headings, caption=legend)
with Live(rows, console=Console(), refresh_per_second=4):
    for problem in PROBLEMS:
        if not numbers or problem.number in numbers:
            published = "\n".join(f"{m:.5e}" if m else "0" for m in problem.minima)
            rows.add_row(problem.label, published, *(cell(problem, m) for m in methods))
