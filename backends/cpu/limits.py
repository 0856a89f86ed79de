"""limits: what this machine can do at most, measured once by small programs and remembered in the kernel store.

    bytes a second read and written, from each cache and from memory;  seconds for one operation on a vector of lanes

Every figure is the best of several rounds of code that this target made, so a limit is one that its code can reach.
"""

from __future__ import annotations

import functools
import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from backends.cpu.machine import machine
from backends.cpu.nest import BLOCK_POINTS
from backends.store import KernelStore, kernel_key
from symdiff.ir.dims import Dim, evaluate
from symdiff.program.estimate import Estimate, compulsory, traffic
from symdiff.program.ir import (
    ITEMSIZE,
    Access,
    Buffer,
    Call,
    Instr,
    Load,
    Nest,
    Op,
    Program,
    Reduce,
    Statement,
    Store,
    Sweep,
    walk,
)
from symdiff.program.native import NATIVE

if TYPE_CHECKING:
    from backends.cpu.kernel import Kernel

_VERSION = "limits 2"
_ROUNDS = 40
_BUSY = 0.5  # load per core from which other work makes figures too low
_SHORTEST = 2e-4  # seconds of one round: shorter runs are repeated
_POINTS = 262_144  # of the nests that measure arithmetic: a thread takes hundreds of microseconds, and moves little
_CHAINS, _LENGTH = 8, 4  # independent chains of operations hide the latency of each
_SIDE = 512  # of the matrices that measure products
_N = Dim(((("n",), 1),))
_SLOW = frozenset({"div", "sqrt", "rem"})


