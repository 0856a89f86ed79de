"""Bayesian optimisation: acquisition functions against their integrals, known minima, every kind of range."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

import symdiff as sd
from symdiff.models.selection import (
    Integer,
    Real,
    bayes_minimize,
    expected_improvement,
    lower_confidence_bound,
    probability_of_improvement,
)


def branin(a: float, b: float) -> float:
    """Three minima of 0.397887."""
    bend = b - 5.1 / (4 * math.pi**2) * a**2 + 5 / math.pi * a - 6
    return bend**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10


@pytest.mark.parametrize(
    ("mean", "std", "best", "bias"), [(0.3, 0.7, 0.1, 0.05), (-1.0, 0.2, 0.5, 0.0), (2, 3, -1, 0.2)]
)
def test_acquisition_functions_are_their_integrals(mean: float, std: float, best: float, bias: float) -> None:
    m, s = sd.symbols("m s")
    law, limit = stats.norm(mean, std), best - bias
    gain, _ = integrate.quad(lambda v: (limit - v) * law.pdf(v), mean - 12 * std, limit, epsabs=1e-13)
    for rate, expected in (
        (expected_improvement, gain),
        (probability_of_improvement, law.cdf(limit)),
        (lower_confidence_bound, -(mean - bias * std)),
    ):
        fn = sd.compile(rate(m, s, best, bias), [m, s], target="reference")
        np.testing.assert_allclose(fn(mean, std), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("acquisition", ["ei", *(pytest.param(a, marks=pytest.mark.slow) for a in ("pi", "lcb"))])
def test_branin(acquisition: str) -> None:
    result = bayes_minimize(
        branin, {"a": Real(-5, 10), "b": Real(0, 15)}, n_calls=20, acquisition=acquisition, random_state=2
    )
    values = [t.value for t in result.trials]
    assert len(values) == 20
    assert result.fun == min(values) == branin(**result.x)
    # Random points come within 1 once in 100; the process gets there in 20.
    assert result.fun < 0.397887 + 0.5


def test_whole_numbers_and_choices_without_repetition() -> None:
    calls: list[tuple[int, str]] = []

    def f(n: int, kind: str) -> float:
        calls.append((n, kind))
        return (n - 4) ** 2 + (kind == "b")

    result = bayes_minimize(f, {"n": Integer(1, 6), "kind": ["b", "a"]}, n_calls=50, random_state=3)
    assert result.x == {"n": 4, "kind": "a"}
    assert len(calls) == len(set(calls)) == 12  # then nothing is left to try
    assert str(result).splitlines()[-1] == "trials: 12"


def test_one_seed_one_run_and_a_callback_that_stops_it() -> None:
    space, seen = {"x": Real(-1, 1)}, []

    def enough(trials: Sequence[Any]) -> bool:
        seen.append(len(trials))
        return len(trials) == 7

    runs = [bayes_minimize(lambda x: x**2, space, random_state=s, callback=enough).trials for s in (5, 5, 6)]
    assert [t.settings for t in runs[0]] == [t.settings for t in runs[1]] != [t.settings for t in runs[2]]
    assert seen == [*range(1, 8)] * 3


def test_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(sd.DomainError, match=r"returned nan for {'x': "):
        bayes_minimize(lambda x: math.nan, {"x": Real(0, 1)})
    for settings, message in (
        ({"n_calls": 0}, "bayes_minimize: n_calls is an int >= 1, got 0"),
        ({"n_initial": 0}, "n_initial is an int >= 1"),
        ({"acquisition": "ucb"}, "acquisition is one of 'lcb', 'pi', 'ei', got 'ucb'"),
        ({"bias": -1.0}, "bias is a finite number >= 0"),
        ({"kernel": "matern"}, "kernel is one of"),
    ):
        with pytest.raises(sd.DomainError, match=message):
            bayes_minimize(lambda x: x, {"x": Real(0, 1)}, **{"n_calls": 6, **settings})
    bayes_minimize(lambda x: x, {"x": Real(0, 1)}, n_calls=3, progress=True)
    assert "bayes_minimize: Lowest value" in capsys.readouterr().out
