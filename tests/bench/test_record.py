"""Runs are kept as JSON and come back as they were; what is no record is refused by name."""

from __future__ import annotations

import json

import pytest

import symdiff as sd
from symdiff.bench.cases import CASES
from symdiff.bench.record import FORMAT, Record, folder, keep, kept, load, together
from symdiff.bench.runner import Comparison, Entry

FACTS = {"processor": "none", "llvm_name": "x86-64", "cores": 2, "load": 0.25}


@pytest.fixture(autouse=True)
def data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SYMDIFF_DATA_DIR", str(tmp_path))
    return tmp_path


def comparison(case: str, n: int, run_s: float) -> Comparison:
    said = {"check": {"value": [3.0]}, "build_s": 0.25, "run_s": run_s, "import_s": 0.1}
    ours = Entry("symdiff", [said, said], [0.03, 0.05])
    return Comparison(case, {"n": n}, [ours, Entry("numpy", [said]), Entry("jax", problem="broke", failed=True)])


def test_a_record_comes_back_as_it_was(data_folder):
    record = Record.of(FACTS, FACTS, [comparison("call", 8, 2e-7)])
    record.save(data_folder / "new" / "here.json")
    again = load(data_folder / "new" / "here.json")
    assert again.comparisons == record.comparisons
    assert (again.time, again.version, again.before) == (record.time, sd.__version__, FACTS)
    assert [f.name for f in (data_folder / "new").iterdir()] == ["here.json"]
    found = json.loads((data_folder / "new" / "here.json").read_text())["comparisons"][0]
    assert found["implementations"]["symdiff"]["run_s"] == 2e-7
    assert found["implementations"]["symdiff"]["build_from_store_s"] == pytest.approx(0.04)


def test_kept_runs_together_show_the_newest_of_every_size():
    assert kept() == []
    with pytest.raises(sd.DomainError, match="No run is kept"):
        together(kept())
    path = keep(Record.of(FACTS, FACTS, [comparison("map", 100_000, 5.0), comparison("map", 1_000, 1.0)]))
    assert path.parent == folder()
    path.rename(path.with_name("20000101-000000-1.json"))
    keep(Record.of(FACTS, FACTS, [comparison("map", 1_000, 2.0), comparison("call", 8, 3.0)]))
    assert len(kept()) == 2
    found = [(c.case, c.sizes["n"], c.fastest_peer("run_s")) for c in together(kept()).comparisons]
    assert found == [("map", 1_000, 2.0), ("map", 100_000, 5.0), ("call", 8, 3.0)]


def test_a_case_that_is_gone_is_left_out(data_folder, monkeypatch):
    Record.of(FACTS, FACTS, [comparison("map", 1_000, 1.0), comparison("call", 8, 3.0)]).save(data_folder / "a.json")
    monkeypatch.delitem(CASES, "map")
    assert [c.case for c in load(data_folder / "a.json").comparisons] == ["call"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not JSON", "is no record of a benchmark"),
        ("[1, 2]", "is no record of a benchmark"),
        ('{"format": 1}', "KeyError: 'comparisons'"),
        (f'{{"format": {FORMAT + 1}}}', f"has format {FORMAT + 1}, this version reads {FORMAT}"),
        (None, "cannot be read: No such file"),
    ],
)
def test_what_is_no_record_is_refused(data_folder, text, said):
    if text is not None:
        (data_folder / "a.json").write_text(text)
    with pytest.raises(sd.DomainError, match=said) as found:
        load(data_folder / "a.json")
    assert "a.json" in str(found.value)
