"""Columns of narrow arrays are stored as rows: the same numbers, whatever the length, width and kind."""

from __future__ import annotations

import numpy as np
import pytest

import symdiff as sd
from symdiff.ir.interpret import interpret


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "bool"])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 5])
def test_columns(width: int, dtype: str) -> None:
    x = sd.array("x", ("n",), dtype=dtype)
    columns = [x if k == 0 else x[::-1] if k == 2 else x * (k + 2) if dtype != "bool" else ~x for k in range(width)]
    if width == 4:
        columns[1] = sd.astype(sd.full((x.shape[0],), 1.0), dtype)
    f = sd.stack(columns, axis=1)
    fn = sd.compile(f, [x])
    for n in (0, 1, 5, 8, 16, 17, 1003):
        values = (np.random.default_rng(n).standard_normal(n) * 9).astype(dtype)
        np.testing.assert_array_equal(fn(values), interpret([f], {x: values})[0])


def test_rows_of_a_stack_are_one_run_of_stores() -> None:
    x = sd.vector("x", "n")
    text = sd.compile(sd.stack([x, 2 * x, 3 * x], axis=1), [x]).inspect("llvm")
    assert "shufflevector" in text
