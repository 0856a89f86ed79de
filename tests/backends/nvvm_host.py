"""The LLVM code that NVVM reads, as code for the host: pointers without types, one address space, NVVM's functions.

Threads ask a table of their own for their numbers, which `pthread_getspecific` finds: see `cuda_threads`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

import llvmlite.binding as llvm

# Words of a thread's table: its numbers, the addresses of what it waits at and of its warp's numbers, how many blocks
# further its next one is, and the addresses of the kernel and of its parameters.
THREAD, THREADS, BLOCK, BLOCKS, BLOCK_BARRIER, WARP_BARRIER, SLOTS, STEP, KERNEL, PARAMETERS = range(10)
WORDS = 10
_SPECIAL = {"tid.x": THREAD, "ntid.x": THREADS, "ctaid.x": BLOCK, "nctaid.x": BLOCKS}

_TYPED = re.compile(r"(\{[^{}]*\}|\[[^][{}]*\]|\bvoid \([^()]*\)|\bi\d+|\bdouble|\bfloat|\bptr)( addrspace\(\d+\))?\*")
_INTRINSIC = re.compile(r'@"?llvm\.nvvm\.([\w.]+)"?')
_PTX = re.compile(r'call ([^@\n]+?) asm (?:sideeffect )?"([^"]*)", "[^"]*"\(')
_INSTRUCTION = re.compile(r"\b((?:rcp|rsqrt|sub|mad|setp|mul|add|bfind)[a-z0-9.]*)\b")
_KINDS = {"d": "double", "f": "float", "f32": "float", "f64": "double"}
_OPERATORS = {"add": "fadd", "mul": "fmul", "div": "fdiv"}
# Nearest approximations stand for NVIDIA's rough ones, which libdevice makes better by iterations.
_UNARY = {
    "fabs": "fabs", "floor": "floor", "ceil": "ceil", "trunc": "trunc", "round": "roundeven", "sqrt": "sqrt",
    "ex2": "exp2", "lg2": "log2", "sin": "sin", "cos": "cos",
}  # fmt: skip
_BINARY = {"fmin": "minnum", "fmax": "maxnum"}
_CONVERSION = re.compile(r"(ui|i|ull|ll|d|f)2(ui|i|ull|ll|d|f)\.(rn|rz)$")
_WHOLE = {"i": "i32", "ui": "i32", "ll": "i64", "ull": "i64"}


def translated(text: str) -> str:
    """Return a module of NVVM's dialect as LLVM of today for the host; NVVM's functions and PTX are named `nvvm.…`."""
    lines = [s for s in text.splitlines() if not s.startswith(("target ", '@"llvm.used"', "!nvvm"))]
    text, before = "\n".join(lines), ""
    while text != before:
        text, before = _TYPED.sub("ptr", text), text
    text = re.sub(r" addrspace\(\d+\)", "", text).replace("addrspacecast", "bitcast")
    text = _INTRINSIC.sub(r"@nvvm.\1", _PTX.sub(_called, text))
    return re.sub(r"^declare .*@nvvm\..*", "", text, flags=re.MULTILINE)


def _called(ptx: re.Match[str]) -> str:
    """A call of a function in the place of PTX, named after its first instruction."""
    name = _INSTRUCTION.search(ptx[2])
    wide = ".wide" if "i64" in ptx[1] else ""
    return f"call {ptx[1]} @nvvm.ptx.{name[1] if name else 'unknown'}{wide}("


def definitions(text: str, key: int) -> str:
    """Define what translated code uses of NVVM; what is not known here ends the process."""
    uses = {m[2]: m for m in re.finditer(r"call ([^@\n]+) @nvvm\.([\w.]+)\(([^()]*)\)", text)}
    return "\n".join([_table(key), *(_definition(name) or _trap(name, *m.group(1, 3)) for name, m in uses.items())])


def _trap(name: str, result: str, given: str) -> str:
    # The types of what is given: structures are not among it.
    kinds = [x.split()[0] for x in given.split(",") if x.strip()]
    return _function(name, result, kinds, ["call void @llvm.trap()", "unreachable"])


def _table(key: int) -> str:
    return f"""
