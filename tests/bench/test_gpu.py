"""`symdiff bench --target cuda` without a GPU: the table of what is predicted; wrong names are named."""

from __future__ import annotations

import importlib.util
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from rich.console import Console

from symdiff.bench import gpu, peer_numpy
from symdiff.bench.gpu import GPU_CASES, GpuCase, row
from symdiff.ir.errors import CompileError
from symdiff.terminal import bench_gpu
from symdiff.terminal.bench_gpu import run_gpu

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed: pip install 'symdiff[cuda]'"
)


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Console:
    def missing(ordinal: int | None = None) -> Any:
        raise CompileError("there is no GPU: pip install 'symdiff[cuda]'")

    monkeypatch.setattr("backends.cuda.kernel.here", missing)
    return Console(file=io.StringIO(), width=120)


def test_the_table_without_a_gpu(console: Console, tmp_path: Path) -> None:
    assert run_gpu(console, ["map"], tmp_path / "out.json")
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for part in ("symdiff[cuda]", "predicted for the H200", "map 4e7 float64", "0.96 GB"):
        assert part in text
    (found,) = json.loads((tmp_path / "out.json").read_text())["rows"]
    assert found["n_bytes"] == 960_000_000
    assert found["least_s"] == max(found["memory"], found["arithmetic"])


def test_what_fails_is_said_once_and_whole(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(case: GpuCase, has_gpu: bool) -> None:
        raise CompileError("numba-cuda is not installed: pip install 'symdiff[cuda]'")

    monkeypatch.setattr(bench_gpu, "row", fail)
    assert not run_gpu(console, [], None)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert text.count("FAILED numba-cuda is not installed: pip install 'symdiff[cuda]'") == 1


def test_a_case_that_has_no_form_for_gpus(console: Console) -> None:
    with pytest.raises(typer.BadParameter, match=r"on a GPU there are .*map, got gmm"):
        run_gpu(console, ["gmm"], None)


def test_what_is_measured_stands_beside_what_is_predicted(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    case = GPU_CASES["map 4e7 float64"]
    times = iter([3.0, 0.1])
    outcome = {"device": "a card", "run_s": 1e-3, "run_min_s": 1e-3, "runs": 7, "difference": 0.0}

    def process(case: GpuCase, environment: Any, *options: str) -> dict[str, Any]:
        # PyTorch is there without a GPU.
        return {"jax": {"run_s": 2e-3}, "torch": {}}[options[1]] if options else outcome | {"first_s": next(times)}

    monkeypatch.setattr(gpu, "_process", process)
    monkeypatch.setattr(gpu, "is_installed", lambda peer: True)
    monkeypatch.setattr(gpu, "makers", lambda peer: peer_numpy.CASES)
    found = row(case, has_gpu=True)
    assert (found["first_s"], found["from_store_s"], found["run_s"]) == (3.0, 0.1, 1e-3)
    assert found["bound"] in ("memory", "arithmetic")
    assert found["peers"] == {"jax": 2e-3}
    console.print(bench_gpu._table([found], "a card"))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "JAX" in text
    assert "2 ms" in text


def test_tiles_are_predicted_to_move_less_than_whole_turns() -> None:
    case = GPU_CASES["heat2d 16384² float64"]
    p = gpu.predict(case)
    whole = 48 * 2 * 8 * 16384**2
    assert 0.2 * whole < p.n_bytes < 0.6 * whole
    assert p.seconds < 0.7 * whole / 4.3e12


def test_a_peer_is_timed_when_its_results_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    case = replace(GPU_CASES["adam_loop 2000 float64"], sizes={"n": 23, "d": 3, "steps": 20})
    monkeypatch.setattr(gpu, "_SHORTEST", 1e-6)
    monkeypatch.setattr(gpu, "makers", lambda peer: peer_numpy.CASES)
    monkeypatch.setattr(gpu, "_uses_gpu", lambda peer: False)
    assert gpu.measure_peer(case, "torch") == {}
    monkeypatch.setattr(gpu, "_uses_gpu", lambda peer: True)
    assert gpu.measure_peer(case, "torch")["runs"] >= 11
    wrong = replace(case, build=lambda target, dtype: lambda *args: np.ones(3))
    with pytest.raises(ValueError, match="torch differs by"):
        gpu.measure_peer(wrong, "torch")
