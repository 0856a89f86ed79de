"""The symbols that the tests of PDEs share."""

from __future__ import annotations

import symdiff as sd
from symdiff import pde

k = sd.symbols("k")
x, y, t = pde.coordinates("x y t")
u = pde.field("u")