declare ptr @pthread_getspecific(i32)
declare i32 @pthread_barrier_wait(ptr)
define linkonce_odr i64 @word(i64 %k) {{
  %table = call ptr @pthread_getspecific(i32 {key})
  %place = getelementptr i64, ptr %table, i64 %k
  %value = load i64, ptr %place
  ret i64 %value
}}
define linkonce_odr void @wait(i64 %k) {{
  %address = call i64 @word(i64 %k)
  %barrier = inttoptr i64 %address to ptr
  %done = call i32 @pthread_barrier_wait(ptr %barrier)
  ret void
}}"""


def opened(name: str, n: int) -> str:
    """A kernel of n words as a function of their address."""
    loads = [f"  %p{k} = getelementptr i64, ptr %p, i64 {k}\n  %w{k} = load i64, ptr %p{k}" for k in range(n)]
    words = ", ".join(f"i64 %w{k}" for k in range(n))
    body = "\n".join(loads)
    return f'define void @"{name}.open"(ptr %p) {{\n{body}\n  call void @"{name}"({words})\n  ret void\n}}\n'


def launcher(key: int) -> str:
    """A function that runs threads, given their tables one after another, their number, and a place for their names."""
    return f"""
declare i32 @pthread_setspecific(i32, ptr)
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_join(i64, ptr)
define internal ptr @thread(ptr %table) {{
  %set = call i32 @pthread_setspecific(i32 {key}, ptr %table)
  %kernel = call i64 @word(i64 {KERNEL})
  %run = inttoptr i64 %kernel to ptr
  %address = call i64 @word(i64 {PARAMETERS})
  %parameters = inttoptr i64 %address to ptr
  %blocks = call i64 @word(i64 {BLOCKS})
  %step = call i64 @word(i64 {STEP})
  %place = getelementptr i64, ptr %table, i64 {BLOCK}
  br label %next
next:
  %block = load i64, ptr %place
  %more = icmp slt i64 %block, %blocks
  br i1 %more, label %go, label %end
go:
  call void %run(ptr %parameters)
  call void @wait(i64 {BLOCK_BARRIER})
  %following = add i64 %block, %step
  store i64 %following, ptr %place
  br label %next
end:
  ret ptr null
}}
define i64 @launch(ptr %tables, i64 %n, ptr %names) {{
  br label %begin
begin:
  %k = phi i64 [0, %0], [%k1, %began]
  %all = icmp eq i64 %k, %n
  br i1 %all, label %join, label %start
start:
  %offset = mul i64 %k, {WORDS}
  %table = getelementptr i64, ptr %tables, i64 %offset
  %name = getelementptr i64, ptr %names, i64 %k
  %status = call i32 @pthread_create(ptr %name, ptr null, ptr @thread, ptr %table)
  %failed = icmp ne i32 %status, 0
  br i1 %failed, label %refused, label %began
began:
  %k1 = add i64 %k, 1
  br label %begin
join:
  %j = phi i64 [0, %begin], [%j1, %joining]
  %none = icmp eq i64 %j, %n
  br i1 %none, label %done, label %joining
joining:
  %other = getelementptr i64, ptr %names, i64 %j
  %which = load i64, ptr %other
  %end = call i32 @pthread_join(i64 %which, ptr null)
  %j1 = add i64 %j, 1
  br label %join
done:
  ret i64 0
refused:
  ret i64 1
}}
"""


def _function(name: str, result: str, arguments: Sequence[str], body: Sequence[str]) -> str:
    given = ", ".join(f"{kind} %{letter}" for kind, letter in zip(arguments, "abcde", strict=False))
    lines = "\n".join(f"  {line}" for line in body)
    return f"define linkonce_odr {result} @nvvm.{name}({given}) {{\n{lines}\n}}"


def _definition(name: str) -> str | None:
    """One function of NVVM, by its name without `llvm.nvvm.`."""
    if name.startswith("ptx."):
        return _ptx(name)
    if name.startswith("read.ptx.sreg."):
        register = name.removeprefix("read.ptx.sreg.")
        if register not in _SPECIAL:
            return _function(name, "i32", [], [f"ret i32 {int(register.startswith(('n', 'ncta')))}"])
        body = [f"%w = call i64 @word(i64 {_SPECIAL[register]})", "%r = trunc i64 %w to i32", "ret i32 %r"]
        return _function(name, "i32", [], body)
    if name == "barrier0":
        return _function(name, "void", [], [f"call void @wait(i64 {BLOCK_BARRIER})", "ret void"])
    if name.startswith("membar."):
        return _function(name, "void", [], ["fence seq_cst", "ret void"])
    if name == "shfl.sync.i32":
        return _function(name, "{i32, i1}", ["i32"] * 5, _SHUFFLE)
    return _bits(name) or _conversion(name) or _arithmetic(name)


# (threads, mode 2: down, value, distance, last lane): of a warp of 32, all of whose threads are here.
_SHUFFLE = f"""%tid = call i64 @word(i64 {THREAD})
%address = call i64 @word(i64 {SLOTS})
%slots = inttoptr i64 %address to ptr
%mine = getelementptr i32, ptr %slots, i64 %tid
store volatile i32 %c, ptr %mine
call void @wait(i64 {WARP_BARRIER})
%lane = and i64 %tid, 31
%distance = zext i32 %d to i64
%far = add i64 %lane, %distance
%is_down = icmp eq i32 %b, 2
%is_near = icmp ult i64 %far, 32
%inside = and i1 %is_near, %is_down
%step = select i1 %inside, i64 %distance, i64 0
%from = add i64 %tid, %step
%other = getelementptr i32, ptr %slots, i64 %from
%value = load volatile i32, ptr %other
call void @wait(i64 {WARP_BARRIER})
%half = insertvalue {{i32, i1}} undef, i32 %value, 0
%both = insertvalue {{i32, i1}} %half, i1 %inside, 1
ret {{i32, i1}} %both""".split("\n")


def _ptx(name: str) -> str | None:
    """PTX that libdevice is written in."""
    operation, *words = name.removeprefix("ptx.").replace(".ftz", "").split(".")
    kind = {"f32": "float", "f64": "double"}.get(words[-1] if words else "", "")
    match operation, words[:-1]:
        case "rcp", _:
            return _function(name, kind, [kind], [f"%r = fdiv {kind} 1.0, %a", f"ret {kind} %r"])
        case "rsqrt", _:
            root = f"%s = call {kind} @llvm.sqrt.{words[-1]}({kind} %a)"
            return _function(name, kind, [kind], [root, f"%r = fdiv {kind} 1.0, %s", f"ret {kind} %r"])
        case "sub", ["rn"]:
            return _function(name, kind, [kind] * 2, [f"%r = fsub {kind} %a, %b", f"ret {kind} %r"])
        case "setp", ["equ"]:
            # With the instruction behind it: one of two numbers.
            body = ["%p = fcmp ueq double %a, %b", "%r = select i1 %p, double %c, double %d", "ret double %r"]
            return _function(name, "double", ["double"] * 4, body)
        case "mad", ["lo", "cc"]:
            # With the instruction behind it: the low and the high half of a b + c.
            body = [
                "%x = zext i32 %a to i64", "%y = zext i32 %b to i64", "%z = zext i32 %c to i64", "%p = mul i64 %x, %y",
                "%s = add i64 %p, %z", "%l = trunc i64 %s to i32", "%t = lshr i64 %s, 32", "%h = trunc i64 %t to i32",
                "%u = insertvalue {i32, i32} undef, i32 %l, 0", "%r = insertvalue {i32, i32} %u, i32 %h, 1",
                "ret {i32, i32} %r",
            ]  # fmt: skip
            return _function(name, "{i32, i32}", ["i32"] * 3, body)
    return _wide(name)


def _wide(name: str) -> str | None:
    """Numbers of 128 bits in two halves, with which huge angles are reduced."""
    operations = {
        "ptx.mul.lo.u32.wide": (2, ["%r = mul i128 %x0, %x1"]),
        "ptx.mad.lo.cc.u32.wide": (3, ["%p = mul i128 %x0, %x1", "%r = add i128 %p, %x2"]),
        "ptx.add.cc.u32.wide": (4, ["%r = add i128 %y0, %y1"]),
        "ptx.sub.cc.u32.wide": (4, ["%r = sub i128 %y0, %y1"]),
    }
    if name not in operations:
        return None
    n, body = operations[name]
    lines = [f"%x{k} = zext i64 %{letter} to i128" for k, letter in enumerate("abcd"[:n])]
    if n == 4:
        for k in (0, 1):
            lines += [f"%s{k} = shl i128 %x{2 * k + 1}, 64", f"%y{k} = or i128 %s{k}, %x{2 * k}"]
    lines += [
        *body, "%l = trunc i128 %r to i64", "%t = lshr i128 %r, 64", "%h = trunc i128 %t to i64",
        "%u = insertvalue {i64, i64} undef, i64 %l, 0", "%v = insertvalue {i64, i64} %u, i64 %h, 1",
        "ret {i64, i64} %v",
    ]  # fmt: skip
    return _function(name, "{i64, i64}", ["i64"] * n, lines)


def _bits(name: str) -> str | None:
    match name:
        case "d2i.lo" | "d2i.hi":
            shift = 32 if name.endswith("hi") else 0
            body = ["%w = bitcast double %a to i64", f"%s = lshr i64 %w, {shift}", "%r = trunc i64 %s to i32"]
            body.append("ret i32 %r")
            return _function(name, "i32", ["double"], body)
        case "lohi.i2d":
            body = [
                "%l = zext i32 %a to i64", "%h = zext i32 %b to i64", "%s = shl i64 %h, 32", "%w = or i64 %l, %s",
                "%r = bitcast i64 %w to double", "ret double %r",
            ]  # fmt: skip
            return _function(name, "double", ["i32", "i32"], body)
        case "mulhi.i" | "mulhi.ui" | "mulhi.ll" | "mulhi.ull":
            bits = 64 if "ll" in name else 32
            extend, wide, kind = "zext" if "u" in name else "sext", f"i{2 * bits}", f"i{bits}"
            body = [
                f"%x = {extend} {kind} %a to {wide}", f"%y = {extend} {kind} %b to {wide}", f"%p = mul {wide} %x, %y",
                f"%s = lshr {wide} %p, {bits}", f"%r = trunc {wide} %s to {kind}", f"ret {kind} %r",
            ]  # fmt: skip
            return _function(name, kind, [kind, kind], body)
    return None


def _conversion(name: str) -> str | None:
    """To the nearest, or towards zero; whole numbers beyond the range are the nearest that there is."""
    found = _CONVERSION.match(name.removesuffix(".ftz"))
    if found is None:
        return None
    at, to, mode = found.groups()
    source, target = (_WHOLE.get(x) or _KINDS[x] for x in (at, to))
    if at in _WHOLE:
        operation = "uitofp" if at.startswith("u") else "sitofp"
        return _function(name, target, [source], [f"%r = {operation} {source} %a to {target}", f"ret {target} %r"])
    if to not in _WHOLE:
        operation = "fptrunc" if target == "float" else "fpext"
        return _function(name, target, [source], [f"%r = {operation} {source} %a to {target}", f"ret {target} %r"])
    suffix, sign = ("f64" if source == "double" else "f32"), ("u" if to.startswith("u") else "s")
    rounding = "roundeven" if mode == "rn" else "trunc"
    body = [
        f"%x = call {source} @llvm.{rounding}.{suffix}({source} %a)",
        f"%r = call {target} @llvm.fpto{sign}i.sat.{target}.{suffix}({source} %x)",
        f"ret {target} %r",
    ]
    return _function(name, target, [source], body)


def _arithmetic(name: str) -> str | None:
    """Operations rounded to the nearest."""
    operation, *words = name.replace(".ftz", "").split(".")
    if words[-1:] == ["f"] and words[0] in ("rm", "rz") and operation in ("add", "fma"):
        return _directed(name, operation, words[0])
    if not words or words[-1] not in _KINDS or not set(words[:-1]) <= {"rn", "approx"}:
        return None
    kind = _KINDS[words[-1]]
    if operation == "saturate":
        body = [
            "%x = call float @llvm.maxnum.f32(float %a, float 0.0)",
            "%r = call float @llvm.minnum.f32(float %x, float 1.0)",
        ]
        return _function(name, kind, [kind], [*body, "ret float %r"])
    suffix = "f64" if kind == "double" else "f32"
    if operation in _OPERATORS:
        return _function(name, kind, [kind] * 2, [f"%r = {_OPERATORS[operation]} {kind} %a, %b", f"ret {kind} %r"])
    if operation == "rcp":
        return _function(name, kind, [kind], [f"%r = fdiv {kind} 1.0, %a", f"ret {kind} %r"])
    if operation == "rsqrt":
        body = [f"%s = call {kind} @llvm.sqrt.{suffix}({kind} %a)", f"%r = fdiv {kind} 1.0, %s", f"ret {kind} %r"]
        return _function(name, kind, [kind], body)
    arity = 3 if operation == "fma" else 2 if operation in _BINARY else 1
    called = "fma" if arity == 3 else _BINARY.get(operation) or _UNARY.get(operation)
    if called is None:
        return None
    given = ", ".join(f"{kind} %{letter}" for letter in "abc"[:arity])
    body = [f"%r = call {kind} @llvm.{called}.{suffix}({given})", f"ret {kind} %r"]
    return _function(name, kind, [kind] * arity, body)


def _directed(name: str, operation: str, mode: str) -> str:
    """Sums of float32 rounded down, if positive, or towards zero: the nearest, and one less where that is more."""
    arity = 3 if operation == "fma" else 2
    lines = [f"%w{x} = fpext float %{x} to double" for x in "abc"[:arity]]
    exact = "fadd double %wa, %wb" if arity == 2 else "call double @llvm.fma.f64(double %wa, double %wb, double %wc)"
    lines += [f"%exact = {exact}", "%near = fptrunc double %exact to float", "%wide = fpext float %near to double"]
    lines += ["%size = call double @llvm.fabs.f64(double %exact)", "%taken = call double @llvm.fabs.f64(double %wide)"]
    lines += ["%bits = bitcast float %near to i32", "%less = sub i32 %bits, 1", "%below = bitcast i32 %less to float"]
    compared = "fcmp ogt double %wide, %exact" if mode == "rm" else "fcmp ogt double %taken, %size"
    lines += [f"%over = {compared}", "%r = select i1 %over, float %below, float %near", "ret float %r"]
    return _function(name, "float", ["float"] * arity, lines)


@functools.cache
def libdevice() -> str:
    """NVIDIA's functions as LLVM text, translated; `__nvvm_reflect` answers that small numbers stay as they are."""
    from cuda.pathfinder import locate_bitcode_lib

    with open(locate_bitcode_lib("device").abs_path, "rb") as file:
        text = translated(str(llvm.parse_bitcode(file.read())))
    text = re.sub(r"declare i32 @__nvvm_reflect.*", "", text)
    return text + "\ndefine internal i32 @__nvvm_reflect(ptr %a) {\n  ret i32 0\n}\n"