@dataclass(frozen=True, slots=True)
class Level:
    """A place of data: its name, how many bytes it holds, and bytes a second read and written."""

    name: str
    capacity: float
    read: float
    written: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What a number of threads can do: the places of data, and seconds for a vector of lanes or a multiplication."""

    levels: tuple[Level, ...]
    native: float
    slow: float
    function: float
    product: float

    def level(self, n_bytes: float) -> Level:
        """Where that many bytes are after a first run."""
        return next(level for level in self.levels if n_bytes <= level.capacity)

    def of_program(self, program: Program, sizes: Mapping[str, int], arena: int) -> Estimate:
        """Return the limit of a program without loops: inputs read once, outputs written once, all arithmetic."""
        read, written = compulsory(program, sizes)
        place = self.level(read + written + arena)
        arithmetic = sum(self._arithmetic(s, sizes) for s in walk(program.statements))
        return Estimate(read / place.read + written / place.written, arithmetic, read + written, place.name)

    def of_statement(self, s: Statement, program: Program, sizes: Mapping[str, int], arena: int) -> Estimate:
        """Return the limit of a nest or a call whose data are where all data of its program have room."""
        read, written = traffic(s, sizes)
        place = self.level(sum(compulsory(program, sizes)) + arena)
        memory = read / place.read + written / place.written
        return Estimate(memory, self._arithmetic(s, sizes), read + written, place.name, _tile(s, sizes))

    def of_sweep(
        self, s: Sweep, depth: int, widths: Sequence[int], program: Program, sizes: Mapping[str, int], arena: int
    ) -> Estimate:
        """Return the limit of one turn of a sweep: its states move once in `depth` turns."""
        held = sum(evaluate(new.n_bytes, sizes) for _, new in s.states)
        place = self.level(sum(compulsory(program, sizes)) + arena)
        memory = (held / place.read + held / place.written) / depth
        arithmetic = sum(self._arithmetic(x, sizes) for x in s.loop.body)
        tile = f"{depth} turns of {'x'.join(map(str, widths))}"
        return Estimate(memory, arithmetic, 2 * held // depth, place.name, tile)

    def _arithmetic(self, s: Statement, sizes: Mapping[str, int]) -> float:
        match s:
            case Nest():
                wide = {ITEMSIZE[i.dtype] for i in s.body if i.dtype != "bool"} == {4}
                lanes = 1 if s.serial or not s.space else machine().lanes_f64 * (2 if wide else 1)
                kinds = [i.name for i in s.body if isinstance(i, Op)]
                slow = sum(k in _SLOW for k in kinds)
                native = sum(k in NATIVE for k in kinds) + len(s.reductions)
                functions = len(kinds) - slow - sum(k in NATIVE for k in kinds)
                points = math.prod(evaluate(d, sizes) for d in s.space)
                return points / lanes * (native * self.native + slow * self.slow + functions * self.function)
            case Call(name="gemm"):
                return self.product * math.prod(evaluate(d, sizes) for d in s.extents)
        return 0.0


def _tile(s: Statement, sizes: Mapping[str, int]) -> str:
    """Return the block of a nest that is carried through its whole body at a time."""
    if not isinstance(s, Nest) or not s.space or s.serial:
        return ""
    outer, *inner = (evaluate(d, sizes) for d in s.space)
    length = max(-(-BLOCK_POINTS // max(math.prod(inner), 1)), 1)
    return "x".join(map(str, (min(length, outer), *inner)))


@functools.cache
def limits(threads: int) -> Limits:
    """Return the limits for a number of threads; measured when this machine's are not known yet.

    What was measured while other work ran is measured again when there is none.
    Cost: about a second, once on a machine.
    """
    here = machine()
    store, key = KernelStore(), kernel_key(_VERSION, f"{here.key} {here.model} {here.caches}", str(threads))
    found = store.get(key)
    held = json.loads(found) if found is not None else None
    if held is None or (held["busy"] and not _is_busy()):
        held = {**asdict(_measure(threads)), "busy": _is_busy()}
        store.put(key, json.dumps(held).encode())
    levels = tuple(Level(**level) for level in held["levels"])
    return Limits(levels, *(held[name] for name in ("native", "slow", "function", "product")))


def _is_busy() -> bool:
    """Whether processes other than this one run."""
    return hasattr(os, "getloadavg") and os.getloadavg()[0] > _BUSY * machine().cores


def _measure(threads: int) -> Limits:
    here = machine()
    caches = [("L2", here.cache("L2", 2**19) * min(max(threads, 1), here.cores)), ("L3", here.cache("L3", 2**22))]
    levels = [_level(name, size, size // 2, threads) for name, size in caches if size]
    levels.append(_level("memory", math.inf, max(4 * max(size for _, size in caches), 2**26), threads))
    x = np.linspace(0.5, 1.5, _POINTS)
    lanes = _POINTS / here.lanes_f64
    native = _time(_map(_chains("mul", "add")), x, threads) / ((2 * _LENGTH + 2) * _CHAINS * lanes)
    slow = _time(_map(_chains("div")), x, threads) / (_CHAINS * _LENGTH * lanes)
    function = _time(_map([Op("exp", (0,), "float64")]), x, threads) / lanes
    product = _time(_product(), np.ones((2, _SIDE, _SIDE)), threads) / _SIDE**3
    return Limits(tuple(levels), native, slow, function, product)


def _level(name: str, capacity: float, n_bytes: int, threads: int) -> Level:
    """Measure reading by a sum, and writing by what a copy of half as many numbers takes longer than reading them."""
    x = np.ones(n_bytes // 8)
    read = x.nbytes / _time(_sum(), x, threads)
    half = x[: len(x) // 2]
    copy = _time(_map([]), half, threads)
    # Where writing hides behind reading, it still takes the bytes: no more than four times as fast.
    return Level(name, capacity, read, half.nbytes / max(copy - half.nbytes / read, half.nbytes / read / 4))


def _time(program: Program, x: np.ndarray, threads: int) -> float:
    """Return the seconds of a run without those of a call."""
    from backends.cpu.kernel import Kernel

    kernel = Kernel(program, threads)
    if not program.sizes:
        return _best(kernel, list(x))
    return _best(kernel, [x]) - _best(kernel, [x[:1]])


def _best(kernel: Kernel, inputs: list[np.ndarray]) -> float:
    """Return the seconds of a call, the best of several rounds."""
    sizes = dict.fromkeys(kernel.program.sizes, len(inputs[0]))
    out = kernel(inputs, sizes)
    count, best = 1, math.inf
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        for _ in range(count):
            kernel(inputs, sizes, out)
        once = (time.perf_counter() - began) / count
        best = min(best, once)
        count = max(1, math.ceil(_SHORTEST / once))
    return best


def _chains(*operations: str) -> list[Instr]:
    """Chains of operations that begin at x, 2 x, 3 x, …, and their sum; x is value 0, in front of what is returned."""
    body: list[Instr] = []

    def new(name: str, a: int, b: int) -> int:
        body.append(Op(name, (a, b), "float64"))
        return len(body)

    ends = [0]
    for _ in range(_CHAINS - 1):
        ends.append(new("add", ends[-1], 0))
    for _ in range(_LENGTH):
        for name in operations:
            ends = [new(name, end, 0) for end in ends]
    functools.reduce(lambda a, b: new("add", a, b), ends)
    return body


def _map(operations: list[Instr]) -> Program:
    """The program that does operations on value 0, an entry of a vector, and writes the last value."""
    x, y = Buffer(0, (_N,), "float64", "input"), Buffer(1, (_N,), "float64", "output")
    body = (Load(Access(x, 0, (1,)), "float64"), *operations)
    nest = Nest((_N,), body, (Store(len(body) - 1, Access(y, 0, (1,))),), (), ())
    return Program((x,), (), (y,), (), (nest,), ("n",))


def _sum() -> Program:
    x, total = Buffer(0, (_N,), "float64", "input"), Buffer(1, (), "float64", "output")
    body = (Load(Access(x, 0, (1,)), "float64"),)
    nest = Nest((_N,), body, (), (Reduce("sum", 0, Access(total, 0, (0,)), "float64"),), (0,))
    return Program((x,), (), (total,), (), (nest,), ("n",))


def _product() -> Program:
    a, b = (Buffer(k, (_SIDE, _SIDE), "float64", "input") for k in range(2))
    c = Buffer(2, (_SIDE, _SIDE), "float64", "output")
    operands = tuple(Access(x, 0, (_SIDE * _SIDE, _SIDE, 1)) for x in (a, b, c))
    return Program((a, b), (), (c,), (), (Call("gemm", operands, (_SIDE, _SIDE, _SIDE, 1), "float64"),), ())
