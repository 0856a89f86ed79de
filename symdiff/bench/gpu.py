"""gpu: the cases on a GPU, their data there before and after; without one, what bytes and instructions predict.

`python -m symdiff.bench.gpu map` measures one case in this process and prints the outcome as one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from symdiff.bench import ours
from symdiff.bench.cases import CASES, Sizes
from symdiff.bench.measure import is_installed, makers
from symdiff.ir.errors import CompileError
from symdiff.on_device import look
from symdiff.program.ir import Loop, Statement

_ROUNDS, _SHORTEST = 11, 0.02  # runs that are timed, and the seconds of one; shorter ones are repeated
GPU_PEERS = ("jax", "torch")
_CAP = 300.0  # seconds for one process


@dataclass(frozen=True, slots=True)
class GpuCase:
    """A case at one size and dtype: `build(target, dtype)` makes its function, `call(p, *data)` its arguments.

    `look(p)` has the shapes of the arguments, () for a number. `goal` is what a GPU should reach.
    """

    name: str
    case: str
    sizes: Sizes
    dtype: str
    build: Callable[[str, str], Any]
    call: Callable[..., tuple[Any, ...]]
    look: Callable[[Sizes], tuple[tuple[int, ...], ...]]
    tolerance: float
    goal: str

    @property
    def turns(self) -> int:
        """How often the loop turns."""
        return self.sizes.get("steps", 1)

    def arguments(self) -> tuple[Any, ...]:
        """The arguments of a call as NumPy's arrays."""
        given = self.call(self.sizes, *CASES[self.case].data(self.sizes))
        return tuple(a.astype(self.dtype) if isinstance(a, np.ndarray) else a for a in given)


def _grid(case: str, build: Callable[[str, str], Any], n: int, steps: int, dtype: str, goal: str) -> GpuCase:
    fields = 2 if case == "gray_scott" else 1
    return GpuCase(
        f"{case} {n}² {dtype}", case, {"n": n, "steps": steps}, dtype, build,
        lambda p, *data: (*data, p["steps"]), lambda p: (*[(p["n"], p["n"])] * fields, ()),
        # Steps of averages: each adds a rounding of its size.
        4 * steps * float(np.finfo(dtype).eps), goal,
    )  # fmt: skip


