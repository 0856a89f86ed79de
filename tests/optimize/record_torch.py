"""Write torch_iterates.json: what PyTorch's optimisers do in 20 steps, in float64.

    python -m tests.optimize.record_torch

The function is that of `test_torch.py`: sum((w - c)**4) + sum(w**2), w of shape (2, 3), from W0 with C.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
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
    *[
        (rule, settings, scheduler)
        for rule, settings in (
            ("SGD", {"lr": 0.01, "momentum": 0.9, "nesterov": True}),
            ("Adam", {"lr": 0.1}),
            ("AdamW", {"lr": 0.1, "weight_decay": 0.3}),
            ("RMSprop", {"lr": 0.05, "centered": True}),
            ("Adagrad", {"lr": 0.3, "lr_decay": 0.1}),
        )
        for scheduler in (("InverseTime", {"decay": 0.5}), ("InverseSqrt", {}), ("WarmUp", {"steps": 7}))
    ],
    ("Adagrad", {"lr": 0.2, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.4}, None),
]
# By which factor step t = 1, 2, … scales the rate, where PyTorch has no schedule of the name.
FACTORS: dict[str, Callable[..., float]] = {
    "InverseTime": lambda t, decay: 1 / (1 + decay * (t - 1)),
    "InverseSqrt": lambda t: 1 / math.sqrt(t),
    "WarmUp": lambda t, steps: min(t / steps, 1.0),
}
# Rule, settings, and the bound of the gradient's length or the start and interval of the averages (SWA).
CLIPPED = ("SGD", {"lr": 0.02, "momentum": 0.9}, 3.0)
AVERAGED = ("SGD", {"lr": 0.02, "momentum": 0.9}, 5, 3)


def main() -> None:
    """Run PyTorch and write the file."""
    import torch

    found = []
    for name, settings, scheduler in RUNS:
        w = torch.tensor(W0, dtype=torch.float64, requires_grad=True)
        c = torch.tensor(C, dtype=torch.float64)
        given = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
        optimiser = getattr(torch.optim, name)([w], **given)
        rates = _schedule(torch.optim.lr_scheduler, optimiser, *scheduler) if scheduler else None
        iterates = []
        for _ in range(STEPS):
            optimiser.zero_grad()
            (((w - c) ** 4).sum() + (w**2).sum()).backward()
            optimiser.step()
            if rates is not None:
                rates.step()
            iterates.append(w.detach().numpy().tolist())
        found.append({"rule": name, "settings": settings, "scheduler": scheduler, "iterates": iterates})
    text = json.dumps({"torch": torch.__version__, "runs": found, "clipped": _clipped(), "averaged": _averaged()})
    FILE.write_text(text + "\n", encoding="utf-8")


def _schedule(schedulers: Any, optimiser: Any, name: str, given: dict[str, Any]) -> Any:
    """Return PyTorch's scheduler of a name, or one made from a formula."""
    if name in FACTORS:
        return schedulers.LambdaLR(optimiser, lambda k: FACTORS[name](k + 1, **given))
    return getattr(schedulers, name)(optimiser, **given)


def _clipped() -> list[Any]:
    """The iterates with gradients cut by clip_grad_norm_."""
    import torch

    name, settings, bound = CLIPPED
    w = torch.tensor(W0, dtype=torch.float64, requires_grad=True)
    return _steps(w, name, settings, lambda: torch.nn.utils.clip_grad_norm_([w], bound), lambda k: w)


def _averaged() -> list[Any]:
    """The mean of AveragedModel after each step; until the start it is the point itself."""
    import torch

    name, settings, start, every = AVERAGED
    w = torch.tensor(W0, dtype=torch.float64, requires_grad=True)
    model = torch.nn.ParameterList([w])
    mean = torch.optim.swa_utils.AveragedModel(model)

    def answer(k: int) -> Any:
        if k > start and (k - start - 1) % every == 0:
            mean.update_parameters(model)
        return mean.module[0] if k > start else w

    return _steps(w, name, settings, lambda: None, answer)


def _steps(w: Any, name: str, settings: dict[str, Any], before: Callable[[], Any], answer: Callable[[int], Any]) -> Any:
    import torch

    c, out = torch.tensor(C, dtype=torch.float64), []
    optimiser = getattr(torch.optim, name)([w], **settings)
    for k in range(1, STEPS + 1):
        optimiser.zero_grad()
        (((w - c) ** 4).sum() + (w**2).sum()).backward()
        before()
        optimiser.step()
        out.append(answer(k).detach().numpy().tolist())
    return out


if __name__ == "__main__":
    main()
