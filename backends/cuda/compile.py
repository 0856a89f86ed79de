"""compile: kernels to machine code of a GPU, on any machine: numba-cuda lowers, NVVM optimises, nvJitLink assembles.

All kernels of a program are one module. NVVM reads libdevice once for it and the assembler starts once: eight kernels
of one sine each take 0.26 s together and 0.82 s apart, and threads do not help, for NVVM lets in one at a time.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from symdiff.ir.errors import CompileError

# A kernel's Python function and the types of its parameters.
Source = tuple[Callable[..., None], Any]

_USED = re.compile(r"properties for '(\S+)':\s*info\s*: used (\d+) registers.*?(\d+) stack, (\d+) bytes smem")


@dataclass(frozen=True, slots=True)
class Resources:
    """What a block's threads take: registers and bytes of stack each, bytes of shared memory together."""

    registers: int
    stack: int
    shared: int


@dataclass(frozen=True, slots=True)
class Code:
    """Machine code for a compute capability; kernels have `symbols` in it. `release` is the assembler's, of CUDA."""

    capability: tuple[int, int]
    release: tuple[int, int]
    symbols: Mapping[str, str]
    resources: Mapping[str, Resources]
    ptx: str
    cubin: bytes

    def to_bytes(self) -> bytes:
        """The code as it is stored."""
        head = {
            "capability": self.capability, "release": self.release, "symbols": self.symbols,
            "resources": {name: asdict(r) for name, r in self.resources.items()},
        }  # fmt: skip
        ptx = zlib.compress(self.ptx.encode())
        return json.dumps({**head, "ptx": len(ptx)}).encode() + b"\0" + ptx + self.cubin

    @classmethod
    def from_bytes(cls, data: bytes) -> Code:
        """Undo `to_bytes`."""
        text, _, rest = data.partition(b"\0")
        head = json.loads(text)
        resources = {name: Resources(**r) for name, r in head["resources"].items()}
        ptx, cubin = rest[: head["ptx"]], rest[head["ptx"] :]
        capability, release = ((a, b) for a, b in (head["capability"], head["release"]))
        return cls(capability, release, head["symbols"], resources, zlib.decompress(ptx).decode(), cubin)


@dataclass(frozen=True, slots=True)
class Lowered:
    """Kernels as NVVM reads them: modules of LLVM text, and the symbol of each kernel in them."""

    modules: tuple[str, ...]
    symbols: Mapping[str, str]


def lower_kernels(sources: Mapping[str, Source], capability: tuple[int, int]) -> Lowered:
    """Lower kernels with numba-cuda, for this compute capability or a later one. Cost: 60 ms a kernel."""
    from numba.cuda.compiler import _compile_pyfunc_with_fixup

    modules, symbols = [], {}
    for name, (function, signature) in sources.items():
        # numba-cuda has a public way to PTX, one kernel at a time, and none to the LLVM text.
        library, _ = _compile_pyfunc_with_fixup(function, signature, device=False, cc=capability, abi="numba")
        modules += library.llvm_strs
        symbols[name] = library._entry_name
    # What several kernels call comes with each of them.
    return Lowered(tuple(dict.fromkeys(modules)), symbols)


def to_ptx(lowered: Lowered, capability: tuple[int, int]) -> str:
    """Return the PTX of all kernels for a compute capability. Raises: CompileError with NVVM's words."""
    if not lowered.modules:
        return ""
    from numba.cuda.cudadrv import nvvm

    arch = "compute_{}{}".format(*capability)
    # No contraction to fused multiply-adds, as on the CPU: see `backends.emit`. Functions of libdevice ask for theirs.
    try:
        return nvvm.compile_ir(list(lowered.modules), opt=3, arch=arch, fma=0).decode().rstrip("\0").strip()
    except nvvm.nvvmError as error:
        raise CompileError(
            f"NVVM makes no code for compute capability {capability[0]}.{capability[1]}: {error}. A newer GPU needs a "
            "newer numba-cuda with its CUDA packages; target='cpu' needs neither."
        ) from None


def assemble(lowered: Lowered, ptx: str, capability: tuple[int, int]) -> Code:
    """Make machine code. Raises: CompileError with the assembler's words."""
    cubin, log, release = _assemble(ptx, capability)
    used = {m[1]: Resources(int(m[2]), int(m[3]), int(m[4])) for m in _USED.finditer(log)}
    resources = {name: used[symbol] for name, symbol in lowered.symbols.items() if symbol in used}
    return Code(capability, release, lowered.symbols, resources, ptx, cubin)


def _assemble(ptx: str, capability: tuple[int, int]) -> tuple[bytes, str, tuple[int, int]]:
    """Return machine code, what the assembler says of it, and its CUDA release. Raises: CompileError with its words."""
    from cuda.bindings import nvjitlink as linker

    release = linker.version()
    if not ptx:
        return b"", "", release
    options = ["-arch=sm_{}{}".format(*capability), "-verbose"]
    handle = linker.create(len(options), options)
    try:
        data = ptx.encode()
        try:
            linker.add_data(handle, linker.InputType.PTX, data, len(data), "kernels")
            linker.complete(handle)
        except linker.nvJitLinkError as error:
            words = bytearray(linker.get_error_log_size(handle))
            linker.get_error_log(handle, words)
            raise CompileError(f"NVIDIA's assembler refused a kernel: {error}: {_text(words)}") from None
        cubin, log = bytearray(linker.get_linked_cubin_size(handle)), bytearray(linker.get_info_log_size(handle))
        linker.get_linked_cubin(handle, cubin)
        linker.get_info_log(handle, log)
        return bytes(cubin), _text(log), release
    finally:
        linker.destroy(handle)


def _text(data: bytearray) -> str:
    return data.decode(errors="replace").rstrip("\0").strip()
