"""The facts about the machine against the operating system's own word, and the vector functions against libm."""

from __future__ import annotations

import ctypes
import dataclasses
import math
import os
import platform
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest

from backends.cpu import machine as module
from backends.cpu.machine import Machine, machine, vector_function, vector_symbol
from symdiff.ir.errors import DomainError

EPS = np.finfo(float).eps
is_x86_linux = pytest.mark.skipif(
    platform.machine() != "x86_64" or sys.platform != "linux", reason="reads the flags of an x86-64 processor on Linux"
)
needs_libmvec = pytest.mark.skipif(machine().vector_library is None, reason="this C library has no vector functions")


@pytest.fixture
def chosen(monkeypatch):
    """Give a function that returns the facts for another SYMDIFF_CPU."""

    def facts(name: str) -> Machine:
        monkeypatch.setenv("SYMDIFF_CPU", name)
        return machine.__wrapped__()

    return facts


def kernel_flags() -> set[str]:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return set(line.partition(":")[2].split())
    raise AssertionError("/proc/cpuinfo has no flags")


@is_x86_linux
def test_lanes_and_flags_agree_with_the_kernel():
    flags = kernel_flags()
    wanted = 8 if "avx512f" in flags else 4 if "avx2" in flags else 2
    assert module.lanes_of(llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()) == wanted
    if "SYMDIFF_CPU" not in os.environ:
        assert machine().lanes_f64 == wanted
        assert {"avx", "avx2", "fma", "avx512f"} & set(machine().flags) == {"avx", "avx2", "fma", "avx512f"} & flags


@is_x86_linux
@pytest.mark.parametrize(
    ("name", "lanes"),
    [("generic", 2), ("x86-64", 2), ("sandybridge", 2), ("x86-64-v3", 4), ("znver3", 4), ("skylake-avx512", 8)],
)
def test_lanes_of_known_processors(name, lanes):
    machine()  # initialises LLVM
    assert module.lanes_of(name, "") == lanes


def test_cores_are_those_this_process_may_use():
    assert machine().cores == int(subprocess.check_output(["nproc"], env={"PATH": os.environ["PATH"]}))


def test_facts_are_immutable_cached_and_complete():
    facts = machine()
    assert machine() is facts
    with pytest.raises(dataclasses.FrozenInstanceError):
        facts.lanes_f64 = 16
    assert dict(facts.versions)["llvmlite"] == __import__("llvmlite").__version__
    assert facts.model
    assert facts.triple.startswith(facts.arch)
    assert facts.cache("L9", 12345) == 12345
    assert facts.flags == tuple(sorted(facts.flags))


def test_cache_sizes_as_the_kernel_writes_them(tmp_path):
    for k, (level, kind, size) in enumerate(
        [("1", "Data", "48K"), ("1", "Instruction", "32K"), ("3", "Unified", "2M")]
    ):
        folder = tmp_path / f"index{k}"
        folder.mkdir()
        for name, text in (("level", level), ("type", kind), ("size", size)):
            (folder / name).write_text(text + "\n")
    (tmp_path / "index7").mkdir()  # a folder without files, as some virtual machines have it
    (tmp_path / "index8").mkdir()
    for name in ("level", "type", "size"):
        (tmp_path / "index8" / name).write_text("\n")
    assert module._cache_sizes(tmp_path) == (("L1d", 49152), ("L1i", 32768), ("L3", 2097152))
    assert module._cache_sizes(tmp_path / "nowhere") == ()


def test_another_processor_can_be_chosen(chosen):
    plain = chosen("generic")
    assert (plain.cpu_name, plain.features, plain.lanes_f64) == ("generic", "", 2)
    assert plain.key != machine().key or os.environ.get("SYMDIFF_CPU") == "generic"


def test_an_unknown_processor_is_refused(chosen):
    with pytest.raises(DomainError, match="SYMDIFF_CPU=pentagon is not a processor"):
        chosen("pentagon")


