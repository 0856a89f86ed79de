"""Recurrent layers: a cell carried along a sequence by `sd.scan`, with PyTorch's formulas and weights."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from symdiff.front.arrays import transpose
from symdiff.front.functions import relu, sigmoid, tanh
from symdiff.front.literals import zeros
from symdiff.front.loops import scan
from symdiff.ir.errors import DomainError, ShapeError
from symdiff.ir.node import Node, as_node, brief
from symdiff.models.nn.layer import Layer
from symdiff.models.nn.linear import check_sizes
from symdiff.models.nn.training import Training
from symdiff.models.nn.tree import Tree
from symdiff.ops.index import reshape


@dataclass(frozen=True, slots=True)
class Recurrent(Layer):
    """A cell along the second axis of x, from a state of zeros; the outputs at all places.

    Parameters: weight_ih (gates hidden_size, input_size), weight_hh (gates hidden_size, hidden_size), bias_ih, bias_hh.
    Shapes: x (instances, places, input_size), returns (instances, places, hidden_size): PyTorch's `batch_first`.
    """

    input_size: int
    hidden_size: int
    gates: ClassVar[int] = 1
    states: ClassVar[int] = 1

    def __post_init__(self) -> None:
        """Raise DomainError for sizes that are no positive ints."""
        check_sizes(self, "input_size", "hidden_size")

    @abstractmethod
    def step(self, p: Tree, seen: Node, state: Sequence[Node]) -> list[Node]:
        """Return the state after one place, the output first; `seen` is W_ih x + b_ih there."""

    def parameters(self, random: np.random.Generator) -> Tree:
        n, m, bound = self.gates * self.hidden_size, self.hidden_size, 1 / math.sqrt(self.hidden_size)
        shapes = {"weight_ih": (n, self.input_size), "weight_hh": (n, m), "bias_ih": (n,), "bias_hh": (n,)}
        return {name: random.uniform(-bound, bound, shape) for name, shape in shapes.items()}

    def __call__(self, p: Tree, x: Any, training: Training | None = None) -> Node:
        node = as_node(x)
        if node.ndim != 3 or node.shape[2] != self.input_size:
            raise ShapeError(f"{self} takes (instances, places, {self.input_size}), got {brief(node)} ({node.line}).")
        n, t, d = node.shape
        along = transpose(node, (1, 0, 2))
        # What the cell takes from x is one product for all places.
        seen = reshape(along, shape=(t * n, d)) @ as_node(p["weight_ih"]).T + p["bias_ih"]
        rows = reshape(seen, shape=(t, n, self.gates * self.hidden_size))

        def turn(state: list[Node], row: Node) -> tuple[list[Node], Node]:
            after = self.step(p, row, state)
            return after, after[0]

        _, outputs = scan(turn, [zeros((n, self.hidden_size), node.dtype)] * self.states, rows)
        return transpose(outputs, (1, 0, 2))


@dataclass(frozen=True, slots=True)
class RNN(Recurrent):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu (Elman 1990)."""

    nonlinearity: str = "tanh"

    def __post_init__(self) -> None:
        """Raise DomainError for sizes that are no positive ints and another nonlinearity."""
        Recurrent.__post_init__(self)
        if self.nonlinearity not in ("tanh", "relu"):
            raise DomainError(f"RNN: nonlinearity is 'tanh' or 'relu', got {self.nonlinearity!r}.")

    def step(self, p: Tree, seen: Node, state: Sequence[Node]) -> list[Node]:
        (h,) = state
        function = tanh if self.nonlinearity == "tanh" else relu
        return [function(seen + _carried(p, h))]


@dataclass(frozen=True, slots=True)
class LSTM(Recurrent):
    """c' = σ(f) c + σ(i) tanh(g), h' = σ(o) tanh(c'), (i, f, g, o) = W_ih x + b_ih + W_hh h + b_hh.

    Method: Hochreiter & Schmidhuber 1997 with the forget gate of Gers, Schmidhuber & Cummins 2000.
    """

    gates: ClassVar[int] = 4
    states: ClassVar[int] = 2

    def step(self, p: Tree, seen: Node, state: Sequence[Node]) -> list[Node]:
        h, c = state
        i, f, g, o = _parts(seen + _carried(p, h), 4)
        c1 = sigmoid(f) * c + sigmoid(i) * tanh(g)
        return [sigmoid(o) * tanh(c1), c1]


@dataclass(frozen=True, slots=True)
class GRU(Recurrent):
    """h' = (1 - z) n + z h, n = tanh(a_n + r b_n), r = σ(a_r + b_r), z = σ(a_z + b_z); a from x, b from h.

    Method: Cho et al. 2014, in PyTorch's form: the reset gate r acts on b_n, its bias included.
    """

    gates: ClassVar[int] = 3

    def step(self, p: Tree, seen: Node, state: Sequence[Node]) -> list[Node]:
        (h,) = state
        (ar, az, an), (br, bz, bn) = _parts(seen, 3), _parts(_carried(p, h), 3)
        r, z = sigmoid(ar + br), sigmoid(az + bz)
        return [(1 - z) * tanh(an + r * bn) + z * h]


def _carried(p: Tree, h: Node) -> Node:
    return h @ as_node(p["weight_hh"]).T + p["bias_hh"]


def _parts(x: Node, count: int) -> list[Node]:
    width = x.shape[1] // count  # type: ignore[operator]  # an int: a multiple of hidden_size
    return [x[:, k * width : (k + 1) * width] for k in range(count)]
