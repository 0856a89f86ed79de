"""Kernels against NumPy, in numba-cuda's simulator and on threads of this machine: see `emulated`.

Both are switched on before numba-cuda is imported, so the tests of this file run in processes of their own: outside
of them one test starts those, and the others are not collected.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.backends.emulated import RUNS, SIMULATED, device_class, small_geometry

EPS = np.finfo(float).eps
# A sum of some dozen terms in another order.
RTOL = 64 * EPS

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed: pip install 'symdiff[cuda]'"
)

if not RUNS:
    SIMULATOR, ON_THREADS = "NUMBA_ENABLE_CUDASIM", "SYMDIFF_CUDA_THREADS"
    HERE = "tests/backends/test_cuda_"
    RUNS_OF = [
        (SIMULATOR, (f"{HERE}simulator.py", f"{HERE}arrays.py")),
        pytest.param(SIMULATOR, (f"{HERE}simulator_calls.py", f"{HERE}tiles.py"), marks=pytest.mark.slow),
        (ON_THREADS, (f"{HERE}simulator.py", f"{HERE}simulator_calls.py")),
        (ON_THREADS, (f"{HERE}tiles.py", "tests/test_primitives.py", "--target=cuda")),
        pytest.param(ON_THREADS, ("tests/backends/test_cpu_programs.py",), marks=pytest.mark.slow),
    ]

    @pytest.mark.parametrize(("switch", "arguments"), RUNS_OF)
    def test_without_a_gpu(switch: str, arguments: tuple[str, ...]) -> None:
        root = Path(__file__).parents[2]
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
        environment = {**os.environ, switch: "1"}
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=1200)
        assert done.returncode == 0, done.stdout + done.stderr

else:
    import symdiff as sd
    from backends.cuda import Kernel
    from backends.cuda.batches import Batched
    from backends.cuda.fused import Fused
    from symdiff.ops.control import while_loop
    from symdiff.ops.index import embed, scatter_add, take
    from symdiff.passes import optimise
    from symdiff.program.schedule import schedule

    GEOMETRY, Device = small_geometry(), device_class()
    # Blocks have 4 or 64 threads and a grid 3 blocks: sizes below, at and above each, and none a multiple of both.
    LENGTHS = (0, 1, 3, 4, 5, 12, 13, 37) if SIMULATED else (0, 1, 31, 64, 65, 192, 193, 400)

    def run(outputs: Any, inputs: list[Any], *values: Any) -> Any:
        return sd.compile(outputs, inputs, target="cuda")(*values)

    def draw(*shape: int) -> np.ndarray:
        return np.random.default_rng(sum(shape) + len(shape)).normal(size=shape)

    @pytest.mark.parametrize("n", LENGTHS)
    def test_maps_with_several_outputs(n: int) -> None:
        x, y = sd.array("x", ("n",)), sd.array("y", ("n",))
        a, b = draw(n), draw(n) + 2
        got = run({"f": sd.exp(x) * y, "g": x > y, "h": sd.floor(x).astype("int64")}, [x, y], a, b)
        np.testing.assert_allclose(got["f"], np.exp(a) * b, rtol=RTOL)
        np.testing.assert_array_equal(got["g"], a > b)
        np.testing.assert_array_equal(got["h"], np.floor(a).astype(np.int64))

    def test_scalars_and_literal_arrays() -> None:
        x = sd.symbols("x")
        table = np.array([0.5, -1.5, 4.0])
        value, row = run([sd.sin(x) * 2, x * table], [x], 0.75)
        assert value == pytest.approx(2 * np.sin(0.75), rel=RTOL)
        np.testing.assert_allclose(row, 0.75 * table, rtol=RTOL)

    def test_arrays_where_scalars_were_declared() -> None:
        x, y = sd.symbols("x y")
        a = draw(2, 7)
        np.testing.assert_allclose(run(x * sd.cos(y), [x, y], a, 0.3), a * np.cos(0.3), rtol=RTOL)

    @pytest.mark.parametrize("n", LENGTHS)
    @pytest.mark.parametrize("axes", [(0, 1), (0,), (1,)], ids=str)
    def test_sums_and_products(n: int, axes: tuple[int, ...]) -> None:
        x = sd.matrix("x", "n", 5)
        a = draw(n, 5)
        got_sum, got_product = run([sd.sum(x, axis=axes), sd.prod(1 + x / 8, axis=axes)], [x], a)
        np.testing.assert_allclose(got_sum, a.sum(axis=axes), rtol=RTOL, atol=RTOL)
        np.testing.assert_allclose(got_product, (1 + a / 8).prod(axis=axes), rtol=RTOL)

    @pytest.mark.parametrize(("n", "m"), [(5, 3), (37, 5), (90, 2), (3, 70)])
    def test_rows_and_columns_in_parts(n: int, m: int) -> None:
        """Several strips of columns and parts of rows, none whole; the same with a second sum of another number."""
        x = sd.matrix("x", "n", "m")
        a = draw(n, m)
        rows, columns, squares = run([sd.sum(x, axis=1), sd.sum(x, axis=0), sd.sum(x * x, axis=0)], [x], a)
        np.testing.assert_allclose(rows, a.sum(axis=1), rtol=RTOL, atol=RTOL)
        np.testing.assert_allclose(columns, a.sum(axis=0), rtol=RTOL, atol=RTOL)
        np.testing.assert_allclose(squares, (a * a).sum(axis=0), rtol=RTOL)

    @pytest.mark.parametrize("n", [1, 3, 8, 23])
    @pytest.mark.parametrize("axis", [None, 0, 1])
    def test_extremes_and_nan(n: int, axis: int | None) -> None:
        x = sd.array("x", (n, 6))
        a = draw(n, 6)
        for values in (a, np.where(a == a.flat[n // 2], np.nan, a)):
            largest, smallest = run([sd.max(x, axis=axis), sd.min(x, axis=axis)], [x], values)
            np.testing.assert_array_equal(largest, values.max(axis=axis))
            np.testing.assert_array_equal(smallest, values.min(axis=axis))

    def test_many_results_take_one_thread_each() -> None:
        x = sd.matrix("x", "n", "m")
        a = draw(70, 9)
        assert GEOMETRY.by_thread(*a.shape)
        np.testing.assert_allclose(run(sd.sum(x * x, axis=1), [x], a), (a * a).sum(axis=1), rtol=RTOL)

    @pytest.mark.parametrize("dtype", ["float32", "int64"])
    def test_other_dtypes(dtype: str) -> None:
        x = sd.array("x", ("n",), dtype=dtype)
        a = (10 * draw(29)).astype(dtype)
        total, doubled = run([sd.sum(x), x * 2], [x], a)
        # 29 terms of size 10: the rounding of float32 at the size of the partial sums.
        assert total == pytest.approx(a.sum(dtype=float), abs=29 * 100 * float(np.finfo(np.float32).eps))
        assert doubled.dtype == dtype
        np.testing.assert_array_equal(doubled, a * 2)

    def test_a_loss_and_its_gradient() -> None:
        a, w, y = sd.matrix("A", "n", 3), sd.vector("w", 3), sd.array("y", ("n",))
        f = sd.sum(sd.log1p(sd.exp(-y * (a @ w)))) / a.shape[0]
        matrix, weights, labels = draw(23, 3), draw(3), np.sign(draw(23))
        value, slope = run([f, sd.gradient(f, w)], [a, w, y], matrix, weights, labels)
        margin = labels * (matrix @ weights)
        assert value == pytest.approx(np.log1p(np.exp(-margin)).mean(), rel=RTOL)
        expected = -(labels / (1 + np.exp(margin))) @ matrix / 23
        np.testing.assert_allclose(slope, expected, rtol=RTOL, atol=RTOL)

    # Batches of 5 rows, at most 6 parts: one that is not whole, several in a part, few rows in none.
    @pytest.mark.parametrize(("n", "dtype"), [(3, "float64"), (6, "float64"), (23, "float32"), (67, "float64")])
    def test_losses_go_through_batches_of_rows(monkeypatch: pytest.MonkeyPatch, n: int, dtype: str) -> None:
        x, w, y = sd.matrix("X", "n", "d"), sd.vector("w", "d"), sd.vector("y", "n")
        margin = y * (x @ w)
        loss = sd.mean(sd.log(1 + sd.exp(-margin)))
        outputs = [loss, sd.gradient(loss, w), sd.max(margin), sd.sum(x * x, axis=0), sd.tanh(margin)]
        names: list[str] = []
        launch = Device.launch
        monkeypatch.setattr(
            Device, "launch", lambda self, image, name, *rest: names.append(name) or launch(self, image, name, *rest)
        )
        data = [a.astype(dtype) for a in (draw(n, 3), draw(3), np.sign(draw(n)))]
        fn = sd.compile(outputs, [x, w, y], target="cuda", dtype=dtype)
        expected = sd.compile(outputs, [x, w, y], target="reference")(*(a.astype(float) for a in data))
        for got, want in zip(fn(*data), expected, strict=True):
            eps = np.finfo(dtype).eps
            np.testing.assert_allclose(got, want, rtol=200 * eps, atol=200 * eps)
        assert any("batches" in name for name in names) == (n >= 5)

    def test_batches_keep_what_later_ones_read() -> None:
        """Turn by turn a vector of the rows could take the place of a constant that all of them read."""
        x, y = sd.matrix("X", "n", "d"), sd.matrix("Y", "n", "d")
        a = sd.exp(x)
        share = a / sd.sum(a, axis=1)[:, None]
        e = sd.sum(sd.tanh(share * sd.log(sd.sum(share * y, axis=1))[:, None]), axis=1)
        loss = sd.sum(e * e)
        outputs = [loss, *sd.gradient(loss, [x, y])]
        args = [draw(13, 2), np.abs(draw(13, 2)) + 1]
        fn = sd.compile(outputs, [x, y], target="cuda")
        assert any(isinstance(j, Batched) for j in fn.kernel.joins.values())
        for got, want in zip(fn(*args), sd.compile(outputs, [x, y], target="reference")(*args), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)

    @pytest.mark.parametrize("n", LENGTHS)
    def test_guards_of_embedded_parts(n: int) -> None:
        x = sd.array("x", ("n",))
        a = draw(n)
        got = run(embed(x, shape=(x.shape[0] + 5,), starts=(2,), steps=(1,)) + 1.0, [x], a)
        np.testing.assert_array_equal(got, np.pad(a, (2, 3)) + 1.0)

    def test_strided_views_and_products() -> None:
        x, y = sd.matrix("x", 4, "n"), sd.matrix("y", "n", 3)
        a, b = draw(4, 7), draw(7, 3)
        flipped, product = run([x.T[::-2, 1:], x @ y], [x, y], a, b)
        np.testing.assert_array_equal(flipped, a.T[::-2, 1:])
        np.testing.assert_allclose(product, a @ b, rtol=RTOL, atol=RTOL)

    @pytest.mark.parametrize(("n", "d", "h"), [(1, 1, 1), (9, 3, 5), (17, 6, 9)])
    def test_products_with_what_follows(n: int, d: int, h: int) -> None:
        """An epilogue: the product not kept, kept for another reader, and a result itself."""
        x, w, b = sd.matrix("X", "n", "d"), sd.matrix("W", "d", "h"), sd.vector("b", "h")
        hidden = sd.tanh(x @ w + b)
        dtype = "float32" if n == 9 else "float64"
        data = [a.astype(dtype) for a in (draw(n, d), draw(d, h), draw(h))]
        eps = np.finfo(dtype).eps
        for outputs, kept in (([hidden], False), ([hidden, x @ w], True), ([hidden, 2 * (x @ w)[0]], True)):
            fn = sd.compile(outputs, [x, w, b], target="cuda", dtype=dtype)
            (joined,) = fn.kernel.joins.values()
            assert (type(joined), joined.is_kept) == (Fused, kept)
            expected = sd.compile(outputs, [x, w, b], target="reference")(*(a.astype(float) for a in data))
            for got, want in zip(fn(*data), expected, strict=True):
                np.testing.assert_allclose(got, want, rtol=64 * eps, atol=64 * eps)

    def test_an_epilogue_writes_nowhere_that_the_product_reads() -> None:
        """In memory the map's result could be where the product's operand is, which other blocks still read."""
        x, w = sd.matrix("X", "n", "n"), sd.matrix("W", "n", "n")
        chain = x
        for k in range(3):
            chain = sd.sin((chain + k) @ w)
        fn = sd.compile(chain, [x, w], target="cuda")
        assert len(fn.kernel.joins) == 3
        a, b = draw(21, 21), draw(21, 21) / 8
        expected = a
        for k in range(3):
            expected = np.sin((expected + k) @ b)
        np.testing.assert_allclose(fn(a, b), expected, rtol=1e-11, atol=1e-12)

    @pytest.mark.parametrize("n", LENGTHS[1:])
    def test_gathers_and_their_transpose(n: int) -> None:
        x, index = sd.array("x", ("n", 2)), sd.array("i", ("k",), dtype="int64")
        a, where = draw(n, 2), np.random.default_rng(n).integers(-n, n, 11)
        values = sd.array("v", ("k", 2))
        b = draw(11, 2)
        taken, spread = run(
            [sd.exp(take(x, index, axis=0)), scatter_add(values, index, axis=0, extent=x.shape[0])],
            [x, index, values], a, where, b,
        )  # fmt: skip
        np.testing.assert_allclose(taken, np.exp(a[where]), rtol=RTOL)
        expected = np.zeros((n, 2))
        np.add.at(expected, where, b)
        np.testing.assert_array_equal(spread, expected)  # the terms in the order of the index: the same bits

    @pytest.mark.parametrize("bad", [5, -6])
    def test_an_index_out_of_range_is_an_error(bad: int) -> None:
        x, index = sd.array("x", (5,)), sd.array("i", ("k",), dtype="int64")
        with pytest.raises(sd.DomainError, match="out of range"):
            run(take(x, index, axis=0), [x, index], draw(5), np.array([0, bad]))

    def test_loops_exchange_their_buffers() -> None:
        x, n = sd.array("x", ("m",)), sd.array("n", (), dtype="int64")
        y, turns = while_loop(lambda y, k: k < n, lambda y, k: (y * x + 1.0, k + 1), [x, 0])
        a = draw(9)
        for count in (0, 1, 4):
            expected = a.copy()
            for _ in range(count):
                expected = expected * a + 1.0
            got, k = run([y, turns], [x, n], a, count)
            np.testing.assert_allclose(got, expected, rtol=RTOL)
            assert k == count

    def test_long_loops_as_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
        """Chunks of 1, 2 and 4 turns, from the second of 4 on as a graph; an odd number of turns inside a chunk."""
        for module in ("loops", "run"):
            monkeypatch.setattr(f"backends.cuda.{module}.MOST_AHEAD", 4)
        played: list[int] = []
        replay = Device.replay
        monkeypatch.setattr(Device, "replay", lambda self, *args: played.append(1) or replay(self, *args))
        x, n = sd.array("x", ("m",)), sd.array("n", (), dtype="int64")
        root = while_loop(lambda y, k: k < n, lambda y, k: (y * x + 1.0, k + 1), [x, 0])
        program = schedule(optimise(list(root)), [x, n])
        kernel = Kernel(program, replace(GEOMETRY, resident_blocks=0))
        a = draw(9)
        for count in (15, 22):
            expected = a.copy()
            for _ in range(count):
                expected = expected * a + 1.0
            got, k = kernel([a, np.array(count)], {"m": 9})
            np.testing.assert_allclose(got, expected, rtol=RTOL)
            assert k == count
        assert len(played) >= 4

    def test_results_do_not_depend_on_how_many_blocks_run() -> None:
        x = sd.array("x", ("n", 3))
        program = schedule(optimise([sd.sum(sd.sin(x), axis=0), sd.sum(x)]), [x])
        a = draw(53, 3)
        first = Kernel(program, GEOMETRY)([a], {"n": 53})
        for blocks in (1, 2, 7):
            again = Kernel(program, replace(GEOMETRY, most_blocks=blocks))([a], {"n": 53})
            for p, q in zip(first, again, strict=True):
                np.testing.assert_array_equal(p, q)

    def test_results_go_into_given_arrays() -> None:
        x = sd.array("x", ("n",))
        out = np.empty(6)
        a = draw(6)
        assert sd.compile(x + 1, [x], target="cuda")(a, out=out) is out
        np.testing.assert_array_equal(out, a + 1)
