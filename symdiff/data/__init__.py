"""Real data that ships with the package, and readers of files; sources and licences are in README.txt beside it."""

from __future__ import annotations

from importlib import resources

import numpy as np

from symdiff.data.idx import Images, read_idx, read_images
from symdiff.data.table import Table, read_csv

__all__ = ["Images", "Table", "load_breast_cancer", "read_csv", "read_idx", "read_images"]


def load_breast_cancer() -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Return the features, the targets (0 malignant, 1 benign) and the feature names of the Wisconsin diagnostic data.

    Shapes: (569, 30) float64, (569,) float64, 30 names.
    Raises: DomainError if the installed file is not the one that belongs to the package.

    >>> features, target, names = load_breast_cancer()
    >>> features.shape, int(target.sum()), names[0]
    ((569, 30), 357, 'mean_radius')
    """
    file = resources.files(__name__) / "breast_cancer.csv"
    header, *rows = file.read_text(encoding="ascii").splitlines()
    names = tuple(header.split(","))
    table = np.array([row.split(",") for row in rows], dtype=np.float64) if _is_even(rows, 31) else np.empty((0, 0))
    if table.shape != (569, 31) or len(names) != 31 or names[-1] != "target" or not np.isfinite(table).all():
        from symdiff.ir.errors import DomainError

        raise DomainError(
            f"load_breast_cancer: {file} has {len(rows)} rows below {len(names)} names; expected 569 rows of 31 finite "
            "numbers. Install symdiff again."
        )
    return np.ascontiguousarray(table[:, :30]), table[:, 30].copy(), names[:30]


def _is_even(rows: list[str], width: int) -> bool:
    """Whether every row has this many columns."""
    return all(row.count(",") == width - 1 for row in rows)
