"""Templates: skeletons as LLVM text, compiled by numba-cuda once for all programs and kept in the kernel store.

A skeleton is a Python function that is closed over device functions and numbers. Its text calls the functions by the
names that they have in it, so equal skeletons of all kernels are one template, and numba-cuda is not even imported
once the store has it: it takes a second to start and 60 ms for a function.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import CellType, FunctionType
from typing import Any

from backends.cuda import special
from backends.cuda.device import OLDEST
from backends.cuda.device_functions import DeviceFunction, Piece, call
from backends.cuda.kinds import Kind, Signature, float64, tuple_of
from backends.cuda.versions import store, versions
from backends.store import kernel_key

_texts: dict[str, str] = {}


def inlined(function: Callable[..., Any], signature: Signature) -> Any:
    """A Python function as a device function, with which skeletons do as with the function."""
    return _compiled(function, signature, inline=True)


def _compiled(function: Any, signature: Signature, inline: bool) -> DeviceFunction:
    def write() -> Piece:
        roles, numbers = _surroundings(function)
        code = function.__code__
        place = f"{function.__module__} {code.co_firstlineno} {function.__qualname__}"
        kinds = {name: str(f.signature) for name, f in roles.items()}
        key = kernel_key("template", place, str(signature), repr(sorted(kinds.items())), repr(numbers), versions())
        if key not in _texts:
            text, _ = store().get_or_build(key, lambda: _lowered(function, signature, roles).encode())
            _texts[key] = text.decode()
        return Piece(_texts[key], roles)

    return DeviceFunction(signature, write, inline)


def _surroundings(function: Any) -> tuple[dict[str, DeviceFunction], list[tuple[str, Any]]]:
    """The device functions that a function refers to, by name, and all else that it is closed over."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    found = [(name, cell.cell_contents) for name, cell in cells]
    own = [(name, function.__globals__[name]) for name in function.__code__.co_names if name in function.__globals__]
    roles = {name: x for name, x in (*found, *own) if isinstance(x, DeviceFunction)}
    return roles, [(name, x) for name, x in found if name not in roles]


def _lowered(function: Any, signature: Signature, roles: Mapping[str, DeviceFunction]) -> str:
    """The LLVM text of a function called `self`."""
    from numba import cuda
    from numba.cuda.compiler import _compile_pyfunc_with_fixup

    calls = {name: _intrinsic(name, f.signature) for name, f in roles.items()}
    space = {**function.__globals__, **{name: x for name, x in calls.items() if name in function.__globals__}}
    space["cuda"] = cuda
    code = function.__code__
    cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
    closure = tuple(CellType(calls.get(name, cell.cell_contents)) for name, cell in cells)
    copy = FunctionType(code, space, code.co_name, None, closure)
    # numba-cuda has a public way to PTX and none to LLVM text.
    library, _ = _compile_pyfunc_with_fixup(
        copy, _numba(signature), device=True, abi="c", abi_info={"abi_name": "self"}, cc=OLDEST
    )
    # Some operations of Python, such as powers, are functions of numba's with modules of their own.
    assert len(library.llvm_strs) == 1, f"{function.__qualname__} uses what numba-cuda does not write in place"
    (text,) = library.llvm_strs
    if signature.result.name == "void":
        # The C convention of numba-cuda gives an address for nothing.
        text = text.replace('define i8* @"self"', 'define void @"self"').replace("ret i8* null", "ret void")
    return str(text)


def _numba(signature: Signature) -> Any:
    result, *given = (_numba_kind(k) for k in (signature.result, *signature.given))
    return result(*given)


def _numba_kind(kind: Kind) -> Any:
    from numba.cuda import types

    return types.UniTuple(getattr(types, kind.name), kind.count) if kind.count else getattr(types, kind.name)


def _intrinsic(role: str, signature: Signature) -> Any:
    """What numba-cuda takes for a function whose calls are calls of a role."""
    from numba.cuda.extending import intrinsic

    kinds = _numba(signature)

    def generate(context: Any, builder: Any, given: Any, args: Any) -> Any:
        result = call(builder, role, signature, args)
        return context.get_dummy_value() if signature.result.name == "void" else result

    # Numba looks at the number of arguments, so there is one for each.
    forms: tuple[Callable[..., Any], ...] = (
        lambda typing: (kinds, generate),
        lambda typing, a: (kinds, generate),
        lambda typing, a, b: (kinds, generate),
        lambda typing, a, b, c: (kinds, generate),
        lambda typing, a, b, c, d: (kinds, generate),
        lambda typing, a, b, c, d, e: (kinds, generate),
    )
    return intrinsic(forms[len(signature.given)])


# --- special functions ----------------------------------------------------------------------


@functools.cache
def _special_functions() -> dict[Any, DeviceFunction]:
    """The functions of `special`, which call each other as device functions."""
    space: dict[str, Any] = dict(vars(special))
    own = [f for f in vars(special).values() if isinstance(f, FunctionType) and f.__module__ == special.__name__]
    found = {f: _special(f, space) for f in (*own, *special.SPECIAL.values())}
    space |= {f.__name__: found[f] for f in own}
    return found


def _special(function: FunctionType, space: dict[str, Any]) -> DeviceFunction:
    result = tuple_of(2, float64) if "tuple" in str(function.__annotations__.get("return")) else float64
    moved = FunctionType(function.__code__, space, function.__name__)
    # They are long, and their loops leave nothing to be gained around a call.
    return _compiled(moved, result(*[float64] * function.__code__.co_argcount), inline=False)


def special_function(name: str) -> DeviceFunction:
    """A function of `special.SPECIAL`."""
    return _special_functions()[special.SPECIAL[name]]
