"""The command line of the benchmark.

Exit status 1 if results differ or an implementation breaks, 2 for a wrong command line.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from symdiff.terminal.console import output
from tests.bench import report
from tests.bench.cases import CASES, Sizes
from tests.bench.measure import PEERS, is_installed
from tests.bench.runner import Comparison, compare

WIDTH = 110  # of tables in a file


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases that the command line names and print their tables."""
    args = _parser().parse_args(arguments)
    console = output()
    # In a file or a pipe rich takes 80 columns, too few for these tables.
    console.width = console.width if console.is_terminal else WIDTH
    work = _work(args.cases, args.size)
    peers = _peers(args.peers)
    before = report.machine_facts()
    console.print(report.machine_text(before))
    _warn_if_busy(console, before)
    comparisons: list[Comparison] = []
    with console.status("") as status:
        try:
            for case, p in work:
                comparisons.append(compare(case, p, peers, args.rounds, args.target, status.update))
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
    if args.json:
        found = {"before": before, "after": after, "comparisons": [c.as_json() for c in comparisons]}
        Path(args.json).write_text(json.dumps(found, indent=1), encoding="utf-8")
    return 1 if failures else 0


def _parser() -> argparse.ArgumentParser:
    lines = [f"  {c.name:15} {c.doc}" for c in CASES.values()]
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Measure symdiff beside other libraries.",
        epilog="\n".join(["cases:", *lines]), formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("cases", nargs="*", metavar="CASE", help="all where none is named")
    parser.add_argument("--size", help="such as n=1000 or n=2000,d=8; all sizes of a case where left out")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"some of {', '.join(PEERS)}, where installed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE", help="write everything that was measured")
    parser.add_argument("--target", default="cpu", choices=("cpu", "cuda", "reference"))
    return parser


def _work(names: Sequence[str], size: str | None) -> list[tuple[str, Sizes]]:
    unknown = [name for name in names if name not in CASES]
    if unknown:
        _refuse(f"There is no case {unknown[0]!r}; there are {', '.join(CASES)}.")
    chosen = [CASES[name] for name in names or CASES]
    if size is None:
        return [(case.name, p) for case in chosen for p in case.sizes]
    try:
        return [(case.name, case.sized(size)) for case in chosen]
    except ValueError as error:
        _refuse(str(error))


def _peers(text: str) -> list[str]:
    peers = [peer for peer in text.split(",") if peer]
    for peer in peers:
        if peer not in PEERS:
            _refuse(f"There is no peer {peer!r}; there are {', '.join(PEERS)}.")
    return [peer for peer in peers if is_installed(peer)]


def _refuse(text: str) -> NoReturn:
    print(f"tests.bench: {text}", file=sys.stderr)
    raise SystemExit(2)


def _warn_if_busy(console: Any, facts: dict[str, Any]) -> None:
    if report.is_busy(facts):
        console.print(
            f"[bold yellow]The machine is busy[/]: load average {facts['load']:.2f} on {facts['cores']} cores. "
            "Take the times for an indication only.", soft_wrap=True,
        )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
