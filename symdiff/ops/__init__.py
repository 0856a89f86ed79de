"""The primitives. Importing this package fills the table `symdiff.ir.node.PRIMITIVES`."""

from __future__ import annotations

from symdiff.ops import (
    bits,
    control,
    custom,
    elementwise,
    index,
    leaves,
    linalg,
    opaque,
    recurrence,
    reduce,
    rows,
    sorting,
)

# fmt: off
__all__ = [
    "bits", "control", "custom", "elementwise", "index", "leaves", "linalg", "opaque", "recurrence", "reduce", "rows",
    "sorting",
]
