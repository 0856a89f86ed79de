"""Work as the number of lines that Python runs: the same on every machine and under any load, as time is not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def lines_run(work: Callable[[], Any]) -> int:
    """Return how many lines of Python `work` runs in this thread; turns of a loop on one line count each."""
    n = 0

    def look(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal n
        n += event == "line"
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        work()
    finally:
        sys.settrace(before)
    return n
