"""The losses and their gradients against PyTorch's, recorded by `record_torch.py`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import symdiff as sd
from symdiff import models
from symdiff.ir.interpret import interpret

EPS = float(np.finfo(np.float64).eps)
CASES = json.loads(Path(__file__).with_name("torch_losses.json").read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize("reduction", ["none", "mean", "sum", "batchmean"])
@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda k: f"{k}-{CASES[k]['loss']}")
def test_values_and_gradients(number: int, reduction: str) -> None:
    case = CASES[number]
    if reduction not in case["results"]:
        return
    want = case["results"][reduction]
    p0, t0 = np.asarray(case["prediction"]), np.asarray(case["target"])
    p, t = sd.array("p", p0.shape), sd.array("t", t0.shape, dtype=str(t0.dtype))
    loss = getattr(models, case["loss"])(p, t, reduction, **case["settings"])
    seeds = np.arange(np.size(want["value"]), dtype=float).reshape(np.shape(want["value"])) + 1.5
    assert loss.shape == seeds.shape
    value, grad = interpret([loss, sd.gradient(sd.sum(seeds * loss), p)], {p: p0, t: t0})
    largest = np.max(np.abs(p0))
    # Both round logits of this size, in another order, a few times for each class or entry.
    np.testing.assert_allclose(value, want["value"], rtol=16 * EPS, atol=16 * EPS * min(largest, 1e4))
    np.testing.assert_allclose(grad, want["gradient"], rtol=16 * EPS, atol=16 * EPS)
