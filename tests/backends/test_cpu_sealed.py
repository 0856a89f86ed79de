"""Sealed functions: found by the graph as written, run without LLVM, and only where everything is the same."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import symdiff as sd
from backends.cpu import identity, sealed
from backends.cpu.image import Image, Loaded
from backends.cpu.linker import link
from backends.cpu.symbols import address_of
from symdiff.ir.fingerprint import fingerprint

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(
    identity.identity() is None or os.uname().machine != "x86_64", reason="sealed on Linux on x86-64 only"
)

PROGRAM = """
import sys
import numpy as np
import symdiff as sd
x, y = sd.symbols("x y")
v, w, m = sd.vector("v", "n"), sd.vector("w", "n"), sd.matrix("m", "n", 3)
f = sd.exp(-(x**2)) * sd.sin(3 * x) + sd.log(1 + y**2)
points = np.linspace(-2, 3, 29)
results = []
fn = sd.compile([f, sd.diff(f, x)], [x, y])
results += fn(0.3, 0.7)
results += fn(points, 0.7)
results += fn(points.reshape(29, 1), points[:5])
results.append(sd.compile({"s": sd.sum(v * w), "t": v[:, None] * m}, [v, w, m])(points, points, np.ones((29, 3)))["t"])
results.append(sd.compile(sd.exp(v) + sd.sum(v), [v], threads=1)(points))
k = sd.array("k", ("j",), "int64")
picked = sd.compile(sd.take(v, k), [v, k])
results.append(picked(points, np.array([0, 28, -1])))
try:
    picked(points, np.array([0, 29]))
except sd.DomainError as error:
    results.append(str(error))
for r in results:
    print(r if isinstance(r, str) else np.asarray(r).tobytes().hex())
print("llvmlite" in sys.modules, "symdiff.program.ir" in sys.modules)
"""


def run(store: Path, program: str = PROGRAM, **settings: str) -> list[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "SYMDIFF_CACHE_DIR": str(store), **settings}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_second_process_has_the_same_bits_without_llvm(tmp_path: Path) -> None:
    cold, warm = run(tmp_path), run(tmp_path)
    assert cold[-1] == "True True"
    assert warm[-1] == "False False"
    assert warm[:-1] == cold[:-1]
    assert run(tmp_path, SYMDIFF_CACHE_MB="0")[:-1] == cold[:-1]


def test_damaged_and_foreign_entries_are_not_used(tmp_path: Path) -> None:
    cold = run(tmp_path)
    for path in tmp_path.rglob("*.kernel"):
        path.write_bytes(path.read_bytes()[:-3] + b"xyz")
    again = run(tmp_path)
    assert again == cold
    assert run(tmp_path, SYMDIFF_CPU="x86-64")[-1] == "True True"


def test_inspection_makes_what_was_left_out(tmp_path: Path) -> None:
    program = """
import symdiff as sd
x = sd.symbols("x")
fn = sd.compile(sd.sin(x) * 2, [x])
print(fn(0.5), fn.address != 0)
print(fn.inspect("graph"), fn.inspect("program"), fn.program, fn.explain().operations, len(fn.inspect("llvm")) > 0)
print(fn.trace(0.25).kind, fn.njit(0.5))
"""
    cold = run(tmp_path, program)
    assert run(tmp_path, program) == cold


def test_fork_after_loading(tmp_path: Path) -> None:
    program = """
