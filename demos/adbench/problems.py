"""Which derivatives of which objective are asked for, at which point, and in which layout."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import symdiff as sd
from demos.adbench import ba, gmm, hand, lstm


@dataclass(frozen=True, slots=True)
class Quantity:
    """Expressions, and the array that their values make together."""

    outputs: list[Any]
    pack: Callable[..., np.ndarray]


@dataclass(frozen=True, slots=True)
class Problem:
    """Quantities by name, the objective first, as functions of `inputs`, at one point."""

    inputs: list[Any]
    arguments: list[Any]
    quantities: dict[str, Quantity]

    def compile(self, *names, target="cpu"):
        """Return one function for all quantities, or the named ones."""
        asked = names or self.quantities
        return sd.compile([f for name in asked for f in self.quantities[name].outputs], self.inputs, target=target)

    def values(self, fn):
        """Return the arrays of all quantities by name, computed by what `compile` returned."""
        results = iter(fn(*self.arguments))
        return {name: q.pack(*(next(results) for _ in q.outputs)) for name, q in self.quantities.items()}


def flat(*values):
    """Return the entries of all arrays one after another."""
    return np.concatenate([np.ravel(v) for v in values])


def _scalar(f, wrt, inputs, arguments, hessian):
    """Objective, gradient and, where asked for, Hessian by several arrays."""
    sizes = [np.size(a) for a in arguments[: len(wrt)]]

    def matrix(*blocks):
        shapes = [(m, n) for m in sizes for n in sizes]
        flattened = [np.reshape(block, shape) for block, shape in zip(blocks, shapes, strict=True)]
        return np.block([flattened[k : k + len(wrt)] for k in range(0, len(blocks), len(wrt))])

    quantities = {"objective": Quantity([f], flat), "gradient": Quantity(sd.gradient(f, wrt), flat)}
    if hessian:
        quantities["hessian"] = Quantity([block for row in sd.hessian(f, wrt) for block in row], matrix)
    return Problem(inputs, arguments, quantities)


def gmm_problem(arguments, hessian=False):
    """Return the mixture model's objective and gradient by alphas, means and icf."""
    inputs = list(gmm.symbols(*np.shape(arguments[1])))
    return _scalar(gmm.objective(*inputs), inputs[:3], inputs, arguments, hessian)


def lstm_problem(arguments, hessian=False):
    """Return the LSTM's objective and gradient by gates and extra."""
    layers, _, b = np.shape(arguments[2])
    inputs = list(lstm.symbols(layers, b))
    return _scalar(lstm.objective(*inputs), inputs[:2], inputs, arguments, hessian)


def ba_problem(cameras, points, weights, seen, features):
    """Return the errors of bundle adjustment and the sparse Jacobian, one block (2, 15) for each observation."""
    inputs = list(ba.symbols())
    errors, of_weights = ba.errors(*inputs)
    rows = np.arange(2 * len(seen))[:, None]
    camera, point = np.repeat(seen, 2, axis=0).T[:, :, None]
    columns = [11 * camera + np.arange(11), 3 * point + np.arange(3), rows // 2]

    def blocks(*matrices):
        parts = [m[np.broadcast_to(rows, c.shape), c].toarray() for m, c in zip(matrices, columns, strict=True)]
        return np.concatenate(parts, axis=1).reshape(-1, 2, 15)

    jacobians = [sd.jacobian(errors, s, sparse=True) for s in inputs[:3]]
    quantities = {
        "errors": Quantity([errors], np.asarray),
        "errors of weights": Quantity([of_weights], np.asarray),
        "jacobian": Quantity(jacobians, blocks),
    }
    return Problem(inputs, [cameras, points, weights, seen, features], quantities)


def hand_problem(model, theta, places, points, us=None):
    """Return the errors of a posed hand, the Jacobian by theta and, for points in triangles, by their weights."""
    by_theta, n_places, n_points, by_us = hand.symbols()
    inputs, arguments = [by_theta, n_places, n_points], [theta, places, points]
    if us is None:
        errors = hand.errors(model, *inputs)
    else:
        errors = hand.errors_on_triangles(model, by_theta, by_us, n_places, n_points)
        inputs, arguments = [*inputs, by_us], [*arguments, us]
    quantities = {
        "errors": Quantity([errors], np.asarray),
        "jacobian": Quantity([sd.jacobian(errors, by_theta)], np.asarray),
    }
    if us is not None:
        # A point's errors depend on its own weights only: two directions give the whole Jacobian.
        columns = [sd.jvp(errors, by_us, direction + sd.zeros_like(by_us)) for direction in np.eye(2)]
        quantities["jacobian by us"] = Quantity([sd.stack(columns, axis=2)], np.asarray)
    return Problem(inputs, arguments, quantities)
