"""What recurrences and sorting become: one call each, over views of what is in memory already."""

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.ops.rows import set_row
from symdiff.program.ir import Call, Nest
from symdiff.program.schedule import schedule

RNG = np.random.default_rng(37)


def calls(f, *inputs):
    program = schedule([f], inputs)
    return [s for s in program.statements if isinstance(s, Call)], program


def test_a_running_sum_has_no_factors():
    x = sd.matrix("x", "n", 3)
    (call,), program = calls(sd.cumsum(x, 0), x)
    assert call.name == "recurrence"
    assert [str(e) for e in call.extents] == ["n", "3"]
    assert call.operands[0].buffer is program.inputs[0]
    assert len(call.operands) == 2


def test_one_factor_for_all_stays_one_number():
    b = sd.matrix("b", "n", "m")
    (call,), _ = calls(sd.recurrence(0.5, b, axis=1), b)
    factor = call.operands[0]
    assert factor.buffer.shape == ()
    assert factor.strides == (0, 0, 0)
    assert [str(e) for e in call.extents] == ["n", "m", "1"]


def test_from_the_end_is_from_the_start_of_what_is_read_backwards():
    a, b = sd.vector("a", "n"), sd.vector("b", "n")
    (call,), _ = calls(sd.recurrence(a, b, reverse=True), a, b)
    factors, terms, result = call.operands
    # Entry k from the end takes the factor of the entry before it: one place further in memory.
    assert [str(o.offset) for o in (factors, terms, result)] == ["n", "n - 1", "n - 1"]
    assert all(o.strides == (-1, 0) for o in call.operands)


def test_sorting_needs_scratch_for_one_line():
    x = sd.matrix("x", "n", "m")
    (call,), program = calls(sd.argsort(x, 0), x)
    assert call.name == "argsort"
    assert [str(e) for e in call.extents] == ["m", "n"]
    assert [str(o.buffer.shape[0]) for o in call.operands[2:]] == ["n"] * 3
    # The columns are sorted where they are; only the result is put in rows again.
    assert call.operands[0].buffer is program.inputs[0]
    assert sum(isinstance(s, Nest) for s in program.statements) == 1


def test_products_are_written_where_they_belong():
    x, w = sd.matrix("x", "n", "k"), sd.matrix("w", "k", "m")
    for f in (x @ w, sd.concatenate([x @ w, x @ w + 1.0], axis=0), sd.stack([x, x]) @ w):
        found, program = calls(f, x, w)
        assert found[-1].operands[2].buffer is program.outputs[0]
    # BLAS writes whole rows: beside others in wider ones, and in another order, a product is copied.
    for f in (sd.concatenate([x @ w, x @ w + 1.0], axis=1), (x @ w).T, (x @ w)[::2]):
        (call,), program = calls(f, x, w)
        assert call.operands[2].buffer is not program.outputs[0]
    a, b = RNG.normal(size=(4, 6)), RNG.normal(size=(6, 5))
    both = sd.compile([x @ w, sd.concatenate([x @ w, x @ w + 1.0], axis=0)], [x, w])(a, b)
    np.testing.assert_allclose(both[0], a @ b, rtol=1e-13)
    np.testing.assert_allclose(both[1], np.concatenate([a @ b, a @ b + 1.0]), rtol=1e-13)


def test_a_copy_for_a_library_call_does_not_change_what_others_read():
    x, w = sd.matrix("x", "n", 6), sd.matrix("w", 6, 5)
    padded = sd.pad(x, ((1, 1), (0, 0)))
    data, weights = RNG.normal(size=(7, 6)), RNG.normal(size=(6, 5))
    shifted, product, order = sd.compile([padded + 1.5, padded @ w, sd.argsort(padded, 0)], [x, w])(data, weights)
    full = np.pad(data, ((1, 1), (0, 0)))
    np.testing.assert_array_equal(shifted, full + 1.5)
    np.testing.assert_allclose(product, full @ weights, rtol=64 * np.finfo(float).eps)  # sums of six terms
    np.testing.assert_array_equal(order, np.argsort(full, 0, kind="stable"))


def test_a_row_that_is_read_where_it_stands_is_read_before_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The inner loop would work on the rows in place, and one of them is needed before and after it."""
    monkeypatch.setenv("SYMDIFF_CACHE_MB", "0")
    s, zero = sd.matrix("s", 4, 3), sd.array("zero", (), "int64")

    def inner(j: Any, t: Any, w: Any) -> list[Any]:
        return [j + 1, set_row(t, w + 1.0 * j, j), w * 0.5]

    def turn(k: Any, t: Any, r: Any) -> list[Any]:
        row = sd.take(t, k, axis=0)
        _, t1, w = sd.while_loop(lambda j, *_: j < 4, inner, [zero, t, 2.0 * row])
        return [k + 1, t1, r + row + w]

    outputs = list(sd.while_loop(lambda k, *_: k < 3, turn, [zero, s, sd.zeros(3)]))
    a = np.arange(12.0).reshape(4, 3)
    got, expected = (sd.compile(outputs, [s, zero], target=t)(a, 0) for t in ("cpu", "reference"))
    for x, y in zip(got, expected, strict=True):
        np.testing.assert_array_equal(x, y)
