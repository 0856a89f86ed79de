"""Dual coordinate ascent for linear support vector machines: one multiplier at a time, each to its best value.

Method: Hsieh, Chang, Lin, Keerthi & Sundararajan (2008), algorithm 1, in random orders, without shrinking.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np

from symdiff.front.symbols import array, matrix, vector
from symdiff.ir.node import Node, const
from symdiff.models.margin import Fit, Machine
from symdiff.ops.control import while_loop
from symdiff.ops.elementwise import maximum, minimum
from symdiff.ops.index import take
from symdiff.ops.rows import set_row

_CHUNK = 20_000  # coordinate steps between two looks at the gap: a few milliseconds


def solve(machine: Machine, tol: float, max_epochs: int, rng: np.random.Generator, target: str) -> Fit:
    """Return multipliers and their weights, good to `tol` unless `unfit` tells why not.

    Needs: a penalty on every weight, since an equation between the multipliers forbids to change one alone.
    Cost: n d operations an epoch; the number of epochs grows with the condition of the data.
    """
    sweep = _sweep(target)
    n, d = machine.rows.shape
    scaled = machine.rows / np.sqrt(machine.penalty)
    curvature = np.maximum((scaled**2).sum(axis=1) + machine.delta, np.finfo(float).tiny)
    alpha, v, epochs = np.zeros(n), np.zeros(d), 0
    while True:
        now = machine.judge(machine.weights(alpha), alpha, epochs)
        if now.is_good(tol):
            return now
        if epochs >= max_epochs:
            return replace(now, unfit=f"has not converged after {epochs} epochs")
        many = min(max(1, _CHUNK // n), max_epochs - epochs)
        order = np.concatenate([rng.permutation(n) for _ in range(many)])
        alpha, v = sweep(scaled, curvature, machine.delta, machine.high, alpha, v, order)
        epochs += many


@functools.lru_cache(maxsize=4)
def _sweep(target: str) -> Any:
    """Compile (A, q, delta, high, alpha, v, order) -> (alpha, v) after one step for each index in `order`."""
    from symdiff.compile import compile  # late: the compiler loads LLVM

    rows, v = matrix("A", "n", "d"), vector("v", "d")
    curvature, delta, high, alpha = (vector(name, "n") for name in ("q", "delta", "high", "alpha"))
    order = array("order", ("m",), "int64")

    def turn(k: Node, alpha: Node, v: Node) -> list[Node]:
        i = take(order, k, axis=0)
        old, row = take(alpha, i, axis=0), take(rows, i, axis=0)
        slope = 1 - row @ v - take(delta, i, axis=0) * old
        new = minimum(maximum(old + slope / take(curvature, i, axis=0), 0.0), take(high, i, axis=0))
        return [k + 1, set_row(alpha, new, i), v + (new - old) * row]

    _, *out = while_loop(lambda k, *_: k < order.shape[0], turn, [const(0, "int64"), alpha, v])
    return compile(out, [rows, curvature, delta, high, alpha, v, order], target=target)
