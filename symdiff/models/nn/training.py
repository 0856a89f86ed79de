"""What layers need while they are trained: random bits that are new in every step, and running statistics."""

from __future__ import annotations

from typing import Any

import numpy as np

from symdiff.ir.dims import Shape, product
from symdiff.ir.node import Node
from symdiff.ops.bits import random_bits
from symdiff.ops.custom import stop_gradient
from symdiff.ops.index import reshape
from symdiff.ops.leaves import iota, symbol
from symdiff.ops.reduce import sum_

# The number of the step. A leading NUL cannot occur in a user's name.
STEP = symbol(name="\0step", shape=(), dtype="int64")


# The leaves of a tree of parameters that are running averages, and not trained.
AVERAGES = ("running_mean", "running_var")


def is_average(symbol: Node) -> bool:
    """Whether a symbol of a tree of parameters is a running average."""
    return str(symbol.params["name"]).rpartition(".")[2] in AVERAGES


class Training:
    """One expression of a loss under way: hand it to each layer of which it is made."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._streams = 0
        self._followed: list[tuple[Node, Node, float | None]] = []
        self.needs_rows: str | None = None

    def bits(self, shape: Shape) -> Node:
        """Return 32 random bits for each entry, as int64: others in each step and at each call of this method.

        Method: Philox, its counter the entry and the step, its key the seed and the number of the call.
        """
        (key,) = np.random.SeedSequence([self._seed, self._streams]).generate_state(1)
        self._streams += 1
        return random_bits(reshape(iota(n=product(shape)), shape=shape), STEP, int(key))

    def takes_variance_of_rows(self, layer: Any) -> None:
        """Note that a layer takes the variance over the rows of a batch, which has none of a single row."""
        self.needs_rows = repr(layer)

    def follow(self, average: Node, value: Node, rate: float | None) -> None:
        """Let a symbol be a running average: average + rate (value - average) after each step.

        Without a rate it is the mean over all steps so far.
        """
        self._followed.append((average, value, rate))

    @property
    def rates(self) -> dict[str, float | None]:
        """The rates of the running averages, by the names of their symbols."""
        return {average.params["name"]: rate for average, _, rate in self._followed}

    @property
    def is_random(self) -> bool:
        """Whether random bits were drawn."""
        return bool(self._streams)

    def loss(self, f: Any) -> Node:
        """Return f with a term of value 0 whose gradient by each running average is average - value.

        So the values come with the gradients of the batch, and an average moves by -rate times its slope.
        """
        for average, value, _ in self._followed:
            pull = stop_gradient(average - value)
            f = f + sum_((average - stop_gradient(average)) * pull, axes=range(average.ndim))
        return f
