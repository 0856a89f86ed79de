"""The elementwise primitives: one block holds everything known about one function.

Derivatives at kinks are members of the subdifferential: |x|'(0) = 0, a tie of maximum and minimum is shared
equally, floor and sign have derivative 0. `partials(y, *x)` gets the result too: exp' is y itself.
"""

from __future__ import annotations

from symdiff.ir.node import const
from symdiff.ir.primitive import Elementwise, cast
from symdiff.ops.elementwise import arithmetic, bessel, exponential, logic, normal, special, trigonometric
from symdiff.ops.elementwise.arithmetic import *  # noqa: F403  # one place per primitive: its own file
from symdiff.ops.elementwise.bessel import *  # noqa: F403
from symdiff.ops.elementwise.exponential import *  # noqa: F403
from symdiff.ops.elementwise.logic import *  # noqa: F403
from symdiff.ops.elementwise.normal import *  # noqa: F403
from symdiff.ops.elementwise.special import *  # noqa: F403
from symdiff.ops.elementwise.trigonometric import *  # noqa: F403

ELEMENTWISE: tuple[Elementwise, ...] = tuple(v for v in list(globals().values()) if isinstance(v, Elementwise))
"""Every elementwise primitive."""

__all__ = ["ELEMENTWISE", "cast", "const"]
for _family in (arithmetic, bessel, exponential, logic, normal, special, trigonometric):
    __all__ += _family.__all__
