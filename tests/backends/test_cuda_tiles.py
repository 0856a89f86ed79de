"""Several turns of stencils on one tile: the bits of whole turns in the simulator, code without a GPU, and the choice.

What runs in the simulator is started by `test_cuda_simulator`.
"""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from backends.cuda import Kernel
from backends.cuda import tiles as tiles_module
from backends.cuda.geometry import SHARED_BYTES, Geometry
from backends.cuda.tiles import fits, waits
from symdiff.passes import optimise
from symdiff.program.ir import Loop
from symdiff.program.schedule import schedule
from symdiff.program.sweep import find
from tests.backends.emulated import RUNS, device_class, small_geometry
from tests.backends.random_stencils import NAMES, start, stencil_loop, two_fields

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed: pip install 'symdiff[cuda]'"
)
emulated = pytest.mark.skipif(not RUNS, reason="runs in the simulator and on threads")
on_a_machine = pytest.mark.skipif(RUNS, reason="no PTX is made there")


def heat(dtype: str = "float64") -> tuple[list[Any], list[Any]]:
    """Turns of the five-point stencil between fixed sides."""
    u, turns = sd.array("u", ("n", "m"), dtype=dtype), sd.array("turns", (), "int64")

    def body(k: Any, v: Any) -> list[Any]:
        inner = 0.6 * v[1:-1, 1:-1] + 0.1 * (v[:-2, 1:-1] + v[2:, 1:-1] + v[1:-1, :-2] + v[1:-1, 2:])
        rows = sd.concatenate([v[1:-1, :1], inner, v[1:-1, -1:]], axis=1)
        return [k + 1, sd.concatenate([v[:1], rows, v[-1:]], axis=0)]

    return [sd.while_loop(lambda k, v: k < turns, body, [0, u])[1]], [u, turns]


def kernel(outputs: list[Any], inputs: list[Any], geometry: Geometry | None = None) -> Kernel:
    return Kernel(schedule(optimise(outputs), inputs), geometry)


def in_tiles(monkeypatch: pytest.MonkeyPatch, depth: int, shared: int, outputs: list[Any], inputs: list[Any]) -> Kernel:
    """A kernel that makes so many turns on a tile, whatever they gain."""
    monkeypatch.setattr(tiles_module, "_GAIN", 1e9)
    g = replace(small_geometry(), turns=(depth,), shared=shared, resident_blocks=0, least_tiles=1)
    return kernel(outputs, inputs, g)


