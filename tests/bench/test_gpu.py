"""`symdiff bench --target cuda` without a GPU: the table of what is predicted; wrong names are named."""

from __future__ import annotations

import importlib.util
import io
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console

from symdiff.bench.gpu import GPU_CASES, row
from symdiff.ir.errors import CompileError
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


def test_a_case_that_has_no_form_for_gpus(console: Console) -> None:
    with pytest.raises(typer.BadParameter, match=r"on a GPU there are .*map, got gmm"):
        run_gpu(console, ["gmm"], None)


def test_what_is_measured_stands_beside_what_is_predicted(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    case = GPU_CASES["map 4e7 float64"]
    times = iter([3.0, 0.1])
    outcome = {"device": "a card", "run_s": 1e-3, "run_min_s": 1e-3, "runs": 7, "difference": 0.0}
    monkeypatch.setattr("symdiff.bench.gpu._process", lambda case, environment: outcome | {"first_s": next(times)})
    found = row(case, has_gpu=True)
    assert (found["first_s"], found["from_store_s"], found["run_s"]) == (3.0, 0.1, 1e-3)
    assert found["bound"] in ("memory", "arithmetic")
