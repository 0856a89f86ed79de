"""Ctrl-C while a loop runs: noted, obeyed between chunks, given back; real signals to this process."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from symdiff import pde
from symdiff.interrupt import Interrupts
from symdiff.pde import run as run_module


@pytest.fixture(autouse=True)
def usual_handler() -> Iterator[None]:
    """Have Ctrl-C raise, which a shell's background jobs do not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_the_first_one_waits_and_the_second_does_not() -> None:
    with Interrupts() as interrupts:
        interrupts.check()
        press()
        assert interrupts.asked
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
        with pytest.raises(KeyboardInterrupt):
            press()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_handlers_of_others_and_other_threads_are_left_alone() -> None:
    seen: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: seen.append(number))
    with Interrupts() as interrupts:
        press()
    assert seen == [signal.SIGINT]
    assert not interrupts.asked

    def enter() -> None:
        with Interrupts():
            seen.append(0)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen[-1] == 0


def test_a_run_ends_between_two_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "PERIOD", 0.0)
    x, u = pde.coordinates("x"), pde.field("u")
    heat = pde.Problem(
        pde.Eq(pde.dt(u), pde.laplacian(u)), pde.Box(x=(0, 1)), {"x": pde.Dirichlet(0)}, {u: x * (1 - x)}
    )
    solver, went_on = heat.discretize(9), []

    def look(state: pde.Progress) -> None:
        if state.step == 5:
            press()
            went_on.append(state.step)

    sol = solver.run(0.05, dt=0.005, callback=look, track={"m": pde.mean(u)}, target="reference")
    assert went_on == [5]
    # The callback comes behind the look at Ctrl-C, so one more chunk, of one step, is made.
    assert (sol.steps, sol.finished, len(sol.tracked["m"])) == (6, False, 7)
    assert sol.message.startswith("interrupted at t = 0.03")
    np.testing.assert_array_equal(sol[u], sol.saved[u][-1])
    with pytest.raises(KeyboardInterrupt):
        press()
