"""The dot-product test: forward and reverse mode are each other's transposes, <J v, w> = <v, J' w>.

It holds for any size of arrays at the cost of two products, and finds every error that is in one mode only. An error
that both share, such as a wrong partial derivative, is found by `taylor_test`.
Method: Claerbout 1992, Earth Soundings Analysis, chapter 5.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.diff.along import random_line
from symdiff.diff.finite import Values, read_point
from symdiff.diff.rounding import rounding_error
from symdiff.diff.table import printed, report_table
from symdiff.diff.wrt import as_function
from symdiff.ir.errors import DomainError
from symdiff.ir.graph import count_ops
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node


@dataclass(frozen=True, slots=True)
class DotProductTest:
    """<J v, w> and <v, J' w> for each pair of random directions, and how far rounding may carry them apart."""

    forward: tuple[float, ...]
    reverse: tuple[float, ...]
    rounding: tuple[float, ...]
    ops: int
    seconds: float

    @property
    def error(self) -> float:
        """The largest difference of the two products; NaN where one has no value."""
        return float(np.max(np.abs(np.subtract(self.forward, self.reverse)), initial=0.0))

    @property
    def passed(self) -> bool:
        """Whether all pairs agree within rounding."""
        return all(abs(a - b) <= r for a, b, r in zip(self.forward, self.reverse, self.rounding, strict=True))

    def __rich__(self) -> Any:
        rows = [
            (f"{a!r}", f"{b!r}", f"{abs(a - b):.1e}", f"{r:.1e}", abs(a - b) <= r)
            for a, b, r in zip(self.forward, self.reverse, self.rounding, strict=True)
        ]
        return report_table(
            "dot-product test", ("<J v, w> forward", "<v, J'w> reverse", "difference", "rounding"), rows, ()
        )

    def __str__(self) -> str:
        return printed(self)


def dot_product_test(
    f: Any, point: Mapping[Any, Any], wrt: Any = None, trials: int = 3, seed: int = 7
) -> DotProductTest:
    """Test at a point that reverse mode is the transpose of forward mode, for arrays of any size.

    `point` and `wrt` are as in `compare`; each trial draws new directions v and w.
    Raises: UnknownSymbolError, DerivativeError, ShapeError, DomainError if `trials` is not positive.
    Cost: eight products of either mode per trial.

    >>> import symdiff as sd
    >>> A, v = sd.matrix("A", 2, 3), sd.vector("v", 3)
    >>> sd.dot_product_test(sd.tanh(A @ v), {A: [[1.0, 2, 3], [0, 1, 0.5]], v: [0.1, 0.2, 0.3]}).passed
    True
    """
    if trials < 1:
        raise DomainError(f"dot_product_test draws one pair of directions or more, got trials={trials!r}.")
    node, values, symbols, _ = read_point(f, point, wrt)
    return run_dot_product(as_function(node), values, symbols, trials, seed)


def run_dot_product(f: Node, values: Values, symbols: list[Node], trials: int, seed: int) -> DotProductTest:
    """Run the test on arguments that are checked."""
    line = random_line(f, values, symbols, seed)
    pair = [line.forward(), line.reverse()]
    seconds = np.inf
    products: list[tuple[float, float]] = []
    bounds: list[float] = []
    for k in range(trials):
        here = random_line(f, values, symbols, seed + k).values
        start = time.perf_counter()
        a, b = (float(v) for v in interpret(pair, here))
        seconds = min(seconds, time.perf_counter() - start)
        products.append((a, b))
        bounds.append(float(sum(float(r) for r in rounding_error(pair, here))))
    forward, reverse = zip(*products, strict=True)
    return DotProductTest(forward, reverse, tuple(bounds), count_ops(pair), seconds)
