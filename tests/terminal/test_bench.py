"""The command `bench`: what it refuses, what it keeps, what it draws. Times are looked at by nobody."""

from __future__ import annotations

import json

import numpy as np
import pytest

from symdiff.bench.measure import PEERS
from symdiff.bench.record import Record, kept
from symdiff.bench.runner import Comparison, Entry
from symdiff.draw.plot import STYLES
from symdiff.terminal.app import run
from symdiff.terminal.bench_plot import curves, save_png

FACTS = {"processor": "none", "llvm_name": "x86-64", "cores": 2, "load": 0.25}


@pytest.fixture(autouse=True)
def data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SYMDIFF_DATA_DIR", str(tmp_path))
    return tmp_path


def entry(name: str, run_s: float, value: float = 3.0) -> Entry:
    return Entry(name, [{"check": {"value": [value]}, "build_s": 0.25, "run_s": run_s, "import_s": 0.1}])


def record(*extra: Entry) -> Record:
    """Ours costs 2 ns a point and NumPy 5."""
    sizes = (1_000, 100_000)
    both = [Comparison("map", {"n": n}, [entry("symdiff", 2e-9 * n), entry("numpy", 5e-9 * n)]) for n in sizes]
    both[1].entries.extend(extra)
    return Record.of(FACTS, FACTS, [*both, Comparison("logreg", {"n": 7, "d": 3}, [entry("symdiff", 1.0)])])


def test_a_run_compares_keeps_and_writes_what_it_measured(data_folder, capsys):
    file = data_folder / "here.json"
    assert run(["bench", "call", "--size", "n=8", "--peers", "numpy", "--rounds", "1", "--json", str(file)]) == 0
    out = capsys.readouterr().out
    for text in ("call n=8", "symdiff", "numpy", "÷ fastest", "reference", "✓", "kept in"):
        assert text in out
    assert [path.read_text() for path in kept()] == [file.read_text()]
    found = json.loads(file.read_text())["comparisons"][0]
    assert found["failures"] == []
    assert found["differences"]["symdiff"] < 1e-14  # x y + x - y has three roundings
    assert set(found["implementations"]) == {"symdiff", "numpy"}


def test_kept_runs_and_files_are_shown_with_curves(data_folder, capsys):
    assert run(["bench", "--kept"]) == 1
    assert "No run is kept" in capsys.readouterr().err
    record().save(data_folder / "bench" / "a.json")
    for arguments in (["--kept"], ["--file", str(data_folder / "bench" / "a.json")]):
        assert run(["bench", *arguments]) == 0
        out = capsys.readouterr().out
        for text in ("map n=100000", "0.4", "2 ns", "map: seconds to run", "map: seconds to build", "not compared"):
            assert text in out
        assert "logreg: seconds" not in out  # one size makes no curve


def test_results_that_differ_fail(data_folder, capsys):
    record(entry("jax", 1e-9, value=3.1)).save(data_folder / "bench" / "a.json")
    assert run(["bench", "--kept"]) == 1
    assert "FAILED map n=100000: jax and numpy differ by 3.2e-02" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope"], "There is no case 'nope'"),
        (["map", "--size", "q=3"], "map has the sizes n, got 'q=3'"),
        (["map", "--size", "n=many"], "could not convert"),
        (["map", "--peers", "matlab"], "There is no peer 'matlab'"),
        (["map", "--rounds", "0"], "'--rounds'"),
    ],
)
def test_wrong_usage_is_told_before_anything_runs(arguments, said, capsys):
    assert run(["bench", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_cases_are_listed(capsys):
    assert run(["bench", "--list"]) == 0
    assert "logreg" in capsys.readouterr().out


def test_curves_are_ours_first_then_by_speed_over_the_work_of_a_run():
    found = list(curves(record(entry("jax", 1e-9), entry("torch", 1e-3)).comparisons))
    assert [(c.case, c.key) for c in found] == [("map", "run_s"), ("map", "build_s")]
    # Those measured at every size come first; one point is drawn as a mark.
    assert [s.name for s in found[0].series] == ["symdiff", "numpy", "jax", "torch"]
    np.testing.assert_array_equal(found[0].series[0].x, [1_000, 100_000])
    np.testing.assert_allclose(found[0].series[0].y, [2e-6, 2e-4], rtol=1e-15)


def test_more_peers_than_colours_are_drawn_as_far_as_these_reach(data_folder, capsys):
    record(*(entry(peer, 1e-3) for peer in PEERS if peer != "numpy")).save(data_folder / "a.json")
    assert len(PEERS) + 1 > len(STYLES)
    assert run(["bench", "--file", str(data_folder / "a.json")]) == 0
    assert "symdiff" in capsys.readouterr().out


def test_pictures(data_folder):
    pytest.importorskip("matplotlib")
    files = save_png(list(curves(record().comparisons)), data_folder / "figures")
    assert [f.name for f in files] == ["map.png"]
    assert files[0].read_bytes()[:4] == b"\x89PNG"
