"""Which statements share blocks of rows, and which nests become one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.ir.dims import as_extent, divide, is_at_least, multiply
from symdiff.ir.node import Node
from symdiff.passes import optimise
from symdiff.program.ir import Nest, Program, Rows, Statement, walk
from symdiff.program.merge import merge
from symdiff.program.rows import in_rows
from symdiff.program.schedule import schedule

X, Y, W = sd.matrix("X", "n", "d"), sd.vector("y", "n"), sd.vector("w", "d")


def _program(outputs: Sequence[Node], inputs: Sequence[Node]) -> Program:
    return in_rows(schedule(optimise(outputs), inputs))


def _rows(program: Program) -> list[Rows]:
    return [s for s in program.statements if isinstance(s, Rows)]


def test_loss_and_gradient_read_the_data_in_one_pass() -> None:
    loss = sd.mean(sd.log(1 + sd.exp(-Y * (X @ W))))
    (rows,) = _rows(_program([loss, sd.gradient(loss, W)], [X, Y, W]))
    assert str(rows.extent) == "n"
    # Margins; loss and weights of the rows; the sum of the rows with these weights.
    assert [m.sums for m in rows.members] == [False, True, True]
    assert len(rows.local) == 2
    n_exponentials = sum(
        getattr(i, "name", "") == "exp" for m in rows.members for i in getattr(m.statement, "body", ())
    )
    assert n_exponentials == 1


def test_what_needs_all_rows_comes_after_them() -> None:
    centred = X - sd.mean(X, axis=0)
    program = _program([sd.sum(centred**2, axis=0), sd.exp(centred)], [X])
    assert len(_rows(program)) <= 1
    means = next(k for k, s in enumerate(program.statements) if isinstance(s, Nest) and s.reductions)
    assert all(not isinstance(s, Rows) for s in program.statements[: means + 1])


@pytest.mark.parametrize("power", [lambda a: a @ a, lambda a: a @ a @ a, lambda a: sd.sum(sd.exp(a @ a), axis=1)])
def test_a_square_needs_all_rows_of_itself(power: Callable[[Any], Any]) -> None:
    """Large enough for several blocks of rows; the matrix that is squared is computed, and could be local to one."""
    a = sd.matrix("A", "n", "n")
    values = np.random.default_rng(0).normal(size=(700, 700)) / 26
    got = sd.compile(power(sd.tanh(a)), [a])(values)
    np.testing.assert_allclose(
        got, sd.compile(power(a), [a], target="reference")(np.tanh(values)), rtol=1e-9, atol=1e-12
    )


def test_neighbouring_rows_are_not_shared() -> None:
    u = sd.vector("u", "n")
    v = sd.exp(u)
    program = _program([v, sd.sum(v[1:] * v[:-1])], [u])
    assert not _rows(program)


def test_results_of_a_group_are_no_local_buffers() -> None:
    margin = X @ W
    (rows,) = _rows(_program([margin, sd.exp(margin) @ X], [X, W]))
    assert all(b.kind == "temp" for b in rows.local)
    stored = {s.access.buffer.kind for m in rows.members for s in getattr(m.statement, "stores", ())}
    reduced = {r.access.buffer.kind for m in rows.members for r in getattr(m.statement, "reductions", ())}
    assert "output" in stored | reduced


def test_nests_over_one_space_become_one() -> None:
    loss = sd.mean(sd.log(1 + sd.exp(-Y * (X @ W))))
    before = schedule(optimise([loss, sd.gradient(loss, W)]), [X, Y, W]).statements
    after = merge(before)

    def over_n(statements: Sequence[Statement]) -> list[Nest]:
        return [s for s in statements if isinstance(s, Nest) and list(map(str, s.space)) == ["n"]]

    assert len(over_n(before)) == 2
    assert len(over_n(after)) == 1


def test_a_nest_that_needs_a_whole_sum_stays_apart() -> None:
    total = sd.sum(sd.exp(W))
    merged = merge(schedule(optimise([sd.exp(W) / total, sd.sin(W)]), [W]).statements)
    assert len([s for s in merged if isinstance(s, Nest) and s.space]) == 2


def test_loops_are_searched_too() -> None:
    def turn(k: Node, w: Node) -> list[Node]:
        margin = X @ w
        return [k + 1, w - 0.1 * (sd.tanh(margin) @ X)]

    last = sd.while_loop(lambda k, w: k < 5, turn, [0, W])[1]
    program = _program([last], [X, W])
    assert any(isinstance(s, Rows) for s in walk(program.statements))
    assert "rows in blocks of n" in str(program)


def test_extents_divide_and_compare() -> None:
    n, d = as_extent("n"), as_extent("d")
    both = multiply(multiply(n, d), 6)
    assert divide(both, multiply(n, 2)) == multiply(d, 3)
    assert divide(both, multiply(n, n)) is None
    assert divide(n + 1, n) is None
    assert divide(n + 1, n + 1) == 1
    assert divide(12, 4) == 3
    assert divide(13, 4) is None
    assert is_at_least(n + 2, n)
    assert is_at_least(n + d, n)
    assert not is_at_least(n, d)
    assert not is_at_least(n, 1)
