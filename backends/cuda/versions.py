"""versions: the kernel store of this target, and what compiled kernels depend on beside their program."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
from pathlib import Path

from backends.store import KernelStore
from symdiff.program import memory

_PACKAGES = ("numba_cuda", "llvmlite")


@functools.cache
def store() -> KernelStore:
    """The user's kernel store."""
    return KernelStore()


@functools.cache
def versions() -> str:
    """The sources here, and the packages that compile, by file.

    Versions would have to be asked of `importlib.metadata`, whose import takes longer than all else here.
    """
    folder = Path(__file__).parent
    digest = hashlib.blake2b(digest_size=16)
    # What tiles and batches are made of is worked out there, and stands in no text of a program.
    planning = Path(memory.__file__).parent
    for path in [*sorted(folder.glob("*.py")), folder.parent / "emit.py", *sorted(planning.glob("*.py"))]:
        digest.update(path.read_bytes())
    for package in _PACKAGES:
        found = importlib.util.find_spec(package)
        if found is not None and found.origin is not None:
            status = os.stat(found.origin)
            digest.update(f"{found.origin} {status.st_size} {status.st_mtime_ns}".encode())
    return digest.hexdigest()
