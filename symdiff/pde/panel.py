"""A live line of a run: how far it is, at what rate, and how long it will take."""

from __future__ import annotations

from symdiff.live import Live
from symdiff.pde.solution import Progress


def panel(title: str) -> Live:
    """Return the live display of a run, one line."""

    def line(now: Progress) -> str:
        done = 100 * now.step / now.steps
        left = f", {now.eta:.0f} s left" if now.step < now.steps and now.rate > 0 else ""
        rate = f"{now.rate:.4g} steps/s{left}"
        return f"{title}  {done:5.1f} %  t = {now.t:.6g}  step {now.step} of {now.steps}  {rate}"

    def closing(now: Progress, message: str) -> str:
        return f"{line(now)}: {message}"

    return Live(line, lambda now, message: line(now) if message is None else closing(now, message), closing)
