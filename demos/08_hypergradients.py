"""Derivatives of an optimisation by its settings, and a regulariser that is tuned by them.

A ridge regression on noisy polynomials: how does the error on other data depend on the weight of the penalty, and on
the step size of the descent? By unrolling the steps, by the implicit function theorem at the minimum, and by finite
differences. Run with: python demos/08_hypergradients.py [STEPS]
"""

import sys

import numpy as np
from rich.console import Console

import symdiff as sd
from symdiff.draw.plot import LinePlot, Mark, Series
from symdiff.optimize import SGD, unroll
from symdiff.terminal.tables import table

console = Console()
steps = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
rng = np.random.default_rng(3)
points, degree = rng.uniform(-1, 1, 60), 12
powers = np.polynomial.chebyshev.chebvander(points, degree)
labels = np.sin(4 * points) + 0.4 * rng.normal(size=60)
train, test = slice(0, 20), slice(20, 60)

w, log_weight, rate = sd.vector("w", degree + 1), sd.symbols("log_weight"), sd.symbols("rate")
fit = sd.sum((powers[train] @ w - labels[train]) ** 2) / 40 + sd.exp(log_weight) / 2 * sd.sum(w**2)


def error(v):
    """The mean square error on the other data."""
    return sd.sum((powers[test] @ v - labels[test]) ** 2) / 40


implicit = error(sd.argmin(fit, w, 0.0))
settings, values = [log_weight, rate], np.array([-4.0, 0.1])
rows = table(">steps", "by", ">d error / d log weight", ">d error / d rate")
for count in (10, 100, steps):
    early = error(unroll(fit, {w: 0.0}, SGD(lr=rate, momentum=0.9), count)[w])
    forward = [sd.jvp(early, [s], [1.0]) for s in settings]
    fn = sd.compile({"error": early, "reverse": sd.gradient(early, settings), "forward": forward}, settings)
    found, h = fn(*values), 1e-5
    ends = [[fn(*(values + sign * h * unit))["error"] for sign in (1, -1)] for unit in np.eye(2)]
    for name, slopes in (
        ("unrolled, reverse mode", found["reverse"]),
        ("unrolled, forward mode", found["forward"]),
        ("differences", [(up - down) / (2 * h) for up, down in ends]),
    ):
        rows.add_row(f"{count}", name, *(f"{s:.10f}" for s in slopes))
by_root = sd.compile(sd.gradient(implicit, log_weight), [log_weight])(-4.0)
rows.add_row("all", "implicit function theorem", f"{by_root:.10f}", "0")
console.print("The error on other data, differentiated by the settings of the fit:")
console.print(rows)

# An optimisation around the optimisation, with its exact gradient: the inner minimum is one expression of the weight.
best = sd.minimize(implicit, {log_weight: -4.0}, method="bfgs", tol=1e-9)
curve = sd.compile(implicit, [log_weight])
grid = np.linspace(-8, 2, 200)
errors = np.array([curve(g) for g in grid])
mark = Mark(best.x[log_weight], errors.min(), "◆", "#", 1)
console.print(LinePlot([Series("error on other data", grid, errors)], x_label="log of the weight", marks=[mark]))
weight = np.exp(best.x[log_weight])
console.print(
    f"Tuned in {best.steps} steps: weight {weight:.6f}, error {best.fun:.6f} (at the start {curve(-4.0):.6f})."
)
console.print(f"The best of 200 weights tried one by one has the error {errors.min():.6f}.")
