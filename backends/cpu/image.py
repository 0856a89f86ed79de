"""image: machine code laid out once as it will stand in memory, loaded later without LLVM.

    link(object)  ->  Image        when code is built (`backends.cpu.linker`)
    Loaded(image) ->  addresses    in every process that uses it: a copy, and the addresses of what it imports

Loading an object through LLVM means importing LLVM, 30 ms, more than all else that a stored function needs. An image
is position-independent: code and constants, then data with a table of imported addresses behind a page boundary.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from collections.abc import Callable
from typing import Any, NamedTuple


class Image(NamedTuple):
    """Memory of `size` bytes that begins with `content`; from `writable` on it is data.

    `imports` are the names whose addresses stand from `table` on, `fixups` the (place, offset) of addresses within
    the image, `exports` the offsets of its functions.
    """

    content: bytes
    size: int
    writable: int
    table: int
    imports: tuple[str, ...]
    fixups: tuple[tuple[int, int], ...]
    exports: dict[str, int]


class Loaded:
    """An image in memory. The code lives as long as this object."""

    def __init__(self, image: Image, resolve: Callable[[str], int]):
        private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self._memory = mmap.mmap(-1, image.size, private, mmap.PROT_READ | mmap.PROT_WRITE)
        self._memory[: len(image.content)] = image.content
        self.base = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        for k, name in enumerate(image.imports):
            struct.pack_into("<Q", self._memory, image.table + 8 * k, resolve(name))
        for place, offset in image.fixups:
            struct.pack_into("<Q", self._memory, place, self.base + offset)
        if image.writable and _mprotect()(self.base, image.writable, mmap.PROT_READ | mmap.PROT_EXEC):
            raise OSError(ctypes.get_errno(), "memory cannot be made executable")
        self._exports = image.exports

    def address(self, name: str) -> int:
        """The address of a function."""
        return self.base + self._exports[name]


def _mprotect() -> Any:
    function = ctypes.CDLL(None, use_errno=True).mprotect
    function.argtypes, function.restype = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int], ctypes.c_int
    return function
