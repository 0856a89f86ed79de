"""Nodes are interned, remember where they were made, and refuse what has no meaning."""

from __future__ import annotations

import gc
import inspect
import threading
import weakref

import numpy as np
import pytest

import symdiff as sd
from symdiff.ir import node as node_module
from symdiff.ir.graph import count_ops, free_symbols, substitute, topological
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node

x, y = sd.symbols("x y")
A = sd.matrix("A", "n", 3)


def test_equal_structure_is_one_object() -> None:
    assert sd.symbols("x") is x
    assert sd.sin(x) * y is sd.sin(x) * y
    assert x * y is not y * x
    assert hash(sd.sin(x)) == hash(sd.sin(x))
    assert len({sd.sin(x), sd.sin(x), sd.cos(x)}) == 2
    assert sd.vector("w", 3) is not sd.vector("w", 4)


def test_nodes_that_nobody_needs_are_forgotten() -> None:
    ref = weakref.ref(sd.sin(x * 1234.5678))
    gc.collect()
    assert ref() is None
    before = len(node_module._table)
    for k in range(1000):
        sd.cos(x * (k + 0.125))
    gc.collect()
    assert len(node_module._table) <= before + 10


def test_a_deep_graph_is_forgotten_without_recursion() -> None:
    f: Node = x
    for _ in range(30_000):
        f = sd.sin(f) + y
    assert count_ops([f]) == 60_000
    assert interpret([f], {x: 0.0, y: 0.0})[0] == 0.0
    del f
    gc.collect()


def test_interning_is_safe_under_threads() -> None:
    barrier = threading.Barrier(8)
    found: list[list[Node]] = [[] for _ in range(8)]

    def work(k: int) -> None:
        barrier.wait()
        f: Node = x
        for i in range(300):
            f = sd.sin(f) * (y + 0.5 * i)
            found[k].append(f)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all(a is b for others in found[1:] for a, b in zip(found[0], others, strict=True))


def test_the_line_is_the_users() -> None:
    here = inspect.currentframe()
    assert here is not None
    made = sd.arctan(x * 3.25) + 1
    assert made.line == f"{__file__}:{here.f_lineno - 1}"
    slope = sd.gradient(made, x)
    # A derivative belongs to the line of what was differentiated.
    assert slope.line == made.line


def test_errors_name_shapes_and_line() -> None:
    here = inspect.currentframe()
    assert here is not None
    with pytest.raises(sd.ShapeError, match=rf"3 against 4.*test_node\.py:{here.f_lineno + 1}"):
        A + np.ones(4)
    with pytest.raises(sd.ShapeError, match=r"\(n, 3\) @ \(2,\).*in matmul of .*test_node\.py"):
        A @ np.ones(2)
    with pytest.raises(sd.ShapeError, match="cannot be reshaped"):
        sd.reshape(A, (4,))
    with pytest.raises(sd.SymdiffError, match=r"truth value of gt.*test_node\.py.*use where"):
        bool(x > 0.03125)
    with pytest.raises(sd.SymdiffError, match="has no number yet"):
        float(sd.sin(x))
    with pytest.raises(sd.ShapeError, match="scalar and has no length"):
        len(x)
    with pytest.raises(sd.ShapeError, match="run-time size n"):
        len(A)
    with pytest.raises(TypeError, match="unsupported operand"):
        x + "1"
    with pytest.raises(sd.DTypeError, match=r"Expected an expression or a number, got 'x' of type str; sd\.parse"):
        sd.sin("x")
    with pytest.raises(sd.DTypeError, match="bits does not fit"):
        x + 10**400


def test_python_and_numpy_numbers() -> None:
    assert (x + np.float64(2)) is (x + 2.0)
    assert (np.float64(2) + x) is (2.0 + x)
    assert (np.ones(3) + x).shape == (3,)
    assert (np.ones((2, 1)) * sd.vector("w", 3)).shape == (2, 3)
    assert float(sd.sin(x).subs({x: 0.0})) == 0.0


def test_folding_of_literals_and_neutral_elements() -> None:
    assert x + 0 is x
    assert 1 * x is x
    assert x**1 is x
    assert x / 1 is x
    assert sd.negative(-x) is x
    # 0 * x is not 0 for an infinite x.
    assert (0 * x).op.name == "mul"


def test_dtypes_follow_numpy() -> None:
    kinds = ("bool", "int64", "float32", "float64")
    for a in kinds:
        for b in kinds:
            p, q = sd.array("p", (2,), dtype=a), sd.array("q", (2,), dtype=b)
            expected = np.add(np.ones(2, a), np.ones(2, b)).dtype
            assert (p + q).dtype == ("int64" if expected.kind == "b" else str(expected))
            assert (p / q).dtype == str(np.divide(np.ones(2, a), np.ones(2, b)).dtype)
            assert (p < q).dtype == "bool"


def test_walks() -> None:
    f = sd.sin(x * y) + x * y
    order = topological([f])
    assert [n.op.name for n in order] == ["symbol", "symbol", "mul", "sin", "add"]
    assert free_symbols([f]) == [x, y]
    assert count_ops([f]) == 3
    (g,) = substitute([f], {y: x})
    assert g is sd.sin(x * x) + x * x


def test_interpreter_refuses_wrong_values() -> None:
    with pytest.raises(sd.UnknownSymbolError, match=r"No value was given for 'y'"):
        interpret([x * y], {x: 1.0})
    with pytest.raises(sd.ShapeError, match=r"'A' has shape \(n, 3\).*got a value of shape \(2, 4\)"):
        interpret([A], {A: np.ones((2, 4))})
    k, i = (sd.array(name, (2,), dtype="int64") for name in "ki")
    with pytest.raises(sd.DTypeError, match="'k' has dtype int64, got values of dtype float64"):
        interpret([k], {k: np.ones(2)})
    with pytest.raises(sd.DomainError, match=r"out of (range|bounds)"):
        interpret([sd.take(np.arange(3.0), i)], {i: np.array([0, 3])})


def test_an_extreme_of_nothing_is_refused() -> None:
    with pytest.raises(sd.ShapeError, match="max over an empty axis"):
        sd.max(sd.vector("none", 0))
    w = sd.vector("w", "n")
    with pytest.raises(sd.DomainError, match=r"max over an empty axis of an array of shape \(0,\)"):
        interpret([sd.max(w)], {w: np.zeros(0)})


def test_watching_an_interpretation() -> None:
    """`around` sees every computed node with its arguments and may replace its value."""
    seen = []

    def around(node, args, evaluate):
        value = evaluate(args)
        seen.append(node.op.name)
        return value + 1 if node.op.name == "sin" else value

    assert interpret([sd.sin(x) * 2], {x: 0.0}, around=around) == [2.0]
    assert seen == ["sin", "const", "mul"]
