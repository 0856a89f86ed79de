"""One exponential for softplus and sigmoid of the same number; signs of a loop's operands meet those inside."""

from __future__ import annotations

import numpy as np
import pytest

import symdiff as sd
from symdiff.ir.graph import made_order
from symdiff.ir.node import PRIMITIVES, Node
from symdiff.passes import optimise
from symdiff.passes.sink import sink

EPS = np.finfo(np.float64).eps


def _count(nodes: list[Node], name: str) -> int:
    return sum(n.op.name == name for n in made_order(nodes))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_loss_and_derivative_take_one_exponential(sign: float) -> None:
    x = sd.vector("x", 9)
    f = sd.log(1 + sd.exp(sign * x))
    nodes = optimise([f, sd.gradient(sd.sum(f), x)])
    assert _count(nodes, "exp") == 1
    points = np.array([-745.0, -60.0, -3.0, -1e-9, 0.0, 1e-9, 2.0, 60.0, 745.0])
    value, slope = sd.compile([f, sd.gradient(sd.sum(f), x)], [x])(points)
    # The exponential is good to 4 ulp, the rest is three roundings.
    np.testing.assert_allclose(value, np.logaddexp(0, sign * points), rtol=8 * EPS)
    exact = np.exp(-np.logaddexp(0, -sign * points))
    # exp and log of the reference lose as many ulp as its argument, up to 745, has.
    np.testing.assert_allclose(slope, sign * exact, rtol=1024 * EPS, atol=5e-324)


def test_sigmoids_alone_stay() -> None:
    x = sd.vector("x", 3)
    assert _count(optimise([sd.gradient(sd.sum(sd.log(1 + sd.exp(x))), x)]), "where") == 0


def test_signs_of_operands_go_into_loops() -> None:
    y, s = sd.vector("y", "n"), sd.vector("s", "n")
    last = sd.while_loop(lambda k, a: k < 3, lambda k, a: (k + 1, a * -y + y), [0, s])[1]
    (loop,) = [n for n in made_order([last]) if n.op is PRIMITIVES["while_loop"]]
    assert any(a.op.name == "neg" for a in loop.args)
    after = sink(loop)
    assert not any(a.op.name == "neg" for a in after.args)
    rng = np.random.default_rng(17)
    a, b = rng.standard_normal((2, 5))
    want = a
    for _ in range(3):
        want = want * -b + b
    np.testing.assert_array_equal(sd.compile(last, [y, s], target="reference")(b, a), want)
    np.testing.assert_allclose(sd.compile(last, [y, s])(b, a), want, rtol=8 * EPS)
