"""The data that ships with the package is the published data."""

from __future__ import annotations

import hashlib
from importlib import resources

import numpy as np
import pytest

from symdiff import data
from symdiff.data import load_breast_cancer
from symdiff.ir.errors import DomainError

# Minimum and maximum of each feature as published with the data set, rounded there to the digits shown.
PUBLISHED = """
    6.981 28.11 | 9.71 39.28 | 43.79 188.5 | 143.5 2501.0 | 0.053 0.163 | 0.019 0.345 | 0.0 0.427 | 0.0 0.201
    | 0.106 0.304 | 0.05 0.097 | 0.112 2.873 | 0.36 4.885 | 0.757 21.98 | 6.802 542.2 | 0.002 0.031 | 0.002 0.135
    | 0.0 0.396 | 0.0 0.053 | 0.008 0.079 | 0.001 0.03 | 7.93 36.04 | 12.02 49.54 | 50.41 251.2 | 185.2 4254.0
    | 0.071 0.223 | 0.027 1.058 | 0.0 1.252 | 0.0 0.291 | 0.156 0.664 | 0.055 0.208
"""


def test_the_file_is_the_documented_one():
    folder = resources.files(data)
    digest = hashlib.sha256((folder / "breast_cancer.csv").read_bytes()).hexdigest()
    assert digest in (folder / "README.txt").read_text(encoding="utf-8")


def test_shapes_counts_and_names():
    features, target, names = load_breast_cancer()
    assert features.shape == (569, 30)
    assert features.flags.c_contiguous
    assert features.dtype == target.dtype == np.float64
    assert np.bincount(target.astype(int)).tolist() == [212, 357]
    assert len(set(names)) == 30
    assert [names[0], names[10], names[20], names[29]] == [
        "mean_radius",
        "radius_error",
        "worst_radius",
        "worst_fractal_dimension",
    ]


def test_ranges_are_the_published_ones():
    features, _, _ = load_breast_cancer()
    published = np.array([pair.split() for pair in PUBLISHED.split("|")], dtype=float)
    # The table is rounded to three decimals.
    np.testing.assert_allclose(features.min(axis=0), published[:, 0], rtol=0, atol=0.0005 + 1e-12)
    np.testing.assert_allclose(features.max(axis=0), published[:, 1], rtol=0, atol=0.0005 + 1e-12)


def test_known_means():
    features, target, _ = load_breast_cancer()
    # The means of radius, texture and area over all rows and over the malignant ones, as the literature quotes them.
    np.testing.assert_allclose(features[:, [0, 1, 3]].mean(axis=0), [14.13, 19.29, 654.89], rtol=0, atol=0.005)
    np.testing.assert_allclose(features[target == 0][:, [0, 1, 3]].mean(axis=0), [17.46, 21.60, 978.38], atol=0.005)


@pytest.mark.parametrize("change", ["row", "column", "name", "number"])
def test_a_damaged_file_is_refused(tmp_path, monkeypatch, change):
    lines = (resources.files(data) / "breast_cancer.csv").read_text().splitlines()
    match change:
        case "row":
            lines.pop()
        case "column":
            lines[7] = lines[7].rpartition(",")[0]
        case "name":
            lines[0] = lines[0].replace("target", "class")
        case _:
            lines[9] = "nan" + lines[9][lines[9].index(",") :]
    (tmp_path / "breast_cancer.csv").write_text("\n".join(lines))
    monkeypatch.setattr(data.resources, "files", lambda _: tmp_path)
    with pytest.raises(DomainError, match="expected 569 rows of 31 finite numbers"):
        load_breast_cancer()
