"""Comparisons as tables: times beside those of the peers, and cost over size."""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from symdiff.bench.cases import CASES
from symdiff.bench.measure import OURS
from symdiff.bench.runner import Comparison, Entry, size_text
from symdiff.terminal.tables import mark, seconds, table

BUSY = 0.5  # load per core from which times are not to be trusted


def machine_facts() -> dict[str, Any]:
    """Return processor, cores and load of this machine."""
    from backends.cpu.machine import machine

    here = machine()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"processor": here.model, "llvm_name": here.cpu_name, "cores": here.cores, "load": load}


def is_busy(facts: Mapping[str, Any]) -> bool:
    """Whether other work runs on the machine."""
    return facts["load"] is not None and facts["load"] > BUSY * facts["cores"]


def machine_text(facts: Mapping[str, Any]) -> str:
    """Return the machine in one line."""
    load = "unknown" if facts["load"] is None else f"{facts['load']:.2f}"
    return f"{facts['processor']} ({facts['llvm_name']}), {facts['cores']} cores, load average {load}"


def times_table(comparisons: Sequence[Comparison]) -> Any:
    """Return one row for each implementation, below the case and size."""
    out = table(
        "", ">build", ">from store", ">run", ">rounds", ">÷ fastest", ">error",
        title="Build and run",
        caption="build: formula to first result, no kernel store · from store: the same in a second process · "
        "run: median of warm runs, the median of the rounds · ÷ fastest: run time over the fastest peer's · "
        "error: largest difference from the reference's result, relative",
    )  # fmt: skip
    for c in comparisons:
        out.add_row(f"{c.case} {size_text(c.sizes)}", style="bold")
        for e in c.entries:
            out.add_row(
                f"  {e.name}", _time(e.median("build_s")), seconds(statistics.median(e.warm)) if e.warm else "",
                _time(e.median("run_s")), _spread(e), _ratio(e.median("run_s"), c.fastest_peer("run_s")),
                _difference(c, e), style="green" if _is_ours(e) else None,
            )  # fmt: skip
        out.add_section()
    return out


def notes(comparisons: Sequence[Comparison]) -> list[str]:
    """Return why numbers are missing or come from one round only; failures are told apart."""
    return [
        f"{c.case} {size_text(c.sizes)}, {e.name}: {e.problem}"
        for c in comparisons
        for e in c.entries
        if e.problem and not e.failed
    ]


def cost_table(comparisons: Sequence[Comparison]) -> Any:
    """Return what a unit of work costs us over sizes: a column that grows tells of cost that grows too fast."""
    out = table(
        "case", "size", ">work", ">run per unit", ">build per unit",
        title="Cost over size, symdiff",
        caption="Run per unit is flat where cost is linear, and falls towards that while fixed costs fade. Build per "
        "unit counts for scalar_ops, where the program grows; elsewhere only the data grow.",
    )  # fmt: skip
    for c in sorted(comparisons, key=lambda c: list(CASES).index(c.case)):
        case, work = CASES[c.case], CASES[c.case].work(c.sizes)
        for e in filter(_is_ours, c.entries):
            run, build = e.median("run_s"), e.median("build_s")
            if run is not None and build is not None:
                label = e.name.replace(OURS, c.case)
                costs = (_nanoseconds(run / work), _nanoseconds(build / work))
                out.add_row(label, size_text(c.sizes), f"{work:.3g} × {case.unit}", *costs)
    return out


def _is_ours(e: Entry) -> bool:
    return e.name.partition(":")[0] == OURS


def _time(value: float | None) -> str:
    return "–" if value is None else seconds(value)


def _nanoseconds(value: float) -> str:
    return f"{value * 1e9:.3g} ns"


def _spread(e: Entry) -> str:
    runs = [r["run_s"] for r in e.rounds]
    return f"{seconds(min(runs))} … {seconds(max(runs))}" if len(runs) > 1 else "once" if runs else ""


def _ratio(value: float | None, fastest: float | None) -> str:
    return "" if value is None or fastest is None else f"{value / fastest:.3g}"


def _difference(c: Comparison, e: Entry) -> Any:
    d = c.differences.get(e.name)
    if d is None or e is c.reference:
        return "" if not e.rounds else "reference" if len(c.differences) > 1 else "not compared"
    return mark(d <= CASES[c.case].tolerance).append(f" {d:.0e}", "default")
