"""Code for other processors: packed instructions in the assembly of each, and SSE2 code that runs here like AVX2's."""

from __future__ import annotations

import ctypes
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from backends.cpu.codegen import codegen
from backends.cpu.host import optimised
from backends.cpu.machine import machine
from backends.cpu.targets import target
from symdiff.ir.errors import DomainError
from symdiff.program.ir import Program

X86, ARM = "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"
EPS = np.finfo(float).eps
x, y = sd.symbols("x y")
rng = np.random.default_rng(11)


def rational(x: Any, y: Any) -> Any:
    """Products, quotients, roots, comparisons and a choice: all of one rounding, the same on every processor."""
    return sd.where(x > y, x * y + x / (1 + y**2), sd.sqrt(x**2 + y) * 3 - sd.maximum(x, 2 * y))


def mapped(f: Callable[[Any, Any], Any], dtype: str) -> Program:
    """The program of f at every entry of vectors."""
    xs, ys = sd.vector("xs", "n"), sd.vector("ys", "n")
    fn = sd.compile(f(xs, ys), [xs, ys], dtype=dtype)
    assert fn.program is not None
    return fn.program


def assembly(program: Program, cpu: str, triple: str) -> str:
    there = target(cpu, triple)
    module, machine_code = optimised(str(codegen(program, there)[0]), 2, there)
    return machine_code.emit_assembly(module)


# (processor, kind of numbers) -> a product of packed numbers in the assembly, and one that must not be there.
PACKED = [
    ("x86-64", X86, "float64", r"\bmulpd\s.*%xmm", r"%ymm"),
    ("x86-64", X86, "float32", r"\bmulps\s.*%xmm", r"%ymm"),
    ("x86-64-v3", X86, "float64", r"\bvmulpd\s.*%ymm", r"%zmm"),
    ("x86-64-v3", X86, "float32", r"\bvmulps\s.*%ymm", r"%zmm"),
    ("x86-64-v4", X86, "float64", r"\bvmulpd\s.*%zmm", r"%$none"),
    ("x86-64-v4", X86, "float32", r"\bvmulps\s.*%zmm", r"%$none"),
    ("generic", ARM, "float64", r"\bfmul\s+v\d+\.2d", r"\bz\d+\.d"),
    ("generic", ARM, "float32", r"\bfmul\s+v\d+\.4s", r"\bz\d+\.s"),
    ("neoverse-v1", ARM, "float64", r"\bfmul\s+z\d+\.d", r"\bfmul\s+v\d+\.2d"),
    ("neoverse-v1", ARM, "float32", r"\bfmul\s+z\d+\.s", r"\bfmul\s+v\d+\.4s"),
    ("a64fx", ARM, "float64", r"\bfmul\s+z\d+\.d", r"\bfmul\s+v\d+\.2d"),
]


@pytest.mark.parametrize(("cpu", "triple", "dtype", "there", "absent"), PACKED)
def test_a_map_is_packed(cpu, triple, dtype, there, absent):
    text = assembly(mapped(rational, dtype), cpu, triple)
    assert re.search(there, text)
    assert not re.search(absent, text)
    # Every product is rounded: a value does not depend on what the compiler finds beside it.
    assert not re.search(r"\bvfn?m(add|sub)|\bfml[as]\b|\bfn?m(add|sub)\b|\bfmad\b|\bfn?mls\b", text)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("cpu", "triple", "lanes"),
    [("x86-64", X86, 2), ("x86-64-v3", X86, 4), ("x86-64-v4", X86, 8), ("generic", ARM, 2), ("neoverse-v1", ARM, 4),
     ("a64fx", ARM, 8)],
)  # fmt: skip
def test_float32_has_twice_the_lanes(cpu, triple, lanes, dtype):
    assert target(cpu, triple).lanes_f64 == lanes
    text = str(codegen(mapped(rational, dtype), target(cpu, triple))[0])
    kind, other = ("double", "float") if dtype == "float64" else ("float", "double")
    width = lanes * (1 if dtype == "float64" else 2)
    assert f"fmul <{width} x {kind}>" in text
    assert f"x {other}>" not in text


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_functions_are_called_on_all_lanes(dtype):
    """Where this machine has glibc's vector maths, its symbols for the other widths are used for them."""
    if machine().vector_library is None or machine().arch != "x86_64":
        pytest.skip("this C library has no vector functions for x86-64")
    program = mapped(lambda a, b: sd.exp(a) * sd.sin(b), dtype)
    for cpu, letter, bits in (("x86-64", "b", 128), ("x86-64-v3", "d", 256), ("x86-64-v4", "e", 512)):
        number, suffix = (64, "") if dtype == "float64" else (32, "f")
        assert f"_ZGV{letter}N{bits // number}v_exp{suffix}" in assembly(program, cpu, X86)
    # What an ARM machine has is not known here: numbers are handed to libm one by one.
    text = assembly(program, "generic", ARM)
    assert "_ZGV" not in text
    assert re.search(rf"\bbl\s+exp{suffix}\b", text)


