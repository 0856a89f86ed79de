"""Facts about this CPU: its name and features for LLVM, vector lanes, vector maths, cores and caches.

`SYMDIFF_CPU` names another processor to compile for, by LLVM's name: `SYMDIFF_CPU=x86-64` gives code that every
x86-64 machine runs, `generic` the plainest code of the architecture. It is read once per process.
"""

from __future__ import annotations

import functools
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

from symdiff.ir.errors import DomainError

VECTOR_LIBRARY = "libmvec.so.1"
_CACHES = "/sys/devices/system/cpu/cpu{}/cache"
# The letter of the vector function ABI for each width in bits: SSE, AVX2 and AVX-512, or Advanced SIMD on ARM.
_ABI_LETTER = {("x86_64", 128): "b", ("x86_64", 256): "d", ("x86_64", 512): "e", ("aarch64", 128): "n"}


@dataclass(frozen=True, slots=True)
class Machine:
    """What code is compiled for. `features` is LLVM's flag string ("+avx2,-avx512f,…"), sizes are in bytes."""

    model: str
    arch: str
    triple: str
    cpu_name: str
    features: str
    lanes_f64: int
    vector_library: str | None
    cores: int
    caches: tuple[tuple[str, int], ...]
    versions: tuple[tuple[str, str], ...]
    # What LLVM has to be told at every function: the length of a scalable vector, where the processor's is known.
    attributes: tuple[str, ...] = ()

    @property
    def flags(self) -> tuple[str, ...]:
        """The features that are on, sorted. Empty when `SYMDIFF_CPU` chose the processor: LLVM knows them by name."""
        return tuple(sorted(f[1:] for f in self.features.split(",") if f.startswith("+")))

    @property
    def key(self) -> str:
        """Everything that the machine code depends on, as text for a kernel key."""
        code = (self.triple, self.cpu_name, self.features, self.lanes_f64, self.vector_library, self.versions)
        return repr(code)

    def cache(self, name: str, default: int) -> int:
        """Return the size of the cache "L1d", "L2" or "L3", or `default` where the system does not tell."""
        return dict(self.caches).get(name, default)


@functools.cache
def machine() -> Machine:
    """Return the facts about this machine.

    Raises: DomainError if `SYMDIFF_CPU` names a processor with wider vectors than this one has.
    """
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()
    triple = llvm.get_default_triple()
    cpu_name, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    lanes = lanes_of(cpu_name, features)
    chosen = os.environ.get("SYMDIFF_CPU", "").strip()
    if chosen:
        if not knows_processor(triple, chosen):
            raise DomainError(
                f"SYMDIFF_CPU={chosen} is not a processor that LLVM {platform.machine()} knows; "
                "try generic, x86-64, x86-64-v3, or unset it to compile for this machine."
            )
        widest = lanes
        cpu_name, features, lanes = chosen, "", lanes_of(chosen, "")
        if lanes > widest:
            raise DomainError(
                f"SYMDIFF_CPU={chosen} has vectors of {lanes} doubles and this machine of {widest}: the code would not "
                "run here. Unset it, or name an older processor."
            )
    return Machine(
        model=_model(),
        arch=platform.machine(),
        triple=triple,
        cpu_name=cpu_name,
        features=features,
        lanes_f64=lanes,
        vector_library=_load_vector_library(),
        cores=len(_cores()),
        caches=_cache_sizes(Path(_CACHES.format(min(_cores())))),
        versions=_versions(),
    )


def vector_function(c_name: str, n_args: int, lanes: int, bits: int = 64, here: Machine | None = None) -> str | None:
    """Return the vector library's symbol for a C function on exactly these lanes, or None where there is none.

    `c_name` is the name of the double version, also when `bits` is 32; `here` is this machine or another of its kind.

    >>> symbol = vector_function("sin", 1, machine().lanes_f64)
    >>> vector_function("no_such_function", 1, 4) is None
    True
    """
    here = machine() if here is None else here
    name = vector_symbol(here.arch, c_name, n_args, lanes, bits)
    # The library holds the versions of all widths; those above the machine's would stop it with SIGILL.
    if name is None or here.vector_library is None or lanes * bits > 64 * here.lanes_f64:
        return None
    return name if _is_loaded(name) else None


