"""`symdiff bench`: our times beside those of other libraries, results compared first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from symdiff.bench.cases import CASES, Sizes
from symdiff.bench.measure import PEERS, is_installed
from symdiff.bench.runner import Comparison, compare
from symdiff.terminal import bench_report as report

WIDTH = 110  # of tables in a file


def run_bench(
    console: Any, names: Sequence[str], size: str, peers: str, rounds: int, target: str, json_file: Path | None
) -> bool:
    """Run the cases named, all where none is, and print their tables. Returns whether all results agree."""
    work, others = _work(names, size), _peers(peers)
    # In a file or a pipe rich takes 80 columns, too few for these tables.
    console.width = console.width if console.is_terminal else WIDTH
    before = report.machine_facts()
    console.print(report.machine_text(before))
    _warn_if_busy(console, before)
    comparisons: list[Comparison] = []
    with console.status("") as status:
        try:
            for case, p in work:
                comparisons.append(compare(case, p, others, rounds, target, status.update))
        except KeyboardInterrupt:
            console.print("Interrupted: what follows was measured before.")
    after = report.machine_facts()
    failures = [text for c in comparisons for text in c.failures]
    for text in failures:
        console.print(f"[bold red]FAILED[/] {text}", soft_wrap=True)
    console.print(report.times_table(comparisons))
    for text in report.notes(comparisons):
        console.print(f"[dim]{text}[/]", soft_wrap=True)
    console.print(report.cost_table(comparisons))
    _warn_if_busy(console, after)
    if json_file is not None:
        found = {"before": before, "after": after, "comparisons": [c.as_json() for c in comparisons]}
        json_file.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return not failures


def list_cases(console: Any) -> None:
    """Print the names of the cases and what they state."""
    for case in CASES.values():
        console.print(f"{case.name:15} {case.doc}", soft_wrap=True, markup=False)


def _work(names: Sequence[str], size: str) -> list[tuple[str, Sizes]]:
    unknown = [name for name in names if name not in CASES]
    if unknown:
        raise typer.BadParameter(f"There is no case {unknown[0]!r}; there are {', '.join(CASES)}.")
    chosen = [CASES[name] for name in names or CASES]
    if not size:
        return [(case.name, p) for case in chosen for p in case.sizes]
    try:
        return [(case.name, case.sized(size)) for case in chosen]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _peers(text: str) -> list[str]:
    peers = list(PEERS) if text == "all" else [peer for peer in text.split(",") if peer and peer != "none"]
    for peer in peers:
        if peer not in PEERS:
            raise typer.BadParameter(f"There is no peer {peer!r}; there are {', '.join(PEERS)}.")
    return [peer for peer in peers if is_installed(peer)]


def _warn_if_busy(console: Any, facts: dict[str, Any]) -> None:
    if report.is_busy(facts):
        console.print(
            f"[bold yellow]The machine is busy[/]: load average {facts['load']:.2f} on {facts['cores']} cores. "
            "Take the times for an indication only.", soft_wrap=True,
        )  # fmt: skip
