"""The primitives. Importing this package fills the table `symdiff.ir.node.PRIMITIVES`."""

from __future__ import annotations

from symdiff.ops import control, elementwise, index, leaves, linalg, reduce

__all__ = ["control", "elementwise", "index", "leaves", "linalg", "reduce"]
