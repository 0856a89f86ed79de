"""The theorems of demos/07_convergence.py: every bound holds in every step, every number comes out as predicted."""

from __future__ import annotations

import pytest

from demos import theory


@pytest.mark.parametrize("name", theory.EXPERIMENTS)
def test_measured_as_predicted(name: str) -> None:
    found = list(theory.EXPERIMENTS[name]())
    assert found
    for f in found:
        assert f.holds, f"{f.method}: {f.theorem} is broken"
        assert f.measured == pytest.approx(f.predicted, rel=f.band), f"{f.method}: {f.theorem}, {f.number}"


def test_a_broken_theorem_is_seen() -> None:
    # Polyak's settings for another condition: the promised rate does not come true.
    f, w = theory.bowl(400.0)
    rule, _, factor = theory.tuned(100.0)["heavy ball"]
    res = theory.sd.minimize(f, {w: theory.np.ones(12)}, method=rule, tol=0.0, max_steps=200, target="reference")
    norms = res.history["grad_norm"]
    assert (norms[200] / norms[100]) ** 0.01 > factor + 0.05
