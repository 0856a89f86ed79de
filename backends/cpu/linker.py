"""linker: an object file becomes an image, see `backends.cpu.image`.

Calls of imported functions jump through a table of addresses (a GOT). Only what LLVM emits for x86-64 ELF with small,
position-independent code is known here; for anything else `link` gives None and LLVM loads the object.

Method: System V ABI, AMD64 supplement 1.0, chapter 4 (object files, relocation types).
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from typing import NamedTuple

from backends.cpu.image import Image

_PAGE = 4096
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION, _SYMBOL, _RELOCATION = struct.Struct("<IIQQQQIIQQ"), struct.Struct("<IBBHQQ"), struct.Struct("<QQq")
_ELF64_LITTLE, _RELOCATABLE, _X86_64 = b"\x7fELF\x02\x01\x01", 1, 62
# Types of sections; nothing unwinds through this code.
_SYMBOLS, _RELOCATIONS, _NO_BITS, _UNWINDING = 2, 4, 8, 0x70000001
_WRITE, _ALLOCATE = 1, 2  # flags of sections
_UNDEFINED, _GLOBAL = 0, 1  # the section of an import; how far a symbol is seen
# R_X86_64_64; PC32 and PC64; PLT32; GOTPCREL and its two relaxable forms
_ABSOLUTE, _RELATIVE, _WIDE, _CALL, _FROM_TABLE = 1, 2, 24, 4, (9, 41, 42)
_JUMP = b"\xff\x25"  # jmp *offset(%rip)


class _Section(NamedTuple):
    kind: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    align: int


def link(data: bytes) -> Image | None:
    """Return the image of an object file, or None for one that only LLVM can load."""
    if sys.platform != "linux" or len(data) < _HEADER.size:
        return None
    head = _HEADER.unpack_from(data)
    if not head[0].startswith(_ELF64_LITTLE) or head[1:3] != (_RELOCATABLE, _X86_64):
        return None
    try:
        return _Linker(data, head[6], head[12]).link()
    except _UnknownRelocation:
        return None


class _UnknownRelocation(Exception):
    """The object needs something that is not known here."""


class _Linker:
    """Places the sections of one object and resolves what lies inside."""

    def __init__(self, data: bytes, at: int, n_sections: int):
        self.data = data
        raw = [_SECTION.unpack_from(data, at + k * _SECTION.size) for k in range(n_sections)]
        self.sections = [_Section(r[1], r[2], r[4], r[5], r[6], r[7], max(r[8], 1)) for r in raw]
        (table,) = (s for s in self.sections if s.kind == _SYMBOLS)
        names = self.sections[table.link].offset
        self.symbols = []
        for start in range(table.offset, table.offset + table.size, _SYMBOL.size):
            name, info, _, section, value, _ = _SYMBOL.unpack_from(data, start)
            end = data.index(b"\0", names + name)
            self.symbols.append((data[names + name : end].decode(), info, section, value))
        self.places: dict[int, int] = {}
        self.stubs: dict[str, int] = {}
        self.imports: dict[str, int] = {}

    def link(self) -> Image:
        """Lay out, copy, relocate."""
        kept = [k for k, s in enumerate(self.sections) if s.flags & _ALLOCATE and s.kind != _UNWINDING and s.size]
        end = self._place([k for k in kept if not self.sections[k].flags & _WRITE], 0)
        external = dict.fromkeys(name for name, _, section, _ in self.symbols if section == _UNDEFINED and name)
        stubs = _up(end, 16)
        writable = _up(stubs + 8 * len(external), _PAGE)
        for k, name in enumerate(external):
            self.stubs[name], self.imports[name] = stubs + 8 * k, writable + 8 * k
        size = self._place([k for k in kept if self.sections[k].flags & _WRITE], writable + 8 * len(external))
        content = bytearray(size)
        for k in kept:
            s = self.sections[k]
            if s.kind != _NO_BITS:
                content[self.places[k] : self.places[k] + s.size] = self.data[s.offset : s.offset + s.size]
        for name, at in self.stubs.items():
            content[at : at + 6] = _JUMP + struct.pack("<i", self.imports[name] - (at + 6))
        fixups = tuple(self._relocate(content))
        ours = [k for k, (_, info, s, _) in enumerate(self.symbols) if info >> 4 == _GLOBAL and s in self.places]
        exports = {self.symbols[k][0]: self._offset(k) for k in ours}
        used = bytes(content).rstrip(b"\0")
        return Image(used, _up(max(size, 1), _PAGE), writable, writable, tuple(external), fixups, exports)

    def _place(self, sections: list[int], at: int) -> int:
        for k in sections:
            at = _up(at, self.sections[k].align)
            self.places[k] = at
            at += self.sections[k].size
        return at

    def _offset(self, symbol: int) -> int:
        """Where a symbol of the object lies in the image."""
        name, _, section, value = self.symbols[symbol]
        if section not in self.places:
            raise _UnknownRelocation(name)
        return self.places[section] + value

    def _relocate(self, content: bytearray) -> Iterator[tuple[int, int]]:
        """Write what is known now; yields the absolute addresses, which depend on where the image will lie."""
        for s in self.sections:
            if s.kind != _RELOCATIONS or s.info not in self.places:
                continue
            base = self.places[s.info]
            for start in range(s.offset, s.offset + s.size, _RELOCATION.size):
                place, info, addend = _RELOCATION.unpack_from(self.data, start)
                place, symbol, kind = place + base, info >> 32, info & 0xFFFFFFFF
                if kind == _ABSOLUTE:
                    yield place, self._offset(symbol) + addend
                else:
                    target = self._target(symbol, kind)
                    struct.pack_into("<q" if kind == _WIDE else "<i", content, place, target + addend - place)

    def _target(self, symbol: int, kind: int) -> int:
        """What a relative reference points to: a symbol, the stub of an imported function, or a word of the table."""
        name, _, section, _ = self.symbols[symbol]
        imported = section == _UNDEFINED
        if kind in _FROM_TABLE:
            if not imported:
                raise _UnknownRelocation(name)
            return self.imports[name]
        if kind == _CALL:
            return self.stubs[name] if imported else self._offset(symbol)
        if kind in (_RELATIVE, _WIDE) and not imported:
            return self._offset(symbol)
        raise _UnknownRelocation(name)


def _up(n: int, step: int) -> int:
    return -(-n // step) * step
