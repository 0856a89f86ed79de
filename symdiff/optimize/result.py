"""What a minimisation returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_SHOWN = 6  # entries of an array in the printed form


class History(Mapping[str, np.ndarray]):
    """The record of a run by name, put together from the parts of its chunks when it is first asked for."""

    __slots__ = ("_joined", "_parts", "_points")

    def __init__(self, losses: Sequence[Any], norms: Sequence[Any], points: int):
        self._parts: dict[str, Sequence[Any]] = {"loss": losses, "grad_norm": norms}
        self._points = points
        self._joined: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        """Return one entry for each point of the run."""
        if name not in self._joined:
            if name == "step":
                self._joined[name] = np.arange(self._points)
            else:
                self._joined[name] = np.concatenate(self._parts[name])[: self._points]
        return self._joined[name]

    def __iter__(self) -> Iterator[str]:
        return iter(("step", *self._parts))

    def __len__(self) -> int:
        return 1 + len(self._parts)


@dataclass(frozen=True, slots=True)
class OptimizeResult:
    """The outcome of `minimize`.

    `x` maps each unknown to its value, `fun` is the loss there, `grad_norm` the gradient's infinity norm there,
    `steps` the number of steps made. `converged` is True only if loss and gradient are finite and
    grad_norm <= tol. `message` says in words why the run ended.

    `history["loss"][k]` and `history["grad_norm"][k]` belong to the point after `history["step"][k]` = k steps,
    the start included; a diverging run's last entry is the value that was not finite.
    """

    x: dict[Any, Any]
    fun: float
    grad_norm: float
    steps: int
    converged: bool
    message: str
    history: Mapping[str, np.ndarray]

    def __repr__(self) -> str:
        """Return one aligned line for each field, as SciPy prints its results."""
        lines = [
            ("converged", self.converged),
            ("message", self.message),
            ("fun", repr(self.fun)),
            ("grad_norm", f"{self.grad_norm:.3e}"),
            ("steps", self.steps),
        ]
        lines += [(f"x[{_name(key)}]", _short(value)) for key, value in self.x.items()]
        width = max(len(label) for label, _ in lines)
        return "\n".join(f"{label:>{width}}: {value}" for label, value in lines)


def _name(key: Any) -> str:
    return str(key.params["name"]) if hasattr(key, "params") else str(key)


def _short(value: Any) -> str:
    array = np.asarray(value)
    if array.ndim == 0:
        return repr(array.item())
    text = np.array2string(array, threshold=_SHOWN, edgeitems=3, precision=6).replace("\n", " ")
    return f"{text}  shape {array.shape}" if array.size > _SHOWN else text
