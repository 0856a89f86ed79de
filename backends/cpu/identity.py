"""identity: what compiled code depends on outside of the program, found without importing LLVM.

`backends.cpu.machine` asks LLVM, which takes 30 ms to import. The processor as Linux describes it, the LLVM library
by its file, and the versions and sources of what takes part say as much: where all are the same, LLVM would say the
same. Sources count by size and time of change, which takes a millisecond, where reading them would take ten.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
from pathlib import Path

from symdiff.ir import errors

# Sources without a part in what a graph becomes.
_APART = frozenset(
    {"terminal", "bench", "pde", "optimize", "models", "data", "front", "cuda", "reference", "export", "__pycache__"}
)
_CPU = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags")


@functools.cache
def identity() -> str | None:
    """Return a text that is the same only where the same graph becomes the same code; None where that is unknown."""
    processor, library = _processor(), _llvm()
    if processor is None or library is None:
        return None
    import numpy as np

    chosen = os.environ.get("SYMDIFF_CPU", "").strip()
    return repr((processor, chosen, library, _libc(), sys.version, np.__version__, _sources()))


def _processor() -> tuple[str, ...] | None:
    """The first processor that Linux lists."""
    if sys.platform != "linux":
        return None
    try:
        with open("/proc/cpuinfo", "rb") as file:
            head = file.read(8192).decode(errors="replace").partition("\n\n")[0]
    except OSError:
        return None
    pairs = (line.partition(":") for line in head.splitlines())
    found = {name.strip(): value.strip() for name, _, value in pairs}
    return tuple(found[name] for name in _CPU) if all(name in found for name in _CPU) else None


def _llvm() -> tuple[str, int, int] | None:
    """The file that holds LLVM: its path, size and time of change."""
    package = importlib.util.find_spec("llvmlite")
    if package is None or package.origin is None:
        return None
    path = Path(package.origin).parent / "binding" / "libllvmlite.so"
    try:
        status = path.stat()
    except OSError:
        return None
    return str(path), status.st_size, status.st_mtime_ns


def _libc() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or "unknown"
    except (AttributeError, ValueError):  # not glibc
        return "unknown"


def _sources() -> tuple[tuple[str, int, int], ...]:
    """Path, size and time of change of every source file on the way from a graph to code."""
    folders = [str(Path(place).resolve().parents[1]) for place in (errors.__file__, __file__)]
    found = []
    for folder in folders:  # grows while it is walked
        with os.scandir(folder) as items:
            for item in items:
                if item.is_dir():
                    folders += [] if item.name in _APART else [item.path]
                elif item.name.endswith(".py"):
                    status = item.stat()
                    found.append((item.path, status.st_size, status.st_mtime_ns))
    return tuple(sorted(found))
