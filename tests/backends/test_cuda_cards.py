"""What is told of kernels beforehand, against NVIDIA's data sheets and occupancy calculator, and counts by hand."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import replace

import numpy as np
import pytest

import symdiff as sd
from backends.cuda.cards import CARDS, USUAL, card_of, occupancy
from backends.cuda.explain import estimates
from symdiff.bench.gpu import GPU_CASES, predict

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed: pip install 'symdiff[cuda]'"
)


# Threads of a block, registers of a thread, bytes of shared memory of a block, and the part of the threads.
@pytest.mark.parametrize(
    ("capability", "block", "part"),
    [
        ((9, 0), (256, 32, 0), 1.0),
        ((9, 0), (256, 33, 0), 0.75),  # 40 are taken: six blocks
        ((9, 0), (256, 64, 0), 0.5),
        ((9, 0), (256, 255, 0), 0.125),
        ((9, 0), (1024, 65, 0), 0.0),  # a block has no room
        ((9, 0), (256, 16, 48 * 1024), 0.5),  # four times 49 KiB in 228
        ((8, 0), (256, 16, 48 * 1024), 0.375),
        ((8, 6), (256, 40, 0), 1.0),
        ((9, 0), (32, 16, 0), 0.5),  # 32 blocks at most
    ],
    ids=str,
)
def test_occupancy(capability: tuple[int, int], block: tuple[int, int, int], part: float) -> None:
    assert occupancy(capability, *block) == part


def test_rates_are_those_of_the_data_sheets() -> None:
    # TFLOP/s of float64 and float32 without tensor cores; a fused multiply-add counts twice.
    for name, double, single in (("H100", 33.5, 66.9), ("H200", 33.5, 66.9), ("A100", 9.7, 19.5)):
        found = [2e-12 * CARDS[name].rate(itemsize) for itemsize in (8, 4)]
        np.testing.assert_allclose(found, [double, single], rtol=0.01)
    assert card_of("NVIDIA H100 80GB HBM3").name == "H100"
    assert card_of("a card of tomorrow") is USUAL


def test_a_copy_is_bound_by_memory_and_a_power_by_arithmetic() -> None:
    x = sd.array("x", ("n",))
    n = 1_000_003
    for f, bound in ((x * 2, "memory"), (x**2.5 + (x + 1) ** 1.7, "arithmetic")):
        program = sd.compile(f, [x], target="cuda").kernel.program
        whole, of = estimates(program, program.statements, (), {"n": n}, USUAL)
        assert whole is not None
        assert whole.n_bytes == 16 * n
        assert whole.memory == pytest.approx(16 * n / 4.3e12)
        assert whole.bound == bound
        assert len(of) == 1


def test_what_shares_rows_reads_them_once() -> None:
    n, d = 1_000_000, 64
    found = predict(replace(GPU_CASES["logreg 2e6 float64"], sizes={"n": n, "d": d}))
    assert 8 * n * (d + 1) <= found.n_bytes <= 1.02 * 8 * n * (d + 1)


def test_explain_tells_kernels_and_limits_without_a_gpu() -> None:
    pytest.importorskip("cuda.bindings.nvjitlink", reason="nvJitLink comes with numba-cuda[cu13]")
    x = sd.array("x", ("n",))
    fn = sd.compile(sd.exp(x), [x], target="cuda")
    if fn.kernel.can_run:
        pytest.skip("there is a GPU, or the simulator")
    text = str(fn.explain(np.broadcast_to(0.0, 10**9)))
    for part in ("registers", "of a multiprocessor's threads", "16,000,000,000 bytes", "there is no GPU here"):
        assert part in text
    assert fn.explain().run is not None


def test_predictions_of_the_bench() -> None:
    points = GPU_CASES["map 4e7 float64"]
    found = predict(points)
    assert found.n_bytes == 3 * 8 * points.sizes["n"]
    grid = next(c for c in GPU_CASES.values() if c.case == "heat2d" and c.dtype == "float32")
    n, steps = grid.sizes["n"], grid.sizes["steps"]
    # A tile's turns read and write the grid once, with a rim that is read again.
    (tiling,) = grid.build("cuda", grid.dtype).kernel.tilings.values()
    least = steps * 2 * 4 * n * n / tiling.tiled.tile.depth
    assert least <= predict(grid).n_bytes <= 1.3 * least
    assert predict(grid).bound == "shared memory"
    assert math.isfinite(predict(grid).seconds)
