"""The look at a running minimisation: when it will end, and what the panel says."""

from __future__ import annotations

import io
import math
from contextlib import redirect_stdout

import numpy as np
import pytest

import symdiff as sd
from symdiff.optimize import GradientDescent, Progress
from symdiff.optimize.progress import panel, remaining


def test_the_time_to_the_tolerance_follows_the_rate_of_convergence() -> None:
    norms = 0.5 ** np.arange(20.0)
    # From 2**-19 to 2**-30 there are 11 halvings, at 4 steps a second.
    seconds, end = remaining(norms, 2.0**-30, 1000, 4.0)
    assert end == "tol"
    assert seconds == pytest.approx(11 / 4, rel=1e-12)
    assert remaining(norms, 2.0**-30, 7, 4.0) == (7 / 4, "max_steps")
    assert remaining(norms, 0.0, 1000, 4.0) == (250.0, "max_steps")
    assert remaining(1 / norms, 1e-3, 1000, 4.0) == (250.0, "max_steps")
    assert remaining(norms[:3], 1e-3, 1000, 4.0) == (250.0, "max_steps")
    assert remaining(np.full(20, np.nan), 1e-3, 10, 4.0) == (2.5, "max_steps")


def test_nothing_is_known_before_the_first_step() -> None:
    seconds, end = remaining(np.ones(1), 1e-8, 10, 0.0)
    assert math.isnan(seconds)
    assert end == ""


def test_a_run_tells_when_it_ends() -> None:
    w = sd.vector("w", 3)
    seen: list[Progress] = []

    def look(state: Progress) -> bool:
        seen.append(state)
        return len(seen) > 4

    rule = GradientDescent(lr=1e-9)
    sd.minimize(sd.sum(w**2), {w: np.ones(3)}, None, rule, 1e-3, 10**12, callback=look, target="reference")
    last = seen[-1]
    assert last.end == "tol"
    # Each step takes the part 2e-9 of the gradient away.
    steps = math.log(last.grad_norm / 1e-3) / 2e-9
    assert last.eta == pytest.approx(steps / last.rate, rel=1e-3)


def test_the_panel_is_drawn_rarely_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    drawn: list[int] = []

    def picture(now: Progress, message: str | None) -> str:
        drawn.append(now.step)
        return ""

    with redirect_stdout(io.StringIO()), panel("title", 100, 1e-8) as shown:
        monkeypatch.setattr(shown, "_picture", picture)
        for k in range(41):  # looks of two seconds
            clock[0] = 0.05 * k
            shown.show(Progress(k, 1.0, 1.0, {}, clock[0], 1.0, 65.0, "tol"))
    assert 7 <= len(drawn) <= 10
    assert drawn[0] == 0


def test_the_panel_in_words() -> None:
    out = io.StringIO()
    with redirect_stdout(out), panel("title", 100, 1e-8) as shown:
        shown.show(Progress(3, 1.0, 1.0, {}, 2.0, 1.5, 65.0, "tol"))
        shown.close(Progress(4, 1.0, 1.0, {}, 2.0, 1.5, 3700.0, "max_steps"), "the end")
    assert "ETA 1 min to tol" in out.getvalue()
    assert "the end" in out.getvalue()
