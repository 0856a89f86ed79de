"""fixed: LLVM text that is the same for all programs, the door and the thread pool, compiled once and kept."""

from __future__ import annotations

import marshal
from collections.abc import Sequence
from typing import Protocol

from backends.cpu.identity import identity
from backends.cpu.image import Image, Loaded
from backends.cpu.symbols import address_of
from backends.store import KernelStore, kernel_key


class Code(Protocol):
    """Loaded machine code."""

    def address(self, name: str) -> int:
        """The address of a function."""


def load_fixed(text: str, symbols: Sequence[str], effort: int) -> Code:
    """Return the code of a text, from the kernel store where it is; LLVM is imported only where it is not."""
    known = identity()
    if known is None:
        return _with_llvm(text, symbols, effort)
    store, key = KernelStore(), kernel_key("fixed", text, str(effort), known)
    data = store.get(key)
    if data is None:
        from backends.cpu.linker import link

        image = link(_build(text, effort))
        if image is None:
            return _with_llvm(text, symbols, effort)
        data = marshal.dumps(tuple(image))
        store.put(key, data)
    return Loaded(Image(*marshal.loads(data)), address_of)


def _build(text: str, effort: int) -> bytes:
    from backends.cpu.host import build_object
    from backends.cpu.machine import machine

    return build_object(f'target triple = "{machine().triple}"\n{text}', effort)


def _with_llvm(text: str, symbols: Sequence[str], effort: int) -> Code:
    from backends.cpu.host import Library
    from backends.cpu.machine import machine

    key = kernel_key(text, str(effort), machine().key)
    return Library(KernelStore().get_or_build(key, lambda: _build(text, effort))[0], symbols)