import os, numpy as np, symdiff as sd
x = sd.symbols("x")
fn = sd.compile(sd.exp(sd.sin(x)), [x], threads=2)
p = np.linspace(0, 1, 300_001)
r = fn(p)
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(fn(p), r) and np.array_equal(fn(p), r) else 1)
print(os.waitpid(child, 0)[1], np.array_equal(fn(p), r))
"""
    for _ in range(2):
        assert run(tmp_path, program) == ["0 True"]


def test_keys_tell_graphs_apart() -> None:
    x, y = sd.symbols("x y")
    v, w = sd.vector("v", "n"), sd.vector("v", 3)
    cases = [
        ([x + y], [x, y]), ([x + y], [y, x]), ([x - y], [x, y]), ([x + y, x], [x, y]), ([x, x + y], [x, y]),
        ([x * 0.1], [x]), ([x * np.nextafter(0.1, 1)], [x]), ([x * -0.0], [x]), ([x * 0.0], [x]), ([x + y], [x, y, v]),
        ([v[1:]], [v]), ([w[1:]], [w]), ([v[:-1]], [v]), ([sd.sum(v)], [v]), ([sd.max(v)], [v]),
        ([v.astype("int64")], [v]),
    ]  # fmt: skip
    texts = [fingerprint([sd_as_node(f) for f in outputs], inputs) for outputs, inputs in cases]
    assert None not in texts
    assert len(set(texts)) == len(cases)
    keys = {sealed.key_of([x + y], [x, y], mapped) for mapped in [(), (True, False), (False, True), (True, True)]}
    assert len(keys) == 4


def sd_as_node(f: object) -> sd.Expr:
    from symdiff.ir.node import as_node

    return as_node(f)


def test_what_has_no_text_has_no_key() -> None:
    x, v = sd.symbols("x"), sd.vector("v", 3)
    assert fingerprint([sd.sum(v * np.array([1.0, 2.0, 3.0]))], [v]) is None
    (loop,) = sd.while_loop(lambda u: u < 10, lambda u: [u * 2], [x])
    assert fingerprint([loop], [x]) is None


def test_programs_with_conditions_on_sizes_are_checked_in_every_process(tmp_path: Path) -> None:
    program = """
import numpy as np, symdiff as sd
v = sd.vector("v", "n")
fn = sd.compile(v[2:5], [v])
print(fn(np.arange(6.0)))
try:
    fn(np.arange(4.0))
except sd.DomainError as error:
    print("refused")
"""
    for _ in range(2):
        assert run(tmp_path, program) == ["[2. 3. 4.]", "refused"]


# --- images -----------------------------------------------------------------

TEXT = """
@table = internal constant [3 x ptr] [ptr @one, ptr @two, ptr @one]
@count = internal global i64 5
@more = internal global i64 0
declare double @cos(double)
define internal i64 @one(i64 %x) noinline { ret i64 %x }
define internal i64 @two(i64 %x) noinline { %y = mul i64 %x, 7
 ret i64 %y }
define i64 @pick(i64 %k, i64 %x) {
  %at = getelementptr ptr, ptr @table, i64 %k
  %f = load ptr, ptr %at
  %r = call i64 %f(i64 %x)
  %n = load i64, ptr @count
  %n2 = add i64 %n, 1
  store volatile i64 %n2, ptr @count
  store volatile i64 %n2, ptr @more
  %s = add i64 %r, %n
  ret i64 %s
}
define double @root(double %x) { %y = call double @cos(double %x)
 %z = fmul double %y, 0x3FF123456789ABCD
 ret double %z }
"""


def built(text: str) -> bytes:
    from backends.cpu.host import build_object
    from backends.cpu.machine import machine

    return build_object(f'target triple = "{machine().triple}"\n{text}', 2)


def test_images_hold_constants_data_tables_and_imports() -> None:
    image = link(built(TEXT))
    assert image is not None
    assert image.imports == ("cos",)
    loaded, other = Loaded(image, address_of), Loaded(image, address_of)
    pick = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)(loaded.address("pick"))
    assert [pick(k, 11) for k in range(3)] == [11 + 5, 77 + 6, 11 + 7]
    again = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)(other.address("pick"))
    assert again(1, 11) == 77 + 5
    root = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(loaded.address("root"))
    assert root(0.5) == np.cos(0.5) * float.fromhex("0x1.123456789ABCDp0")


def test_objects_of_other_kinds_are_left_to_llvm() -> None:
    data = built(TEXT)
    assert link(b"") is None
    assert link(b"MZ" + data[2:]) is None
    assert link(data[:18] + (183).to_bytes(2, "little") + data[20:]) is None  # AArch64
    thread_local = "@t = thread_local global i64 3\ndefine i64 @f() { %v = load i64, ptr @t\n ret i64 %v }"
    assert link(built(thread_local)) is None
    outside = "@environ = external global ptr\ndefine ptr @f() { %v = load ptr, ptr @environ\n ret ptr %v }"
    image = link(built(outside))
    assert image is not None
    assert image.imports == ("environ",)


def test_a_missing_import_is_an_error() -> None:
    image = link(built("declare void @no_such_thing()\ndefine void @f() { call void @no_such_thing()\n ret void }"))
    assert isinstance(image, Image)
    with pytest.raises(sd.CompileError, match="no_such_thing"):
        Loaded(image, address_of)
