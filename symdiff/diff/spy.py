"""A spy plot: where a sparse matrix has entries, as dots in the terminal, eight to a character."""

from __future__ import annotations

import numpy as np

# The dots of a Braille character as bits, [row][column] (Unicode 15, chapter 21.1).
_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
_BRAILLE = 0x2800


def spy(shape: tuple[int, int], rows: np.ndarray, cols: np.ndarray, width: int = 40, height: int = 20) -> str:
    """Return the picture of a matrix with entries at (rows, cols), in at most `width` by `height` characters.

    A dot stands for one position, or for a block of them in a matrix with more positions than dots.

    >>> print(spy((3, 4), np.array([0, 1, 2]), np.array([0, 1, 2])))
    [⠑⠄]
    """
    m, n = shape
    if m == 0 or n == 0:
        return "(no rows)" if m == 0 else "(no columns)"
    # One scale for both axes: a diagonal is a diagonal.
    scale = max(1.0, n / (2 * width), m / (4 * height))
    down, across = (max(1, int(np.ceil(d / scale))) for d in (m, n))
    dots = np.zeros((-(-down // 4) * 4, -(-across // 2) * 2), dtype=bool)
    dots[(rows / scale).astype(int), (cols / scale).astype(int)] = True
    blocks = dots.reshape(dots.shape[0] // 4, 4, dots.shape[1] // 2, 2)
    codes = _BRAILLE + np.einsum("iajb,ab->ij", blocks, _DOTS)
    lines = ["".join(map(chr, row)) for row in codes.tolist()]
    last = len(lines) - 1
    return "\n".join(_left(k, last) + line + _right(k, last) for k, line in enumerate(lines))


def _left(k: int, last: int) -> str:
    return "[" if last == 0 else "⎡" if k == 0 else "⎣" if k == last else "⎢"


def _right(k: int, last: int) -> str:
    return "]" if last == 0 else "⎤" if k == 0 else "⎦" if k == last else "⎥"
