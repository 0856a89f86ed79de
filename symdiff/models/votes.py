"""Scores of classes from scores of pairs of classes."""

from __future__ import annotations

from itertools import combinations

import numpy as np


def by_votes(z: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the score of each class, (n, n_classes), from those of the pairs (0, 1), (0, 2), …, (n, n_pairs).

    A pair's vote goes to its first class where its score is positive. The score of a class is its votes plus a number
    between -1/3 and 1/3 that grows with its pairs' scores, which decides among equal votes: scikit-learn's.

    >>> by_votes(np.array([[1.0, -2.0, 0.5]]), 3).round(2)
    array([[0.83, 0.89, 1.2 ]])
    """
    votes, sums = np.zeros((2, len(z), n_classes))
    for k, (i, j) in enumerate(combinations(range(n_classes), 2)):
        # A score of 0 is the second's, as for two classes.
        votes[:, i] += z[:, k] > 0
        votes[:, j] += z[:, k] <= 0
        sums[:, i] += z[:, k]
        sums[:, j] -= z[:, k]
    return votes + sums / (3 * (np.abs(sums) + 1))


__all__ = ["by_votes"]
