"""Compiled kernels are kept: another process finds them and starts neither Numba nor NVVM."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backends.cuda.compile import Code, Resources, to_ptx
from backends.cuda.geometry import Geometry
from backends.cuda.kernel import Kernel
from backends.cuda.simulator import is_simulated
from backends.store import KernelStore
from symdiff.ir.errors import CompileError

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="pip install 'symdiff[cuda]'"),
    pytest.mark.skipif(is_simulated(), reason="the simulator makes no code"),
]

PROGRAM = """
import symdiff as sd
x = sd.array("x", ("n",))
fn = sd.compile([sd.exp(x) * 0.37, sd.sum(x * x)], [x], target="cuda")
code = fn.kernel.code((9, 0))
"""


def test_another_process_finds_the_kernels(kernel_folder: str) -> None:
    pytest.importorskip("cuda.bindings.nvjitlink", reason="nvJitLink comes with numba-cuda[cu13]")
    here: dict[str, Any] = {}
    exec(PROGRAM, here)
    assert "fma.rn.f64" in here["code"].ptx
    told = "import sys; print(fn.kernel.from_store, code.cubin.hex()); print([m for m in sys.modules if m in HEAVY])"
    heavy = f"HEAVY = {('numba', 'llvmlite', 'cuda', 'scipy', 'sympy')!r}\n"
    done = subprocess.run(
        [sys.executable, "-c", heavy + PROGRAM + told], capture_output=True, text=True, cwd=Path(__file__).parents[2],
        timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == [f"True {here['code'].cubin.hex()}", "[]"]


def program() -> Any:
    import symdiff as sd

    x = sd.array("x", ("n",))
    return sd.compile(sd.sin(x), [x], target="cuda").kernel.program


def test_a_gpu_that_nvvm_does_not_know() -> None:
    module = 'target triple = "nvptx64-nvidia-cuda"'
    with pytest.raises(CompileError, match=r"NVVM makes no code for compute capability 99\.9: .*newer numba-cuda"):
        to_ptx(module, (99, 9))


def test_keys_tell_capabilities_and_geometries_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def compiled(self: Kernel, capability: tuple[int, int], names: tuple[str, ...]) -> Code:
        made.append(capability)
        return Code(capability, (13, 2), ("s0",), {"s0": Resources(12, 0, 8)}, "text", b"\0binary\0")

    monkeypatch.setattr(Kernel, "_compile", compiled)
    store, work = KernelStore(tmp_path), program()
    for _ in range(2):
        kernel = Kernel(work, store=store)
        for capability in ((8, 0), (9, 0)):
            code = kernel.code(capability)
            assert (code.capability, code.cubin, code.ptx) == (capability, b"\0binary\0", "text")
            assert code.resources == {"s0": Resources(12, 0, 8)}
    assert made == [(8, 0), (9, 0)]
    assert kernel.from_store
    Kernel(work, Geometry(threads=128), store).code((9, 0))
    assert len(made) == 3


def test_damage_is_found_and_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Kernel, "_compile", lambda self, c, names: Code(c, (13, 2), (), {}, "", b"good"))
    store, work = KernelStore(tmp_path), program()
    Kernel(work, store=store).code((9, 0))
    for file in tmp_path.glob("*.kernel"):
        file.write_bytes(file.read_bytes()[:-2])
    kernel = Kernel(work, store=KernelStore(tmp_path))
    assert kernel.code((9, 0)).cubin == b"good"
    assert not kernel.from_store