@functools.cache
def _is_loaded(symbol: str) -> bool:
    import llvmlite.binding as llvm

    return bool(llvm.address_of_symbol(symbol))


def vector_symbol(arch: str, c_name: str, n_args: int, lanes: int, bits: int) -> str | None:
    """Return the name that the vector function ABI gives a C function, or None for a width without one.

    >>> vector_symbol("x86_64", "pow", 2, 8, 64), vector_symbol("x86_64", "sin", 1, 8, 32)
    ('_ZGVeN8vv_pow', '_ZGVdN8v_sinf')
    """
    letter = _ABI_LETTER.get((arch, lanes * bits))
    if letter is None or bits not in (32, 64):
        return None
    suffix = "f" if bits == 32 else ""
    return f"_ZGV{letter}N{lanes}{'v' * n_args}_{c_name}{suffix}"


def lanes_of(cpu_name: str, features: str, triple: str | None = None) -> int:
    """Return how many doubles one register of this x86 processor holds, for integer and float vectors alike.

    LLVM knows the features of a processor by its name but does not list them, so it is asked for the code of an
    addition. An integer addition, because AVX without AVX2 is wide for floats only.
    """
    import llvmlite.binding as llvm

    source = "define <8 x i64> @f(<8 x i64> %a, <8 x i64> %b) { %c = add <8 x i64> %a, %b ret <8 x i64> %c }"
    target = llvm.Target.from_triple(llvm.get_default_triple() if triple is None else triple)
    text = target.create_target_machine(cpu=cpu_name, features=features).emit_assembly(llvm.parse_assembly(source))
    registers = [line for line in text.splitlines() if "paddq" in line]
    return 8 if any("%zmm" in r for r in registers) else 4 if any("%ymm" in r for r in registers) else 2


def knows_processor(triple: str, cpu_name: str) -> bool:
    """Whether LLVM knows a processor. It aborts the process over some, so another process has to try it."""
    code = (
        "import sys, llvmlite.binding as llvm\n"
        "llvm.initialize_all_targets(); llvm.initialize_all_asmprinters()\n"
        "llvm.Target.from_triple(sys.argv[1]).create_target_machine(cpu=sys.argv[2])"
    )
    import subprocess

    command = [sys.executable, "-c", code, triple, cpu_name]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    return not tried.returncode and "not a recognized processor" not in tried.stderr


def _load_vector_library() -> str | None:
    """Load glibc's vector maths into the process, where LLVM finds its symbols, and return its name."""
    import llvmlite.binding as llvm

    try:
        llvm.load_library_permanently(VECTOR_LIBRARY)
    except RuntimeError:  # another C library, or an architecture without it: functions are called lane by lane
        return None
    return "libmvec"


def _cores() -> set[int]:
    """Return the cores that this process may use: fewer than the machine has in a container or under taskset."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _model() -> str:
    """Return the name on the box."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    except OSError:  # not Linux
        pass
    return platform.processor() or platform.machine()


def _cache_sizes(folder: Path) -> tuple[tuple[str, int], ...]:
    """Return ("L1d", bytes), ("L2", bytes) … as the kernel tells; empty where it does not."""
    units = {"K": 2**10, "M": 2**20, "G": 2**30}
    kinds = {"Data": "d", "Instruction": "i", "Unified": ""}
    found = []
    for index in sorted(folder.glob("index*")):
        try:
            level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
            found.append((f"L{level}{kinds[kind]}", int(size[:-1]) * units[size[-1]]))
        except (OSError, KeyError, ValueError, IndexError):  # virtual machines leave files out, or empty
            continue
    return tuple(found)


def _versions() -> tuple[tuple[str, str], ...]:
    """Return the versions of what takes part in making machine code."""
    import importlib.metadata

    import llvmlite
    import llvmlite.binding as llvm
    import numpy as np

    return (
        ("python", platform.python_version()),
        ("numpy", np.__version__),
        ("numba", importlib.metadata.version("numba")),  # importing it takes a hundred times longer
        ("llvmlite", llvmlite.__version__),
        ("llvm", ".".join(map(str, llvm.llvm_version_info))),
        ("libc", _libc()),
    )


def _libc() -> str:
    """Return the C library's name and version: its functions are called by the machine code."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or "unknown"
    except (AttributeError, ValueError):  # not glibc
        return " ".join(platform.libc_ver()).strip() or "unknown"
