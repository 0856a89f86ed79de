"""Programs as text: one line for every instruction, indented by the statements around it."""

from __future__ import annotations

from collections.abc import Iterator

from symdiff.ir.dims import Extent, shape_text
from symdiff.program.ir import (
    Access,
    Affine,
    Call,
    Const,
    Guard,
    Instr,
    Load,
    Loop,
    Nest,
    Op,
    Program,
    Rows,
    Statement,
    Sweep,
)


def lines(program: Program) -> Iterator[str]:
    """Yield the lines of a program as text: its buffers, what must hold of the sizes, its statements."""
    for b in (*program.inputs, *program.outputs, *program.temps):
        yield f"{b.kind} {b}: {b.dtype}{shape_text(b.shape)}"
    yield from map(str, program.requirements)
    yield from _statement_lines(program.statements, "")


def _statement_lines(statements: tuple[Statement, ...], indent: str) -> Iterator[str]:
    # Recursion depth is the nesting of loops in the user's program.
    for s in statements:
        match s:
            case Nest():
                over = f" reduce {s.reduced}" if s.reductions else ""
                serial = " serial" if s.serial else ""
                yield f"{indent}for {shape_text(s.space)}{over}{serial}:"
                for b in s.zero:
                    yield f"{indent}  zero {b}"
                for k, instr in enumerate(s.body):
                    yield f"{indent}  v{k} = {_instr_text(instr)}"
                for store in s.stores:
                    yield f"{indent}  {_access_text(store.access)} {'+=' if store.add else '='} v{store.value}"
                for r in s.reductions:
                    yield f"{indent}  {_access_text(r.access)} = {r.op} v{r.value}"
            case Call():
                args = ", ".join(_access_text(a) for a in s.operands)
                yield f"{indent}{s.name}[{', '.join(map(str, s.extents))}] {s.dtype} {' '.join(s.flags)} ({args})"
            case Rows():
                kept = f", {', '.join(map(str, s.local))} hold one block" if s.local else ""
                yield f"{indent}rows in blocks of {s.extent}, {s.row_bytes} bytes each{kept}:"
                yield from _statement_lines(tuple(m.statement for m in s.members), indent + "  ")
            case Loop():
                yield f"{indent}while {s.flag} of:"
                yield from _statement_lines(s.cond, indent + "  ")
                yield f"{indent}do:"
                yield from _statement_lines(s.body, indent + "  ")
                yield f"{indent}  swap " + ", ".join(f"{a}<->{b}" for a, b in s.swaps)
            case Sweep():
                yield from _sweep_lines(s, indent)


def _sweep_lines(s: Sweep, indent: str) -> Iterator[str]:
    yield f"{indent}sweep in tiles, turns {s.lag} planes apart that reach {s.reach}, margin {s.margin}:"
    yield f"{indent}  {s.slab} planes at a step"
    axes = ", ".join(
        f"{start} + {extent}{' periodic' * around}"
        for (start, extent), around in zip(s.domain, s.periodic, strict=True)
    )
    yield f"{indent}  points {axes}"
    for p in s.pieces:
        box = ", ".join(f"{a}:{b}" for a, b in zip(p.lower, p.upper, strict=True))
        stores = ", ".join(f"{x.access.buffer}{x.access.strides} = v{x.value}" for x in p.stores)
        yield f"{indent}  piece [{box}] delay {p.delay} halo {p.halo}: {stores}"
        reads = {r.value: f"{'old ' * r.old}{r.buffer}{r.offsets}" for r in p.reads}
        for k, instr in enumerate(p.body):
            yield f"{indent}    v{k} = {reads.get(k) or _instr_text(instr)}"
    for r in s.rings:
        yield f"{indent}  keep {r.buffer}: {r.planes} planes, {r.taken} of the start from {r.taken_delay}"
    yield f"{indent}  ahead, recording {', '.join(map(str, s.recorded)) or 'nothing'}:"
    yield from _statement_lines(s.ahead, indent + "    ")
    yield f"{indent}  unless the sides differ:"
    yield from _statement_lines((*(nest for nest, _ in s.checks), *s.fills), indent + "    ")
    if s.begins or s.ends:
        yield f"{indent}  without the copies:"
        yield from _statement_lines(tuple(nest for nest, _, _ in (*s.begins, *s.ends)), indent + "    ")
    yield f"{indent}  in place of:"
    yield from _statement_lines((s.loop,), indent + "    ")


def _affine_text(offset: Extent, coefs: tuple[Extent, ...]) -> str:
    parts = [f"({c})*i{k}" if c != 1 else f"i{k}" for k, c in enumerate(coefs) if c != 0]
    if offset != 0 or not parts:
        parts.append(f"{offset}")
    return " + ".join(parts)


def _guards_text(guards: tuple[Guard, ...]) -> str:
    return "".join(f" if 0 <= {_affine_text(g.offset, g.coefs)} < {g.limit}" for g in guards)


def _access_text(a: Access) -> str:
    gathers = "".join(f" + wrap(v{g.value}, {g.extent})*({g.stride})" for g in a.gathers)
    return f"{a.buffer}[{_affine_text(a.offset, a.strides)}{gathers}]{_guards_text(a.guards)}"


def _instr_text(instr: Instr) -> str:
    match instr:
        case Load():
            return f"load {_access_text(instr.access)}"
        case Affine():
            return f"index {_affine_text(instr.offset, instr.coefs)}{_guards_text(instr.guards)}"
        case Const():
            value = float(instr.value).hex() if instr.dtype.startswith("float") else instr.value
            return f"{instr.dtype} {value}{_guards_text(instr.guards)}"
        case Op():
            return f"{instr.name}.{instr.dtype} {' '.join(f'v{a}' for a in instr.args)}"
