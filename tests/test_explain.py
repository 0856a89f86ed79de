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
    assert "gemm" in [r.strip() for r in rows]


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


def test_bytes_after_each_pass() -> None:
    # exp, a product and a sum of n entries; the square is written once although it is used twice.
    e = sd.compile(sd.sum(sd.exp(X * X) + X * X), [X]).explain()
    assert [str(p.n_bytes) for p in e.passes if p.name == "as written"] == ["24*n + 8"]
    assert sd.compile(X[::-1] * 1.5, [X]).explain().passes[0].n_bytes == 8 * X.shape[0]  # a view has no bytes


def chain() -> sd.Expr:
    """Three vectors one after another, each needed whole before the next: by a sum."""
    u = X
    for _ in range(3):
        e = sd.exp(-u * u)
        u = e / sd.sum(e)
    return u


def test_memory_with_and_without_reuse() -> None:
    fn = sd.compile(chain(), [X])
    e = fn.explain()
    assert (e.apart, e.reused, e.run) == (None, None, None)
    fn(np.linspace(0.1, 1.3, 1000))
    e = fn.explain()
    sums = 64 * 8  # one buffer holds all that are single numbers
    vectors = sum(str(s.sizes[0]) == "8*n" for s in e.slots)
    assert vectors == 1
    assert (e.apart, e.reused) == (8000 * (e.n_temporaries - 1) + sums, 8000 * vectors + sums)
    assert e.n_temporaries - 1 == 3
    assert f"{e.reused:,} bytes with reuse, {e.apart:,} without" in str(e)
    assert sd.compile(sd.sum(sd.exp(sd.vector("v", 5))), [sd.vector("v", 5)]).explain().apart == 0


def test_the_limit_and_the_part_that_a_run_reaches() -> None:
    fn = sd.compile([sd.exp(X), sd.sum(X * X)], [X])
    assert "limit" not in str(fn.explain())
    x = np.linspace(-1.0, 1.0, 3000)
    fn(x)
    first = fn.explain().run
    again = fn.explain(x).run
    assert first is not None
    assert again is not None
    assert (first.sizes, first.count) == ({"n": 3000}, 1)
    assert again.count >= 3
    assert again.limit is not None
    # Both read x once; one is written, and the sum.
    assert again.limit.n_bytes == 2 * 8 * 3000 + 8
    assert again.fraction == again.limit.seconds / again.seconds
    assert again.limit.bound in ("memory", "arithmetic")
    assert all(s.estimate is not None and s.estimate.seconds > 0 for s in fn.explain().statements)
    for text in ("at least", "fastest of", "% of the limit", "n = 3000"):
        assert text in str(fn.explain(x))


def test_a_mapped_function_is_explained_as_it_ran() -> None:
    x = sd.symbols("x")
    fn = sd.compile(sd.exp(x), [x])
    fn(np.linspace(0, 1, 700))
    e = fn.explain()
    assert e.statements[0].space == "(points__,)"
    assert e.run is not None
    assert e.run.limit is not None
    assert e.run.limit.n_bytes == 2 * 8 * 700


def test_loops_have_no_limit_but_their_statements_do() -> None:
    i, u = sd.while_loop(lambda i, u: i < 3, lambda i, u: [i + 1, u * X], [0, X])
    fn = sd.compile([i, u], [X])
    fn(np.ones(50))
    e = fn.explain()
    assert e.run is not None
    assert e.run.limit is e.run.fraction is None
    assert all(s.estimate is not None for s in e.statements if s.instructions)
    assert "the turns of loops" in str(e)


def test_a_sweep_tells_its_tile() -> None:
    u, steps = sd.matrix("u", "n", "m"), sd.array("steps", (), "int64")

    def turn(k, v):
        inner = 0.5 * v[1:-1] + 0.25 * (v[:-2] + v[2:])
        return [k + 1, sd.concatenate([u[:1], inner, u[-1:]], axis=0)]

    fn = sd.compile(sd.while_loop(lambda k, v: k < steps, turn, [0, u])[1], [u, steps])
    fn(np.zeros((2001, 1500)), 3)
    sweep = next(s for s in fn.explain().statements if s.what == "sweep")
    assert sweep.estimate is not None
    assert " turns of " in sweep.estimate.tile
    assert sweep.estimate.n_bytes <= 2 * 8 * 2001 * 1500  # the state comes and goes once in several turns


def test_other_targets_are_timed_too() -> None:
    fn = sd.compile(sd.exp(X), [X], target="reference")
    e = fn.explain(np.ones(3))
    assert e.run is not None
    assert e.run.limit is None
    assert "runs: " in str(e)


def test_gradient_cost_over_function_cost() -> None:
    x = sd.symbols("x")
    f = sd.exp(x) * sd.sin(x)
    # The gradient exp(x)*cos(x) + sin(x)*exp(x) shares exp, sin and a product: cos, mul and add are new.
    e = sd.compile([f, sd.gradient(f, x)], [x]).explain()
    assert e.ratio == 6 / 3
    assert "all outputs: 2 x the operations of the first output alone" in str(e)
    assert sd.compile(f, [x]).explain().ratio is None
    assert sd.compile([x, f], [x]).explain().ratio is None
