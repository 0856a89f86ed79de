"""IDX files: those that are right, and every way in which one is wrong."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.data import read_idx, read_images

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx(array: Any) -> bytes:
    """An array in the form that is described with MNIST."""
    a = np.asarray(array)
    head = bytes([0, 0, CODES[a.dtype.str[1:]], a.ndim]) + struct.pack(f">{a.ndim}I", *a.shape)
    return head + a.astype(a.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_arrays_come_back(tmp_path: Path, kind: str, pack: Any) -> None:
    array = (np.arange(24).reshape(2, 3, 4) * 5 - (0 if kind == "u1" else 60)).astype(kind)
    (tmp_path / "a").write_bytes(pack(idx(array)))
    got = read_idx(tmp_path / "a")
    assert got.dtype == array.dtype
    assert got.flags.writeable
    np.testing.assert_array_equal(got, array)


def test_an_array_without_entries(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(idx(np.zeros((0, 4), np.uint8)))
    assert read_idx(tmp_path / "a").shape == (0, 4)


GOOD = idx(np.arange(6, dtype=np.uint8).reshape(2, 3))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with the bytes of an empty file"),
        (b"\x89PNG....", "begins with the bytes 89 50 4e 47; an IDX file begins with 00 00, a type"),
        (b"\0\0\x0a\1" + GOOD[4:], "begins with the bytes 00 00 0a 01"),
        (b"\0\0\x08\0", "begins with the bytes 00 00 08 00"),
        (GOOD[:9], "is cut off: 2 axes take 12 bytes, the file has 9"),
        (GOOD[:-1], r"is cut off: shape \(2, 3\) of uint8 takes 18 bytes, the file has 17"),
        (GOOD + b"\0", "has bytes behind its end: .* takes 18 bytes, the file has 19"),
        (gzip.compress(GOOD, mtime=0)[:-9], "is not a whole gzip file"),
        (gzip.compress(GOOD, mtime=0)[:-1], "is not a whole gzip file"),
        (b"\x1f\x8b" + GOOD, "is not a whole gzip file"),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(sd.DomainError, match=message):
        read_idx(tmp_path / "a")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(sd.DomainError, match="none cannot be read: No such file"):
        read_idx(tmp_path / "none")
    with pytest.raises(sd.DomainError, match="cannot be read"):
        read_idx(tmp_path)


def images(folder: Path, change: str = "") -> None:
    """The four files of a tiny set, one of them changed."""
    rng = np.random.default_rng(3)
    for part, n in (("train", 7), ("t10k", 3)):
        x = rng.integers(0, 256, (n, 4, 5)).astype(np.uint8)
        y = rng.integers(0, 10, n).astype(np.uint8)
        match change if part == "t10k" else "":
            case "labels":
                y = y[1:]
            case "size":
                x = x[:, :3]
            case "flat":
                x = x.reshape(n, -1)
        (folder / f"{part}-images.idx3-ubyte").write_bytes(idx(x))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(y)))


def test_the_four_files_of_a_set(tmp_path: Path) -> None:
    images(tmp_path)
    found = read_images(tmp_path)
    assert [a.shape for a in found] == [(7, 4, 5), (7,), (3, 4, 5), (3,)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("labels", "has 3 images, .*t10k-labels-idx1-ubyte.gz 2 labels"),
        ("size", r"images to train on have size \(4, 5\), those to test with \(3, 5\)"),
        ("flat", r"has shape \(3, 20\) .* expected \(n, height, width\)"),
    ],
)
def test_files_that_do_not_belong_together(tmp_path: Path, change: str, message: str) -> None:
    images(tmp_path, change)
    with pytest.raises(sd.ShapeError, match=message):
        read_images(tmp_path)


def test_a_missing_file_is_named_with_its_source(tmp_path: Path) -> None:
    images(tmp_path)
    (tmp_path / "t10k-images.idx3-ubyte").unlink()
    with pytest.raises(sd.DomainError, match=r"no file t10k-images-idx3-ubyte or .*zalandoresearch"):
        read_images(tmp_path)
