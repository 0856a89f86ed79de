"""Where the keys of a TOML file stand: the reader of the standard library does not say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import final

_HEADER = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(#.*)?")
_KEY = re.compile(r"\s*((?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"|'[^']*'))*)\s*=")
_PART = re.compile(r"[\w-]+|\"[^\"]*\"|'[^']*'")


@final
@dataclass(frozen=True, slots=True)
class Source:
    r"""A TOML file that has been read: its name, empty for text, and its lines.

    >>> Source("rod.toml", "title = 'A rod'\n[grid]\nshape = 9").at("grid", "shape")
    'rod.toml, line 3, [grid] shape'
    """

    name: str
    text: str

    def at(self, table: str, key: str = "") -> str:
        """Return where a key of a table, or the table itself, stands, for the beginning of an error."""
        line = line_of(self.text, (*table.split("."), *([key] if key else [])))
        parts = [self.name, f"line {line}" if line else "", f"[{table}]{' ' if key else ''}{key}"]
        return ", ".join(filter(None, parts))


def line_of(text: str, path: tuple[str, ...]) -> int | None:
    """Return the line, from 1, on which a key of nested tables is given, or the innermost of them that is found.

    A key inside braces or in a list over several lines stands where the key does that these belong to.
    """
    best, depth = None, 0
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        header, key = _HEADER.fullmatch(line), _KEY.match(line)
        if header:
            table = here = _parts(header[1])
        elif key:
            here = (*table, *_parts(key[1]))
        else:
            continue
        if len(here) > depth and here == path[: len(here)]:
            best, depth = number, len(here)
    return best


def _parts(key: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(key))
