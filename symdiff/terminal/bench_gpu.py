"""`symdiff bench --target cuda`: what a GPU should take for the cases, and what the one that is here takes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from symdiff.bench.gpu import GPU_CASES, GPU_PEERS, GpuCase, row
from symdiff.ir.errors import SymdiffError


def run_gpu(console: Any, names: Sequence[str], json_file: Path | None) -> bool:
    """Print the table of the cases named, all where none is; returns whether every case that was tried went well."""
    from backends.cuda.kernel import here

    try:
        device = here().name
    except SymdiffError as error:
        device = ""
        console.print(f"{error}\nThe table has what is predicted.", soft_wrap=True, markup=False)
    rows, problems = [], []
    for case in _chosen(names):
        try:
            with console.status(case.name):
                rows.append(row(case, bool(device)))
        except (SymdiffError, ValueError) as error:
            problems.append(str(error))
    console.width = max(console.width, 110)
    console.print(_table(rows, device))
    for text in dict.fromkeys(problems):
        console.print(f"[bold red]FAILED[/] {escape(text)}", soft_wrap=True)
    if json_file is not None:
        json_file.write_text(json.dumps({"device": device, "rows": rows, "problems": problems}, indent=1))
    return not problems


def _chosen(names: Sequence[str]) -> list[GpuCase]:
    known = {c.case for c in GPU_CASES.values()}
    wrong = [n for n in names if n not in known]
    if wrong:
        raise typer.BadParameter(f"on a GPU there are {', '.join(sorted(known))}, got {', '.join(wrong)}.")
    return [c for c in GPU_CASES.values() if not names or c.case in names]


def _table(rows: Sequence[Mapping[str, Any]], device: str) -> Table:
    card = rows[0]["card"] if rows else "no card"
    measured = f"measured on {device}, least for the {card}" if device else f"predicted for the {card}"
    out = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False, title=measured)
    names = [
        "case",
        ">bytes",
        ">least",
        "by",
        *([">run", ">of it", ">first call", ">from store", ">JAX", ">PyTorch"] if device else []),
        "goal",
    ]
    for name in names:
        out.add_column(name.removeprefix(">"), justify="right" if name.startswith(">") else "left")
    for r in rows:
        found = []
        if device:
            share = f"{r['least_s'] / r['run_s']:.0%}"
            found = [_ms(r["run_s"]), share, f"{r['first_s']:.2f} s", f"{r['from_store_s']:.2f} s"]
            found += [_ms(r["peers"][p]) if p in r["peers"] else "–" for p in GPU_PEERS]
        out.add_row(r["case"], f"{r['n_bytes'] / 1e9:.3g} GB", _ms(r["least_s"]), r["bound"], *found, r["goal"])
    return out


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms"
