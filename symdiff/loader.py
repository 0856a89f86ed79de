"""loader: from a graph to what runs it on one target: passes, schedule, code.

A function for the CPU that an earlier process compiled is found by its graph; then none of these is even imported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from symdiff.ir.node import Node

if TYPE_CHECKING:
    from symdiff.program.ir import Program

Graph = tuple[Sequence[Node], Sequence[Node]]


class Loaded(NamedTuple):
    """A kernel, with the optimised graph and, for compiled targets, the program that it runs."""

    kernel: Any
    graph: list[Node]
    program: Program | None


class Loader:
    """Makes kernels for a target; the target is imported when it is needed."""

    # Whether what `find` returns is still being made: see `background`.
    is_later = False

    def __init__(self, target: str, threads: int | None):
        self.target, self.threads = target, threads

    def load(self, roots: Sequence[Node], symbols: Sequence[Node], pause: Callable[[], None] | None = None) -> Loaded:
        """Go the whole way from the outputs to a kernel, with a `pause` between two steps."""
        if self.target == "reference":
            from backends.reference import Kernel as Reference

            return Loaded(Reference(roots, symbols), list(roots), None)
        from symdiff.passes import PIPELINE, optimise
        from symdiff.program.schedule import schedule

        if pause is None:
            graph = optimise(roots)
            program = schedule(graph, symbols)
        else:
            graph = optimise(roots, [_after(pause, one) for one in PIPELINE])
            program = _after(pause, schedule)(graph, symbols)
            pause()
        if self.target == "cuda":
            from backends.cuda import Kernel as Cuda

            return Loaded(Cuda(program), graph, program)
        from backends.cpu import Kernel as Cpu

        kernel = Cpu(program, self.threads)
        return Loaded(kernel, graph, kernel.program)

    def find(
        self, roots: Sequence[Node], symbols: Sequence[Node], mapped: Sequence[bool], lift: Callable[[], Graph],
        pause: Callable[[], None] | None = None,
    ) -> tuple[Any, Loaded | None]:  # fmt: skip
        """Return what runs a graph, and what was loaded for that, if anything had to be.

        `mapped` says over which inputs it is mapped, and `lift` gives the graph that this makes.
        """
        if self.target != "cpu":
            loaded = self.load(*lift())
            return loaded.kernel, loaded
        from backends.cpu.sealed import find, key_of

        key = key_of(roots, symbols, mapped)
        stored = None if key is None else find(key, self.threads)
        if stored is not None:
            return stored, None
        loaded = self.load(*lift(), pause)
        if key is not None:
            from backends.cpu.sealing import seal

            seal(key, loaded.kernel)
        return loaded.kernel, loaded


def _after(pause: Callable[[], None], step: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any) -> Any:
        pause()
        return step(*args)

    return run
