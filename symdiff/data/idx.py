"""IDX files: the arrays of bytes or numbers in which MNIST and Fashion-MNIST are published."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from symdiff.data.files import Name, read_bytes
from symdiff.ir.errors import DomainError, ShapeError

# The third byte of the magic number; numbers are stored with the highest byte first.
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

OFFICIAL = "MNIST: http://yann.lecun.com/exdb/mnist/; Fashion-MNIST: https://github.com/zalandoresearch/fashion-mnist"


def read_idx(path: Name) -> np.ndarray:
    """Return the array of an IDX file, gzipped or not, in the dtype that the file names.

    Raises: DomainError for a file that is none, is cut off or has bytes behind its end.

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "labels"
    >>> _ = file.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 4]))
    >>> read_idx(file)
    array([7, 0, 4], dtype=uint8)
    """
    raw = read_bytes(path, "read_idx")
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in _TYPES or not raw[3]:
        raise DomainError(
            f"read_idx: {path} begins with the bytes {raw[:4].hex(' ') or 'of an empty file'}; an IDX file begins with "
            "00 00, a type (08, 09, 0b, 0c, 0d or 0e) and the number of axes."
        )
    n_axes, dtype = raw[3], np.dtype(_TYPES[raw[2]])
    start = 4 + 4 * n_axes
    if len(raw) < start:
        raise DomainError(f"read_idx: {path} is cut off: {n_axes} axes take {start} bytes, the file has {len(raw)}.")
    shape = tuple(int(n) for n in np.frombuffer(raw, ">u4", n_axes, 4))
    expected = start + math.prod(shape) * dtype.itemsize
    if len(raw) != expected:
        fault = "is cut off" if len(raw) < expected else "has bytes behind its end"
        raise DomainError(
            f"read_idx: {path} {fault}: shape {shape} of {dtype.newbyteorder('=')} takes {expected} bytes, the file "
            f"has {len(raw)}."
        )
    return np.frombuffer(raw, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


class Images(NamedTuple):
    """Images (n, height, width) of numbers 0 to 255 and their labels (n,): those to train on and those to test with."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def read_images(folder: Name) -> Images:
    """Read the four files of MNIST, Fashion-MNIST or another set in their form, gzipped or not, from a folder.

    These are train-images-idx3-ubyte, train-labels-idx1-ubyte and the same with t10k; "train-images.idx3-ubyte" and
    names that end in .gz are found too.

    Raises: DomainError for missing or damaged files, ShapeError for images and labels that do not belong together.
    """
    pairs = []
    for part in ("train", "t10k"):
        images, labels = (_find(Path(folder), f"{part}-{kind}") for kind in ("images-idx3", "labels-idx1"))
        x, y = read_idx(images), read_idx(labels)
        if x.ndim != 3 or y.ndim != 1:
            raise ShapeError(
                f"read_images: {images} has shape {x.shape} and {labels} {y.shape}; expected (n, height, width) "
                "and (n,)."
            )
        if len(x) != len(y):
            raise ShapeError(f"read_images: {images} has {len(x)} images, {labels} {len(y)} labels.")
        pairs.append((x, y))
    (x, y), (x_test, y_test) = pairs
    if x.shape[1:] != x_test.shape[1:]:
        raise ShapeError(
            f"read_images: images to train on have size {x.shape[1:]}, those to test with {x_test.shape[1:]}."
        )
    return Images(x, y, x_test, y_test)


def _find(folder: Path, stem: str) -> Path:
    """The file with one of the names that are in use."""
    part, _, kind = stem.rpartition("-")
    names = [f"{part}{sign}{kind}-ubyte{end}" for sign in "-." for end in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise DomainError(
        f"read_images: {folder} has no file {names[0]} or {names[1]}. Put the four files train-images-idx3-ubyte, "
        f"train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte there. {OFFICIAL}."
    )