_NOT_SLOWER = "not slower than JAX and PyTorch"
_COPY = "80 % of the copy rate, more with several steps a tile"
GPU_CASES = {
    c.name: c
    for c in (
        GpuCase(
            "map 4e7 float64", "map", {"n": 40_000_000}, "float64", ours.map_function, lambda p, x: (x,),
            lambda p: ((p["n"],),), 1e-11, "70 % of the limit",
        ),
        _grid("heat2d", ours.heat2d_function, 16384, 48, "float64", _COPY),
        _grid("heat2d", ours.heat2d_function, 16384, 48, "float32", _COPY),
        _grid("gray_scott", ours.gray_scott_function, 8192, 50, "float64", _COPY),
        GpuCase(
            "logreg 2e6 float64", "logreg", {"n": 2_000_000, "d": 64}, "float64", ours.logreg_function,
            lambda p, x, y, w: (w, x, y), lambda p: ((p["d"],), (p["n"], p["d"]), (p["n"],)), 1e-9,
            _NOT_SLOWER,
        ),
        GpuCase(
            "adam_loop 2000 float64", "adam_loop", {"n": 2_000, "d": 30, "steps": 2_000}, "float64",
            ours.adam_function, lambda p, x, y, w: (np.zeros(p["d"]), x, y, p["steps"]),
            lambda p: ((p["d"],), (p["n"], p["d"]), (p["n"],), ()), 1e-9, _NOT_SLOWER,
        ),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a run moves, and the least seconds that it takes on a card: by memory, arithmetic, and shared memory."""

    card: str
    n_bytes: int
    memory: float
    arithmetic: float
    shared: float

    @property
    def seconds(self) -> float:
        """The largest of them."""
        return max(self.memory, self.arithmetic, self.shared)

    @property
    def bound(self) -> str:
        """Which of them is the limit."""
        found = {"memory": self.memory, "arithmetic": self.arithmetic, "shared memory": self.shared}
        return max(found, key=lambda name: found[name])


def predict(case: GpuCase) -> Prediction:
    """Predict a run on the GPU that is here, or on the usual one, from what every kernel moves and computes."""
    from backends.cuda.kernel import here_or_usual

    fn = case.build("cuda", case.dtype)
    looks = [np.broadcast_to(np.zeros((), case.dtype), s) if s else case.turns for s in case.look(case.sizes)]
    mapped, sizes = look(fn, tuple(looks), {})
    kernel = fn.code_for(mapped)
    found = kernel.estimates(sizes)[1]

    def total(statements: Sequence[Statement], times: int) -> np.ndarray:
        out = np.zeros(4)
        for s in kernel.joined(statements, sizes):
            if isinstance(s, Loop):
                tiling = kernel.tilings.get(id(s))
                in_tiles = tiling is not None and tiling.pays(sizes)
                out += case.turns * (tiling.estimate(sizes) if in_tiles else total((*s.cond, *s.body), times))
            elif id(s) in found:
                e = found[id(s)]
                out += times * np.array([e.n_bytes, e.memory, e.arithmetic, 0.0])
        return out

    n_bytes, memory, arithmetic, shared = total(kernel.program.statements, 1).tolist()
    return Prediction(here_or_usual()[1].name, int(n_bytes), memory, arithmetic, shared)


def measure(case: GpuCase) -> dict[str, Any]:
    """Return seconds of the first call and of later ones, with data on the GPU, and how far the results are off.

    Raises: CompileError without a GPU.
    """
    from backends.cuda.arrays import DeviceArray
    from backends.cuda.kernel import here

    arguments = case.arguments()
    device = here()  # starts CUDA, which is not the function's doing
    there = [DeviceArray.of(device, a) if isinstance(a, np.ndarray) else a for a in arguments]
    began = time.perf_counter()
    fn = case.build("cuda", case.dtype)
    results = _as_list(fn(*there))
    _wait(results)
    first = time.perf_counter() - began
    expected = _as_list(case.build("cpu", case.dtype)(*arguments))
    error = max(_difference(r.numpy(), e) for r, e in zip(results, expected, strict=True))
    if not error <= case.tolerance:
        raise ValueError(
            f"{case.name}: the results differ from the CPU's by {error:.1e}, allowed {case.tolerance:.1e}."
        )
    out = results if len(results) > 1 else results[0]

    def sample(count: int) -> float:
        began = time.perf_counter()
        for _ in range(count):
            fn(*there, out=out)
        _wait(results)
        return (time.perf_counter() - began) / count

    return {"device": device.name, "first_s": first, "difference": error, **_timed(sample)}


def measure_peer(case: GpuCase, peer: str) -> dict[str, Any]:
    """Return the seconds of a peer's runs with data on the GPU; nothing where it finds none.

    Raises: ValueError for results that are not those of the CPU.
    """
    if not _uses_gpu(peer):
        return {}
    data = [a.astype(case.dtype) if isinstance(a, np.ndarray) else a for a in CASES[case.case].data(case.sizes)]
    job = makers(peer)[case.case](case.sizes, *data)
    run = job.build()
    found = job.arrays(run())
    expected = _as_list(case.build("cpu", case.dtype)(*case.arguments()))
    error = max(_difference(np.asarray(a), e) for a, e in zip(found, expected, strict=True))
    if not error <= case.tolerance:
        raise ValueError(f"{case.name}: {peer} differs by {error:.1e}, allowed {case.tolerance:.1e}.")

    def sample(count: int) -> float:
        began = time.perf_counter()
        for _ in range(count):
            result = run()
        job.arrays(result)  # waits for it
        return (time.perf_counter() - began) / count

    return _timed(sample)


def _uses_gpu(peer: str) -> bool:
    if peer == "jax":
        import jax

        return bool(jax.default_backend() == "gpu")
    import torch

    if torch.cuda.is_available():
        torch.set_default_device("cuda")
        return True
    return False


def _timed(sample: Callable[[int], float]) -> dict[str, Any]:
    """The median of several samples; short runs are repeated in one."""
    count = max(1, math.ceil(_SHORTEST / max(sample(1), 1e-9)))
    times = sorted(sample(count) for _ in range(_ROUNDS))
    return {"run_s": times[len(times) // 2], "run_min_s": times[0], "runs": count * len(times)}


def _wait(results: Sequence[Any]) -> None:
    device = results[0].device
    with device.active():
        device.synchronise(results[0].stream)


def _as_list(found: Any) -> list[Any]:
    return list(found) if isinstance(found, (list, tuple)) else [found]


def _difference(a: np.ndarray, b: Any) -> float:
    b = np.asarray(b)
    if not np.isfinite(a).all():
        return math.inf
    return float(np.abs(a - b).max() / np.abs(b).max())


def outcome(case: GpuCase) -> dict[str, Any]:
    """Measure a case in two processes that share a kernel store, the first of which finds it empty.

    Raises: CompileError with what a process said.
    """
    with tempfile.TemporaryDirectory(prefix="bench-store-") as store:
        first, second = (_process(case, {"SYMDIFF_CACHE_DIR": store}) for _ in range(2))
    return second | {"first_s": first["first_s"], "from_store_s": second["first_s"]}


def _process(case: GpuCase, environment: Mapping[str, str], *options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "symdiff.bench.gpu", case.name, *options]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=_CAP, check=False
    )
    if done.returncode:
        raise CompileError(f"{case.name}: {(done.stderr.strip().splitlines() or ['no word'])[-1]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def row(case: GpuCase, has_gpu: bool) -> dict[str, Any]:
    """Return what is predicted of a case and, with a GPU, what is measured, of the peers too that can use it."""
    expected = predict(case)
    out = {
        "case": case.name,
        "goal": case.goal,
        **asdict(expected),
        "bound": expected.bound,
        "least_s": expected.seconds,
    }
    return out | (outcome(case) | {"peers": peers(case)} if has_gpu else {})


def peers(case: GpuCase) -> dict[str, float]:
    """The seconds of a run of the peers that have the case and a GPU; each in a process of its own."""
    found = {}
    for name in GPU_PEERS:
        if is_installed(name) and case.case in makers(name):
            said = _process(case, {}, "--peer", name)
            if said:
                found[name] = said["run_s"]
    return found


def main() -> None:
    """Measure the case that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m symdiff.bench.gpu", description=__doc__)
    parser.add_argument("case", choices=GPU_CASES)
    parser.add_argument("--peer", choices=GPU_PEERS)
    given = parser.parse_args()
    case = GPU_CASES[given.case]
    print(json.dumps(measure_peer(case, given.peer) if given.peer else measure(case)), flush=True)


if __name__ == "__main__":
    main()
