"""Compiled functions across processes, forks and threads, through the kernel store."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from backends.cpu.kernel import Kernel
from backends.store import KernelStore
from symdiff.function import Function
from symdiff.passes import optimise
from symdiff.program.schedule import schedule

ROOT = Path(__file__).resolve().parents[2]
X, Y = sd.symbols("x y")


def python(code: str, folder: Path, *args: str) -> subprocess.Popen[str]:
    """Start an interpreter on a store of its own folder."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "SYMDIFF_CACHE_DIR": str(folder), "PYTHONWARNINGS": "error"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *args], env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


ONE = """
import math, symdiff as sd
x, y = sd.symbols("x y")
w = sd.vector("w", "n")
scalar = sd.compile([sd.exp(-x**2)*sd.sin(y), *sd.gradient(sd.exp(-x**2)*sd.sin(y), [x, y])], [x, y])
array = sd.compile(sd.sum(w*w), [w])
v, dx, dy = scalar(0.5, 0.7)
assert abs(v - math.exp(-0.25)*math.sin(0.7)) < 1e-15 and abs(dx + v) < 1e-15
assert array([1.0, 2.0, 4.0]) == 21.0
mapped = scalar([0.5, 0.5], 0.7)
assert abs(mapped[0][1] - v) < 1e-15
kernels = [scalar.kernel, array.kernel, *scalar._mapped.values()]
print([k.from_store for k in kernels])
"""


def test_the_second_process_compiles_nothing(tmp_path: Path) -> None:
    assert finish(python(ONE, tmp_path)) == "[False, False, False]\n"
    # No call of LLVM's compiler either.
    forbid = "import backends.cpu.host as host\ndef no(*a): raise AssertionError('compiled')\n"
    forbid += "import backends.cpu.kernel as kernel\nkernel.build_object = host.build_object = no\n"
    assert finish(python(forbid + ONE, tmp_path)) == "[True, True, True]\n"


def test_a_literal_is_part_of_the_program_and_data_is_not(tmp_path: Path) -> None:
    """Two tables of one shape share their code; two literals do not, and neither gets the other's value."""
    store = KernelStore(tmp_path)
    got = []
    for scale in (2.0, 3.0):
        got.append(run(kernel(sd.vector("v", 3) * scale, store), np.ones(3)))
    np.testing.assert_array_equal(got, [[2.0] * 3, [3.0] * 3])
    tables = [np.arange(3.0), np.arange(3.0) + 5]
    first, second = (kernel(sd.vector("v", 3) * t, store) for t in tables)
    assert (first.from_store, second.from_store) == (False, True)
    np.testing.assert_array_equal([run(k, np.ones(3)) for k in (first, second)], tables)


def kernel(f: Any, store: KernelStore) -> Kernel:
    return Kernel(schedule(optimise([f]), f.free_symbols if hasattr(f, "free_symbols") else [X]), store=store)


def run(k: Kernel, *arrays: np.ndarray) -> np.ndarray:
    return k(arrays, {})[0]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: data[:200] + bytes([data[200] ^ 0x40]) + data[201:],
        lambda data: b"\0" * len(data),
        lambda data: data + data,
    ],
    ids=["half", "empty", "last bit", "one bit", "zeros", "twice"],
)
def test_a_damaged_object_is_built_again(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    f = sd.sin(sd.vector("v", 3)) * 2
    assert not kernel(f, KernelStore(tmp_path)).from_store
    (path,) = tmp_path.rglob("*.kernel")
    path.write_bytes(damage(path.read_bytes()))
    again = kernel(f, KernelStore(tmp_path))
    assert not again.from_store
    np.testing.assert_allclose(run(again, np.arange(3.0)), 2 * np.sin(np.arange(3.0)), rtol=1e-15)
    assert kernel(f, KernelStore(tmp_path)).from_store


SIXTEEN = """
import sys, math, symdiff as sd
me = int(sys.argv[1])
x = sd.symbols("x")
w = sd.vector("w", "n")
for k in (0, 1 + me % 3, 100 + me):  # the same for all, shared by some, one's own
    f = sd.compile([sd.sin(x) * (k + 1.0) + math.pi, sd.cos(x) - k], [x])
    s = sd.compile(sd.sum(sd.exp(w) * (k + 1.0)), [w])
    assert abs(f(0.3)[0] - (math.sin(0.3) * (k + 1) + math.pi)) < 1e-13 and abs(f(0.3)[1] - (math.cos(0.3) - k)) < 1e-13
    assert abs(s([0.0, 1.0]) - (1 + math.e) * (k + 1)) < 1e-12 * (k + 1)
"""


def test_sixteen_processes_on_an_empty_store(tmp_path: Path) -> None:
    for process in [python(SIXTEEN, tmp_path, str(k)) for k in range(16)]:
        finish(process)
    # Each by its graph and by its program; one more is the door from Python, the same for all.
    assert len(list(tmp_path.rglob("*.kernel"))) == 2 * 2 * (1 + 3 + 16) + 1


# --- threads and forks ----------------------------------------------------------

A, W = sd.matrix("A", "n", "m"), sd.vector("w", "m")


def large() -> list[tuple[Function, tuple[np.ndarray, ...]]]:
    """Functions and arguments large enough for the parallel region."""
    rng = np.random.default_rng(3)
    a, m, v = rng.normal(size=300_000), rng.normal(size=(600, 500)), rng.normal(size=500)
    return [
        (sd.compile([sd.exp(X) * sd.sin(Y), X * Y], [X, Y]), (a, a[::-1].copy())),
        (sd.compile([sd.sum(sd.exp(A) * W, axis=1), sd.sum(A, axis=0), sd.sum(sd.sin(A))], [A, W]), (m, v)),
        (sd.compile([sd.tanh(A) + W, A.T @ A], [A, W]), (m, v)),
    ]


def check(fn: Function, args: tuple[np.ndarray, ...], want: list[Any]) -> None:
    for got, exact in zip(fn(*args), want, strict=True):
        # BLAS has its own threads and may sum in another order.
        np.testing.assert_allclose(got, exact, rtol=1e-10, atol=1e-10)


def eight_threads() -> None:
    """Call the same and different functions from eight threads, and compile a new one in each."""
    jobs = [(fn, args, fn(*args)) for fn, args in large()]
    failures: list[BaseException] = []

    def work(k: int) -> None:
        try:
            for turn in range(6):
                check(*jobs[(k + turn) % len(jobs)])
            (a, _) = jobs[0][1]
            check(sd.compile([sd.sin(X) * float(k) + Y], [X, Y]), (a, 1.0), [np.sin(a) * k + 1])
        except BaseException as error:  # shown by the main thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failures:
        raise failures[0]


def test_eight_threads_call_and_compile() -> None:
    eight_threads()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_computes_after_its_parent_used_threads() -> None:
    jobs = [(fn, args, fn(*args)) for fn, args in large()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of a fork while threads run
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            for fn, args, want in jobs[:2]:
                check(fn, args, want)
            (a, _) = jobs[0][1]
            check(sd.compile([sd.cos(X) * 3.0 + Y], [X, Y]), (a, 1.0), [np.cos(a) * 3 + 1])
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    for job in jobs:
        check(*job)