@pytest.mark.parametrize("triple", [X86, ARM])
def test_loops_reductions_gathers_and_products_have_code(triple):
    """What a map does not have: LLVM finds instructions for all of it."""
    A, v = sd.matrix("A", "n", 5), sd.vector("v", "n")
    k = sd.array("k", "m", dtype="int64")
    total, _ = sd.scan(lambda s, a: (s * a + 1, s), 0.5, v)
    outputs = [sd.sum(sd.log1p(A**2)), sd.take(v, k), total, sd.sort(v), sd.cumsum(v), sd.max(A, axis=0), A.T @ v]
    fn = sd.compile(outputs, [A, v, k])
    for cpu in ("generic", "x86-64-v4" if triple == X86 else "neoverse-v1"):
        assert "ret" in assembly(fn.program, cpu, triple)


needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler cc on this machine")
runs_avx2 = pytest.mark.skipif(
    machine().arch != "x86_64" or machine().lanes_f64 < 4, reason="this processor does not run AVX2"
)


def results(fn: Any, cpu: str, folder: Path, arrays: list[np.ndarray], shapes: list[tuple[int, ...]]) -> list[Any]:
    """Call the exported function made for a processor; sizes are the length of the arrays."""
    files = fn.export(f"f_{re.sub('[^a-z0-9]', '_', cpu)}", folder, cpu=cpu)
    text = files.header.read_text()
    assert f"{machine().triple}, {cpu}," in text
    name = files.object.stem + ("_map" if not fn.inputs[0].shape else "")
    out = [np.empty(s, a.dtype) for s, a in zip(shapes, [arrays[0]] * len(shapes), strict=True)]
    passed = [ctypes.c_void_p(a.ctypes.data) for a in (*arrays, *out)]
    assert getattr(ctypes.CDLL(str(files.library)), name)(ctypes.c_int64(len(arrays[0])), *passed) == 0
    return out


@needs_compiler
@runs_avx2
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_sse2_code_gives_the_bits_of_avx2_code(dtype, tmp_path):
    f = rational(x, y)
    outputs = [f, *sd.gradient(f, [x, y])]
    fn = sd.compile(outputs, [x, y], dtype=dtype)
    n = 1003
    arrays = [rng.uniform(0.1, 2, n).astype(dtype) for _ in range(2)]
    old, new = (results(fn, cpu, tmp_path, arrays, [(n,)] * 3) for cpu in ("x86-64", "x86-64-v3"))
    here = fn(*arrays)
    for a, b, c in zip(old, new, here, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    a, b = arrays
    expected = np.where(a > b, a * b + a / (1 + b**2), np.sqrt(a**2 + b) * 3 - np.maximum(a, 2 * b))
    np.testing.assert_array_equal(old[0], expected)


@needs_compiler
@runs_avx2
def test_sse2_functions_and_sums_round_otherwise_and_no_more(tmp_path):
    """libmvec has a code of its own for each width, and the order of a sum is that of the lanes."""
    v, w = sd.vector("v", "n"), sd.vector("w", "n")
    f = sd.sum(sd.exp(-(v**2)) * sd.sin(w))
    fn = sd.compile([sd.exp(v) * sd.sin(w), f], [v, w])
    n = 2001
    arrays = [rng.normal(size=n), rng.normal(size=n)]
    old, new = (results(fn, cpu, tmp_path, arrays, [(n,), (1,)]) for cpu in ("x86-64", "x86-64-v3"))
    # 4 ulp for each of two functions, on either side
    np.testing.assert_allclose(old[0], new[0], rtol=17 * EPS)
    scale = np.sum(np.exp(-(arrays[0] ** 2)) * abs(np.sin(arrays[1])))
    assert abs(old[1] - new[1])[0] <= 32 * EPS * scale


@pytest.mark.parametrize(
    ("cpu", "triple", "words"),
    [
        ("pentagon", None, "cpu='pentagon' is not a processor"),
        ("pentagon", ARM, "try generic, neoverse-n1"),
        (None, "riscv64-unknown-linux-gnu", "x86_64 and aarch64"),
        (None, "aarch64-apple-darwin", "Linux"),
        (None, "nonsense", "write it like aarch64-unknown-linux-gnu"),
        ("x86-64-v3", ARM, "cpu='x86-64-v3' is not a processor"),
    ],
)
def test_unknown_targets_are_refused(cpu, triple, words, tmp_path):
    with pytest.raises(DomainError, match=re.escape(words)):
        sd.compile(x, [x]).export("f", tmp_path, cpu=cpu, triple=triple, library=False)
    assert not list(tmp_path.iterdir())


def test_a_library_for_another_architecture_needs_its_compiler(tmp_path, monkeypatch):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    fn = sd.compile(x * y, [x, y])
    other = ARM if machine().arch == "x86_64" else X86
    with pytest.raises(sd.CompileError, match=f"No C compiler for {other}"):
        fn.export("f", tmp_path, triple=other)
    files = fn.export("f", tmp_path, triple=other, library=False)
    assert files.object.read_bytes()[:4] == b"\x7fELF"
    assert f"machine code for {other}, generic" in files.header.read_text()


@pytest.mark.parametrize(("dtype", "width"), [("float32", 16), ("float64", 8)])
def test_indices_do_not_halve_the_lanes(dtype, width):
    a, k = sd.array("a", "m", dtype=dtype), sd.array("k", "n", dtype="int64")
    program = sd.compile(sd.take(a, k) ** 2, [a, k]).program
    assert f"fmul <{width} x {'float' if dtype == 'float32' else 'double'}>" in str(
        codegen(program, target("x86-64-v4", X86))[0]
    )
