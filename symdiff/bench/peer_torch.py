"""PyTorch: eager, reverse mode, on its default device."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from symdiff.bench.cases import ADAM, GMM_GAMMA, MLP_MOMENTUM, MLP_RATE, RIDGE, Sizes, gmm_constant
from symdiff.bench.measure import Job


def _job(objective: Any, parameters: list[np.ndarray]) -> Job:
    """A job that returns the value of an objective and its gradient by the parameters."""
    leaves = [torch.as_tensor(a).requires_grad_() for a in parameters]

    def run() -> tuple[Any, ...]:
        value = objective(*leaves)
        return value.detach(), *torch.autograd.grad(value, leaves)

    return Job(lambda: run, lambda r: tuple(a.cpu().numpy() for a in r))


def gmm(p: Sizes, alphas: np.ndarray, means: np.ndarray, factors: np.ndarray, x: np.ndarray, places: np.ndarray) -> Job:
    """The same gather and matrix product as ours."""
    n, d, k = p["n"], p["d"], p["k"]
    points, places_t, zeros = torch.from_numpy(x), torch.from_numpy(places), torch.zeros((k, 1), dtype=torch.float64)

    def objective(alphas: Any, means: Any, factors: Any) -> Any:
        q, lower = factors[:, :d], factors[:, d:]
        full = torch.cat([zeros, torch.exp(q), lower], 1)[:, places_t]
        centred = (points @ full.reshape(k * d, d).T).reshape(n, k, d) - torch.einsum("kij,kj->ki", full, means)
        inner = alphas + q.sum(1) - 0.5 * (centred * centred).sum(2)
        fit = torch.logsumexp(inner, 1).sum() - n * torch.logsumexp(alphas, 0)
        return fit + 0.5 * GMM_GAMMA**2 * ((torch.exp(q) ** 2).sum() + (lower**2).sum()) + gmm_constant(p)

    return _job(objective, [alphas, means, factors])


def _loss(features: np.ndarray, labels: np.ndarray) -> Any:
    rows, signs = torch.as_tensor(features), torch.as_tensor(labels)

    def objective(w: Any) -> Any:
        return 0.5 * RIDGE * (w @ w) - torch.nn.functional.logsigmoid(signs * (rows @ w)).mean()

    return objective


def logreg(p: Sizes, features: np.ndarray, labels: np.ndarray, w: np.ndarray) -> Job:
    """`logsigmoid` of the margins."""
    return _job(_loss(features, labels), [w])


def adam_loop(p: Sizes, features: np.ndarray, labels: np.ndarray, start: np.ndarray) -> Job:
    """The fused Adam, from 0 at every run."""
    objective = _loss(features, labels)

    def run() -> Any:
        w = torch.zeros(p["d"], dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.Adam([w], lr=ADAM["lr"], betas=(ADAM["b1"], ADAM["b2"]), eps=ADAM["eps"], fused=True)
        for _ in range(p["steps"]):
            optimizer.zero_grad()
            objective(w).backward()
            optimizer.step()
        return w.detach()

    return Job(lambda: run, lambda w: (w.cpu().numpy(),))


def mlp(p: Sizes, layers: list[np.ndarray], x: np.ndarray, labels: np.ndarray) -> Job:
    """`torch.nn.Linear` and the fused SGD, from the same start at every run."""
    batches, targets = torch.from_numpy(x), torch.from_numpy(labels)

    def build() -> Any:
        linear = [torch.nn.Linear(*w.shape) for w in layers[::2]]
        model = torch.nn.Sequential(linear[0], torch.nn.ReLU(), linear[1], torch.nn.ReLU(), linear[2])
        entropy = torch.nn.CrossEntropyLoss()

        def run() -> Any:
            with torch.no_grad():
                for layer, w, b in zip(linear, layers[::2], layers[1::2], strict=True):
                    layer.weight.copy_(torch.from_numpy(w).T)
                    layer.bias.copy_(torch.from_numpy(b))
            optimizer = torch.optim.SGD(model.parameters(), MLP_RATE, momentum=MLP_MOMENTUM, fused=True)
            losses = []
            for batch, target in zip(batches, targets, strict=True):
                optimizer.zero_grad()
                loss = entropy(model(batch), target)
                loss.backward()
                optimizer.step()
                losses.append(loss.detach())
            return torch.stack(losses).numpy(), linear[2].weight.detach().numpy().T.copy()

        return run

    return Job(build, tuple)


CASES = {"gmm": gmm, "logreg": logreg, "adam_loop": adam_loop, "mlp": mlp}
