"""What programs ask of run-time sizes."""

from __future__ import annotations

import pytest

import symdiff as sd
from symdiff.ops.leaves import iota
from symdiff.program.requirements import InRange, NotEmpty, requirements

# Names of its own: a structure that another test writes too would carry the line of that test.
X, W = sd.vector("x_sized", "n"), sd.vector("w_sized", 5)


def test_literal_sizes_ask_nothing() -> None:
    assert requirements([W[1:3], sd.max(W), X * 2, sd.sum(X)], [X, W]) == ()


@pytest.mark.parametrize(
    ("cut", "least"),
    [(X[2:5], 5), (X[1:], 1), (X[-3:], 3), (X[3], 4), (X[1:-1], 2), (X[::-1], 0), (X[4:1:-1], 5)],
    ids=str,
)
def test_the_least_size_of_a_slice(cut: sd.Expr, least: int) -> None:
    (need,) = requirements([cut], [X])
    assert isinstance(need, InRange)
    for n in range(7):
        if n < least:
            with pytest.raises(sd.DomainError, match="test_requirements"):
                need.check({"n": n})
        else:
            need.check({"n": n})


def test_extremes_and_loops() -> None:
    _, u = sd.while_loop(lambda i, u: i < 3, lambda i, u: (i + 1, u + sd.max(u) + u[-1]), [0, X])
    kinds = [type(need) for need in requirements([u], [X])]
    assert sorted(k.__name__ for k in kinds) == ["InRange", "NotEmpty"]
    with pytest.raises(sd.DomainError, match="empty axis"):
        next(r for r in requirements([sd.max(X)], [X]) if isinstance(r, NotEmpty)).check({"n": 0})


def test_requirements_are_in_the_text_of_a_program_without_lines() -> None:
    text = sd.compile(X[2:5], [X]).inspect("program")
    assert "require 3 indices 2, 2 + 1 ... in [0, n)" in text
    assert "test_requirements" not in text


def test_a_size_without_an_input_is_an_error() -> None:
    with pytest.raises(sd.UnknownSymbolError, match="'w', which the shape of no input gives"):
        requirements([iota(n=sd.vector("q", "w").shape[0])], [X])
