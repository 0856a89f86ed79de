"""The reference target: the interpreter. Slow, and right by definition: what the tests compare with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from symdiff.ir.errors import CompileError
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node


class Kernel:
    """A graph as it was written, evaluated node by node with NumPy."""

    def __init__(self, outputs: Sequence[Node], inputs: Sequence[Node]):
        self.outputs, self.inputs = tuple(outputs), tuple(inputs)

    def __call__(
        self, arrays: Sequence[np.ndarray], sizes: Mapping[str, int], out: Sequence[np.ndarray] | None = None
    ) -> list[np.ndarray]:
        """Evaluate on arrays in the order of the inputs."""
        values = interpret(self.outputs, dict(zip(self.inputs, arrays, strict=True)))
        results = [np.array(v, dtype=f.dtype) for f, v in zip(self.outputs, values, strict=True)]
        if out is None:
            return results
        for target, value in zip(out, results, strict=True):
            target[...] = value
        return list(out)

    def inspect(self, what: str) -> str:
        """Nothing is generated: only the graph and its program can be looked at."""
        raise CompileError(f"target='reference' interprets the graph, so there is no {what!r}; use target='cpu'.")
