"""Write torch_iterates.json: what PyTorch's optimisers do in 20 steps, in float64.

    python -m tests.optimize.record_torch

The function is that of `test_torch.py`: sum((w - c)**4) + sum(w**2), w of shape (2, 3), from W0 with C.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

W0 = [[0.5, -1.25, 2.0], [0.1, 0.75, -0.3]]
C = [[1.0, 0.2, -0.7], [-1.5, 0.4, 0.9]]
STEPS = 20
FILE = Path(__file__).with_name("torch_iterates.json")
# Class, settings, and the scheduler with its settings.
RUNS: list[tuple[str, dict[str, Any], tuple[str, dict[str, Any]] | None]] = [
    ("SGD", {"lr": 0.01}, None),
    ("SGD", {"lr": 0.01, "momentum": 0.9}, None),
    ("SGD", {"lr": 0.01, "momentum": 0.8, "dampening": 0.3, "weight_decay": 0.1}, None),
    ("SGD", {"lr": 0.005, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05}, None),
    ("SGD", {"lr": 1e-4, "momentum": 0.5, "weight_decay": 0.05, "maximize": True}, None),
    ("SGD", {"lr": 0.01, "momentum": 0.9}, ("StepLR", {"step_size": 6, "gamma": 0.5})),
    ("SGD", {"lr": 0.01}, ("CosineAnnealingLR", {"T_max": 20, "eta_min": 0.001})),
    ("Adam", {"lr": 0.1}, None),
    ("Adam", {"lr": 0.05, "betas": [0.8, 0.95], "eps": 1e-6, "weight_decay": 0.2}, None),
    ("Adam", {"lr": 0.1, "amsgrad": True, "betas": [0.7, 0.6]}, None),
    ("Adam", {"lr": 0.01, "maximize": True, "weight_decay": 0.1}, None),
    ("AdamW", {"lr": 0.1}, None),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.3, "amsgrad": True, "maximize": True}, None),
    ("RMSprop", {"lr": 0.05}, None),
    ("RMSprop", {"lr": 0.02, "alpha": 0.9, "momentum": 0.5, "centered": True, "weight_decay": 0.1}, None),
    ("RMSprop", {"lr": 0.02, "maximize": True, "eps": 1e-3}, None),
    ("Adagrad", {"lr": 0.3}, None),
    ("Adagrad", {"lr": 0.2, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.4}, None),
]


def main() -> None:
    """Run PyTorch and write the file."""
    import torch

    found = []
    for name, settings, scheduler in RUNS:
        w = torch.tensor(W0, dtype=torch.float64, requires_grad=True)
        c = torch.tensor(C, dtype=torch.float64)
        given = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
        optimiser = getattr(torch.optim, name)([w], **given)
        rates = getattr(torch.optim.lr_scheduler, scheduler[0])(optimiser, **scheduler[1]) if scheduler else None
        iterates = []
        for _ in range(STEPS):
            optimiser.zero_grad()
            (((w - c) ** 4).sum() + (w**2).sum()).backward()
            optimiser.step()
            if rates is not None:
                rates.step()
            iterates.append(w.detach().numpy().tolist())
        found.append({"rule": name, "settings": settings, "scheduler": scheduler, "iterates": iterates})
    text = json.dumps({"torch": torch.__version__, "runs": found})
    FILE.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
