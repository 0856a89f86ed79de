"""Compiled functions called from the user's own `@numba.njit` code."""

from __future__ import annotations

import gc
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import symdiff as sd

numba = pytest.importorskip("numba")

X, Y = sd.symbols("x y")
A, W = sd.matrix("A", "n", "m"), sd.vector("w", "n")
RNG = np.random.default_rng(11)
ONE = sd.compile(sd.sin(X) * Y, [X, Y])
TWO = sd.compile({"a": sd.sin(X) * Y, "b": X + Y}, [X, Y])


@numba.njit
def as_global(a: float) -> float:
    return ONE(a, 2.0) + 1.0


@numba.njit
def as_argument(f: Any, a: float) -> float:
    total = 0.0
    for k in range(100):
        total += f(a, k)
    return total


def test_a_function_of_numbers_as_a_global_a_closure_and_an_argument() -> None:
    assert as_global(0.3) == ONE(0.3, 2.0) + 1
    inner = sd.compile(X - Y, [X, Y])
    closure = numba.njit(lambda a: inner(a, 1))
    assert closure(3) == 2.0
    assert as_argument(ONE, 0.5) == sum(ONE(0.5, k) for k in range(100))
    assert as_argument(inner, 0.5) == sum(inner(0.5, k) for k in range(100))


def test_several_results_are_a_tuple() -> None:
    assert numba.njit(lambda a: TWO(a, 2.0))(0.3) == tuple(TWO(0.3, 2.0).values())
    assert TWO.njit(0.3, 2.0) == tuple(TWO(0.3, 2.0).values())


def test_inside_a_parallel_loop() -> None:
    @numba.njit(parallel=True)
    def fill(out: np.ndarray) -> None:
        for k in numba.prange(out.size):
            out[k] = ONE(out[k], 2.0)

    values = np.linspace(0, 1, 1000)
    out = values.copy()
    fill(out)
    np.testing.assert_array_equal(out, [ONE(v, 2.0) for v in values])


@pytest.mark.parametrize("shape", [(5, 3), (1, 1), (0, 4), (300, 20)], ids=str)
def test_arrays(shape: tuple[int, int]) -> None:
    fn = sd.compile([sd.exp(A) * W[:, None], sd.sum(A, axis=0), sd.sum(A * A), A.T @ A, A[::2], W > 0], [A, W])
    args = RNG.normal(size=shape), RNG.normal(size=shape[0])
    called = numba.njit(lambda a, w: fn(a, w))
    for got, want in zip(called(*args), fn(*args), strict=True):
        np.testing.assert_array_equal(got, want)
        assert np.asarray(got).dtype == np.asarray(want).dtype


def test_integers_booleans_and_data() -> None:
    k, p = sd.array("k", ("n",), dtype="int64"), sd.array("p", ("n",), dtype="bool")
    c = sd.array("c", (), dtype="bool")
    fn = sd.compile([k * 2 + sd.sum(np.arange(4) * 1.0), p & (k > 1), sd.where(c, X, -X)], [k, p, c, X])
    args = np.array([1, 2, 3]), np.array([True, True, False]), True, 0.5
    for got, want in zip(fn.njit(*args), fn(*args), strict=True):
        np.testing.assert_array_equal(got, want)


def test_results_outlive_the_call_and_are_released() -> None:
    fn = sd.compile(W * 2.0, [W]).njit
    kept = [fn(np.full(1000, float(k))) for k in range(50)]
    gc.collect()
    assert [r[-1] for r in kept] == [2.0 * k for k in range(50)]


def test_code_stays_when_the_function_is_gone() -> None:
    called = _calling(sd.compile(X * 3.0 - Y, [X, Y]))
    assert called(2.0) == 5.0
    gc.collect()
    assert called(4.0) == 11.0


def _calling(fn: Any) -> Any:
    return numba.njit(lambda a: fn(a, 1.0))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((np.ones((3, 2)).T, np.ones(2)), "'A' is a C-contiguous float64 array of shape"),
        ((np.ones((3, 2)), 1.0), "'w' is a C-contiguous"),
        ((np.ones((3, 2)), np.ones(3, int)), "'w' is a C-contiguous float64 array"),
        ((np.ones((3, 2)),), "takes 2 arguments"),
    ],
    ids=["order", "number", "dtype", "count"],
)
def test_arguments_of_another_type_are_named(args: tuple[Any, ...], message: str) -> None:
    fn = sd.compile(sd.sum(A * W[:, None]), [A, W])
    with pytest.raises(numba.core.errors.TypingError, match=message):
        fn.njit(*args)


def test_an_array_for_a_number_is_refused() -> None:
    with pytest.raises(numba.core.errors.TypingError, match="'x' is a float64 number"):
        ONE.njit(np.ones(3), 1.0)


def test_shapes_and_indices_are_checked_when_it_runs() -> None:
    k = sd.array("k", ("m",), dtype="int64")
    with pytest.raises(sd.ShapeError, match="'w' has shape"):
        sd.compile(sd.sum(A * W[:, None]), [A, W]).njit(np.ones((3, 2)), np.ones(4))
    with pytest.raises(sd.DomainError, match="index is out of range"):
        sd.compile(sd.take(W, k, axis=0), [W, k]).njit(np.ones(3), np.array([3]))
    with pytest.raises(sd.DomainError, match="slice"):
        sd.compile(W[2:4] * 2, [W]).njit(np.ones(3))
    with pytest.raises(sd.DomainError, match="max"):
        sd.compile(sd.max(W), [W]).njit(np.ones(0))


def test_numba_does_not_cache_an_address() -> None:
    with pytest.warns(numba.core.errors.NumbaWarning, match="dynamic globals"):
        assert numba.njit(cache=True)(_with_cache)(1.0) == ONE(1.0, 2.0)


def _with_cache(a: float) -> float:
    return ONE(a, 2.0)


def test_other_targets_say_that_they_cannot() -> None:
    with pytest.raises(sd.CompileError, match="target='cpu'"):
        sd.compile(X, [X], target="reference").njit  # noqa: B018


def test_importing_symdiff_and_calling_a_function_does_not_import_numba() -> None:
    code = (
        "import sys, symdiff as sd; x = sd.symbols('x'); sd.compile(x*2, [x])(3.0); assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
