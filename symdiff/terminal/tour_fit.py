"""Chapter 4 of the tour: logistic regression on real data by three methods."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff.data import load_breast_cancer
from symdiff.draw.plot import LinePlot, Series, sparkline
from symdiff.front.arrays import mean
from symdiff.front.arrays import sum as total
from symdiff.front.functions import softplus
from symdiff.front.symbols import matrix, symbols, vector
from symdiff.ir.node import Node
from symdiff.optimize import Adam, GradientDescent, Newton, OptimizeResult, Progress, Rule, minimize
from symdiff.terminal.tables import seconds, table

if TYPE_CHECKING:
    from symdiff.terminal.tour import Stage

_TRAIN = 400  # of the 569 patients; the others test the fit
_PENALTY = 1e-4
_WIDE = 96  # columns from which the table has room for the curves of the gradient norm


@dataclass(slots=True)
class Fit:
    """One method's run, as far as it has come."""

    name: str
    rule: Rule
    steps: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    norm: float = float("nan")
    run_seconds: float = 0.0
    drawing: list[float] = field(default_factory=list)
    all_seconds: float = 0.0
    accuracy: float = float("nan")
    result: OptimizeResult | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """The data and the loss, as an expression in the weights w and the bias b."""

    loss: Node
    unknowns: dict[Node, Any]
    data: dict[Node, Any]
    test: tuple[np.ndarray, np.ndarray]

    def accuracy(self, result: OptimizeResult) -> float:
        """Return the fraction of test samples that are classified right."""
        features, target = self.test
        w, b = (result.x[u] for u in self.unknowns)
        return float(np.mean((features @ w + b > 0) == target))


def breast_cancer() -> Problem:
    """Return the penalised logistic loss on standardised features, split into training and test samples."""
    features, target, _ = load_breast_cancer()
    order = np.random.default_rng(7).permutation(len(features))
    train, test = order[:_TRAIN], order[_TRAIN:]
    centre, spread = features[train].mean(axis=0), features[train].std(axis=0)
    features = (features - centre) / spread
    X, y, w, b = matrix("X", "n", 30), vector("y", "n"), vector("w", 30), symbols("b")
    z = X @ w + b
    loss = mean(softplus(z) - y * z) + _PENALTY / 2 * total(w**2)
    data = {X: features[train], y: target[train]}
    return Problem(loss, {w: np.zeros(30), b: 0.0}, data, (features[test], target[test]))


def logistic_regression(stage: Stage) -> None:
    """Minimise by gradient descent, Newton's method and Adam, and compare."""
    stage.say(
        "569 tumours, 30 measured features each: benign or malignant? (Wisconsin diagnostic data, UCI, CC BY 4.0; "
        f"{_TRAIN} to fit, {569 - _TRAIN} to test.)\n"
        "[dim]z = X @ w + b\nloss = sd.mean(sd.softplus(z) - y*z) + 0.00005 * sd.sum(w**2)\n"
        'sd.minimize(loss, {w: …, b: …}, data={X: …, y: …}, method="newton")[/]'
    )
    problem, fits = breast_cancer(), _methods()
    with _live(stage) as live:
        for fit in fits:
            _run(problem, fit, fits, live, 1e-4 if stage.fast else 1e-8)
    stage.show(_panel(fits))
    stage.show(_summary(fits, stage.console.options))


def _methods() -> list[Fit]:
    return [
        Fit("gradient descent", GradientDescent(lr=0.5)),
        Fit("Newton", Newton()),
        Fit("Adam", Adam(lr=0.05)),
    ]


def _live(stage: Stage) -> Any:
    from rich.live import Live

    return Live(console=stage.console, auto_refresh=False, transient=True) if stage.live else nullcontext()


def _run(problem: Problem, fit: Fit, fits: list[Fit], live: Any, tol: float) -> None:
    """Run one method; between its chunks the panel is drawn."""

    def look(now: Progress) -> None:
        fit.steps.append(now.step)
        fit.losses.append(now.loss)
        # The clock of the run starts after the look at the start: that drawing is not in it.
        fit.norm, fit.run_seconds = now.grad_norm, now.elapsed - sum(fit.drawing[1:])
        began = time.perf_counter()
        if live:
            live.update(_panel(fits), refresh=True)
        fit.drawing.append(time.perf_counter() - began)

    began = time.perf_counter()
    res = minimize(problem.loss, problem.unknowns, problem.data, fit.rule, tol=tol, max_steps=200_000, callback=look)
    fit.all_seconds = time.perf_counter() - began - sum(fit.drawing)
    fit.result, fit.accuracy = res, problem.accuracy(res)
    fit.steps, fit.losses = list(res.history["step"]), list(res.history["loss"])
    fit.norm = res.grad_norm
    if "nterrupted" in res.message:
        # minimize returns what it has; the tour ends.
        raise KeyboardInterrupt


def _panel(fits: list[Fit]) -> Any:
    """Return the state of all runs: numbers above, loss curves below."""
    from rich.console import Group

    rows = table("method", ">step", ">loss", ">gradient norm")
    curves = []
    for fit in fits:
        if fit.steps:
            rows.add_row(fit.name, f"{fit.steps[-1]:,}", f"{fit.losses[-1]:.8f}", f"{fit.norm:.1e}")
        # The logarithm of the step: step 0 stands at 1.
        curves.append(Series(fit.name, np.asarray(fit.steps, dtype=float) + 1, np.asarray(fit.losses, dtype=float)))
    return Group(rows, LinePlot(curves, height=10, log_x=True, log_y=True, x_label="loss by step"))


def _summary(fits: list[Fit], options: Any) -> Any:
    is_wide = options.max_width >= _WIDE
    out = table("method", ">loss", ">accuracy", ">steps", ">compile", ">run", *(["gradient norm"] if is_wide else []))
    for fit in fits:
        if fit.result is None:
            continue
        norms = np.log10(np.maximum(fit.result.history["grad_norm"], 1e-300))
        out.add_row(
            fit.name + ("" if fit.result.converged else " (not converged)"),
            f"{fit.result.fun:.8f}",
            f"{100 * fit.accuracy:.1f} %",
            f"{fit.result.steps:,}",
            seconds(max(fit.all_seconds - fit.run_seconds, 0.0)),
            seconds(fit.run_seconds),
            *([sparkline(norms, 16, options.ascii_only)] if is_wide else []),
        )
    return out
