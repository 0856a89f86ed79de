"""Function.explain: numbers that can be counted by hand, on every target."""

from __future__ import annotations

import io

import numpy as np
import pytest

import symdiff as sd
from symdiff.passes import PIPELINE

X = sd.vector("x", "n")


def test_operations_statements_and_memory() -> None:
    e = sd.compile([sd.exp(X) * sd.sum(X * X), X[::-1] @ X], [X]).explain()
    assert [name for name, _ in e.operations] == ["as written", *(f"after {p.__name__}" for p in PIPELINE)]
    assert e.operations[0][1] == 6  # exp, mul, sum, mul, slice, matmul
    last = e.statements[-1]
    assert (last.space, str(last.points)) == ("(n,)", "n")
    assert (last.read, last.written) == (8, 8)  # the sum is read once
    assert e.n_temporaries >= 1


def test_code() -> None:
    first = sd.compile(X * 1.2345, [X]).explain()
    again = sd.compile(X * 1.2345, [X], threads=1).explain()
    assert "compiled now" in first.code["object"]
    assert "from the kernel store" in again.code["object"]
    assert again.code["threads"] == "one"
    assert int(first.code["object"].split()[0]) > 100


def test_loops_and_calls_have_rows() -> None:
    a = sd.matrix("A", "n", "n")
    i, b = sd.while_loop(lambda i, b: i < 3, lambda i, b: (i + 1, b @ a), [0, a])
    rows = [s.what for s in sd.compile([i, b], [a]).explain().statements]
    assert "while" in rows
    assert "  gemm" in rows


@pytest.mark.parametrize("target", ["cpu", "reference"])
def test_it_prints_as_text_and_as_tables(target: str) -> None:
    from rich.console import Console

    e = sd.compile(sd.sum(sd.exp(X)), [X], target=target).explain()
    assert str(e).startswith("<symdiff function (x: float64(n,))")
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(e)
    text = console.export_text()
    assert "as written" in text
    assert ("temporaries" in text) == (target == "cpu")
    np.testing.assert_allclose(sd.compile(sd.sum(sd.exp(X)), [X])([0.0, 1.0]), 1 + np.e, rtol=1e-15)


def test_gradient_cost_over_function_cost() -> None:
    x = sd.symbols("x")
    f = sd.exp(x) * sd.sin(x)
    # The gradient exp(x)*cos(x) + sin(x)*exp(x) shares exp, sin and a product: cos, mul and add are new.
    e = sd.compile([f, sd.gradient(f, x)], [x]).explain()
    assert e.ratio == 6 / 3
    assert "all outputs: 2 x the operations of the first output alone" in str(e)
    assert sd.compile(f, [x]).explain().ratio is None
    assert sd.compile([x, f], [x]).explain().ratio is None
