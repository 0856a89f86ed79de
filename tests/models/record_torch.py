"""Write torch_losses.json: PyTorch's losses and their gradients for the prediction, in float64.

    python -m tests.models.record_torch

A case is (our name, PyTorch's name in torch.nn.functional, prediction, target, settings by PyTorch's names). Gradients
are those of sum(SEEDS * losses), SEEDS = 1.5, 2.5, …, for reduction "none".
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).with_name("torch_losses.json")

ERRORS = [-1e200, -30.0, -1.0, -0.25, 0.0, 1e-9, 0.5, 1.0, 1.75, 1000.0]
ZEROS = [0.0] * len(ERRORS)
# Logits from where exp overflows to where it underflows; ties and zeros.
LOGITS = [-1e4, -745.0, -40.0, -1.3, 0.0, 0.7, 38.0, 800.0]
SOFT = [0.0, 1.0, 0.3, 1.0, 0.0, 0.9, 0.5, 1.0]
WEIGHTS = [0.5, 2.0, 1.0, 0.25, 3.0, 0.0, 1.5, 0.75]
SIGNS = [1.0, -1.0, -1.0, 1.0, 1.0, -1.0, 1.0, -1.0]
ROWS = [
    [0.3, -1.2, 2.0],
    [1000.0, -1000.0, 0.0],
    [-1e4, -1e4, -1e4],
    [0.0, 800.0, 800.0],
    [5.0, 4.0, -3.0],
]
CLASSES = [2, 1, 0, 2, 0]
IGNORED = [2, -100, 0, 1, -100]
NEVER_ONE = [0.2, 1.5, 0.7]
PROBABILITIES = [[0.2, 0.3, 0.5], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.1, 0.1, 0.8], [0.25, 0.5, 0.25]]
# (batch, classes, places): the classes are the second axis.
IMAGES = [[[0.1, 2.0], [0.7, -1.0], [-0.4, 0.0]], [[3.0, 0.5], [-3.0, 0.5], [0.0, -0.5]]]
LOG_ROWS = [[-1.5, -0.75, -2.0], [-800.0, -0.5, -3.0], [-0.1, -9.0, -2.5], [-0.2, -1.0, -1e4], [-1.0, -1.0, -1.0]]
LOG_TARGETS = [[-0.5, -2.0, -3.0], [-0.1, -800.0, -4.0], [-1.0, -1.0, -1.5], [-9.0, -0.1, -5.0], [-2.0, -0.3, -2.0]]

CASES: list[tuple[str, str, Any, Any, dict[str, Any]]] = [
    ("mse", "mse_loss", ERRORS[1:], ZEROS[1:], {}),
    ("l1", "l1_loss", ERRORS, ZEROS, {}),
    ("huber", "huber_loss", ERRORS, ZEROS, {}),
    ("huber", "huber_loss", ERRORS, ZEROS, {"delta": 0.5}),
    ("smooth_l1", "smooth_l1_loss", ERRORS, ZEROS, {}),
    ("smooth_l1", "smooth_l1_loss", ERRORS, ZEROS, {"beta": 1.75}),
    ("smooth_l1", "smooth_l1_loss", ERRORS, ZEROS, {"beta": 0.0}),
    ("logistic", "soft_margin_loss", LOGITS[1:-1], SIGNS[1:-1], {}),  # PyTorch's overflows beyond
    ("binary_cross_entropy_with_logits", "binary_cross_entropy_with_logits", LOGITS, SOFT, {}),
    ("binary_cross_entropy_with_logits", "binary_cross_entropy_with_logits", LOGITS, SOFT, {"weight": WEIGHTS}),
    ("binary_cross_entropy_with_logits", "binary_cross_entropy_with_logits", LOGITS, SOFT, {"pos_weight": WEIGHTS}),
    (
        "binary_cross_entropy_with_logits",
        "binary_cross_entropy_with_logits",
        ROWS,
        PROBABILITIES,
        {"weight": NEVER_ONE, "pos_weight": [2.5]},
    ),
    # PyTorch's gradient divides by at least 1e-12.
    ("binary_cross_entropy", "binary_cross_entropy", [1e-6, 0.25, 0.999, 0.5], [0.0, 0.3, 1.0, 1.0], {}),
    # PyTorch's gradient divides by at least 1e-12.
    ("binary_cross_entropy", "binary_cross_entropy", [1e-6, 0.25, 0.9], [1.0, 0.3, 0.0], {"weight": NEVER_ONE}),
    ("nll", "nll_loss", LOG_ROWS, CLASSES, {}),
    ("nll", "nll_loss", LOG_ROWS, IGNORED, {"weight": NEVER_ONE}),
    ("nll", "nll_loss", LOG_ROWS, CLASSES, {"weight": NEVER_ONE, "ignore_index": 2}),
    ("cross_entropy", "cross_entropy", ROWS, CLASSES, {}),
    ("cross_entropy", "cross_entropy", ROWS, CLASSES, {"weight": NEVER_ONE}),
    ("cross_entropy", "cross_entropy", ROWS, IGNORED, {}),
    ("cross_entropy", "cross_entropy", ROWS, CLASSES, {"ignore_index": 0, "label_smoothing": 0.1}),
    ("cross_entropy", "cross_entropy", ROWS, IGNORED, {"weight": NEVER_ONE, "label_smoothing": 0.3}),
    ("cross_entropy", "cross_entropy", ROWS, PROBABILITIES, {}),
    ("cross_entropy", "cross_entropy", ROWS, PROBABILITIES, {"weight": NEVER_ONE}),
    ("cross_entropy", "cross_entropy", ROWS, PROBABILITIES, {"weight": NEVER_ONE, "label_smoothing": 0.2}),
    ("cross_entropy", "cross_entropy", ROWS, LOG_TARGETS, {}),  # that do not add up to 1
    ("cross_entropy", "cross_entropy", [0.5, -0.5, 2.0, 0.25], 3, {"label_smoothing": 0.1}),
    ("cross_entropy", "cross_entropy", IMAGES, [[1, -100], [0, 2]], {"weight": NEVER_ONE}),
    ("cross_entropy", "cross_entropy", IMAGES, [[[0.5, 0], [0.5, 0.25], [0, 0.75]]] * 2, {"label_smoothing": 0.1}),
    ("kl", "kl_div", LOG_ROWS, PROBABILITIES, {}),
    ("kl", "kl_div", LOG_ROWS, LOG_TARGETS, {"log_target": True}),
]
REDUCTIONS = ("none", "mean", "sum", "batchmean")


def main() -> None:
    """Run PyTorch and write the file."""
    import torch

    found = []
    for ours, theirs, prediction, target, settings in CASES:
        given = {k: torch.tensor(v, dtype=torch.float64) if isinstance(v, list) else v for k, v in settings.items()}
        t = torch.from_numpy(np.asarray(target))  # int64 or float64; torch.tensor would round to float32
        results = {}
        for reduction in REDUCTIONS:
            if reduction == "batchmean" and ours != "kl":
                continue
            p = torch.tensor(prediction, dtype=torch.float64, requires_grad=True)
            loss = getattr(torch.nn.functional, theirs)(p, t, reduction=reduction, **given)
            seeds = torch.arange(loss.numel(), dtype=torch.float64).reshape(loss.shape) + 1.5
            (seeds * loss).sum().backward()
            results[reduction] = {"value": loss.tolist(), "gradient": p.grad.tolist()}
        case = {"loss": ours, "prediction": prediction, "target": target, "settings": settings, "results": results}
        found.append(case)
    text = json.dumps({"torch": torch.__version__, "cases": found})
    FILE.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
