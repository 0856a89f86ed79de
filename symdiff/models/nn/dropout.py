"""Dropout: entries left out at random while a network is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.ir.errors import DomainError
from symdiff.ir.node import Node, as_node
from symdiff.models.nn.layer import Layer
from symdiff.models.nn.training import Training
from symdiff.models.nn.tree import Tree
from symdiff.ops.elementwise import where


@dataclass(frozen=True, slots=True)
class Dropout(Layer):
    """Zero for each entry with probability p, else x / (1 - p), while it is trained; x otherwise (`torch.nn.Dropout`).

    Which entries is decided by the seed, the step and the entry's place: not by threads or the target.
    Method: Srivastava et al. 2014; scaled during training.
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        """Raise DomainError unless p lies in [0, 1)."""
        if not isinstance(self.p, (int, float)) or not 0 <= self.p < 1:
            raise DomainError(f"Dropout: p lies in [0, 1), got {self.p!r}.")

    def parameters(self, random: np.random.Generator) -> Tree:
        return ()

    def __call__(self, p: Tree, x: Any, training: Training | None = None) -> Node:
        node = as_node(x)
        if training is None or not self.p:
            return node
        keep = 1 - self.p
        return where(training.bits(node.shape) < round(keep * 2**32), node / keep, 0)
