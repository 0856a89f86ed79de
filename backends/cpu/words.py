"""The first words of a context, and what they say; see `backends.cpu.layout`.

They stand apart so that stored functions load without the classes of programs.
"""

from __future__ import annotations

PARALLEL_FOR, STATUS, THREADS, ARENA = range(4)
ALIGN = 64
# What `STATUS` says after a call.
OK, INDEX_OUT_OF_RANGE, CALLBACK_FAILED = 0, 1, 2
