"""Chapter 3 of the tour: what the passes do, the LLVM code, and what it costs to make and to call."""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff.compile import compile
from symdiff.diff.jacobian import gradient
from symdiff.front import functions as fn
from symdiff.front.symbols import vector
from symdiff.function import Function
from symdiff.ir.graph import count_ops
from symdiff.ir.node import Node
from symdiff.passes import PIPELINE, optimise
from symdiff.terminal.tables import seconds, table
from symdiff.terminal.tour_derivatives import example

if TYPE_CHECKING:
    from symdiff.terminal.tour import Stage

_LONGEST = 32  # lines of LLVM


def machine_code(stage: Stage) -> None:
    """Show operation counts pass by pass, the loop in LLVM, and the times."""
    f, x, y = example()
    roots = [f, *gradient(f, [x, y])]
    stage.say("Value and gradient together share their parts. The passes rewrite the graph before code is made of it:")
    stage.show(pass_table(roots))
    u, v = vector("x", "n"), vector("y", "n")
    small = compile(fn.exp(-(u**2)) * fn.sin(v), [u, v])
    stage.say(
        "The code is LLVM. This is the loop made from [dim]sd.exp(-x**2) * sd.sin(y)[/] over arrays, "
        "several numbers in one register:"
    )
    stage.show(llvm_listing(small, stage.console.options.ascii_only))
    stage.show(_times(roots, [x, y], 10_000 if stage.fast else 1_000_000))


def pass_table(roots: Sequence[Node]) -> Any:
    """Return a table of the operations that are left after each pass, and what the pass does."""
    out = table("pass", ">operations", "what it does")
    out.add_row("as written", str(count_ops(roots)), "")
    for one in PIPELINE:
        roots = optimise(roots, [one])
        module = sys.modules[one.__module__].__doc__ or ""
        first = " ".join(module.split("\n\n")[0].split())
        out.add_row(one.__name__, str(count_ops(roots)), first.partition(": ")[2].rstrip("."))
    return out


def llvm_listing(function: Function, ascii_only: bool = False) -> Any:
    """Return the innermost loop of a compiled function, with colours."""
    from rich.syntax import Syntax

    return Syntax(
        inner_loop(function.inspect("llvm")), "llvm", theme="ansi_dark", background_color="default", word_wrap=True
    )


def inner_loop(text: str) -> str:
    """Return the basic block that works on vectors and jumps back to itself, the first one; else the beginning."""
    for function in re.findall(r"^define .*?^}", text, flags=re.MULTILINE | re.DOTALL):
        for block in function.split("\n\n"):
            label = block.partition(":")[0]
            if "phi" in block and f"label %{label}" in block and re.search(r"x (double|float)>", block):
                lines = [re.sub(r"\s*; preds = .*", "", row) for row in block.splitlines()]
                return "\n".join(lines[:_LONGEST])
    return "\n".join(text.splitlines()[:_LONGEST])


def _times(roots: list[Node], inputs: list[Node], n: int) -> Any:
    """Return a table: making the code, loading it from the kernel store, calling it."""
    fn_ = compile(roots, inputs)
    cold, warm = _build_times(fn_)
    at = (1.2, 0.7)
    call = _best(lambda: fn_(*at), 2000)
    rng = np.random.default_rng(1)
    points = [rng.uniform(-2, 2, n) for _ in inputs]
    out = [np.empty(n) for _ in roots]
    mapped = _best(lambda: fn_(*points, out=out), 5)
    plain = compile(roots, inputs, target="reference")
    numpy = _best(lambda: plain(*points), 3)
    rows = table("value and gradient", ">time", "")
    rows.add_row("make machine code", seconds(cold), "once; after that it is in the kernel store")
    rows.add_row("load it from the store", seconds(warm), "in every other process")
    rows.add_row("call with two numbers", seconds(call), "")
    rows.add_row(f"call with arrays of {n:,}", seconds(mapped), f"{mapped / n * 1e9:.2f} ns a point")
    rows.add_row("the same, NumPy step by step", seconds(numpy), f"{numpy / n * 1e9:.2f} ns a point")
    return rows


def _build_times(function: Function) -> tuple[float, float]:
    """Return the seconds to build a kernel for an empty store, and to load it from there."""
    from backends.cpu import Kernel
    from backends.store import KernelStore

    with tempfile.TemporaryDirectory() as folder:
        found = []
        for _ in range(2):
            began = time.perf_counter()
            Kernel(function.kernel.program, store=KernelStore(Path(folder) / "kernels"))
            found.append(time.perf_counter() - began)
    return found[0], found[1]


def _best(call: Callable[[], Any], n: int) -> float:
    """Return the seconds of the fastest of `n` calls, after one to warm up."""
    call()
    found = []
    for _ in range(n):
        began = time.perf_counter()
        call()
        found.append(time.perf_counter() - began)
    return min(found)
