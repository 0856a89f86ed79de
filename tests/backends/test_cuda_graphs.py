"""Loops launched from the host: chunks of turns, their flags, and graphs, with a driver that plays the kernels."""

from __future__ import annotations

import ctypes
import importlib.util
import itertools
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from backends.cuda.simulator import is_simulated
from backends.cuda.words import GO
from symdiff.program.ir import Loop
from tests.backends.cuda_driver import FakeDriver, compiled

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="pip install 'symdiff[cuda]'"),
    pytest.mark.skipif(is_simulated(), reason="the simulator has no driver"),
]
X = sd.array("x", ("n",))


def run_turns(gpu: FakeDriver, turns: int) -> int:
    """Run a loop of so many turns, whose kernels are played here; return how many turns had their flags up."""
    n = sd.array("n", (), "int64")
    found = sd.while_loop(lambda j, x: j < n, lambda j, x: [j + 1, 0.5 * x + 1], [0, X])[1]
    fn = compiled(gpu, found, [X, n])
    (loop,) = (s for s in fn.kernel.program.statements if isinstance(s, Loop))
    (condition,) = loop.cond
    flag = fn.kernel.layout(condition).buffer(loop.flag)
    body = next(s for s in loop.body if len(s.space) == 1)
    names = [next(name for name, (s, _) in fn.kernel.kernels.items() if s is one) for one in (condition, body)]
    done = 0
    homes = []

    def play(launch: Any) -> None:
        nonlocal done
        words = launch.words[1:]
        if not ctypes.c_uint8.from_address(words[GO]).value:
            return
        if launch.name == names[0]:
            ctypes.c_uint8.from_address(words[flag]).value = done < turns
        elif launch.name == names[1]:
            done += 1
            homes.append(words[fn.kernel.layout(body).buffer(body.stores[0].access.buffer)])

    gpu.on_launch = play
    fn(np.zeros(300_000), turns)
    # The state's two arrays are written in turn, whoever launches.
    assert all(a != b for a, b in itertools.pairwise(homes))
    assert len(set(homes)) <= 2
    return done


def test_long_loops_are_launched_as_graphs(gpu: FakeDriver) -> None:
    assert run_turns(gpu, 1000) == 1000
    # Chunks of 1, 2, …, 32 and one of 64 are launched one by one, 14 chunks as a graph, and the last one in vain.
    assert len(gpu.asked("cuGraphLaunch")) == 14
    assert len(gpu.graphs) == len(gpu.asked("cuGraphExecDestroy")) == len(gpu.asked("cuGraphDestroy")) == 1
    assert gpu.used == 0


@pytest.mark.parametrize("turns", [0, 1, 63, 64, 126, 127, 128, 191, 192, 200])
def test_loops_end_where_their_condition_does(gpu: FakeDriver, turns: int) -> None:
    assert run_turns(gpu, turns) == turns


@pytest.mark.parametrize("refused", ["cuStreamEndCapture", "cuGraphInstantiateWithFlags"])
def test_what_cannot_be_recorded_is_launched(gpu: FakeDriver, refused: str) -> None:
    gpu.status[refused] = 900
    assert run_turns(gpu, 500) == 500
    assert not gpu.asked("cuGraphLaunch")
