"""files: write the files of an exported function, all of them or none."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from backends.cpu.machine import Machine, machine
from symdiff.ir.errors import CompileError

_COMPILERS = ("cc", "gcc", "clang")


def check_folder(folder: Path, names: Sequence[str], overwrite: bool) -> None:
    """Raise CompileError if files of these names cannot be written to a folder, or exist already."""
    if folder.exists() and not folder.is_dir():
        raise CompileError(f"{str(folder)!r} is a file; folder= names the folder for the exported files.")
    existing = [n for n in names if os.path.lexists(folder / n)]
    if existing and not overwrite:
        raise CompileError(
            f"{', '.join(existing)} in {str(folder)!r} would be overwritten; choose another name or folder, or pass "
            "overwrite=True (--overwrite)."
        )


def compiler(target: Machine) -> list[str]:
    """Return the command of a C compiler for a machine: $CC, or what is found on the path.

    Raises: CompileError if there is none.
    """
    chosen = os.environ.get("CC", "").strip()
    if chosen:
        command = shlex.split(chosen)
        if shutil.which(command[0]) is None:
            raise CompileError(f"CC={chosen}: there is no program {command[0]!r}; set CC to a C compiler, or unset it.")
        return command
    is_here = target.triple == machine().triple
    names = _COMPILERS if is_here else (f"{target.arch}-linux-gnu-gcc", f"{target.triple}-gcc")
    for name in (*names, *(_COMPILERS if target.arch == machine().arch else ())):
        if shutil.which(name) is not None:
            return [name]
    raise CompileError(
        f"No C compiler for {target.triple} links the shared library (tried {', '.join(names)}). Install one, name one "
        "by the variable CC, or pass library=False (--no-library) for the other files alone."
    )


def write(folder: Path, files: Mapping[str, bytes], link: Mapping[str, Sequence[str]]) -> None:
    """Write files; `link` gives the commands that make more of them, run beside the files.

    Raises: CompileError, and leaves no file behind.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Beside its place, so that moving a file there is one step.
        with tempfile.TemporaryDirectory(dir=folder, prefix=".export") as scratch:
            for name, content in files.items():
                (Path(scratch) / name).write_bytes(content)
            for command in link.values():
                _run(command, scratch)
            for name in (*files, *link):
                # The permissions of a file that open() makes, not the private ones of a temporary folder.
                os.replace(Path(scratch) / name, folder / name)
    except OSError as error:
        raise CompileError(f"The exported files cannot be written to {str(folder)!r}: {error.strerror}.") from error


def _run(command: Sequence[str], folder: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise CompileError(f"The command {shlex.join(command)!r} has failed: {said[:1000]}")
