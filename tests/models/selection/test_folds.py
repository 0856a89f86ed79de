"""Folds: scikit-learn's parts, shuffled ones by a seed, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import model_selection

import symdiff as sd
from symdiff.models.selection import KFold, StratifiedKFold

LABELS = np.random.default_rng(5).choice(["c", "a", "b"], size=47, p=[0.2, 0.5, 0.3])


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("name", ["KFold", "StratifiedKFold"])
def test_parts_are_scikit_learns(name: str, k: int) -> None:
    ours = {"KFold": KFold, "StratifiedKFold": StratifiedKFold}[name](k)
    theirs = getattr(model_selection, name)(k)
    x = np.zeros((47, 2))
    assert ours.get_n_splits(x) == k
    for (train, test), (their_train, their_test) in zip(ours.split(x, LABELS), theirs.split(x, LABELS), strict=True):
        np.testing.assert_array_equal(train, their_train)
        np.testing.assert_array_equal(test, their_test)


@pytest.mark.parametrize("kind", [KFold, StratifiedKFold])
def test_shuffled_parts(kind: Any) -> None:
    x = np.zeros((47, 2))

    def tests(seed: int) -> list[list[int]]:
        return [test.tolist() for _, test in kind(4, shuffle=True, random_state=seed).split(x, LABELS)]

    assert tests(3) == tests(3) != tests(8)
    assert sorted(i for test in tests(3) for i in test) == list(range(47))
    counts = np.array([[np.sum(LABELS[test] == label) for label in "abc"] for test in tests(3)])
    spread = 1 if kind is StratifiedKFold else 12
    assert np.ptp(counts, axis=0).max() <= spread


def test_bad_input() -> None:
    for settings in ({"n_splits": 1}, {"n_splits": 2.5}, {"random_state": -1}):
        with pytest.raises(sd.DomainError, match=f"{next(iter(settings))} is an int >= "):
            KFold(**settings)
    with pytest.raises(sd.DomainError, match="5 folds of fewer samples: n_samples = 4"):
        list(KFold().split(np.zeros((4, 1))))
    with pytest.raises(sd.DomainError, match="the largest class has 2"):
        list(StratifiedKFold(3).split(np.zeros((4, 1)), [0, 0, 1, 1]))
    with pytest.raises(sd.ShapeError, match=r"one label a sample, shape \(4,\); got \(3,\)"):
        list(StratifiedKFold(2).split(np.zeros((4, 1)), [0, 0, 1]))
    with pytest.warns(RuntimeWarning, match="class 1 has 1 samples, fewer than the 2 folds"):
        list(StratifiedKFold(2).split(np.zeros((4, 1)), [0, 0, 0, 1]))