def launched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which every kernel that starts from now on adds its skeleton."""
    names: list[str] = []
    original = device_class().launch

    def launch(self: Any, image: Any, name: str, *rest: Any, **options: Any) -> None:
        names.append(name.partition("_")[2])
        original(self, image, name, *rest, **options)

    monkeypatch.setattr(device_class(), "launch", launch)
    return names


@emulated
@pytest.mark.parametrize("depth", [pytest.param(1, marks=pytest.mark.slow), 2, 3])
def test_any_number_of_turns_has_the_bits_of_whole_turns(monkeypatch: pytest.MonkeyPatch, depth: int) -> None:
    dtype = "float32" if depth == 2 else "float64"
    outputs, inputs = heat(dtype)
    k = in_tiles(monkeypatch, depth, 1600, outputs, inputs)
    (tiling,) = k.tilings.values()
    names = launched(monkeypatch)
    reference = sd.compile(outputs, inputs, target="reference")
    shape = tuple(e + 5 for e in tiling.tiled.tile.extents)
    u = np.random.default_rng(depth).normal(size=shape).astype(dtype)
    for turns in (0, 1, 2 * depth + 1):
        names.clear()
        (got,) = k([u, np.array(turns)], dict(zip("nm", shape, strict=True)))
        np.testing.assert_array_equal(got, reference(u, turns)[0])
        # Chunks of 1, 2, 4, … tiles are launched ahead, the last ones in vain.
        n = -(-turns // depth)
        assert names.count("sweep_tiles") >= n
        assert "map_rows" not in names[names.index("sweep_tiles") :]


@emulated
@pytest.mark.parametrize(
    ("seed", "dtype", "depth", "shared"),
    [
        (2, "float64", 3, 6000),
        (5, "float32", 2, 6000),
        pytest.param(8, "float64", 1, 6000, marks=pytest.mark.slow),
        pytest.param(9, "float64", 2, 12_000, marks=pytest.mark.slow),
    ],
)
def test_random_stencils_have_the_bits_of_whole_turns(
    monkeypatch: pytest.MonkeyPatch, seed: int, dtype: str, depth: int, shared: int
) -> None:
    """Periodic, mirrored, held and moving sides, two states, stages, coefficients, and a number that changes."""
    outputs, inputs, sides, r = stencil_loop(seed, dtype, ranks=(2,))
    k = in_tiles(monkeypatch, depth, shared, outputs, inputs)
    (tiling,) = k.tilings.values()
    shape = tuple(e + 2 * r + 1 for e in tiling.tiled.tile.extents)
    rng = np.random.default_rng(seed)
    arrays = [start(rng, shape, sides, r, dtype) for _ in outputs]
    given = [*arrays, rng.standard_normal(shape).astype(dtype), np.array(0.2, dtype), np.array(2 * depth + 1)]
    names = launched(monkeypatch)
    found = k(given, dict(zip(NAMES, shape, strict=False)))
    assert "sweep_tiles" in names
    for a, b in zip(found, sd.compile(outputs, inputs, target="reference")(*given), strict=True):
        assert np.isfinite(a).all()
        np.testing.assert_array_equal(a, b)


@emulated
def test_sides_that_do_not_repeat_each_other_run_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs, inputs, sides, r = stencil_loop(2, "float64", ranks=(2,))
    assert "periodic" in sides
    k = in_tiles(monkeypatch, 2, 3000, outputs, inputs)
    (tiling,) = k.tilings.values()
    shape = tuple(e + 2 * r + 1 for e in tiling.tiled.tile.extents)
    rng = np.random.default_rng(4)
    arrays = [rng.standard_normal(shape) for _ in outputs]
    given = [*arrays, rng.standard_normal(shape), np.array(0.2), np.array(2)]
    names = launched(monkeypatch)
    found = k(given, dict(zip(NAMES, shape, strict=False)))
    assert "sweep_tiles" not in names
    for a, b in zip(found, sd.compile(outputs, inputs, target="reference")(*given), strict=True):
        np.testing.assert_array_equal(a, b)


@on_a_machine
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_kernels_compile_and_keep_the_tile_in_shared_memory(dtype: str) -> None:
    k = kernel(*heat(dtype))
    names = [n for n in k.kernels if n.endswith("sweep_tiles")]
    for capability in ((8, 0), (9, 0)):
        code = k.code(capability, names)
        kind = "f64" if dtype == "float64" else "f32"
        # The neighbours in the row, and those a row away, at fixed distances from one address.
        assert len([line for line in code.ptx.splitlines() if f"ld.shared.{kind}" in line and "+" in line]) >= 4
        assert f"ld.global.{kind}" in code.ptx
        (used,) = code.resources.values()
        assert used.stack == 0
        assert used.shared <= SHARED_BYTES + 1024  # what the system keeps of a block's
        assert used.registers <= 96


@emulated
def test_solvers_run_in_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given values that move, slopes, a periodic axis and a second field; turns enough for a tile and a half."""
    problem, fields = two_fields()
    monkeypatch.setattr(tiles_module, "_GAIN", 1e9)
    small = replace(small_geometry(), turns=(2,), shared=6000, resident_blocks=0, least_tiles=1)
    monkeypatch.setattr("backends.cuda.kernel.SIMULATED", small)
    monkeypatch.setattr("backends.cuda.kernel.Geometry", lambda: small)
    solver = problem.discretize((25, 17))
    names = launched(monkeypatch)
    found = solver.run(0.0012, method="euler", dt=4e-4, target="cuda")
    assert "sweep_tiles" in names
    expected = solver.run(0.0012, method="euler", dt=4e-4, target="cpu")
    for field in fields:
        np.testing.assert_allclose(found[field], expected[field], rtol=1e-14)


def test_turns_are_as_many_as_pay() -> None:
    """float32 halves the bytes of memory and of shared memory alike, so both have nearly the same best depth."""
    for dtype in ("float64", "float32"):
        (tiling,) = kernel(*heat(dtype), Geometry()).tilings.values()
        tile = tiling.tiled.tile
        assert 2 <= tile.depth <= 6
        assert tile.n_bytes <= SHARED_BYTES
        assert all(w + 2 * tile.depth == e for w, e in zip(tile.widths, tile.extents, strict=True))
        # At least half again as fast as whole turns, by the model.
        whole = 2 * (8 if dtype == "float64" else 4) / 4.3e12
        assert tile.seconds < whole / 1.5


