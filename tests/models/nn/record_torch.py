"""Write torch_layers.npz and torch_runs.npz: what PyTorch's layers and its training loop give, in float64.

    python -m tests.models.nn.record_torch

Names: "CASE/x" the input, "CASE/y" the output, "CASE/bar" a cotangent of it, "CASE/x_bar" and "CASE/bar/NAME" the
gradients of sum(bar y), "CASE/p/NAME" the parameters before and "CASE/after/NAME" the buffers afterwards. Runs are
described at `runs`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent
LAYERS, RUNS = FOLDER / "torch_layers.npz", FOLDER / "torch_runs.npz"

# The runs: steps that are compared to the last digits, steps until the accuracies are taken, and rows of a batch.
FEW_STEPS, STEPS, BATCH, SEED = 20, 400, 48, 11
TRAIN_ROWS = 1400
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("SGD", {"lr": 0.05, "momentum": 0.9}),
    "adam": ("Adam", {"lr": 2e-3}),
}


def layers(torch: Any) -> dict[str, tuple[Any, tuple[int, ...], bool]]:
    """Return (module, shape of x, whether it is trained) by the case's name."""
    nn = torch.nn

    def attend(**options: Any) -> Any:
        class Self(nn.MultiheadAttention):  # type: ignore[misc, name-defined]
            def forward(self, x: Any) -> Any:
                return super().forward(x, x, x, need_weights=False, **options)[0]

        return Self(6, 3, batch_first=True)

    class First(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, cell: Any):
            super().__init__()
            self.cell = cell

        def forward(self, x: Any) -> Any:
            return self.cell(x)[0]

    hides = torch.triu(torch.ones(4, 4, dtype=torch.bool), diagonal=1)
    return {
        "linear": (nn.Linear(3, 5), (4, 3), False),
        "linear-3d": (nn.Linear(3, 2, bias=False), (4, 5, 3), False),
        "conv2d": (nn.Conv2d(3, 4, (3, 2), stride=2, padding=1), (2, 3, 7, 6), False),
        "conv2d-groups": (nn.Conv2d(4, 6, 3, groups=2, dilation=2, bias=False), (2, 4, 8, 7), False),
        "max_pool": (nn.MaxPool2d(3, stride=2, padding=1), (2, 3, 7, 8), False),
        "avg_pool": (nn.AvgPool2d(2), (2, 3, 6, 5), False),
        "batch_norm-train": (nn.BatchNorm1d(4, momentum=0.3), (7, 4), True),
        "batch_norm-train-mean": (nn.BatchNorm1d(4, momentum=None), (7, 4), True),
        "batch_norm-eval": (nn.BatchNorm1d(4), (7, 4), False),
        "batch_norm-2d": (nn.BatchNorm2d(3, eps=1e-3), (4, 3, 2, 5), True),
        "layer_norm": (nn.LayerNorm(5), (3, 2, 5), False),
        "layer_norm-2": (nn.LayerNorm((2, 5), eps=1e-2), (3, 2, 5), False),
        "elu": (nn.ELU(alpha=0.7), (5, 3), False),
        "gelu": (nn.GELU(), (5, 3), False),
        "gelu-tanh": (nn.GELU(approximate="tanh"), (5, 3), False),
        "attention": (attend(), (2, 4, 6), False),
        "attention-causal": (attend(attn_mask=hides), (2, 4, 6), False),
        "rnn": (First(nn.RNN(3, 5, batch_first=True)), (2, 4, 3), False),
        "rnn-relu": (First(nn.RNN(3, 5, nonlinearity="relu", batch_first=True)), (2, 4, 3), False),
        "lstm": (First(nn.LSTM(3, 5, batch_first=True)), (2, 4, 3), False),
        "gru": (First(nn.GRU(3, 5, batch_first=True)), (2, 4, 3), False),
    }


