"""Tiles give the bits of whole turns: random stencils, sides, sizes, tiles and threads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from backends.cpu import kernel as kernels
from backends.cpu import trials
from backends.cpu.kernel import Kernel
from backends.cpu.tiles import Tile, cost, shortlist, tile_bytes
from backends.store import KernelStore
from symdiff.ops.rows import set_row
from symdiff.program.ir import Program, Sweep
from symdiff.program.schedule import schedule
from symdiff.program.sweep import with_sweeps
from tests.backends.random_stencils import NAMES, start, stencil_loop, two_fields


def problem(seed: int, dtype: str) -> tuple[Program, tuple[str, ...], int]:
    outputs, inputs, sides, r = stencil_loop(seed, dtype)
    return with_sweeps(schedule(outputs, inputs)), sides, r


@pytest.mark.parametrize(
    ("seed", "dtype"), [(2, "float64"), (3, "float32"), (4, "float64"), (6, "float64"), (7, "float32")]
)
def test_tiles_give_the_same_bits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seed: int, dtype: str) -> None:
    program, sides, r = problem(seed, dtype)
    (sweep,) = (s for s in program.statements if isinstance(s, Sweep))
    rng = np.random.default_rng(seed + 100)
    shape = tuple(int(x) for x in rng.integers(2 * r + 7, 30, len(sides)))
    sizes = {name: dict(zip(NAMES, shape, strict=False))[name] for name in program.sizes}
    arrays = [start(rng, shape, sides, r, dtype) for _ in sweep.states]
    inputs = [*arrays, rng.standard_normal(shape).astype(dtype), np.array(0.2, dtype), np.array(7)]
    # Small work is not given to threads; here it is.
    monkeypatch.setattr("backends.cpu.codegen.PARALLEL_NANOSECONDS", 0.0)
    monkeypatch.setattr(kernels, "PARALLEL_NANOSECONDS", 0.0)
    store = KernelStore(tmp_path)
    expected: list[np.ndarray] = []
    for k in range(5):
        tile = Tile(int(rng.integers(1, 9)) if k else 0, tuple(int(rng.integers(1, d + 1)) for d in shape))
        threads = int(rng.integers(1, 3))
        monkeypatch.setattr(kernels, "shortlist", lambda *_, tile=tile: [(0.0, tile)])
        found = Kernel(program, threads=threads, store=store)(inputs, sizes)
        expected = expected or found
        for a, b in zip(found, expected, strict=True):
            assert np.isfinite(a).all()
            assert (a == b).all(), f"seed {seed}, {dtype}, {shape}, {sides}, {tile}, {threads} threads"


def wave(n: int) -> tuple[Program, list[np.ndarray], dict[str, int]]:
    u = sd.matrix("u", "n", "n")
    steps = sd.array("steps", (), "int64")

    def turn(k: Any, v: Any) -> list[Any]:
        inner = 0.25 * (v[:-2, 1:-1] + v[2:, 1:-1] + v[1:-1, :-2] + v[1:-1, 2:])
        rows = sd.concatenate([inner[-1:], inner, inner[:1]], axis=0)
        return [k + 1, sd.concatenate([rows[:, -1:], rows, rows[:, :1]], axis=1)]

    v = sd.while_loop(lambda k, v: k < steps, turn, [0, u])[1]
    begin = np.random.default_rng(5).standard_normal((n, n))
    return with_sweeps(schedule([v], [u, steps])), [begin, np.array(9)], {"n": n}


def test_a_start_that_does_not_repeat_itself_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    program, inputs, sizes = wave(23)
    found = []
    for depth in (0, 3):
        monkeypatch.setattr(kernels, "shortlist", lambda *_, depth=depth: [(0.0, Tile(depth, (9, 11)))])
        found.append(Kernel(program)(inputs, sizes)[0])
    assert (found[0] == found[1]).all()


def test_no_turns_leave_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    program, inputs, sizes = wave(13)
    monkeypatch.setattr(kernels, "shortlist", lambda *_: [(0.0, Tile(4, (5, 11)))])
    (found,) = Kernel(program)([inputs[0], np.array(0)], sizes)
    assert (found == inputs[0]).all()


@pytest.mark.parametrize("n", [300, 1000, 5000])
@pytest.mark.parametrize("threads", [1, 2, 7])
def test_chosen_tiles_are_inside_and_cost_no_more_than_shallow_ones(n: int, threads: int) -> None:
    program, _, _ = wave(11)
    (sweep,) = (s for s in program.statements if isinstance(s, Sweep))
    found = shortlist(sweep, {"n": n}, threads)
    tile = found[0][1]
    assert [ns for ns, _ in found] == sorted(ns for ns, _ in found)
    assert len({t.depth for _, t in found}) == len(found)
    extents = (n - 2, n - 2)
    assert all(1 <= w <= d for w, d in zip(tile.widths, extents, strict=True))
    if tile.depth:
        assert cost(sweep, tile, extents, threads) <= cost(sweep, Tile(1, tile.widths), extents, threads)
        assert tile_bytes(sweep, tile) < 8 * n * n


@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_solver_runs_give_the_same_bits(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """Given values that move, slopes, a periodic axis and a second field, in chunks of one step and of many."""
    problem, fields = two_fields()
    found = []
    for depth in (0, 5):
        monkeypatch.setattr(kernels, "shortlist", lambda *_, depth=depth: [(0.0, Tile(depth, (8, 10)))])
        solver = problem.discretize((19, 23))
        found.append(solver.run(0.01, method=method))
    for field in fields:
        assert (found[0][field] == found[1][field]).all()


def test_the_fastest_of_a_short_list_is_found_and_a_tie_stays_with_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(trials.time, "perf_counter", lambda: now)
    seconds = {0: 0.00100, 3: 0.00050, 6: 0.00102}  # of a point and turn

    def run(tile: Tile, count: int) -> None:
        nonlocal now
        # Of 20 by 30 points, tiles of 9 by 16 make: 9 x 16, 9 x 14, 9 x 16, 9 x 14; the rest are not tried.
        assert count == (4 if tile.depth else 1)
        now += seconds[tile.depth] * (2 * 9 * 30 * tile.depth if tile.depth else 600)

    found = [(1.0, Tile(6, (9, 16))), (1.1, Tile(3, (9, 16))), (1.2, Tile(0, (20, 30)))]
    assert trials.fastest(found, run, (20, 30), 2).depth == 3
    assert trials.fastest(found[::2], run, (20, 30), 2).depth == 6


def test_a_measured_tile_is_remembered_and_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program, inputs, sizes = wave(151)
    listed = [(1.0, Tile(depth, (40, 151))) for depth in (4, 2, 0)]
    monkeypatch.setattr(kernels, "shortlist", lambda *_: listed)
    monkeypatch.setattr(trials, "_WORTH", 0.0)
    timed: list[Tile] = []
    measure = trials.fastest

    def fastest(found: list[tuple[float, Tile]], *rest: Any) -> Tile:
        timed.append(measure(found, *rest))
        return listed[1][1]

    monkeypatch.setattr(trials, "fastest", fastest)
    results = [Kernel(program, threads=2, store=KernelStore(tmp_path))(inputs, sizes)[0] for _ in range(2)]
    assert len(timed) == 1  # the second kernel knows
    assert timed[0] in [tile for _, tile in listed]
    monkeypatch.setattr(kernels, "shortlist", lambda *_: [(0.0, Tile(0, (151, 151)))])
    plain = Kernel(program, threads=2, store=KernelStore(tmp_path))(inputs, sizes)[0]
    assert (results[0] == plain).all()
    assert (results[1] == plain).all()


def test_what_changes_in_place_behind_a_piece_that_reads_it() -> None:
    """Entry k of h changes in turn k, when the array has been made with the old one."""
    v, h, n = sd.matrix("v", "n", "m"), sd.vector("h", "n"), sd.array("t", (), "int64")

    def turn(k: Any, h: Any, v: Any) -> list[Any]:
        near = sd.concatenate([v[:, :1], 0.5 * (v[:, :-2] + v[:, 2:]), v[:, -1:]], axis=1)
        return [k + 1, set_row(h, h[0] * 0.5 + 1, k), near + h[:, None]]

    outputs = list(sd.while_loop(lambda k, h, v: k < n, turn, [0, h, v])[1:])
    rng = np.random.default_rng(0)
    args = [rng.standard_normal(700), rng.standard_normal((700, 600)), 7]
    expected = sd.compile(outputs, [h, v, n], target="reference")(*args)
    for a, b in zip(sd.compile(outputs, [h, v, n])(*args), expected, strict=True):
        np.testing.assert_array_equal(a, b)
