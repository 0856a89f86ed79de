"""targets: other processors to write files of machine code for, by LLVM's names.

    x86-64 (SSE2) · x86-64-v3 (AVX2) · x86-64-v4 (AVX-512) · aarch64: generic (NEON), neoverse-v1 and a64fx (SVE)

A scalable vector of SVE has a length that only the processor knows. Where the processor is named, LLVM is told, and
vectors of fixed length become SVE instructions; other ARM code is for NEON, which every one of them has.
"""

from __future__ import annotations

import functools

from backends.cpu.machine import Machine, knows_processor, lanes_of, machine
from symdiff.ir.errors import DomainError

ARCHITECTURES = ("x86_64", "aarch64")
# The bits of SVE vectors where they are wider than NEON's 128: Arm, "Neoverse V1 core: technical reference manual",
# and Fujitsu, "A64FX microarchitecture manual".
_SVE_BITS = {"neoverse-v1": 256, "a64fx": 512}
_NEON_BITS = 128


@functools.cache
def target(cpu: str | None = None, triple: str | None = None) -> Machine:
    """Return the facts about a processor to write code for; this machine where nothing is named.

    A triple without a processor means the oldest of its kind. Functions are called lane by lane where the vector
    library of this machine is no word on that of the other.

    Raises: DomainError for what LLVM or symdiff does not know.

    >>> target("x86-64").lanes_f64, target("x86-64-v3", "x86_64-unknown-linux-gnu").lanes_f64
    (2, 4)
    >>> target("neoverse-v1", "aarch64-unknown-linux-gnu").attributes
    ('vscale_range(2,2)',)
    """
    import llvmlite.binding as llvm

    here = machine()
    if cpu is None and triple is None:
        return here
    triple = here.triple if triple is None else triple
    cpu = "generic" if cpu is None else cpu
    arch = triple.partition("-")[0]
    if arch not in ARCHITECTURES or "linux" not in triple:
        raise DomainError(
            f"Code can be written for Linux on {' and '.join(ARCHITECTURES)}, got triple={triple!r}; "
            "write it like aarch64-unknown-linux-gnu."
        )
    if not knows_processor(triple, cpu):
        examples = "x86-64, x86-64-v3, x86-64-v4" if arch == "x86_64" else "generic, neoverse-n1, neoverse-v1"
        raise DomainError(f"cpu={cpu!r} is not a processor that LLVM knows for {triple}; try {examples}.")
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    bits = _SVE_BITS.get(cpu, _NEON_BITS)
    is_like_here = arch == here.arch and "gnu" in triple
    return Machine(
        model=cpu,
        arch=arch,
        triple=triple,
        cpu_name=cpu,
        features="",
        lanes_f64=lanes_of(cpu, "", triple) if arch == "x86_64" else bits // 64,
        vector_library=here.vector_library if is_like_here else None,
        cores=1,
        caches=(),
        versions=here.versions,
        attributes=(f"vscale_range({bits // _NEON_BITS},{bits // _NEON_BITS})",) if bits > _NEON_BITS else (),
    )