def record_layers(torch: Any) -> dict[str, np.ndarray]:
    """Run every layer on drawn parameters and inputs."""
    out: dict[str, np.ndarray] = {}
    for number, (name, (module, shape, trained)) in enumerate(layers(torch).items()):
        rng = np.random.default_rng(100 + number)
        module = module.double().train(trained)
        for key, p in module.state_dict().items():
            if p.ndim:
                drawn = rng.uniform(0.5, 2.0, p.shape) if key.endswith("var") else rng.normal(0, 0.6, p.shape)
                p.copy_(torch.from_numpy(drawn))
                out[f"{name}/p/{plain(key)}"] = drawn
        x = torch.from_numpy(rng.normal(0, 1.3, shape)).requires_grad_()
        y = module(x)
        bar = torch.from_numpy(rng.normal(0, 1, y.shape))
        (y * bar).sum().backward()
        out |= {f"{name}/{k}": v.detach().numpy() for k, v in (("x", x), ("y", y), ("bar", bar), ("x_bar", x.grad))}
        out |= {f"{name}/bar/{plain(k)}": p.grad.numpy() for k, p in module.named_parameters()}
        out |= {f"{name}/after/{plain(k)}": p.numpy() for k, p in module.named_buffers() if p.ndim}
    return out


def plain(name: str) -> str:
    """A parameter's name without what PyTorch's recurrent modules add: "cell.weight_ih_l0" is weight_ih."""
    return name.removeprefix("cell.").removesuffix("_l0")


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return scikit-learn's digits: rows of 64 numbers in [0, 1], and their labels."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return data.data / 16.0, data.target.astype(np.int64)


def batches(n_rows: int, steps: int) -> np.ndarray:
    """Return the rows of each step as `batch_size=BATCH, seed=SEED` draws them: epochs by Philox's keys."""
    per_epoch = n_rows // BATCH
    epochs = [
        np.random.Generator(np.random.Philox(key=[SEED, e])).permutation(n_rows)[: per_epoch * BATCH]
        for e in range(-(-steps // per_epoch))
    ]
    return np.concatenate(epochs).reshape(-1, BATCH)[:steps]


def networks(torch: Any) -> dict[str, Any]:
    """Return the networks by name: those of `test_training.py`.

    No bias before a normalisation: its gradient is 0 but for rounding, of which Adam makes whole steps.
    """
    nn = torch.nn
    return {
        "dense": nn.Sequential(
            nn.Linear(64, 24), nn.ReLU(), nn.BatchNorm1d(24), nn.Linear(24, 16), nn.ReLU(), nn.Linear(16, 10)
        ),
        "conv": nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(4, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ELU(), nn.Flatten(), nn.Linear(32, 10),
        ),
    }  # fmt: skip


def record_runs(torch: Any) -> dict[str, np.ndarray]:
    """Train the networks: "NET/p/NAME" the start, "NET/METHOD/NAME" after FEW_STEPS, losses, accuracies after STEPS."""
    x, y = (torch.from_numpy(a) for a in digits())
    out: dict[str, np.ndarray] = {}
    for number, name in enumerate(("dense", "conv")):
        for method, (rule, settings) in METHODS.items():
            torch.manual_seed(number + 3)
            net = networks(torch)[name].double().train()
            out |= {f"{name}/p/{k}": p.numpy().copy() for k, p in net.state_dict().items() if p.ndim}
            optimiser = getattr(torch.optim, rule)(net.parameters(), **settings)
            losses = []
            for step, rows in enumerate(batches(TRAIN_ROWS, STEPS)):
                optimiser.zero_grad()
                loss = torch.nn.functional.cross_entropy(net(x[rows]), y[rows])
                loss.backward()
                optimiser.step()
                losses.append(loss.item())
                if step + 1 == FEW_STEPS:
                    out |= {f"{name}/{method}/{k}": p.numpy().copy() for k, p in net.state_dict().items() if p.ndim}
            right = (net.eval()(x).argmax(1) == y).double()
            out[f"{name}/{method}-losses"] = np.array(losses)
            out[f"{name}/{method}-accuracy"] = np.array([right[:TRAIN_ROWS].mean(), right[TRAIN_ROWS:].mean()])
    return out


def main() -> None:
    """Run PyTorch and write the files."""
    import torch

    np.savez_compressed(LAYERS, **record_layers(torch))
    np.savez_compressed(RUNS, **record_runs(torch))


if __name__ == "__main__":
    main()
