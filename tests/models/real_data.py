"""Data sets that scikit-learn ships, with columns of equal spread."""

from __future__ import annotations

import numpy as np
from sklearn import datasets


def real_data(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the samples of "iris", "digits", "breast_cancer" or "diabetes", columns scaled, and the targets."""
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    spread = x.std(axis=0)
    return (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0), y
