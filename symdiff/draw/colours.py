"""Colour maps whose lightness grows evenly, so that a map reads the same in colour, in grey and to every eye."""

from __future__ import annotations

import functools

# Nine points of matplotlib's maps (N. Smith & S. van der Walt 2015, CC0); between them colours are interpolated.
MAPS: dict[str, tuple[str, ...]] = {
    "viridis": ("440154", "472d7b", "3b528b", "2c718e", "21908c", "27ad81", "5dc863", "aadc32", "fde725"),
    "inferno": ("000004", "1f0c48", "550f6d", "88226a", "ba3655", "e35933", "f98c0a", "f9c932", "fcffa4"),
}
LEVELS = 128  # colours of a map: more cannot be told apart, and equal neighbours make shorter output
BAD = (255, 0, 255)  # for what is not a finite number: a colour that no map contains

RGB = tuple[int, int, int]


@functools.cache
def palette(name: str) -> tuple[RGB, ...]:
    """Return the `LEVELS` colours of a map, from low to high.

    >>> palette("viridis")[0], palette("viridis")[-1]
    ((68, 1, 84), (253, 231, 37))
    """
    if name not in MAPS:
        from symdiff.ir.errors import DomainError

        raise DomainError(f"There is no colour map {name!r}; there are {', '.join(MAPS)}.")
    anchors = [tuple(int(c[k : k + 2], 16) for k in (0, 2, 4)) for c in MAPS[name]]
    out = []
    for level in range(LEVELS):
        at = level / (LEVELS - 1) * (len(anchors) - 1)
        k = min(int(at), len(anchors) - 2)
        red, green, blue = (round(a + (at - k) * (b - a)) for a, b in zip(anchors[k], anchors[k + 1], strict=True))
        out.append((red, green, blue))
    return tuple(out)
