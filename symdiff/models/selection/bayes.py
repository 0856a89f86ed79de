"""Bayesian optimisation: where to look next, by a Gaussian process of what has been seen."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.front.special import ndtr
from symdiff.front.symbols import array, vector
from symdiff.ir.errors import DomainError
from symdiff.ir.node import Node
from symdiff.models.checks import check_choice, check_count, check_not_negative, random_numbers
from symdiff.models.gaussian_process import GaussianProcessRegressor
from symdiff.models.selection.folds import Folds, Split
from symdiff.models.selection.search import Search
from symdiff.models.selection.space import Space
from symdiff.models.selection.table import Trial, table
from symdiff.models.selection.validation import Scoring
from symdiff.ops.elementwise import exp

_CANDIDATES = 1000  # points at which an acquisition function is compared, in each of the rounds
_SURE = 1e-12  # a standard deviation below which nothing is unknown
_ZOOM = (0.1, 0.01, 0.001)  # standard deviations, around the best one, of the later rounds


def lower_confidence_bound(mean: Any, std: Any, best: Any, bias: Any = 2.0) -> Node:
    """Return bias * std - mean: a value as low as the process may well have (Cox & John 1992)."""
    return bias * std - mean


def probability_of_improvement(mean: Any, std: Any, best: Any, bias: Any = 0.01) -> Node:
    """Return the probability that the process lies below best - bias (Kushner 1964)."""
    return ndtr((best - bias - mean) / std)


def expected_improvement(mean: Any, std: Any, best: Any, bias: Any = 0.01) -> Node:
    """Return by how much the process is expected to lie below best - bias, nothing where above (Mockus 1978).

    >>> import symdiff as sd
    >>> m, s = sd.symbols("m s")
    >>> fn = sd.compile(expected_improvement(m, s, 0.0, 0.0), [m, s], target="reference")
    >>> round(fn(0.0, 1.0), 6)
    0.398942
    """
    z = (best - bias - mean) / std
    return std * (z * ndtr(z) + exp(-(z**2) / 2) / np.sqrt(2 * np.pi))


# With the bias that each takes where none is given, in standard deviations of the values seen.
ACQUISITIONS: dict[str, tuple[Callable[..., Node], float]] = {
    "lcb": (lower_confidence_bound, 2.0),
    "pi": (probability_of_improvement, 0.01),
    "ei": (expected_improvement, 0.01),
}


@dataclass(frozen=True, slots=True)
class BayesResult:
    """The outcome of `bayes_minimize`: the best settings `x`, their value `fun`, and all trials in order."""

    x: dict[str, Any]
    fun: float
    trials: tuple[Trial, ...]

    def __repr__(self) -> str:
        """Return one line for each field, the trials only counted."""
        return f"    x: {self.x}\n  fun: {self.fun!r}\ntrials: {len(self.trials)}"


def bayes_minimize(
    f: Callable[..., float],
    space: Mapping[str, Any],
    n_calls: int = 30,
    n_initial: int | None = None,
    acquisition: str = "ei",
    bias: float | None = None,
    kernel: str = "matern52",
    random_state: int = 0,
    progress: bool = False,
    callback: Callable[[Sequence[Trial]], Any] | None = None,
    target: str = "cpu",
) -> BayesResult:
    """Minimise a function that is expensive to call: `f(**settings)` returns a number.

    `space` maps names to `Real`, `Integer`, `Choice` or a list. The first `n_initial` settings (by default twice
    their number, at least 5) form a Latin hypercube. Then a Gaussian process is fitted to the values, and the settings
    are tried where the acquisition function is largest: "ei" expected improvement, "pi" its probability, "lcb" the
    lower confidence bound; `bias` leads away from what is known. It ends after `n_calls` calls, when the space has no
    other settings, or when `callback(trials)` returns True.

    Raises: DomainError where `f` returns NaN or infinity, with the settings.
    Method: Jones, Schonlau & Welch 1998.

    >>> from symdiff.models.selection import Real
    >>> result = bayes_minimize(lambda x: (x - 0.3) ** 2, {"x": Real(-1, 1)}, n_calls=8, target="reference")
    >>> bool(abs(result.x["x"] - 0.3) < 0.1), len(result.trials)
    (True, 8)
    """
    who = "bayes_minimize"
    cube = Space.read(space, who)
    proposer = Proposer(who, cube, n_calls, n_initial, acquisition, bias, kernel, random_state, target)
    candidates, value, trials = proposer.run(), None, []
    with table(who, "value", larger_is_better=False) if progress else nullcontext() as live:
        while (settings := _next(candidates, value)) is not None:
            t0 = time.perf_counter()
            value = float(f(**settings))
            if not np.isfinite(value):
                raise DomainError(f"{who}: the function returned {value} for {settings}.")
            trials.append(Trial(settings, value, None, time.perf_counter() - t0))
            if live:
                live.show(trials)
            if callback is not None and callback(trials) is True:
                break
        best = min(trials, key=lambda t: t.value)
        if live:
            live.close(trials, f"Lowest value {best.value:.6g}.")
    return BayesResult(dict(best.settings), best.value, tuple(trials))


@dataclass(frozen=True, slots=True)
class Proposer:
    """Settings to be tried, one after the other; see `bayes_minimize` for the fields."""

    who: str
    space: Space
    n_calls: int
    n_initial: int | None
    acquisition: str
    bias: float | None
    kernel: str
    random_state: int
    target: str

    def run(self) -> Generator[dict[str, Any], float, None]:
        """Give settings, and take the value of each, which is to be made small."""
        check_count(self.who, n_calls=self.n_calls)
        if self.n_initial is not None:
            check_count(self.who, n_initial=self.n_initial)
        check_choice(self.who, tuple(ACQUISITIONS), acquisition=self.acquisition)
        if self.bias is not None:
            check_not_negative(self.who, bias=self.bias)
        rng, d = random_numbers(self.who, self.random_state), len(self.space.ranges)
        first = min(self.n_initial or max(5, 2 * d), self.n_calls)
        # A Latin hypercube: each of `first` layers along each axis holds one point.
        layers = np.stack([rng.permutation(first) for _ in range(d)], axis=1)
        points: list[np.ndarray] = []
        values: list[float] = []
        for u in (layers + rng.random((first, d))) / first:
            point = self.space.place(u)
            if any((point == p).all() for p in points):
                continue
            points.append(point)
            values.append((yield self.space.at(point)))
        while len(points) < self.n_calls:
            point_or_none = self._best(np.array(points), np.array(values), rng)
            if point_or_none is None:
                return
            points.append(point_or_none)
            values.append((yield self.space.at(point_or_none)))

    def _best(self, points: np.ndarray, values: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """Return the point not yet tried where the acquisition is largest; None if all are tried."""
        middle, unit = float(values.mean()), float(values.std()) or 1.0
        process = GaussianProcessRegressor(
            kernel=self.kernel, n_restarts=1, random_state=int(rng.integers(2**31)), target=self.target
        ).fit(points, (values - middle) / unit)
        least = float((values.min() - middle) / unit)
        bias = ACQUISITIONS[self.acquisition][1] if self.bias is None else self.bias
        score = _compiled(self.acquisition, self.target)
        best, top = None, -np.inf
        centre = points[values.argmin()]
        for radius in (None, *_ZOOM):
            u = rng.random((_CANDIDATES, points.shape[1]))
            if radius is not None:
                u = np.clip(centre + radius * rng.standard_normal(u.shape), 0, 1)
            u = np.unique([self.space.place(v) for v in u], axis=0)
            u = u[~(u[:, None] == points).all(axis=2).any(axis=1)]
            if not len(u):
                continue
            mean, std = process.predict(u, return_std=True)
            there = score(mean, np.maximum(std, _SURE), least, bias)
            k = int(np.argmax(there))
            if best is None or there[k] > top:
                best, top, centre = u[k], there[k], u[k]
        return best


class BayesSearchCV(Search):
    """Search for settings by Bayesian optimisation of the mean score; see `Search` for what `fit` finds.

    `param_space` maps names to `Real`, `Integer`, `Choice` or lists; the other settings are those of `bayes_minimize`.
    """

    def __init__(
        self,
        estimator: Any,
        param_space: Mapping[str, Any],
        n_iter: int = 30,
        n_initial: int | None = None,
        acquisition: str = "ei",
        bias: float | None = None,
        kernel: str = "matern52",
        cv: int | Folds | Sequence[Split] = 5,
        scoring: Scoring | None = None,
        random_state: int = 0,
        progress: bool = False,
        target: str = "cpu",
    ) -> None:
        self.estimator = estimator
        self.param_space = param_space
        self.n_iter = n_iter
        self.n_initial = n_initial
        self.acquisition = acquisition
        self.bias = bias
        self.kernel = kernel
        self.cv = cv
        self.scoring = scoring
        self.random_state = random_state
        self.progress = progress
        self.target = target

    def _candidates(self) -> Generator[dict[str, Any], float, None]:
        check_count(self, n_iter=self.n_iter)
        who = type(self).__name__
        proposals = Proposer(
            who,
            Space.read(self.param_space, who),
            self.n_iter,
            self.n_initial,
            self.acquisition,
            self.bias,
            self.kernel,
            self.random_state,
            self.target,
        ).run()
        value = None
        while (settings := _next(proposals, value)) is not None:
            value = -(yield settings)


def _next(proposals: Generator[dict[str, Any], float, None], value: float | None) -> dict[str, Any] | None:
    try:
        return next(proposals) if value is None else proposals.send(value)
    except StopIteration:
        return None


@functools.lru_cache(maxsize=8)
def _compiled(acquisition: str, target: str) -> Any:
    from symdiff.compile import compile  # late: the compiler loads LLVM

    mean, std, best, bias = vector("mean", "n"), vector("std", "n"), array("best"), array("bias")
    return compile(ACQUISITIONS[acquisition][0](mean, std, best, bias), [mean, std, best, bias], target=target)


__all__ = [
    "BayesResult",
    "BayesSearchCV",
    "bayes_minimize",
    "expected_improvement",
    "lower_confidence_bound",
    "probability_of_improvement",
]