@is_x86_linux
@pytest.mark.skipif("avx512f" in machine().flags, reason="no known processor has wider vectors than this one")
def test_a_processor_whose_code_would_not_run_is_refused(chosen):
    with pytest.raises(DomainError, match=r"x86-64-v4 has vectors of 8 doubles and this machine of [24]"):
        chosen("x86-64-v4")


@pytest.mark.parametrize(
    ("arguments", "symbol"),
    [
        (("x86_64", "sin", 1, 2, 64), "_ZGVbN2v_sin"),
        (("x86_64", "sin", 1, 4, 64), "_ZGVdN4v_sin"),
        (("x86_64", "pow", 2, 8, 64), "_ZGVeN8vv_pow"),
        (("x86_64", "sin", 1, 4, 32), "_ZGVbN4v_sinf"),
        (("x86_64", "sin", 1, 8, 32), "_ZGVdN8v_sinf"),
        (("x86_64", "atan2", 2, 16, 32), "_ZGVeN16vv_atan2f"),
        (("aarch64", "exp", 1, 2, 64), "_ZGVnN2v_exp"),
        (("aarch64", "exp", 1, 4, 64), None),
        (("x86_64", "sin", 1, 1, 64), None),
        (("x86_64", "sin", 1, 16, 64), None),
        (("x86_64", "sin", 1, 8, 16), None),
        (("riscv64", "sin", 1, 2, 64), None),
    ],
)
def test_symbols_of_the_vector_function_abi(arguments, symbol):
    assert vector_symbol(*arguments) == symbol


@needs_libmvec
def test_a_vector_function_is_named_only_if_the_library_has_it():
    library = ctypes.CDLL(module.VECTOR_LIBRARY)
    facts = machine()
    for name, n_args in [("sin", 1), ("pow", 2), ("erf", 1), ("log1p", 1), ("lgamma", 1), ("fmod", 2), ("nothing", 1)]:
        for bits in (32, 64):
            for lanes in (2, 4, 8, 16):
                symbol = vector_symbol(facts.arch, name, n_args, lanes, bits)
                is_there = symbol is not None and hasattr(library, symbol) and lanes * bits <= facts.lanes_f64 * 64
                assert vector_function(name, n_args, lanes, bits) == (symbol if is_there else None)


def test_no_vector_function_above_the_width_of_the_machine():
    assert vector_function("sin", 1, 2 * machine().lanes_f64) is None


def call_vector(symbol: str, n_args: int, lanes: int, args: list[np.ndarray]) -> np.ndarray:
    """Call a vector function through machine code made here, on one register of each argument."""
    vector = f"<{lanes} x double>"
    names = [f"%p{k}" for k in range(n_args)]
    loads = "\n".join(f"%v{k} = load {vector}, ptr {p}, align 8" for k, p in enumerate(names))
    values = ", ".join(f"{vector} %v{k}" for k in range(n_args))
    source = f"""
    declare {vector} @{symbol}({", ".join([vector] * n_args)})
    define void @f(ptr %out, {", ".join("ptr " + p for p in names)}) {{
        {loads}
        %r = call {vector} @{symbol}({values})
        store {vector} %r, ptr %out, align 8
        ret void
    }}"""
    facts = machine()
    target = llvm.Target.from_default_triple().create_target_machine(cpu=facts.cpu_name, features=facts.features)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(source), target)
    engine.finalize_object()
    out = np.empty(lanes)
    pointers = [ctypes.c_void_p(a.ctypes.data) for a in (out, *args)]
    ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (n_args + 1))(engine.get_function_address("f"))(*pointers)
    return out


@needs_libmvec
@pytest.mark.parametrize("name", ["sin", "exp", "log", "pow"])
def test_vector_functions_compute_what_libm_does(name):
    lanes, n_args = machine().lanes_f64, 2 if name == "pow" else 1
    symbol = vector_function(name, n_args, lanes)
    assert symbol is not None
    args = [np.linspace(0.3 + k, 1.9, lanes) for k in range(n_args)]
    expected = [getattr(math, name)(*x) for x in zip(*args, strict=True)]
    # glibc promises 4 ulp; libm itself errs by at most one more
    np.testing.assert_allclose(call_vector(symbol, n_args, lanes, args), expected, rtol=5 * EPS)
