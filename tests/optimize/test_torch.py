"""First-order rules, step by step, against iterates recorded from PyTorch (see record_torch.py)."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff import optimize
from symdiff.optimize import SGD, Adam, Averaged, Clip, Cosine, InverseSqrt, InverseTime, StepDecay, WarmUp
from symdiff.optimize.schedules import Schedule, rate
from tests.optimize.record_torch import AVERAGED, CLIPPED, FACTORS, FILE, STEPS, W0, C

RECORD = json.loads(FILE.read_text(encoding="utf-8"))
RUNS = RECORD["runs"]


def _schedule(lr: float, scheduler: Any) -> Any:
    if scheduler is None:
        return lr
    name, given = scheduler
    if name == "StepLR":
        return StepDecay(lr, given["step_size"], given["gamma"])
    if name in FACTORS:
        return getattr(optimize, name)(lr, **given)
    return Cosine(lr, given["T_max"], given["eta_min"])


def _cases() -> list[Any]:
    """Every run on the interpreter, compiled those that differ by more than the schedule."""
    cases = []
    for run in RUNS:
        schedule = run["scheduler"][0] if run["scheduler"] else "constant"
        name = f"{run['rule']}-{len(run['settings'])}-{schedule}"
        targets = ["reference"] if schedule in FACTORS else ["reference", "cpu"]
        cases += [pytest.param(run, target, id=f"{name}-{target}") for target in targets]
    return cases


@pytest.mark.parametrize(("run", "target"), _cases())
def test_iterates_are_those_of_pytorch(run: dict[str, Any], target: str) -> None:
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in run["settings"].items()}
    settings["lr"] = _schedule(settings["lr"], run["scheduler"])
    rule = getattr(optimize, run["rule"])(**settings)
    w, c = sd.matrix("w", 2, 3), sd.matrix("c", 2, 3)
    f = sd.sum((w - c) ** 4) + sd.sum(w**2)
    for steps in (1, 2, STEPS):
        res = sd.minimize(f, {w: W0}, {c: C}, rule, tol=0.0, max_steps=steps, target=target)
        got = res.x[w]
        # 20 steps of a dozen roundings each.
        np.testing.assert_allclose(got, run["iterates"][steps - 1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["clipped", "averaged"])
def test_wrappers_are_those_of_pytorch(name: str) -> None:
    if name == "clipped":
        rule: Any = Clip(SGD(**CLIPPED[1]), CLIPPED[2])  # type: ignore[arg-type]  # settings by name
    else:
        rule = Averaged(SGD(**AVERAGED[1]), *AVERAGED[2:])  # type: ignore[arg-type]  # settings by name
    w, c = sd.matrix("w", 2, 3), sd.matrix("c", 2, 3)
    f = sd.sum((w - c) ** 4) + sd.sum(w**2)
    for steps in range(1, STEPS + 1):
        res = sd.minimize(f, {w: W0}, {c: C}, rule, tol=0.0, max_steps=steps, target="reference")
        np.testing.assert_allclose(res.x[w], RECORD[name][steps - 1], rtol=1e-12, atol=1e-12)


def test_schedules_at_their_steps() -> None:
    t = sd.symbols("t")

    def values(schedule: Schedule, *steps: int) -> list[float]:
        fn = sd.compile(rate(schedule, t), [t], target="reference")
        return [float(fn(float(k))) for k in steps]

    assert values(InverseTime(0.5, 2.0), 1, 2, 6) == pytest.approx([0.5, 0.5 / 3, 0.5 / 11])
    assert values(InverseSqrt(3.0), 1, 4, 9) == pytest.approx([3.0, 1.5, 1.0])
    assert values(StepDecay(2.0, 3, 0.5), 1, 3, 4, 7) == pytest.approx([2.0, 2.0, 1.0, 0.5])
    assert values(Cosine(1.0, 4, 0.2), 1, 3, 5, 50) == pytest.approx([1.0, 0.6, 0.2, 0.2])
    assert values(WarmUp(0.8, 4), 1, 2, 4, 9) == pytest.approx([0.2, 0.4, 0.8, 0.8])
    assert values(WarmUp(InverseSqrt(0.8), 4), 1, 4, 16) == pytest.approx([0.2, 0.4, 0.2])


def test_clipped_gradients_make_short_steps() -> None:
    w = sd.vector("w", 3)
    a = np.array([3.0, -4.0, 12.0])
    res = sd.minimize(
        sd.sum(w * w) / 2, {w: a}, method=Clip(SGD(lr=0.5), 2.0), tol=0.0, max_steps=1, target="reference"
    )
    np.testing.assert_allclose(res.x[w], a * (1 - 0.5 * 2.0 / (13.0 + 1e-6)), rtol=1e-15)
    near = sd.minimize(sd.sum(w * w) / 2, {w: a / 100}, method=Clip(SGD(lr=0.5), 2.0), max_steps=1, target="reference")
    np.testing.assert_allclose(near.x[w], a / 200, rtol=1e-15)


@pytest.mark.parametrize("method", ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"])
def test_methods_have_names(method: str) -> None:
    x = sd.symbols("x")
    res = sd.minimize((x - 1) ** 2, {x: 0.0}, method=method, max_steps=30, target="reference")
    assert res.steps == 30
    assert 0 < float(res.x[x]) < 1
    assert np.all(np.diff(res.history["loss"][:5]) < 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(lr=-1.0), "SGD: lr is a positive finite number, got -1.0"),
        (lambda: SGD(nesterov=True), "nesterov needs momentum"),
        (lambda: optimize.RMSprop(alpha=1.0), r"alpha lies in \[0, 1\)"),
        (lambda: optimize.Adagrad(eps=-1e-9), r"eps lies in \[0"),
        (lambda: optimize.AdamW(weight_decay=-1.0), r"weight_decay lies in \[0"),
        (lambda: WarmUp(0.1, 0), "WarmUp: steps is a positive"),
        (lambda: Cosine(0.1, 5, 0.2), "floor lies in"),
        (lambda: Clip(Adam(), 0.0), "max_norm lies in"),
        (lambda: Clip(optimize.Newton(), 1.0), "reads gradients only"),
    ],
)
def test_settings_out_of_range_are_refused(make: Any, message: str) -> None:
    with pytest.raises(sd.SymdiffError, match=message):
        make()
