"""`symdiff bench`: our times beside those of other libraries, results compared first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape

from symdiff.bench.cases import CASES, Sizes
from symdiff.bench.measure import PEERS, is_installed
from symdiff.bench.record import Record, keep, kept, load, together
from symdiff.bench.runner import Comparison, compare
from symdiff.terminal import bench_report as report
from symdiff.terminal.bench_plot import curves, save_png, terminal_plot

WIDTH = 110  # of tables in a file


def run_bench(console: Any, names: Sequence[str], size: str, peers: str, rounds: int, target: str) -> Record:
    """Run the cases named, all where none is, and print their tables."""
    work, others = _work(names, size), _peers(peers)
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
    record = Record.of(before, report.machine_facts(), comparisons)
    show(console, record)
    _warn_if_busy(console, record.after)
    return record


def show(console: Any, record: Record) -> None:
    """Print the tables of a run, and its curves of cost over size."""
    # In a file or a pipe rich takes 80 columns, too few for these tables.
    console.width = console.width if console.is_terminal else WIDTH
    for text in failures(record):
        console.print(f"[bold red]FAILED[/] {escape(text)}", soft_wrap=True)
    console.print(report.times_table(record.comparisons))
    for text in report.notes(record.comparisons):
        console.print(f"[dim]{text}[/]", soft_wrap=True)
    console.print(report.cost_table(record.comparisons))
    for found in curves(record.comparisons):
        console.print(found.title, style="bold")
        console.print(terminal_plot(found))


def show_kept(console: Any, file: Path | None) -> Record:
    """Print a record in a file, or of all kept runs together the newest figures of every case and size."""
    record = load(file) if file is not None else together(kept())
    console.print(f"symdiff {record.version}, {record.time}, {report.machine_text(record.before)}")
    show(console, record)
    return record


def failures(record: Record) -> list[str]:
    """Return results that differ and processes that broke."""
    return [text for c in record.comparisons for text in c.failures]


def keep_run(console: Any, record: Record) -> None:
    """Add a run to the kept ones, and say where; an interrupted run that measured nothing is not kept."""
    if record.comparisons:
        console.print(f"[dim]kept in[/] {escape(str(keep(record)))}", soft_wrap=True)


def save_pictures(console: Any, record: Record, folder: Path) -> None:
    """Draw cost over size as PNG files, and say which."""
    for file in save_png(list(curves(record.comparisons)), folder):
        console.print(f"[dim]drawn in[/] {escape(str(file))}", soft_wrap=True)


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


def _warn_if_busy(console: Any, facts: Mapping[str, Any]) -> None:
    if report.is_busy(facts):
        console.print(
            f"[bold yellow]The machine is busy[/]: load average {facts['load']:.2f} on {facts['cores']} cores. "
            "Take the times for an indication only.", soft_wrap=True,
        )  # fmt: skip
