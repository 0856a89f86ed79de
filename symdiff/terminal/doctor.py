"""`symdiff doctor`: what is installed, what this machine can do, and whether compiled code is right here.

Every check is a function that yields findings; one that fails in an unexpected way becomes a finding itself.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from symdiff.terminal.tables import mark, seconds, size, table

_REQUIRED = ("numpy", "scipy", "sympy", "mpmath", "numba", "llvmlite", "rich", "typer", "platformdirs")
# Package -> the extra that brings it, and what for.
_OPTIONAL = {
    "numba-cuda": ("cuda", "the CUDA target"),
    "matplotlib": ("plot", "figures"),
    "ipython": ("repl", "a prompt with completion"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One row: what was looked at, what was found, whether it is well (None: optional, absent), and what to do."""

    what: str
    found: str
    passed: bool | None = True
    remedy: str = ""


def run_doctor(console: Any) -> bool:
    """Print all findings; returns whether everything that is needed works."""
    out = table("", "what", "found")
    out.columns[0].no_wrap = True
    well, ascii_only = True, console.options.ascii_only
    for name, check in CHECKS:
        out.add_section()
        for finding in _safely(name, check):
            text = finding.found + (f"\n→ {finding.remedy}" if finding.remedy else "")
            out.add_row(mark(finding.passed, ascii_only), finding.what, _text(text, finding.passed))
            well = well and finding.passed is not False
    console.print(out)
    console.print("[green]All is well.[/]" if well else "[bold red]Something needs attention: see the arrows above.[/]")
    return well


def _text(text: str, passed: bool | None) -> Any:
    from rich.text import Text

    return Text(text, "dim" if passed is None else "")


