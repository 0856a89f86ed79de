"""host: LLVM text to an object file, an object file to addresses.

The optimised object is what the kernel store keeps; loading it takes about a millisecond.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from typing import Any

from backends.cpu.machine import Machine, machine
from backends.cpu.symbols import address_of, in_package

_lock = threading.Lock()
# Checking each module again takes LLVM as long as reading it; the tests do.
_VERIFY = os.environ.get("SYMDIFF_VERIFY") == "1"


def _target(level: int, here: Machine, jit: bool = True) -> Any:
    import llvmlite.binding as llvm

    return llvm.Target.from_triple(here.triple).create_target_machine(
        cpu=here.cpu_name, features=here.features, opt=level, reloc="pic", codemodel="small", jit=jit
    )


def optimised(texts: str | Sequence[str], effort: int, elsewhere: Machine | None = None) -> tuple[Any, Any]:
    """Return the optimised LLVM module of a text, and the target machine to emit it with.

    Several texts become one module. Code for `elsewhere` goes to a file, whichever machine that is.

    `effort` 0 is for straight-line code, which the passes have made lean already: LLVM only chooses instructions,
    in a fifth of the time and without a measurable loss. 1 works on every function by itself; 2 also puts functions
    into each other, which pays where sizes are known, for half as much time again and more.
    """
    import llvmlite.binding as llvm

    level = min(2 * effort, 2)
    target = _target(level, machine()) if elsewhere is None else _target(level, elsewhere, jit=False)
    module, *others = (llvm.parse_assembly(text) for text in ([texts] if isinstance(texts, str) else texts))
    for other in others:
        module.link_in(other)
    module.data_layout = str(target.target_data)
    if _VERIFY:
        module.verify()
    if effort > 0:
        # Of a single function, the passes of level 1 are those of level 2 without what costs most and brings least.
        builder = llvm.create_pass_builder(target, _tuning(effort))
        if effort == 1:
            passes = builder.getFunctionPassManager()
            for function in module.functions:
                if not function.is_declaration:
                    passes.run(function, builder)
        else:
            builder.getModulePassManager().run(module, builder)
    return module, target


def _tuning(level: int) -> Any:
    import llvmlite.binding as llvm

    tuning = llvm.create_pipeline_tuning_options(speed_level=level)
    # Lanes are explicit; LLVM's own vectoriser would only change rounding between positions.
    tuning.slp_vectorization = False
    tuning.loop_vectorization = False
    # A fifth to two fifths of the time of a build, and no case of the benchmark runs faster with it: loops are
    # over vectors already, and wait for memory or for the functions of libmvec.
    tuning.loop_unrolling = False
    return tuning


def build_object(texts: str | Sequence[str], effort: int, elsewhere: Machine | None = None) -> bytes:
    """Compile LLVM text to an object file; see `optimised`."""
    with _lock:
        module, target = optimised(texts, effort, elsewhere)
        return target.emit_object(module)


class Library:
    """A loaded object file; `address` gives its functions. The code lives as long as this object."""

    def __init__(self, data: bytes, symbols: Iterable[str]):
        import llvmlite.binding as llvm

        for symbol in symbols:
            address = resolve(symbol)
            if address:
                llvm.add_symbol(symbol, address)
        with _lock:
            self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target(1, machine()))
            self._engine.add_object_file(llvm.object_file.ObjectFileRef.from_data(data))
            self._engine.finalize_object()

    def address(self, name: str) -> int:
        """The address of a function."""
        return self._engine.get_function_address(name)


def resolve(symbol: str) -> int | None:
    """Return the address of a library routine, or None for one that LLVM finds by itself (libm, libmvec).

    Raises CompileError for a symbol that nobody has: LLVM would end the process at it.
    """
    import llvmlite.binding as llvm

    found = in_package(symbol)
    return found if found is not None or llvm.address_of_symbol(symbol) else address_of(symbol)


def _after_fork() -> None:
    # A lock that another thread held at the fork stays locked in the child for ever.
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
