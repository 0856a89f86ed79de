"""Make the unknowns: scalars, vectors, matrices and arrays with names."""

from __future__ import annotations

import keyword
import unicodedata
from typing import Any

from symdiff.ir.dims import as_extent, as_shape
from symdiff.ir.errors import DTypeError, ParseError
from symdiff.ir.node import DTYPES, Node
from symdiff.ops import leaves

# Names that text gives a value of its own, so a symbol of that name would silently read back as a number.
RESERVED = frozenset({"pi", "E", "oo", "inf", "nan"})


def symbols(names: str) -> Any:
    """Return one scalar symbol, or a tuple of them for several names parted by blanks or commas.

    Raises ParseError for a name that is not a Python identifier or that text reads as a constant.

    >>> x, y = symbols("x y")
    >>> print(x * y)
    x*y
    """
    if not isinstance(names, str):
        raise DTypeError(f"symbols takes names in one string such as 'x y', got {names!r}.")
    parts = names.replace(",", " ").split()
    if not parts:
        raise ParseError(f"symbols needs at least one name, got {names!r}.")
    found = tuple(array(name, ()) for name in parts)
    # "x," gives a tuple as in SymPy, so that unpacking code works for any number of names.
    return found[0] if len(found) == 1 and "," not in names else found


def vector(name: str, n: Any, dtype: str = "float64") -> Node:
    """Return a symbol of shape (n,); `n` is an int or the name of a run-time size.

    >>> vector("w", 3).shape
    (3,)
    """
    return array(name, (as_extent(n),), dtype)


def matrix(name: str, m: Any, n: Any, dtype: str = "float64") -> Node:
    """Return a symbol of shape (m, n); equal size names are equal sizes.

    >>> matrix("A", "n", 3).shape
    (n, 3)
    """
    return array(name, (as_extent(m), as_extent(n)), dtype)


def array(name: str, shape: Any = (), dtype: str = "float64") -> Node:
    """Return a symbol of any shape and dtype ("float64", "float32", "int64" or "bool").

    >>> array("L", ("n",), dtype="int64").dtype
    'int64'
    """
    check_name(name)
    if dtype not in DTYPES:
        raise DTypeError(f"The dtype of {name!r} is one of {', '.join(DTYPES)}, got {dtype!r}.")
    return leaves.symbol(name=name, shape=as_shape(shape), dtype=dtype)


def check_name(name: Any) -> None:
    """Raise ParseError when a symbol cannot have this name."""
    if not isinstance(name, str):
        raise DTypeError(f"A symbol is named by a string, got {name!r} of type {type(name).__name__}.")
    if not name.isidentifier() or unicodedata.normalize("NFKC", name) != name:
        raise ParseError(f"A symbol is named like a Python variable (letters, digits, _), got {name[:60]!r}.")
    if keyword.iskeyword(name):
        raise ParseError(f"{name!r} is a keyword of Python and cannot name a symbol; try {name + '_'!r}.")
    if name in RESERVED:
        raise ParseError(f"{name!r} is a constant in sd.parse and cannot name a symbol; try {name + '_'!r}.")
