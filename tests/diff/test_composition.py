"""Modes on top of each other: mixed partials, every order of two modes, Taylor's coefficients, and what hvp costs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import mpmath
import numpy as np
import pytest

import symdiff as sd
from symdiff.ir.graph import count_ops
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node
from symdiff.passes import optimise

EPS = 2.0**-52
X, Y, Z = sd.symbols("x y z")
V, W = sd.vector("v", 3), sd.vector("w", 4)
A = sd.matrix("A", 4, 3)
AT = {
    X: 0.7, Y: -0.4, Z: 1.3, V: np.array([0.3, -1.2, 0.8]), W: np.array([0.6, 1.4, -0.5, 0.9]),
    A: np.random.default_rng(5).uniform(-1.0, 1.0, (4, 3)),
}  # fmt: skip
SCALAR = sd.exp(X * Y) * sd.sin(Z + X) / (1 + Y * Y) + sd.arctan2(X, 2 + Z * Z)
VECTOR = sd.sum(sd.tanh(A @ V) * W) + sd.logsumexp(W * V[0]) + sd.prod(V) * X
FUNCTIONS = {"scalar": (SCALAR, [X, Y, Z]), "vector": (VECTOR, [V, W, X])}


def test_mixed_partials_do_not_depend_on_their_order() -> None:
    for a, b in itertools.combinations((X, Y, Z), 2):
        one, other = interpret([sd.diff(sd.diff(SCALAR, a), b), sd.diff(sd.diff(SCALAR, b), a)], AT)
        np.testing.assert_allclose(one, other, rtol=64 * EPS)
    # A third-order one against mpmath, which differences the function itself.
    with mpmath.workdps(60):

        def f(x: mpmath.mpf, y: mpmath.mpf, z: mpmath.mpf) -> mpmath.mpf:
            return mpmath.exp(x * y) * mpmath.sin(z + x) / (1 + y * y) + mpmath.atan2(x, 2 + z * z)

        exact = float(mpmath.diff(f, tuple(mpmath.mpf(AT[s]) for s in (X, Y, Z)), (1, 1, 1)))
    (found,) = interpret([sd.diff(sd.diff(sd.diff(SCALAR, Z), X), Y)], AT)
    np.testing.assert_allclose(found, exact, rtol=256 * EPS)


def _directions(xs: Sequence[Node], seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.uniform(0.5, 1.5, x.shape) for x in xs]


def _along(f: Node, xs: Sequence[Node], d: Sequence[np.ndarray], mode: str) -> Node:
    """The derivative of a scalar along d, in one of three ways."""
    if mode == "forward":
        return sd.jvp(f, xs, d)
    if mode == "reverse":
        return sum((sd.sum(g * c) for g, c in zip(sd.gradient(f, list(xs)), d, strict=True)), start=0.0 * X)
    return sd.taylor(f, list(xs), 1, directions=list(d))[1]


MODES = ("forward", "reverse", "taylor")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_any_mode_over_any_other(name: str) -> None:
    """u' H w: forward over reverse, reverse over reverse, reverse over forward and the others."""
    f, xs = FUNCTIONS[name]
    u, w = _directions(xs, 3), _directions(xs, 4)
    values = {
        (outer, inner): float(interpret([_along(_along(f, xs, u, inner), xs, w, outer)], AT)[0])
        for outer in MODES
        for inner in MODES
    }
    products = sd.hvp(f, xs, w)
    values["hvp", ""] = sum(float(np.sum(c * h)) for c, h in zip(u, interpret(products, AT), strict=True))
    rows = [[b for _, b in zip(xs, row, strict=True)] for row in sd.hessian(f, xs)]
    blocks = [interpret(row, AT) for row in rows]
    values["hessian", ""] = sum(
        float(np.tensordot(np.tensordot(u[i], blocks[i][j], u[i].ndim), w[j], w[j].ndim))
        for i, j in itertools.product(range(len(xs)), repeat=2)
    )
    expected = values["forward", "forward"]
    for combination, value in values.items():
        # Two derivatives of some tens of operations, in different orders.
        np.testing.assert_allclose(value, expected, rtol=256 * EPS, err_msg=str(combination))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_taylor_coefficients_are_repeated_derivatives(name: str) -> None:
    f, xs = FUNCTIONS[name]
    d = _directions(xs, 6)
    series = sd.taylor(f, xs, 3, directions=d)
    g, factorial = f, 1.0
    for k in range(4):
        found, expected = interpret([series[k], g], AT)
        np.testing.assert_allclose(found, expected / factorial, rtol=512 * EPS)
        g, factorial = sd.jvp(g, xs, d), factorial * (k + 1)


def test_the_gradient_of_a_coefficient() -> None:
    """Reverse over Taylor: d/dx of c_2 is three times c_3 for f of one scalar."""
    f = sd.exp(sd.sin(X) * X)
    c = sd.taylor(f, X, 3)
    found, expected = interpret([sd.gradient(c[2], X), 3 * c[3]], AT)
    np.testing.assert_allclose(found, expected, rtol=256 * EPS)


def _logistic() -> tuple[Node, list[Node]]:
    a, labels, w = sd.matrix("A", "n", 3), sd.vector("L", "n"), sd.vector("w", 3)
    return sd.sum(sd.log1p(sd.exp(-labels * (a @ w)))), [w]


def _chain(turns: int) -> tuple[Node, list[Node]]:
    f: Node = X
    for _ in range(turns):
        f = sd.sin(f * Y) + Z
    return f, [X, Y, Z]


def _rosenbrock() -> tuple[Node, list[Node]]:
    v = sd.vector("v", "n")
    return sd.sum(100.0 * (v[1:] - v[:-1] ** 2) ** 2 + (1 - v[:-1]) ** 2), [v]


COSTS: dict[str, Callable[[], tuple[Node, list[Node]]]] = {
    "logistic": _logistic, "chain of 10": lambda: _chain(10), "chain of 40": lambda: _chain(40),
    "rosenbrock": _rosenbrock, "scalar": lambda: FUNCTIONS["scalar"], "vector": lambda: FUNCTIONS["vector"],
}  # fmt: skip


def _ops(*nodes: Node) -> int:
    return count_ops(optimise(list(nodes)))


@pytest.mark.parametrize("name", COSTS)
def test_hvp_costs_a_few_gradients(name: str) -> None:
    f, xs = COSTS[name]()
    d = [sd.symbols(f"d{k}") if not x.shape else sd.array(f"d{k}", x.shape) for k, x in enumerate(xs)]
    gradient = _ops(f, *sd.gradient(f, xs))
    # A tangent of every operation: a product's takes three, sin's two (Griewank & Walther 2008, table 3.3).
    assert _ops(*sd.hvp(f, xs, d)) <= 4 * gradient


@pytest.mark.parametrize("name", ["chain of 10", "chain of 40", "scalar"])
def test_gradients_cost_a_few_functions(name: str) -> None:
    """No formula is written out once per use to please a reader: the count stays linear in the length of a chain."""
    f, xs = COSTS[name]()
    assert _ops(f, *sd.gradient(f, xs)) <= 5 * _ops(f)
