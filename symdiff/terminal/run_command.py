"""`symdiff run`: a problem file solved, with progress, a file of the result and a picture."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from symdiff.ir.errors import DomainError, ParseError
from symdiff.pde.errors import RunError
from symdiff.pde.files import load
from symdiff.pde.panel import drawn
from symdiff.pde.problem_file import ProblemFile, from_toml
from symdiff.pde.solution import Solution
from symdiff.pde.solver import Solver
from symdiff.terminal.tables import mark, seconds, table

_FILES = (".npz", ".nc", ".zarr")


def run_problem(
    console: Any, problem: Path, output: Path | None, picture: Path | None, checkpoint: Path | None, target: str,
    overwrite: bool,
) -> bool:  # fmt: skip
    """Solve a problem file and write the result; returns whether the run reached its end.

    `output` is a file for everything, by default named like the problem, or a folder for the saved states; a netCDF
    file, a zarr store and a folder get each state while the run goes. What a run that fails or is interrupted has
    computed is written all the same.
    """
    file = from_toml(problem)
    output = output or Path(f"{problem.stem}.npz")
    picture = picture or _default_picture(output)
    goes_on = checkpoint is not None and checkpoint.exists()
    _check_places(output, picture, overwrite or goes_on)
    solver = file.solver()
    console.print(_heading(file, solver))
    streamed = None if output.suffix == ".npz" or (output.suffix and file.problem.is_steady) else output
    if streamed and streamed.suffix and overwrite and not goes_on:
        _remove(streamed)
    error: RunError | None = None
    try:
        sol = file.run(progress=True, target=target, save_to=streamed, checkpoint=checkpoint)
    except RunError as failed:
        error, sol = failed, failed.solution
    written = _written(sol, output, picture, is_there=streamed is not None)
    console.print(_summary(sol, written, console))
    if error is not None:
        raise error
    if not console.is_terminal:  # where the run has not left its last picture
        console.print(drawn(sol.grid, sol.arrays))
    return sol.finished


def _default_picture(output: Path) -> Path | None:
    return output.with_suffix(".png") if importlib.util.find_spec("matplotlib") else None


def _check_places(output: Path, picture: Path | None, overwrite: bool) -> None:
    """Raise DomainError where a file cannot be written, before anything is computed."""
    for path in filter(None, (output, picture)):
        if not path.absolute().parent.is_dir():
            raise DomainError(f"The folder {path.absolute().parent} does not exist; make it, or name another file.")
        if path.exists() and path.suffix and not overwrite:
            raise DomainError(f"{path} exists; name another file, or add --overwrite.")
    if output.suffix and output.suffix not in _FILES:
        raise ParseError(f"--output is a {', '.join(_FILES)} file or a folder, got {output}.")


def _heading(file: ProblemFile, solver: Solver) -> Any:
    from rich.text import Text

    lines = [str(equation) for equation in file.problem.equations]
    points = " x ".join(map(str, solver.grid.shape))
    text = Text(f"{file.title}\n" if file.title else "", "bold")
    return text.append("\n".join([*lines, f"{points} points, order {file.order}"]), "default")


def _remove(path: Path) -> None:
    """Remove a file or a store of saved states. Raises DomainError for what is none."""
    if path.exists():
        load(path)
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _written(sol: Solution, output: Path, picture: Path | None, is_there: bool) -> list[str]:
    """Write the files; one that cannot be written is told of behind those that can."""
    names, problems = ([str(output)], []) if is_there else ([], [])
    jobs = [] if is_there else [(output, sol.save)]
    if picture is not None:
        jobs.append((picture, sol.plot))
    for path, job in jobs:
        try:
            job(path)
            names.append(str(path))
        except DomainError as error:
            problems.append(str(error))
    if problems:
        raise DomainError(" ".join([*problems, f"Written: {', '.join(names) or 'nothing'}."]))
    return names


def _summary(sol: Solution, written: list[str], console: Any) -> Any:
    out = table("", "")
    out.show_header = False
    out.add_row("finished", mark(sol.finished, console.options.ascii_only))
    out.add_row("", sol.message)
    out.add_row("steps", f"{sol.steps:,} of {sol.method}, dt at most {sol.dt:.6g}")
    out.add_row("time", f"{seconds(sol.seconds)} after {seconds(sol.compile_seconds)} to make the code")
    for u, values in sol.arrays.items():
        out.add_row(u.params["name"], f"from {np.min(values):.6g} to {np.max(values):.6g}")
    for name in sol.tracked:
        first, last = sol.tracked[name][[0, -1]]
        out.add_row(name, f"{first:.10g} at the start, {last:.10g} at the end")
    out.add_row("written", ", ".join(written))
    return out
