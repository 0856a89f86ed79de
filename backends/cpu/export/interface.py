"""interface: how a program is called from C: a name, arguments in order, and what its status says.

    int name(sizes..., inputs..., outputs...)

Run-time sizes are int64_t. Numbers are passed by value, arrays and every result by address.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from symdiff.ir.dims import Dim, Extent, Shape
from symdiff.ir.errors import CompileError
from symdiff.program.ir import Program

C_TYPES = {"float64": "double", "float32": "float", "int64": "int64_t", "bool": "bool"}
# What the functions return.
OK, INDEX, SIZE, MEMORY = range(4)
STATUS_NAMES = ("OK", "INDEX", "SIZE", "MEMORY")
# The endings of the other functions that are exported beside `name`.
MAP, ERROR = "_map", "_error"
_WORDS = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl concept const consteval
constexpr constinit const_cast continue co_await co_return co_yield decltype default delete do double dynamic_cast else
enum explicit export extern false float for friend goto if inline int long mutable namespace new noexcept not not_eq
nullptr operator or or_eq private protected public register reinterpret_cast requires restrict return short signed
sizeof static static_assert static_cast struct switch template this thread_local throw true try typedef typeid typename
typeof union unsigned using virtual void volatile wchar_t while xor xor_eq linux unix int64_t
"""
_OF_THE_EXAMPLE = "main status index_ printf fprintf stderr stdin stdout EOF NULL"
_TAKEN = frozenset([*_WORDS.split(), *_OF_THE_EXAMPLE.split()])


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: its name in C and the user's own, and whether it is a "size", an "input" or an "output"."""

    name: str
    written: str
    dtype: str
    shape: Shape
    role: str

    @property
    def by_address(self) -> bool:
        """Whether C passes a pointer."""
        return self.role == "output" or bool(self.shape)

    @property
    def c_type(self) -> str:
        """The type in C, with a space or a star at its end."""
        kind = C_TYPES[self.dtype]
        if not self.by_address:
            return f"{kind} "
        return f"const {kind} *" if self.role == "input" else f"{kind} *"

    def meaning(self, sizes: Mapping[str, str]) -> str:
        """What it is, for the header; `sizes` gives the names of run-time sizes in C."""
        if self.role == "size":
            return "a size"
        if not self.shape:
            kind = f"{self.role}, a number"
        else:
            kind = f"{self.role}, shape ({', '.join(extent_in_c(e, sizes) for e in self.shape)})"
        return kind if self.written == self.name else f"{kind}; {self.written!r} in Python"


@dataclass(frozen=True, slots=True)
class Interface:
    """A function for C. `sizes` gives the names of run-time sizes in C, `formulas` are the outputs in words."""

    name: str
    arguments: tuple[Argument, ...]
    sizes: Mapping[str, str]
    formulas: tuple[str, ...] = ()

    @property
    def declaration(self) -> str:
        """The prototype, without semicolon."""
        listed = ", ".join(f"{a.c_type}{a.name}" for a in self.arguments) or "void"
        return f"int {self.name}({listed})"

    def of_role(self, role: str) -> list[Argument]:
        """The arguments that are sizes, inputs or outputs."""
        return [a for a in self.arguments if a.role == role]


def interface(
    name: str,
    program: Program,
    inputs: Sequence[str],
    outputs: Sequence[str],
    formulas: Sequence[str],
    written: Mapping[str, str] | None = None,
) -> Interface:
    """Return the interface of a program whose inputs and outputs have these names.

    `written` gives other names for some run-time sizes.
    """
    sizes = [(written or {}).get(s, s) for s in program.sizes]
    names = c_names([*sizes, *inputs, *outputs], {name, name + MAP, name + ERROR})
    arguments: list[Argument] = []
    for size in sizes:
        arguments.append(Argument(names[len(arguments)], size, "int64", (), "size"))
    in_c = dict(zip(program.sizes, names, strict=False))
    for role, given, buffers in (("input", inputs, program.inputs), ("output", outputs, program.outputs)):
        # Literal arrays of the program come after its inputs.
        for user, buffer in zip(given, buffers[: len(given)], strict=True):
            arguments.append(Argument(names[len(arguments)], user, buffer.dtype, buffer.shape, role))
    return Interface(name, tuple(arguments), in_c, tuple(formulas))


def extent_in_c(extent: Extent, names: Mapping[str, str]) -> str:
    """An extent as an expression of C, its sizes with these names.

    >>> from symdiff.ir.dims import as_extent
    >>> extent_in_c(2 * as_extent("n") + 1, {"n": "rows"})
    '2*rows + 1'
    """
    if not isinstance(extent, Dim):
        return str(extent)
    parts = []
    for monomial, c in extent.terms:
        factors = [
            names[a] if isinstance(a, str) else f"(({extent_in_c(a.dim, names)} + {a.step - 1}) / {a.step})"
            for a in monomial
        ]
        parts.append("*".join(([str(c)] if c != 1 or not factors else []) + factors))
    return " + ".join(parts).replace("+ -", "- ")


def c_names(written: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """Return different C identifiers that are like these names.

    >>> c_names(["x", "λ", "w'", "2nd", "int", "x"])
    ['x', 'lambda', 'w_', '_2nd', 'int_', 'x_2']
    """
    used = set(taken) | _TAKEN
    names: list[str] = []
    for text in written:
        plain = "".join(map(_ascii, text)) or "_"
        base = f"_{plain}" if plain[0].isdigit() else plain
        name, number = base, 2
        while name in used:
            name = f"{base}_" if base in _TAKEN and number == 2 else f"{base}_{number}"
            number += 1
        used.add(name)
        names.append(name)
    return names


def _ascii(letter: str) -> str:
    if letter == "_" or (letter.isascii() and letter.isalnum()):
        return letter
    # "GREEK SMALL LETTER ALPHA" -> "alpha"
    words = unicodedata.name(letter, "").split()
    if len(words) == 4 and words[0] == "GREEK" and words[2] == "LETTER":
        spelled = words[3].replace("LAMDA", "LAMBDA")  # as Unicode spells it
        return spelled.lower() if words[1] == "SMALL" else spelled.capitalize()
    return "_"


def check_name(name: str) -> None:
    """Raise CompileError unless `name` can be the name of a C function and of files."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name, re.ASCII):
        raise CompileError(f"The name of an exported function is a C identifier such as 'my_function', got {name!r}.")
    if name in _TAKEN:
        raise CompileError(f"{name!r} is a word of C or C++ and cannot name a function; try {name + '_function'!r}.")
    for symbol in (name, name + MAP, name + ERROR):
        if _is_of_the_c_library(symbol):
            raise CompileError(
                f"{symbol!r} is a function of the C library, which the exported one would replace in every program it "
                f"is linked to; try {'my_' + name!r}."
            )


def _is_of_the_c_library(symbol: str) -> bool:
    import ctypes

    for library in ("libm.so.6", None):
        try:
            if hasattr(ctypes.CDLL(library), symbol):
                return True
        except OSError:  # not glibc: the functions of the process are all there is to ask
            continue
    return False
