"""A model written as a formula, fitted to real data by three methods, each one compiled loop.

Shows loss, accuracy on patients that were not used for the fit, and steps. The data are the Wisconsin diagnostic
breast-cancer data that ship with symdiff. Run with: python demos/03_logistic_regression.py [MAX_STEPS]
"""

import sys

import numpy as np
from rich.console import Console

import symdiff as sd
from symdiff.data import load_breast_cancer
from symdiff.draw.plot import LinePlot, Series
from symdiff.terminal.tables import table

max_steps = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
features, target, _ = load_breast_cancer()
order = np.random.default_rng(1).permutation(len(target))
train, test = order[:400], order[400:]
features = (features - features[train].mean(axis=0)) / features[train].std(axis=0)

X, y = sd.matrix("X", "n", 30), sd.vector("y", "n")
w, b, c = sd.vector("w", 30), sd.symbols("b"), sd.symbols("c")
z = X @ w + b
loss = sd.mean(sd.softplus(z) - y * z) + c / 2 * sd.sum(w**2)

methods = {
    "gradient descent": sd.optimize.GradientDescent(),
    "Newton": sd.optimize.Newton(),
    "Adam": sd.optimize.Adam(lr=0.05),
}
rows = table("method", ">loss", ">accuracy", ">steps", "how it ended")
curves = []
for name, method in methods.items():
    res = sd.minimize(
        loss,
        {w: np.zeros(30), b: 0.0},
        data={X: features[train], y: target[train], c: 1e-3},
        method=method,
        max_steps=max_steps,
    )
    right = np.mean((features[test] @ res.x[w] + res.x[b] > 0) == target[test])
    rows.add_row(name, f"{res.fun:.8f}", f"{right:.1%}", f"{res.steps:,}", res.message)
    curves.append(Series(name, res.history["step"] + 1.0, res.history["grad_norm"]))

console = Console()
console.print(rows)
console.print(LinePlot(curves, log_x=True, log_y=True, x_label="gradient norm by step"))
