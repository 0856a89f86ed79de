"""sd.check: silent where derivatives are right, an AssertionError with the comparison where they are not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings

import symdiff as sd
from symdiff.diff.sampling import sample_points
from symdiff.ir.graph import made_order
from symdiff.ir.interpret import interpret
from symdiff.ops import elementwise as el
from tests.diff.broken import scaled
from tests.diff.programs import scalar_programs

x, y = sd.symbols("x y")
v = sd.vector("v", 3)
A = sd.matrix("A", "n", 3)
B = sd.matrix("B", 3, 3)
k = sd.array("k", ("m",), dtype="int64")
EMPTY, ONE = sd.vector("empty", 0), sd.vector("one", 1)

RIGHT = {
    "scalars": sd.exp(-(x**2)) * sd.sin(y),
    "a domain": sd.log(x - 1) * sd.arccosh(y),
    "run-time sizes": sd.tanh(A @ v),
    "indices": sd.take(v, k) ** 2,
    "empty": sd.sin(EMPTY),
    "sum of nothing": sd.sum(sd.sin(EMPTY)),
    "one entry": sd.sin(ONE) * ONE,
    "constant": 0 * x + 3.0,
    "factorisation": sd.sum(sd.cholesky(B @ B.T + sd.eye(3)) ** 2),
    "loop": sd.while_loop(lambda u, n: n < 4, lambda u, n: [sd.sin(u) * v, n + 1], [v, 0])[0],
    "single precision": sd.sum(sd.tanh(sd.array("single", (4,), dtype="float32"))),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_derivatives_pass(name):
    sd.check(RIGHT[name], points=2)


def test_functions_of_expressions():
    sd.check(lambda a, b: [a * b, sd.sin(a) / b], points=1)
    sd.check(lambda a, b: {"first": a * b, "second": (sd.sin(a), [b])}, (0.3, 2))
    sd.check(lambda A, v: sd.tanh(A @ v), {"A": [[1.0, 2, 3], [0, 1, 0.5]], "v": [0.1, 0.2, 0.3]})
    sd.check(lambda v, k: v[k] ** 2, (np.array([1.0, 2.0, 3.0]), np.array([2, 0])), wrt="v")
    sd.check(lambda a, power=3: a**power, 0.7)
    sd.check(lambda a: sd.while_loop(lambda s, n: n < 5, lambda s, n: [(s + a / s) / 2, n + 1], [1 + a * a, 0])[0])
    sd.check([x * y, sd.cos(x)], {"x": 0.3, "y": 2.0}, wrt=["x"])


@given(scalar_programs())
@settings(max_examples=8)
def test_random_expressions_pass_and_fail_when_a_rule_is_broken(program):
    f, values = program
    sd.check(f, values)
    # tanh is in every program; a derivative that does not depend on it cannot tell.
    with scaled(el.tanh, 1 + 1e-6):
        slopes = interpret([sd.diff(f, s) for s in values], values)
        assume(max(map(abs, slopes)) > 1e-3)
        with pytest.raises(sd.CheckError, match=r"tanh.* has a wrong rule"):
            sd.check(f, values)


def test_the_error_says_where_and_how():
    with scaled(el.sin, 1.001), pytest.raises(AssertionError) as caught:
        sd.check(lambda a, b: [a * b, sd.sin(a) / b])
    text = str(caught.value)
    assert isinstance(caught.value, sd.SymdiffError)
    for words in ("symbolic, forward, reverse of div", "result 1", "drawn point a = ", "✗", "test_check.py", "sin(a)"):
        assert words in text


def test_arrays_and_loops_with_a_broken_rule():
    big = sd.vector("big", 50_000)
    loop = sd.while_loop(lambda s, n: n < 4, lambda s, n: [sd.sin(s) * v, n + 1], [v, 0])[0]
    with scaled(el.sin, 1 + 1e-4):
        for f in (sd.sin(v) * v[0], loop, sd.sum(sd.sin(big))):
            with pytest.raises(sd.CheckError, match="has a wrong rule"):
                sd.check(f, points=1)


def test_points_lie_in_the_domain_and_come_again():
    f = sd.log(x - 1) * sd.arccosh(y) + sd.arcsin(sd.symbols("z"))
    first, again = ([*sample_points([f], [], 3, seed=5)] for _ in range(2))
    assert first == again
    assert all(np.isfinite(interpret([f], p)[0]) for p in first)
    assert len({float(p[x]) for p in first}) == 3
    (sizes,) = sample_points([sd.sum(sd.take(A @ v, k))], [], 1, seed=5)
    assert sizes[A].shape == (4, 3)
    assert sizes[k].shape == (3,)
    with pytest.raises(sd.DomainError, match="give a point"):
        sd.check(sd.log(-1 - x * x))


def test_kinks_are_judged_by_their_sides():
    for f in (abs(x), sd.relu(x), sd.maximum(x, 0), x * abs(x)):
        sd.check(f, {x: 0.0})


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: sd.check(sd.log(x), {x: -1.0}), sd.DomainError, "not finite at x = -1.0"),
        (lambda: sd.check(sd.sum(sd.log(v)), {v: [1.0, np.nan, 2.0]}), sd.DomainError, "nan"),
        (lambda: sd.check(k), sd.DerivativeError, "int64"),
        (lambda: sd.check(x * y, {"x": 1.0, "z": 2.0}), sd.UnknownSymbolError, "'z'"),
        (lambda: sd.check(x * y, {"x": 1.0}), sd.UnknownSymbolError, "No value was given for 'y'"),
        (lambda: sd.check(x * y, 1.0), sd.DTypeError, "mapping"),
        (lambda: sd.check(lambda *xs: xs[0]), sd.DTypeError, "name the parameters"),
        (lambda: sd.check(lambda a, b: a * b, (1.0,)), sd.UnknownSymbolError, "a, b, got 1"),
        (lambda: sd.check(lambda a, b: a * b, {"a": 1.0}), sd.UnknownSymbolError, "gives a"),
        (lambda: sd.check(sd.stop_gradient(x) * x, {x: 0.3}), sd.CheckError, "a constant to every derivative"),
    ],
)
def test_errors_say_what_to_do(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_nothing_is_checked_silently_by_nothing():
    """At a kink in every entry of a large array only the dot product is left, which a shared wrong rule passes."""
    big = sd.vector("big", 50_000)
    with pytest.raises(sd.CheckError, match="nothing compares the rules"):
        sd.check(sd.sum(sd.relu(big)), {big: np.zeros(50_000)})


def test_the_graph_is_left_as_it_was():
    f = sd.sin(x) * y
    before = [(n.op.name, n.line) for n in made_order([f])]
    sd.check(f, points=1)
    assert [(n.op.name, n.line) for n in made_order([f])] == before
