"""Print every derivative's error against its reference, and the time of value and derivatives over that of the value.

Run with: python -m demos.adbench [gmm] [ba] [lstm] [hand]
"""

import sys
import time
from functools import partial

import numpy as np
from rich.console import Console

from demos.adbench import problems, truth
from symdiff.terminal.tables import table


def best(fn, arguments):
    """Return the microseconds of the fastest of nine calls."""
    times = []
    for _ in range(9):
        began = time.perf_counter()
        fn(*arguments)
        times.append(time.perf_counter() - began)
    return min(times) * 1e6


def benchmark_gmm():
    """Return the mixture model at the size that benchmarks like: 1000 points, 10 dimensions, 25 components."""
    rng, n, d, K = np.random.default_rng(5), 1000, 10, 25
    shapes = (K,), (K, d), (K, d * (d + 1) // 2), (n, d)
    return problems.gmm_problem([*(rng.normal(size=shape) for shape in shapes), 1.0, 0])


def add_row(rows, name, read):
    """Build, run and compare one problem."""
    began = time.perf_counter()
    problem, references = read()
    fn = problem.compile()
    values = problem.values(fn)
    build = time.perf_counter() - began
    errors = [f"{quantity} {r.error(values[quantity]):.0e}" for quantity, r in references.items()] or ["no reference"]
    objective = best(problem.compile(next(iter(problem.quantities))), problem.arguments)
    all_of_it = best(fn, problem.arguments)
    times = f"{build:.2f} s", f"{objective:,.0f} µs", f"{all_of_it:,.0f} µs", f"{all_of_it / objective:.1f}"
    rows.add_row(name, "\n".join(errors), *times)


asked = sys.argv[1:] or ["gmm", "ba", "lstm", "hand"]
rows = table("instance", "error", ">build", ">value", ">all", ">all / value")
for kind, name in truth.instances():
    if kind in asked:
        add_row(rows, name, partial(truth.read, kind, name))
if "gmm" in asked:
    add_row(rows, "gmm n=1000 d=10 K=25", lambda: (benchmark_gmm(), {}))
Console().print(rows)
