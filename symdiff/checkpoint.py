"""Checkpoints: what a run needs to go on, in a file that is always whole.

Where a chunk of a run depends on nothing but the state before it, a run that is taken up again makes the same steps
bit for bit, wherever it was cut.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import secrets
import time
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, final

import numpy as np

from symdiff.ir.errors import DomainError, DTypeError
from symdiff.ir.node import Node
from symdiff.ir.text import to_text

# Seconds between two saves, and how many times longer than a save that is at least.
_PERIOD, _SHARE = 10.0, 50.0
# What NumPy raises for a file that is not whole: zipfile has NotImplementedError for a kind of compression of none.
DAMAGED = (zipfile.BadZipFile, ValueError, KeyError, EOFError, OSError, NotImplementedError)


@final
class Checkpoint:
    """The file of a run; `identity` tells the problems apart, by the things that `parts` lists in words.

    `format` names the kind of run and the version of what it saves.
    """

    def __init__(self, path: str | os.PathLike[str], identity: str, format: str, parts: str):
        if not isinstance(path, (str, os.PathLike)):
            raise DTypeError(f"checkpoint: the file is a path such as 'run.npz', got {path!r}.")
        self.path, self.identity, self.format, self.parts = os.fspath(path), identity, format, parts
        self.problem: str | None = None  # why the last save failed
        self._due = 0.0

    def load(self) -> dict[str, np.ndarray] | None:
        """Return what was saved, or None if there is no file yet.

        Raises DomainError for a file that cannot be read, is damaged, or belongs to another problem.
        """
        try:
            with open(self.path, "rb") as file:
                raw = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DomainError(f"checkpoint: {self.path} cannot be read: {error.strerror or error}.") from None
        try:
            with np.load(io.BytesIO(raw), allow_pickle=False) as found:
                values = {name: found[name] for name in found.files}
            named, identity = str(values.pop("format")), str(values.pop("identity"))
        except DAMAGED as error:
            raise DomainError(
                f"checkpoint: {self.path} is no whole checkpoint; remove it, or name another file."
            ) from error
        if named != self.format:
            raise DomainError(f"checkpoint: {self.path} has the format {named!r}, this version reads {self.format!r}.")
        if identity != self.identity:
            raise DomainError(
                f"checkpoint: {self.path} belongs to another problem: its {self.parts} differ from these. "
                "Remove it to begin anew, or name another file."
            )
        return values

    def begin(self, values: Mapping[str, Any]) -> None:
        """Save a state for the first time. Raises DomainError where the file cannot be written."""
        self.save(values, quietly=True)
        if self.problem is not None:
            raise DomainError(f"checkpoint: {self.path} cannot be written: {self.problem}.")

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next save."""
        return time.monotonic() >= self._due

    @property
    def note(self) -> str:
        """What a run's message says of the file: nothing, unless the last save failed."""
        if self.problem is None:
            return ""
        return f"The checkpoint {self.path} could not be written: {self.problem}."

    def save(self, values: Mapping[str, Any], quietly: bool = False) -> None:
        """Write the state of a run; one that cannot be written is a warning, and the file stays what it was."""
        began = time.monotonic()
        named: dict[str, Any] = {"format": np.array(self.format), "identity": np.array(self.identity), **values}
        try:
            with replaced(self.path) as file:
                np.savez(file, **named)
            self.problem = None
        except OSError as error:
            self.problem = str(error.strerror or error)
            if not quietly:
                warnings.warn(f"{self.note} The run goes on.", RuntimeWarning, stacklevel=2)
        now = time.monotonic()
        self._due = now + max(_PERIOD, _SHARE * (now - began))


@contextlib.contextmanager
def replaced(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Open a new file that takes the place of `path` when all of it is written, and leaves nothing behind if not."""
    # Not from tempfile, whose files only their owner may read.
    name = os.path.join(os.path.dirname(os.path.abspath(path)), f".unfinished-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with open(name, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def identity(*parts: Any) -> str:
    """Return a hash of functions, rules, arrays and numbers: equal for equal problems, in every process."""
    digest = hashlib.blake2b(digest_size=20)
    for piece in _pieces(parts):
        digest.update(piece)
        digest.update(b"\n")
    return digest.hexdigest()


def _pieces(value: Any) -> Iterator[Any]:
    if isinstance(value, Node):
        yield to_text([value]).encode()
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype} {value.shape}".encode()
        yield np.ascontiguousarray(value)
    elif isinstance(value, (tuple, list)):
        yield f"{len(value)} parts".encode()
        for part in value:
            yield from _pieces(part)
    elif isinstance(value, dict):
        yield from _pieces(list(value.items()))
    elif is_dataclass(value) and not isinstance(value, type):
        yield type(value).__qualname__.encode()
        for one in fields(value):
            yield from _pieces((one.name, getattr(value, one.name)))
    else:
        yield repr(value).encode()


__all__ = ["Checkpoint", "identity", "replaced"]
