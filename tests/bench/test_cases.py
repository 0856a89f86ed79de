"""The benchmark's own parts: our implementations agree with NumPy's or SciPy's at tiny sizes. No clock is looked at."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from symdiff.bench import measure, ours, peer_numpy, peer_scipy
from symdiff.bench.cases import CASES, OPERATIONS, WIDTH, Case, difference, fingerprint, straight_line
from symdiff.bench.runner import Comparison, Entry
from symdiff.terminal import bench_report as report


def said(value: float, run_s: float) -> dict:
    """What a process prints."""
    return {"check": {"value": [value]}, "build_s": 0.25, "run_s": run_s, "import_s": 0.1}


def reference(case: str) -> str:
    """Which peer's results a case is held against: NumPy's where it has the case."""
    return "numpy" if case in peer_numpy.CASES else "scipy"


@pytest.mark.parametrize("way", ours.CASES)
def test_ours_agrees_with_a_peer(way):
    case, _, variant = way.partition(":")
    sizes, found = CASES[case].tiny, []
    for name in (f"symdiff:{variant}" if variant else "symdiff", reference(case)):
        work = measure.job(name, case, sizes)
        found.append(measure.measure(case, work, only_build=True)["check"])
    assert set(found[0]) == set(CASES[case].names)
    assert difference(*found) <= CASES[case].tolerance


@pytest.mark.parametrize("n", [case["n"] for case in CASES["call"].sizes])
def test_calls_of_scalars_and_arrays(n):
    works = [measure.job(name, "call", {"n": n}) for name in ("symdiff", "numpy")]
    found = [measure.measure("call", work, only_build=True)["check"] for work in works]
    assert difference(*found) <= CASES["call"].tolerance


@pytest.mark.parametrize("case", CASES.values(), ids=lambda c: c.name)
def test_every_case_is_implemented(case: Case):
    assert case.name in ours.CASES
    assert case.name in peer_numpy.CASES | peer_scipy.CASES
    assert all(s.keys() == case.tiny.keys() for s in case.sizes)


def test_programs_have_the_asked_number_of_operations_and_none_dead():
    for n in (100, 123, 1000):
        program = straight_line(n)
        used = set(program.outputs)
        for operation, a, b in program.steps:
            assert operation in OPERATIONS
            used |= {a} if b is None else {a, b}
        assert len(program.steps) == n
        assert set(range(WIDTH + n)) == used


def test_a_difference_is_seen():
    a = np.linspace(-1.0, 2.0, 50)
    b = a.copy()
    b[17] += 1e-6
    one, other = {"u": fingerprint(a)}, {"u": fingerprint(b)}
    assert difference(one, one) == 0
    # The change reaches a projection at least in part, relative to a norm of about 6.
    assert 1e-9 < difference(one, other) < 1e-6
    assert difference(one, {"u": [float("nan")] * 3}) == float("inf")
    assert difference(one, {"v": one["u"]}) == float("inf")


def test_a_result_that_changes_between_runs_is_refused():
    numbers = itertools.count(1)
    work = measure.Job(lambda: lambda: next(numbers), lambda r: (r,))
    with pytest.raises(ValueError, match="differs from the first"):
        measure.measure("call", work)


def test_results_are_compared_in_every_round_and_failures_named():
    good, bad = said(3.0, 2e-7), said(3.0 + 1e-9, 1e-7)
    entries = [Entry("symdiff", [good, good]), Entry("numpy", [good, good]), Entry("numba", [good, bad])]
    found = Comparison("call", {"n": 1}, entries)
    assert [text[:39] for text in found.failures] == ["call n=1: numba and numpy differ by 3.3"]
    assert found.fastest_peer("run_s") == pytest.approx(1.5e-7)
    broken = Comparison("call", {"n": 1}, [Entry("symdiff", problem="NameError: x", failed=True), *entries[1:]])
    assert broken.failures[0] == "call n=1: symdiff: NameError: x"
    assert "numba and numpy differ" in broken.failures[1]


def test_the_reference_is_numpy_else_a_peer_and_ours_only_if_alone():
    ours, numpy, jax = (Entry(name, [said(3.0, 1e-7)]) for name in ("symdiff", "numpy", "jax"))
    assert Comparison("call", {"n": 1}, [ours, jax, numpy]).reference is numpy
    assert Comparison("call", {"n": 1}, [ours, jax]).reference is jax
    assert Comparison("call", {"n": 1}, [ours, Entry("numpy", problem="broke", failed=True)]).reference is ours


def test_tables_show_every_implementation_and_the_cost_of_ours():
    entries = [Entry("symdiff", [said(3.0, 2e-7)], [0.03]), Entry("numpy", [said(3.0, 1e-7)])]
    entries.append(Entry("jax", problem="left out"))
    found = [Comparison("call", {"n": 1}, entries), Comparison("call", {"n": 8}, entries)]
    assert report.times_table(found).row_count == 2 * (1 + 3)
    assert report.cost_table(found).row_count == 2
    assert report.notes(found) == ["call n=1, jax: left out", "call n=8, jax: left out"]
