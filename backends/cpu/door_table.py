"""The tables that the door reads: their words, and the kinds and forms in them.

A function has a table, a plan is one block of memory; see `backends.cpu.door`.
"""

from __future__ import annotations

# Words of the table of a function, of a plan, and of an operand in a plan; its extents follow the last of these.
TABLE = N_IN, N_OUT, FORM, FIRST, ARRAY_TYPE, NEW_ARRAY, POOL = tuple(range(7))
PLAN = NEXT, SIZE, ENTRY, MODE, ARENA_BYTES, OUTPUTS, CONTEXT, FIRST_IN, FIRST_OUT = tuple(range(9))
OPERAND = KIND, DESCR, TYPE_NUMBER, BYTES, RANK = tuple(range(5))
# Kinds of operands and results, forms, and bits of the mode.
AN_ARRAY, A_FLOAT64, A_FLOAT32, AN_INT64, A_BOOL = range(5)
SINGLE, LIST, TUPLE = range(3)
RELEASES, THREADED = 1, 2
# Arenas up to this size lie on the stack.
STACK = 32768
# numpy/ndarraytypes.h: contiguous and aligned; and writeable too.
READ, WRITE = 0x0101, 0x0501


def word(name: str, base: str, at: int | str, kind: str = "i64") -> str:
    """Read the word of a table into a name."""
    return f"%{name}.at = getelementptr i64, ptr {base}, i64 {at}\n  %{name} = load {kind}, ptr %{name}.at"
