"""Fast transforms whose basis diagonalises difference operators with constant factors on a box.

The second difference of order 2 on points of distance h has the eigenvectors exp(i k theta) between periodic sides,
and sines and cosines of k*theta between others: a Dirichlet side makes an odd and a Neumann side an even reflection.
Its eigenvalues are (2 cos(theta) - 2)/h**2 always. Between periodic sides every difference formula is diagonal.

    sides                unknowns    theta                  transform
    periodic             n           2 pi k/n               Fourier
    value, value         n - 2       pi (k + 1)/(n - 1)     sine I
    slope, slope         n           pi k/(n - 1)           cosine I
    value, slope         n - 1       pi (2 k + 1)/(2 n - 2) sine III
    slope, value         n - 1       pi (2 k + 1)/(2 n - 2) cosine III

SciPy's transforms (pocketfft) take O(log n) operations a point. Method: Hockney 1965.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

# Name, type of SciPy's dst or dct, and whether it is one of sines.
_REFLECTED = {
    ("value", "value"): (1, True),
    ("slope", "slope"): (1, False),
    ("value", "slope"): (3, True),
    ("slope", "value"): (3, False),
}
_SMALL = 1 << 15  # points below which a second thread costs more than it brings
Kind = tuple[str, str]
# theta_k = 2 pi (first + step*k) / (factor*n + more)
FREQUENCIES: dict[Kind, tuple[int, int, int, int]] = {
    ("periodic", "periodic"): (0, 1, 1, 0),
    ("value", "value"): (1, 1, 2, 2),
    ("slope", "slope"): (0, 1, 2, -2),
    ("value", "slope"): (1, 2, 4, 0),
    ("slope", "value"): (1, 2, 4, 0),
}


def angles(kind: Kind, n: int, halved: bool = False) -> np.ndarray:
    """Return theta of the basis for `n` unknowns; `halved` leaves out the conjugates that real data do not need."""
    first, step, factor, more = FREQUENCIES[kind]
    count = n // 2 + 1 if halved and kind[0] == "periodic" else n
    return 2 * np.pi * (first + step * np.arange(count)) / max(factor * n + more, 1)


class Basis:
    """The transform along all axes of an array of unknowns, for one kind of sides per axis."""

    def __init__(self, kinds: Sequence[Kind]):
        self.kinds = tuple(kinds)
        self.periodic = [-len(kinds) + a for a, kind in enumerate(kinds) if kind[0] == "periodic"]
        groups: dict[tuple[int, bool], list[int]] = {}
        for a, kind in enumerate(kinds):
            if kind[0] != "periodic":
                groups.setdefault(_REFLECTED[kind], []).append(-len(kinds) + a)
        self.reflected = [(number, odd, axes) for (number, odd), axes in groups.items()]

    def angles(self, shape: Sequence[int]) -> list[np.ndarray]:
        """Return theta along each axis, shaped to broadcast against transformed arrays."""
        rank = len(shape)
        out = []
        for a, (kind, n) in enumerate(zip(self.kinds, shape, strict=True)):
            halved = bool(self.periodic) and self.periodic[-1] == a - rank
            out.append(angles(kind, n, halved).reshape([-1 if k == a else 1 for k in range(rank)]))
        return out

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the coefficients of the last axes of `x`."""
        import scipy.fft as sf  # late: most runs need no transform

        for number, odd, axes in self.reflected:
            x = (sf.dstn if odd else sf.dctn)(x, type=number, axes=axes, workers=_workers(x))
        return sf.rfftn(x, axes=self.periodic, workers=_workers(x)) if self.periodic else x

    def backward(self, y: np.ndarray, shape: Sequence[int]) -> np.ndarray:
        """Return the values of coefficients, which are overwritten; `shape` is that of the values."""
        import scipy.fft as sf

        if self.periodic:
            lengths = [shape[a] for a in self.periodic]
            y = sf.irfftn(y, s=lengths, axes=self.periodic, workers=_workers(y), overwrite_x=True)
        for number, odd, axes in reversed(self.reflected):
            y = (sf.idstn if odd else sf.idctn)(y, type=number, axes=axes, workers=_workers(y), overwrite_x=True)
        return y

    def __str__(self) -> str:
        names = {"Fourier": bool(self.periodic)}
        names |= {"sine": any(odd for _, odd, _ in self.reflected)}
        names |= {"cosine": any(not odd for _, odd, _ in self.reflected)}
        return " and ".join(name for name, used in names.items() if used) + " transforms"


def _workers(x: np.ndarray) -> int:
    if x.size < _SMALL:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
