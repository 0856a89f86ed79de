"""What the theorems on convergence promise, measured: one function an experiment, for 07_convergence.py and the tests.

Every experiment gives findings: a number that a theorem gives, the same number measured from the history of a run, and
how near they have to be. The bounds of the theorems hold in every step; `holds` says whether they did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

import symdiff as sd
from symdiff.optimize import FISTA, SGD, GradientDescent, Newton, Rule

EPS = float(np.finfo(float).eps)
Curve = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Finding:
    """A number by theorem and by measurement, `band` apart at most (relative), and a curve that shows it."""

    method: str
    theorem: str
    number: str
    predicted: float
    measured: float
    band: float
    holds: bool = True
    curve: Curve | None = None

    @property
    def agrees(self) -> bool:
        """Whether bound and number came true."""
        return self.holds and abs(self.measured / self.predicted - 1) <= self.band


def slope(x: np.ndarray, y: np.ndarray) -> float:
    """Return the slope of a straight line through the logarithms."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def convex(steps: int = 20_000) -> Iterator[Finding]:
    """Convex functions: the gap falls as 1/k, with Nesterov's method as 1/k².

    x^p / (p (p - 1)) from 1 has L = 1 and distance d = 1, and is the flatter the larger p: the descent equation
    x' = -f'(x) gives k^(-p/(p-2)), Nesterov's method twice that exponent. No exponents above -1 and -2 hold for all p.
    Bounds: Beck & Teboulle 2009, theorems 3.1 and 4.4.
    """
    x, p = sd.symbols("x"), 20
    runs: tuple[tuple[str, Rule, str, int, Callable[[np.ndarray], np.ndarray]], ...] = (
        ("descent", GradientDescent(lr=1.0), "gap <= L d²/(2 k)", 1, lambda k: 1 / (2 * k)),
        ("Nesterov", FISTA(lr=1.0, restart=False), "gap <= 2 L d²/(k + 1)²", 2, lambda k: 2 / (k + 1) ** 2),
    )
    for name, rule, theorem, power, bound in runs:
        res = sd.minimize(x**p / (p * (p - 1)), {x: 1.0}, method=rule, tol=0.0, max_steps=steps)
        k, gap = np.arange(1.0, res.steps + 1), res.history["loss"][1:]
        # Nesterov's loss swings: at each k its largest value from there on.
        above = np.maximum.accumulate(gap[::-1])[::-1]
        late = slice(steps // 20, steps // 2)
        exponent, holds = slope(k[late], above[late]), bool(np.all(gap <= bound(k)))
        yield Finding(name, theorem, "exponent of k", -power * p / (p - 2), exponent, 0.02, holds, (k, gap))


def bowl(condition: float) -> tuple[sd.Expr, sd.Expr]:
    """Return (f, w) of a quadratic with L = 1 and mu = 1/condition."""
    curvatures = np.geomspace(1 / condition, 1.0, 12)
    w = sd.vector("w", len(curvatures))
    return sd.sum(curvatures * w**2) / 2, w


def tuned(condition: float) -> dict[str, tuple[Rule, str, float]]:
    """Return methods with constant steps for L = 1: the rule, and the factor of the distance in a step, as text too."""
    root = condition**0.5
    momentum = (root - 1) / (root + 1)
    best = GradientDescent(lr=2 / (1 + 1 / condition))
    ball = SGD(lr=4 / (1 + 1 / root) ** 2, momentum=momentum**2)
    return {
        "descent, 1/L": (GradientDescent(lr=1.0), "1 - mu/L", 1 - 1 / condition),
        "descent, 2/(L + mu)": (best, "(K - 1)/(K + 1)", (condition - 1) / (condition + 1)),
        "Nesterov": (SGD(lr=1.0, momentum=momentum, nesterov=True), "1 - 1/sqrt(K)", 1 - 1 / root),
        "heavy ball": (ball, "(sqrt(K) - 1)/(sqrt(K) + 1)", momentum),
    }


def linear(condition: float = 100.0) -> Iterator[Finding]:
    """Strongly convex functions, condition K = L/mu: every step shrinks the distance by a factor.

    Sources: Polyak 1987, theorem 1.4.3 (descent) and 3.2.1 (heavy ball); Nesterov 2018, section 2.2.
    """
    f, w = bowl(condition)
    for name, (rule, text, factor) in tuned(condition).items():
        res = sd.minimize(f, {w: np.ones(12)}, method=rule, tol=1e-13, max_steps=20_000)
        norms, gap = res.history["grad_norm"], res.history["loss"]
        k = np.arange(len(norms), dtype=float)
        late = slice(len(k) // 2, None)
        # With momentum two roots are equal, which makes k factor^k: k is divided out.
        equal = np.maximum(k, 1.0) if isinstance(rule, SGD) else np.ones_like(k)
        rate = float(np.exp(np.polyfit(k[late], np.log(norms[late] / equal[late]), 1)[0]))
        # The loss of descent with 1/L stays below (1 - mu/L)^k from the first step on.
        holds = name != "descent, 1/L" or bool(np.all(gap <= gap[0] * factor**k * (1 + 64 * EPS)))
        # What matters is how far a factor is from 1.
        yield Finding(name, f"factor {text}", "1 - factor", 1 - factor, 1 - rate, 0.02, holds, (k, norms))


def conditions() -> Iterator[Finding]:
    """Steps to an error of 1e-8: in proportion to the condition K, with momentum to its square root."""
    kappas = np.array([1e2, 1e3, 1e4])
    for name, power in (("descent, 2/(L + mu)", 1.0), ("Nesterov", 0.5), ("heavy ball", 0.5)):
        steps = []
        for kappa in kappas:
            f, w = bowl(kappa)
            # Along the flattest eigenvector, where the gradient is the error over K.
            res = sd.minimize(f, {w: np.ones(12)}, method=tuned(kappa)[name][0], tol=1e-8 / kappa, max_steps=10**6)
            steps.append(res.steps)
        counts = np.array(steps, dtype=float)
        # Momentum's k factor^k adds a logarithm to the steps, which such a fit takes for a tenth of the exponent.
        yield Finding(
            name, f"steps ~ K^{power:g}", "exponent of K", power, slope(kappas, counts), 0.15, True, (kappas, counts)
        )


def noise(steps: int = 100_000) -> Iterator[Finding]:
    """SGD with a constant step a on batches of B: the gap settles below a L s²/(2 mu B), s² the variance of a gradient.

    For f = w'Hw/2 - (mean of the rows b)'w the level itself is known: the sum of a s_i²/(2 B (2 - a h_i)).
    Bound: Bottou, Curtis & Nocedal 2018, theorem 4.6.
    """
    h = np.array([1.0, 2.0, 4.0])
    rows = np.random.default_rng(5).normal(size=(500, 3)) * np.array([1.0, 0.5, 2.0])
    rows -= rows.mean(axis=0)
    w, b = sd.vector("w", 3), sd.matrix("b", "n", 3)
    f = sd.sum(h * w**2) / 2 - sd.sum(b @ w) / b.shape[0]
    variances = np.mean(rows**2, axis=0)
    levels: dict[tuple[float, int], float] = {}
    for a, size in ((0.025, 4), (0.05, 4), (0.1, 4), (0.1, 1), (0.1, 16)):
        res = sd.minimize(
            f, {w: np.full(3, 2.0)}, {b: rows}, SGD(lr=a), max_steps=steps, batch_size=size, seed=3,
            sampling="replacement",
        )  # fmt: skip
        # No point has seen the batch that judges it: the mean of that loss is the mean of the whole one.
        losses = res.history["loss"]
        levels[a, size] = level = float(np.mean(losses[1000:]))
        bound = a * h.max() * variances.sum() / (2 * h.min() * size)
        exact = float(np.sum(a * variances / (2 * size * (2 - a * h))))
        smooth = np.convolve(losses[:2100], np.ones(100) / 100, "valid")
        yield Finding(
            f"a = {a:g}, B = {size}", f"gap <= {bound:.2g}", "level", exact, level, 0.1, level <= bound,
            (np.arange(1.0, 1 + len(smooth)), smooth),
        )  # fmt: skip
    a, size = np.array([0.025, 0.05, 0.1]), np.array([1.0, 4.0, 16.0])
    by_rate = np.array([levels[rate, 4] for rate in a])
    by_size = np.array([levels[0.1, int(n)] for n in size])
    # 2 - a h in the denominator: the exponent is 1 for a -> 0.
    yield Finding("all", "level ~ a", "exponent of a", 1.0, slope(a, by_rate), 0.15)
    yield Finding("all", "level ~ 1/B", "exponent of B", -1.0, slope(size, by_size), 0.05)


def quadratic() -> Iterator[Finding]:
    """Newton's method: each error is C times the square of the one before, C = f'''/(2 f'') at the minimum.

    Source: Nocedal & Wright 2006, theorem 3.5. For exp(x) - 3 x the constant is 1/2.
    """
    x = sd.symbols("x")
    res = sd.minimize(sd.exp(x) - 3 * x, {x: 2.0}, method=Newton(), tol=1e-13)
    # The gradient is 3 (exp(e) - 1) for the error e.
    errors = np.log1p(res.history["grad_norm"] / 3)
    errors = errors[errors > 1e-12]
    e0, e1, e2 = errors[-3:]
    order = float(np.log(e2 / e1) / np.log(e1 / e0))
    curve = np.arange(len(errors), dtype=float), errors
    yield Finding("Newton", "error ~ error²", "order", 2.0, order, 0.02, True, curve)
    yield Finding("Newton", "C = f'''/(2 f'')", "C", 0.5, float(e2 / e1**2), 0.02)


EXPERIMENTS = {"convex": convex, "linear": linear, "condition": conditions, "noise": noise, "Newton": quadratic}
