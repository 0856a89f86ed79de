"""compile: LLVM text to machine code of a GPU, on any machine: NVVM optimises, nvJitLink assembles.

All kernels of a program are one module. NVVM reads libdevice once for it and the assembler starts once: eight kernels
of one sine each take 0.26 s together and 0.82 s apart, and threads do not help, for NVVM lets in one at a time.
"""

from __future__ import annotations

import functools
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from symdiff.ir.errors import CompileError

if TYPE_CHECKING:
    from backends.cuda.device_functions import Piece

_USED = re.compile(r"properties for '(\S+)':\s*info\s*: used (\d+) registers.*?(\d+) stack, (\d+) bytes smem")


@dataclass(frozen=True, slots=True)
class Resources:
    """What a block's threads take: registers and bytes of stack each, bytes of shared memory together."""

    registers: int
    stack: int
    shared: int


@dataclass(frozen=True, slots=True)
class Code:
    """Machine code of some kernels for a compute capability. `release` is the assembler's, of CUDA."""

    capability: tuple[int, int]
    release: tuple[int, int]
    kernels: tuple[str, ...]
    resources: Mapping[str, Resources]
    ptx: str
    cubin: bytes

    def to_bytes(self) -> bytes:
        """The code as it is stored."""
        head = {
            "capability": self.capability, "release": self.release, "kernels": self.kernels,
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
        return cls(capability, release, tuple(head["kernels"]), resources, zlib.decompress(ptx).decode(), cubin)


def lower_kernels(kernels: Mapping[str, Piece]) -> str:
    """Return kernels as one module of LLVM text, as NVVM reads it."""
    from backends.cuda.device_functions import Assembly

    assembly = Assembly()
    for name, kernel in kernels.items():
        assembly.add(name, kernel)
    return str(assembly)


def to_ptx(text: str, capability: tuple[int, int]) -> str:
    """Return the PTX of all kernels of a module for a compute capability. Raises: CompileError with NVVM's words."""
    from cuda.bindings import nvvm

    # No contraction to fused multiply-adds, as on the CPU: see `backends.emit`. Functions of libdevice ask for theirs.
    options = ["-opt=3", "-arch=compute_{}{}".format(*capability), "-fma=0"]
    program = nvvm.create_program()
    try:
        data, library = text.encode(), _libdevice()
        nvvm.add_module_to_program(program, data, len(data), "kernels")
        nvvm.lazy_add_module_to_program(program, library, len(library), "libdevice")
        try:
            nvvm.compile_program(program, len(options), options)
        except nvvm.nvvmError as error:
            words = bytearray(nvvm.get_program_log_size(program))
            nvvm.get_program_log(program, words)
            raise CompileError(
                f"NVVM makes no code for compute capability {capability[0]}.{capability[1]}: {error}: {_text(words)} A "
                "newer GPU needs a newer numba-cuda with its CUDA packages; target='cpu' needs neither."
            ) from None
        out = bytearray(nvvm.get_compiled_result_size(program))
        nvvm.get_compiled_result(program, out)
        return _text(out)
    finally:
        nvvm.destroy_program(program)


@functools.cache
def _libdevice() -> bytes:
    """NVIDIA's functions of numbers. Raises: CompileError where they are not installed."""
    from cuda.pathfinder import BitcodeLibNotFoundError, locate_bitcode_lib

    try:
        with open(locate_bitcode_lib("device").abs_path, "rb") as file:
            return file.read()
    except BitcodeLibNotFoundError as error:
        raise CompileError(f"NVIDIA's libdevice is not there: {error}; pip install 'symdiff[cuda]'.") from None


def assemble(kernels: tuple[str, ...], ptx: str, capability: tuple[int, int]) -> Code:
    """Make machine code. Raises: CompileError with the assembler's words."""
    cubin, log, release = _assemble(ptx, capability)
    used = {m[1]: Resources(int(m[2]), int(m[3]), int(m[4])) for m in _USED.finditer(log)}
    return Code(capability, release, kernels, {name: used[name] for name in kernels if name in used}, ptx, cubin)


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