def _safely(name: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield the findings of a check; a doctor does not die of what the patient has."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield from check()
    except Exception as error:
        remedy = "this is an error of symdiff or of the system: please report it with the rows above"
        yield Finding(name, f"{type(error).__name__}: {error}", False, remedy)
        return
    for warning in caught:
        yield Finding(name, str(warning.message), False)


def packages() -> Iterator[Finding]:
    """Versions of Python and of the packages."""
    from symdiff import __version__

    yield Finding("symdiff", f"{__version__}, Python {platform.python_version()} ({sys.executable})")
    found: list[str] = []
    missing: list[str] = []
    for name in _REQUIRED:
        version = _version(name)
        (found if version else missing).append(f"{name} {version}" if version else name)
    yield Finding("packages", ", ".join(found))
    if missing:
        yield Finding("packages", f"missing: {', '.join(missing)}", False, f"pip install {' '.join(missing)}")
    for name, (extra, purpose) in _OPTIONAL.items():
        version = _version(name)
        remedy = "" if version else f"for {purpose}: pip install 'symdiff[{extra}]'"
        yield Finding(name, version or "not installed (optional)", True if version else None, remedy)


def processor() -> Iterator[Finding]:
    """Name, features, lanes and caches of the processor."""
    from backends.cpu.machine import machine

    here = machine()
    yield Finding("processor", f"{here.model} ({here.arch}, {here.cpu_name} to LLVM)")
    wanted = ("sse4.2", "avx", "avx2", "fma", "avx512f", "avx512dq", "avx512vl", "neon", "sve")
    flags = ", ".join(f for f in wanted if f in here.flags) or "those of the processor named in SYMDIFF_CPU"
    yield Finding("features", flags)
    yield Finding("vectors", f"{here.lanes_f64} × float64 in one register, {2 * here.lanes_f64} × float32")
    if here.caches:
        yield Finding("caches", ", ".join(f"{name} {size(n)}" for name, n in here.caches))


def vector_maths() -> Iterator[Finding]:
    """Which functions work on whole registers."""
    from backends.cpu.machine import machine, vector_function

    here = machine()
    if here.vector_library is None:
        remedy = (
            "glibc 2.22 or newer on x86-64 has it; without it functions are called number by number, right but slower"
        )
        yield Finding("vector maths", "no libmvec in this system", None, remedy)
        return
    missing, present = [], 0
    for name, n_args in _c_functions().items():
        if vector_function(name, n_args, here.lanes_f64):
            present += 1
        else:
            missing.append(name)
    yield Finding("vector maths", f"{here.vector_library}: {present} functions on {here.lanes_f64} numbers at once")
    if missing:
        yield Finding("", f"called number by number: {', '.join(sorted(missing))}", None)


def _c_functions() -> dict[str, int]:
    """Return the C library functions that primitives stand for, with their number of arguments."""
    from symdiff.ir.node import PRIMITIVES
    from symdiff.ir.primitive import Elementwise

    inline = {"add", "sub", "mul", "div", "neg", "sqrt", "floor", "ceil", "trunc", "abs", "sign", "max", "min", "rem",
              "lt", "le", "gt", "ge", "eq", "ne", "and", "or", "xor", "not", "where", "cast", "bit_and", "bit_xor",
              "shift_right"}  # fmt: skip
    return {
        p.native: p.n_args
        for p in PRIMITIVES.values()
        if isinstance(p, Elementwise) and p.native is not None and p.native not in inline
    }


def threads() -> Iterator[Finding]:
    """Cores, threads, and whether helpers start."""
    from backends.cpu.machine import machine
    from backends.cpu.threads import default_threads, parallel_for_address

    cores, chosen = machine().cores, default_threads()
    text = f"{chosen} for {cores} cores"
    if chosen > 1 and not parallel_for_address(chosen):
        remedy = "this system has no unnamed semaphores; everything runs on one thread"
        yield Finding("threads", text, False, remedy)
        return
    yield Finding("threads", text)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > 0.75 * cores:
        yield Finding("load", f"{load:.1f} on {cores} cores", None, "this machine is busy: timings mean little")


def graphics() -> Iterator[Finding]:
    """The NVIDIA driver, devices, and the package for them."""
    from symdiff.terminal.driver import devices

    names, problem = devices()
    has_package = _version("numba-cuda") is not None
    for name in names:
        remedy = "" if has_package else "pip install 'symdiff[cuda]'"
        yield Finding("GPU", name, has_package, remedy)
    if not names:
        yield Finding("GPU", problem, None)


def message_passing() -> Iterator[Finding]:
    """MPI: the package and the launcher."""
    version, launcher = _version("mpi4py"), shutil.which("mpiexec")
    if version and launcher:
        yield Finding("MPI", f"mpi4py {version}, {launcher}")
    elif version:
        yield Finding(
            "MPI", f"mpi4py {version}, but no mpiexec in PATH", False, "pip install mpich, or load your cluster's MPI"
        )
    else:
        yield Finding("MPI", "not installed (optional)", None)


def kernel_store() -> Iterator[Finding]:
    """Where compiled code is kept."""
    from backends.store import KernelStore, kernel_key

    store = KernelStore()
    if store.limit == 0:
        yield Finding("kernel store", "in memory only (SYMDIFF_CACHE_MB=0)", None)
        return
    key = kernel_key("symdiff doctor", str(os.getpid()))
    store.put(key, b"doctor")
    path = store.root / f"{key}.kernel"
    written = path.exists()
    if written:
        path.unlink(missing_ok=True)
    entries = store.entries()
    used = f"{len(entries)} kernels, {size(sum(e.size for e in entries))} of {size(store.limit)}"
    remedy = "" if written else "set SYMDIFF_CACHE_DIR to a folder that only you can write to"
    yield Finding("kernel store", f"{store.root}: {used}" + ("" if written else "; not writable"), written, remedy)


def self_check() -> Iterator[Finding]:
    """Compile a small function and compare with the reference target."""
    import numpy as np

    from symdiff.compile import compile
    from symdiff.diff.jacobian import gradient
    from symdiff.terminal.tour_derivatives import example

    f, x, y = example()
    roots = [f, *gradient(f, [x, y])]
    began = time.perf_counter()
    compiled = compile(roots, [x, y])
    built = time.perf_counter() - began
    rng = np.random.default_rng(3)
    points = [rng.uniform(-3, 3, 1001) for _ in range(2)]
    found, expected = compiled(*points), compile(roots, [x, y], target="reference")(*points)
    eps = float(np.finfo(float).eps)
    worst = max(float(np.max(np.abs(a - b))) for a, b in zip(found, expected, strict=True))
    # 64 eps of terms up to 10: a dozen operations, functions to 4 ulp.
    well = worst <= 640 * eps
    where = "from the store" if compiled.kernel.from_store else "compiled now"
    text = f"value and gradient at 1001 points agree with NumPy to {worst:.1e} ({where}, {seconds(built)})"
    if well:
        yield Finding("self-check", text)
    else:
        remedy = "SYMDIFF_CPU=x86-64 makes plainer code; please report this with the rows above"
        yield Finding("self-check", f"compiled code differs from NumPy by {worst:.1e}", False, remedy)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


CHECKS: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
    ("packages", packages),
    ("processor", processor),
    ("vector maths", vector_maths),
    ("threads", threads),
    ("GPU", graphics),
    ("MPI", message_passing),
    ("kernel store", kernel_store),
    ("self-check", self_check),
)
