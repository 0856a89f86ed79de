"""Folds: ways to cut samples into parts for training and for testing, with scikit-learn's interface."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np

from symdiff.ir.errors import DomainError, ShapeError
from symdiff.models.checks import check_count, random_numbers

Split = tuple[np.ndarray, np.ndarray]


class Folds(ABC):
    """Cuts samples into `n_splits` parts, each of which is the test data once.

    `shuffle` draws the parts at random, by the seed `random_state`; else they follow the order of the samples.
    """

    def __init__(self, n_splits: int = 5, shuffle: bool = False, random_state: int = 0) -> None:
        check_count(type(self).__name__, least=2, n_splits=n_splits)
        check_count(type(self).__name__, least=0, random_state=random_state)
        self.n_splits, self.shuffle, self.random_state = int(n_splits), bool(shuffle), int(random_state)

    def __repr__(self) -> str:
        """Return the constructor call."""
        return (
            f"{type(self).__name__}(n_splits={self.n_splits}, shuffle={self.shuffle}, random_state={self.random_state})"
        )

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds."""
        return self.n_splits

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Split]:
        """Give the indices (train, test) of each fold. Raises ShapeError, DomainError."""
        n = X.shape[0] if hasattr(X, "shape") else len(X)
        if self.n_splits > n:
            raise DomainError(f"{type(self).__name__}: {self.n_splits} folds of fewer samples: n_samples = {n}.")
        fold = self._fold_of_each(n, y, random_numbers(type(self).__name__, self.random_state))
        for k in range(self.n_splits):
            yield np.flatnonzero(fold != k), np.flatnonzero(fold == k)

    @abstractmethod
    def _fold_of_each(self, n: int, y: Any, rng: np.random.Generator) -> np.ndarray:
        """Return the number of the fold of each sample."""


class KFold(Folds):
    """Folds of equal size, up to one.

    >>> [test.tolist() for train, test in KFold(3).split(range(7))]
    [[0, 1, 2], [3, 4], [5, 6]]
    """

    def _fold_of_each(self, n: int, y: Any, rng: np.random.Generator) -> np.ndarray:
        return _shuffled(_even(n, self.n_splits), rng if self.shuffle else None)


class StratifiedKFold(Folds):
    """Folds in each of which every class has its share, up to one sample: scikit-learn's parts.

    A class with fewer samples than folds is missing in some test data, which is warned about; that all are so small is
    an error.

    >>> [test.tolist() for train, test in StratifiedKFold(2).split(range(6), [0, 1, 1, 0, 1, 1])]
    [[0, 1, 2], [3, 4, 5]]
    """

    def _fold_of_each(self, n: int, y: Any, rng: np.random.Generator) -> np.ndarray:
        labels = np.asarray(y)
        if labels.shape != (n,):
            raise ShapeError(f"StratifiedKFold: y has one label a sample, shape ({n},); got {labels.shape}.")
        classes, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
        if counts.max() < self.n_splits:
            raise DomainError(
                f"StratifiedKFold: {self.n_splits} folds need as many samples of a class; the largest class has "
                f"{counts.max()}."
            )
        if counts.min() < self.n_splits:
            warnings.warn(
                f"StratifiedKFold: class {classes[counts.argmin()]!s} has {counts.min()} samples, fewer than the "
                f"{self.n_splits} folds.",
                RuntimeWarning,
                stacklevel=3,
            )
        # Sorted by class, the samples are dealt out like cards: so each fold gets its number of each class.
        rank = _by_appearance(index)
        dealt, order = np.arange(n) % self.n_splits, np.sort(rank)
        fold = np.empty(n, dtype=int)
        for r in range(len(classes)):
            fold[rank == r] = _shuffled(np.sort(dealt[order == r]), rng if self.shuffle else None)
        return fold


def _even(n: int, k: int) -> np.ndarray:
    sizes = np.full(k, n // k)
    sizes[: n % k] += 1
    return np.repeat(np.arange(k), sizes)


def _shuffled(fold: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
    return fold if rng is None else rng.permutation(fold)


def _by_appearance(index: np.ndarray) -> np.ndarray:
    """Return class numbers in the order in which the classes appear first."""
    _, first = np.unique(index, return_index=True)
    return np.argsort(np.argsort(first))[index]