@on_a_machine
def test_explain_tells_of_the_tile() -> None:
    fn = sd.compile(*heat(), target="cuda")
    assert "tiles of 42 x 58 points, 3 turns each, 49,152 bytes of shared memory" in str(fn.explain())


def test_small_grids_run_whole_turns() -> None:
    (tiling,) = kernel(*heat(), Geometry()).tilings.values()
    sweep, tile = tiling.tiled.sweep, tiling.tiled.tile
    assert not fits(sweep, tile, {"n": 300, "m": 300}, Geometry())
    assert fits(sweep, tile, {"n": 3000, "m": 3000}, Geometry())
    assert not fits(sweep, tile, {"n": 10**6, "m": tile.extents[1] - 1}, Geometry())


def test_threads_wait_for_what_they_read() -> None:
    """Sides and interior have no point in common; a second stencil of a turn reads the first one's result."""
    (tiling,) = kernel(*heat(), Geometry()).tilings.values()
    assert waits(tiling.tiled.sweep) == (False, False, False, False, True)
    outputs, inputs, _, _ = stencil_loop(10, "float64", ranks=(2,))
    (loop,) = (s for s in schedule(optimise(outputs), inputs).statements if isinstance(s, Loop))
    sweep = find(loop, 1000)
    assert sweep is not None
    found = waits(sweep)
    assert found[-1]
    assert sum(found) > 1
    for k, p in enumerate(sweep.pieces):
        for r in p.reads:
            writers = [j for j in range(k) if any(s.access.buffer is r.buffer for s in sweep.pieces[j].stores)]
            assert r.old or all(any(found[j:k]) for j in writers)


def test_arrays_of_three_axes_run_whole_turns() -> None:
    outputs, inputs, _, _ = stencil_loop(3, "float64", ranks=(3,))
    assert not kernel(outputs, inputs, Geometry()).tilings


def test_what_is_recorded_has_memory_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both vectors of a turn are made before the tiles begin; turn by turn the second could be where the first was."""
    monkeypatch.setattr(tiles_module, "_GAIN", 1e9)
    v, x, y = sd.matrix("v", "n", "m"), sd.vector("x", "n"), sd.vector("y", "n")
    turns = sd.array("turns", (), "int64")

    def near(v: Any) -> Any:
        return sd.concatenate([v[:, :1], 0.5 * (v[:, :-2] + v[:, 2:]), v[:, -1:]], axis=1)

    def body(k: Any, v: Any) -> list[Any]:
        s = sd.sin(x * k)
        q = sd.sin(x * sd.sum(sd.cos(y * sd.sum(sd.exp(s)))) * k)
        return [k + 1, near(near(v) + s[:, None]) * q[:, None]]

    found = sd.while_loop(lambda k, v: k < turns, body, [0, v])[1]
    k = kernel([found], [v, x, y, turns], Geometry())
    (tiling,) = k.tilings.values()
    recorded = tiling.tiled.sweep.recorded
    assert len(recorded) == 2
    slots = [next(slot for slot in k.slots if b in slot.buffers) for b in recorded]
    assert slots[0] is not slots[1]


def test_checks_have_buffers_of_their_own() -> None:
    """Sorting takes operands that kernels do not use: numbers of buffers have gaps."""
    outputs, inputs, sides, _ = stencil_loop(2, "float64", ranks=(2,))
    assert "periodic" in sides
    v = sd.vector("s", "k")
    k = kernel([sd.sort(v), sd.sort(2 * v), *outputs], [v, *inputs], Geometry())
    (tiling,) = k.tilings.values()
    flags = [flag.id for _, flag in tiling.tiled.sweep.checks]
    used = {b.id for b in (*k.program.inputs, *k.program.outputs, *k.program.temps)}
    assert flags
    assert not used & set(flags)


def test_sizes_of_what_is_recorded_are_passed() -> None:
    u, c, turns = sd.matrix("u", "n", "m"), sd.vector("c", "k"), sd.array("turns", (), "int64")

    def body(j: Any, c: Any, v: Any) -> list[Any]:
        return [j + 1, 0.5 * c, c[0] * sd.concatenate([v[:, :1], v[:, :-2] + v[:, 2:], v[:, -1:]], axis=1)]

    found = sd.while_loop(lambda j, c, v: j < turns, body, [0, c, u])[2]
    k = kernel([found], [u, c, turns], Geometry())
    (tiling,) = k.tilings.values()
    assert [b.shape for b in tiling.tiled.sweep.recorded] == [c.shape]
    assert set(k.layout(tiling.tiled).sizes) == {"n", "m", "k"}
