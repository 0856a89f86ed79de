"""header: what a C program has to know of an exported function, in the words of its header file."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from backends.cpu.export.interface import C_TYPES, ERROR, OK, STATUS_NAMES, Interface
from backends.cpu.machine import Machine
from symdiff.ir.dims import Extent

_WIDTH = 100
_SHOWN = 400


def status_texts(requirements: Sequence[str]) -> tuple[str, ...]:
    """What each status says; `requirements` is what a program asks of its run-time sizes."""
    asked = "; ".join(requirements)
    return (
        "no error",
        "an index is out of range for its axis: every index i needs -extent <= i < extent",
        f"a size is negative or does not fit{f': {asked}' if asked else ''}",
        "no memory left for the temporaries",
    )


def header(
    interfaces: Sequence[Interface], texts: Sequence[str], memory: Sequence[Extent | None], target: Machine, links: str
) -> str:
    """Return the header file for functions of one name; `memory` is what their temporaries take on the stack.

    `links` are the linker's options for the libraries that they call.
    """
    name = interfaces[0].name
    guard = f"{name.upper()}_H"
    statuses = [f"{name.upper()}_{status} = {k}" for k, status in enumerate(STATUS_NAMES)]
    lines = [
        *_comment(_introduction(interfaces, memory, target, links)),
        f"#ifndef {guard}",
        f"#define {guard}",
        "",
        *(["#ifndef __cplusplus", "#include <stdbool.h>", "#endif"] if _uses(interfaces, "bool") else []),
        "#include <stdint.h>",
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        "",
        *_comment(["What the functions return."]),
        f"enum {{ {', '.join(statuses)} }};",
        "",
        *_comment([f"The text of a status: {'; '.join(f'{k}, {t}' for k, t in enumerate(texts))}."]),
        f"const char *{name}{ERROR}(int status);",
        "",
    ]
    for interface in interfaces:
        lines += [*_comment(_about(interface)), f"{interface.declaration};", ""]
    lines += ["#ifdef __cplusplus", "}", "#endif", "", f"#endif /* {guard} */"]
    return "\n".join(lines) + "\n"


def _uses(interfaces: Sequence[Interface], dtype: str) -> bool:
    return any(C_TYPES[a.dtype] == dtype for i in interfaces for a in i.arguments)


def _introduction(
    interfaces: Sequence[Interface], memory: Sequence[Extent | None], target: Machine, links: str
) -> list[str]:
    where = "; ".join(f"{i.name} has {_place(m)}" for i, m in zip(interfaces, memory, strict=True))
    return [
        f"{interfaces[0].name}: machine code for {target.triple}, {target.cpu_name}, made by symdiff. On a processor "
        "without the instructions of that one it ends with an illegal instruction.",
        f"Link with {links}. Nothing else is called: no Python, and of the C library only mathematics and memory.",
        "Arguments: run-time sizes first, then inputs, then outputs, in the order of the prototypes. Arrays are "
        "contiguous in C (row-major) order and aligned to their elements; a bool is one byte. No address may be NULL, "
        "that of an array without entries neither. Inputs are only read and may overlap each other; outputs must "
        "overlap neither inputs nor each other.",
        f"Returned is {interfaces[0].name.upper()}_{STATUS_NAMES[OK]} or another status below; after any other the "
        "outputs are not to be used.",
        f"The functions run on the calling thread and keep no state, so threads may call them at the same time; "
        f"{where}.",
    ]


def _place(memory: Extent | None) -> str:
    if memory is None:
        return "its temporaries from malloc, for the time of the call"
    return f"{memory} bytes of temporaries on the stack" if memory else "no temporaries"


def _about(interface: Interface) -> list[str]:
    lines = [shortened(f) for f in interface.formulas]
    width = max((len(a.name) for a in interface.arguments), default=0)
    return [
        *lines,
        *(f"  {a.name:<{width}}  {a.c_type.strip():<15}  {a.meaning(interface.sizes)}" for a in interface.arguments),
    ]


def shortened(text: str) -> str:
    """One line of at most some hundred characters."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"


def _comment(paragraphs: Sequence[str]) -> list[str]:
    """Paragraphs as a C comment, wrapped; those that are indented keep their columns."""
    lines: list[str] = []
    for k, text in enumerate(paragraphs):
        # A name may hold what ends a comment.
        safe = text.replace("*/", "* /").replace("/*", "/ *")
        if safe.startswith("  "):
            lines.append(safe)
            continue
        if k and not paragraphs[k - 1].startswith("  ") and len(paragraphs) > 1 and len(lines[-1]) > _WIDTH // 2:
            lines.append("")
        lines += textwrap.wrap(safe, _WIDTH - 3, break_long_words=False, break_on_hyphens=False)
    first, *rest = lines
    body = [f"/* {first}", *(f"   {line}".rstrip() for line in rest)]
    return [*body[:-1], f"{body[-1]} */"]
