"""Files as bytes, gzipped or not, with errors that say what is wrong with which file."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path

from symdiff.ir.errors import DomainError

Name = str | os.PathLike[str]


def read_bytes(path: Name, who: str) -> bytes:
    """Return the contents of a file, unpacked where it begins as gzip does.

    Raises: DomainError for a file that cannot be read or is no whole gzip file.
    """
    file = Path(path)
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise DomainError(f"{who}: {file} cannot be read: {error.strerror or error}.") from None
    if not raw.startswith(b"\x1f\x8b"):
        return raw
    try:
        return gzip.decompress(raw)
    except (EOFError, OSError, zlib.error) as error:
        raise DomainError(f"{who}: {file} is not a whole gzip file ({error}); get it again.") from None
