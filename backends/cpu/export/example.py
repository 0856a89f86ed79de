"""example: a C program that calls an exported function on some numbers and prints the results."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from backends.cpu.export.header import shortened
from backends.cpu.export.interface import C_TYPES, ERROR, STATUS_NAMES, Argument, Interface
from symdiff.ir.dims import evaluate
from symdiff.ir.errors import DomainError
from symdiff.program.ir import Program

# Entries of an array that the example prints.
SHOWN = 8
_SIZES = (5, 4, 3, 7, 2, 8, 12, 1)
_MOST_TRIED = 4096
# Every entry of input k is one of these expressions of C: numbers between 0.25 and 0.75, and small integers.
_FILL = {
    "float64": "0.25 + 0.5 * ((7 * index_ + 3 * {k}) % 11) / 11.0",
    "float32": "(float)(0.25 + 0.5 * ((7 * index_ + 3 * {k}) % 11) / 11.0)",
    "int64": "(index_ + {k}) % 2",
    "bool": "(index_ + {k}) % 2 == 0",
}
_NUMBERS = {
    "float64": "0.25 + 0.5 * {k} / 11.0",
    "float32": "(float)(0.25 + 0.5 * {k} / 11.0)",
    "int64": "1 + {k} % 2",
    "bool": "{k} % 2 == 0",
}
_PRINT = {"float64": "%.17g", "float32": "%.9g", "int64": "%lld", "bool": "%d"}
_CAST = {"float64": "", "float32": "", "int64": "(long long)", "bool": "(int)"}


def example_sizes(program: Program) -> dict[str, int]:
    """Return small run-time sizes that fit the program, different ones where that works."""
    names = program.sizes
    tried = itertools.islice(itertools.product(_SIZES, repeat=len(names)), _MOST_TRIED)
    for chosen in sorted(tried, key=lambda sizes: len(set(sizes)), reverse=True):
        sizes = dict(zip(names, chosen, strict=True))
        try:
            program.check(sizes)
        except DomainError:
            continue
        return sizes
    return dict.fromkeys(names, _SIZES[0])


def example(interfaces: Sequence[Interface], programs: Sequence[Program], build: str) -> str:
    """Return the text of the example; `build` is the command that builds it."""
    name = interfaces[0].name
    lines = [
        f"/* Calls {name} on some numbers.",
        f"   Build: {build} */",
        "#include <stdio.h>",
        f'#include "{name}.h"',
        "",
        "int main(void)",
        "{",
        "    int status;",
    ]
    for interface, program in zip(interfaces, programs, strict=True):
        lines += ["    {", *(f"        {line}".rstrip() for line in _call(interface, program)), "    }"]
    lines += ["    return 0;", "}", ""]
    return "\n".join(lines)


def _call(interface: Interface, program: Program) -> list[str]:
    name = interface.name.removesuffix("_map") if interface.name.endswith("_map") else interface.name
    sizes = example_sizes(program)
    lines = [f"/* {shortened(f).replace('*/', '* /').replace('/*', '/ *')} */" for f in interface.formulas]
    values = iter(sizes.values())
    passed = []
    inputs = itertools.count()
    for a in interface.arguments:
        if a.role == "size":
            lines.append(f"const int64_t {a.name} = {next(values)};")
        elif not a.shape:
            lines.append(_number(a, next(inputs)) if a.role == "input" else f"{C_TYPES[a.dtype]} {a.name};")
        else:
            count = _count(a, sizes)
            lines.append(f"static {C_TYPES[a.dtype]} {a.name}[{max(count, 1)}];")
            if a.role == "input":
                fill = _FILL[a.dtype].format(k=next(inputs))
                lines.append(f"for (int64_t index_ = 0; index_ < {count}; index_++) {a.name}[index_] = {fill};")
        passed.append(f"&{a.name}" if a.role == "output" and not a.shape else a.name)
    lines += [
        f"status = {interface.name}({', '.join(passed)});",
        f"if (status != {name.upper()}_{STATUS_NAMES[0]}) {{",
        f'    fprintf(stderr, "{interface.name}: %s\\n", {name}{ERROR}(status));',
        "    return status;",
        "}",
    ]
    for a in interface.of_role("output"):
        lines += _print(a, sizes)
    return lines


def _number(a: Argument, k: int) -> str:
    return f"const {C_TYPES[a.dtype]} {a.name} = {_NUMBERS[a.dtype].format(k=k)};"


def _count(a: Argument, sizes: Mapping[str, int]) -> int:
    count = 1
    for extent in a.shape:
        count *= evaluate(extent, sizes)
    return count


def _print(a: Argument, sizes: Mapping[str, int]) -> list[str]:
    form, cast = _PRINT[a.dtype], _CAST[a.dtype]
    if not a.shape:
        return [f'printf("{a.name} = {form}\\n", {cast}{a.name});']
    count = _count(a, sizes)
    lines = [f"for (int index_ = 0; index_ < {min(count, SHOWN)}; index_++)"]
    lines.append(f'    printf("{a.name}[%d] = {form}\\n", index_, {cast}{a.name}[index_]);')
    return [*lines, *([f'printf("{a.name}: {count - SHOWN} more\\n");'] if count > SHOWN else [])]
