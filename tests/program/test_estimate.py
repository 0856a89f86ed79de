"""What statements move: counted by hand."""

from __future__ import annotations

import symdiff as sd
from symdiff.program.estimate import Estimate, compulsory, traffic
from symdiff.program.ir import Call, Nest
from symdiff.program.schedule import schedule

A, X, K = sd.matrix("A", "n", "m"), sd.vector("x", "m"), sd.array("k", ("p",), dtype="int64")
SIZES = {"n": 100, "m": 30, "p": 7}


def moved(f, *inputs):
    return [traffic(s, SIZES) for s in schedule([f], inputs).statements]


def test_an_operand_that_is_broadcast_is_read_once():
    assert moved(A * X, A, X) == [(8 * (100 * 30 + 30), 8 * 100 * 30)]


def test_neighbours_are_parts_of_one_array():
    # Two accesses to 29 of 30 entries each: the whole vector, once.
    assert moved(X[1:] * X[:-1], X) == [(8 * 30, 8 * 29)]


def test_gathers_read_an_entry_for_every_index():
    assert moved(sd.take(X, K), X, K) == [(8 * 7 + 8 * 7, 8 * 7)]


def test_sums_write_what_they_keep():
    assert moved(sd.sum(A, axis=1), A) == [(8 * 100 * 30, 8 * 100)]


def test_products_read_their_operands_and_write_one():
    b = sd.matrix("B", "m", "p")
    program = schedule([sd.sin(A @ b)], [A, b])
    product = next(s for s in program.statements if isinstance(s, Call))
    assert traffic(product, SIZES) == (8 * (100 * 30 + 30 * 7), 8 * 100 * 7)
    assert sum(isinstance(s, Nest) for s in program.statements) == 1
    assert compulsory(program, SIZES) == (8 * (100 * 30 + 30 * 7), 8 * 100 * 7)


def test_the_limit_is_the_slower_of_both():
    assert (Estimate(2.0, 1.5, 10, "L2").seconds, Estimate(2.0, 1.5, 10, "L2").bound) == (2.0, "memory")
    assert (Estimate(2.0, 2.5, 10, "L2").seconds, Estimate(2.0, 2.5, 10, "L2").bound) == (2.5, "arithmetic")
