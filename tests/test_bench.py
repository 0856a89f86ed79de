"""The benchmark's own parts: our implementations agree with NumPy's at tiny sizes. No clock is looked at."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.bench import measure, ours, peer_numpy
from tests.bench.cases import CASES, OPERATIONS, WIDTH, Case, difference, fingerprint, straight_line


@pytest.mark.parametrize("way", ours.CASES)
def test_ours_agrees_with_numpy(way):
    case, _, variant = way.partition(":")
    sizes, found = CASES[case].tiny, []
    for name in (f"symdiff:{variant}" if variant else "symdiff", "numpy"):
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
    assert case.name in peer_numpy.CASES
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
