"""The command line: `symdiff tour`, `diff`, `minimize`, `run`, `compile`, `bench`, `doctor`, `repl`, `version`.

Commands load what they need when they run, so that `symdiff --help` is quick. An error is one line on standard
error; the exit code is 2 for wrong usage and text that does not parse, 130 after Ctrl-C, else 1.
"""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from symdiff.ir.errors import ParseError, SymdiffError
from symdiff.terminal.console import fail, output

USAGE, FAILURE, INTERRUPTED = 2, 1, 130

app = typer.Typer(
    name="symdiff", help="A compiler and a workbench for mathematics you can differentiate.",
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip


class Format(StrEnum):
    """How `symdiff diff` prints its result."""

    table = "table"
    latex = "latex"
    json = "json"


class Target(StrEnum):
    """What compiled code runs on."""

    cpu = "cpu"
    cuda = "cuda"
    reference = "reference"


class Real(StrEnum):
    """The kinds of real numbers that `symdiff compile` knows."""

    float64 = "float64"
    float32 = "float32"


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", metavar="", help="Show the traceback of an error.")] = False,
) -> None:
    """A compiler and a workbench for mathematics you can differentiate."""


@app.command()
def tour(
    fast: Annotated[bool, typer.Option("--fast", metavar="", help="Smaller problems, a few seconds in all.")] = False,
    no_live: Annotated[
        bool, typer.Option("--no-live", metavar="", help="Print results only, no moving pictures.")
    ] = False,
) -> None:
    """Watch the whole way once: formula, derivatives, machine code, a fitted model, a heat equation."""
    from symdiff.terminal.tour import run_tour

    run_tour(output(), fast=fast, live=not no_live)


# An expression may begin with a minus sign, which must not be taken for an option.
@app.command(context_settings={"ignore_unknown_options": True})
def diff(
    expression: Annotated[str, typer.Argument(metavar="EXPR", help="A formula, such as 'exp(-x**2)*sin(y)'.")],
    at: Annotated[str, typer.Option("--at", metavar="POINT", help="The point, such as x=1.2,y=0.7 or x=pi/4.")] = "",
    wrt: Annotated[
        str, typer.Option("--wrt", metavar="NAMES", help="The symbols to differentiate by; all of them by default.")
    ] = "",
    format: Annotated[
        Format, typer.Option("--format", metavar="FORMAT", help="What to print: table, latex or json.")
    ] = Format.table,
) -> None:
    """Differentiate a formula, and compare every method with a reference of 50 digits."""
    from symdiff.terminal.derivatives import run_diff

    run_diff(output(), expression, at, wrt, format.value)


@app.command(context_settings={"ignore_unknown_options": True})
def minimize(
    expression: Annotated[str, typer.Argument(metavar="EXPR", help="A formula, such as '(1-x)**2+100*(y-x**2)**2'.")],
    start: Annotated[str, typer.Option("--start", metavar="POINT", help="Where to begin, such as x=-1.2,y=1.")] = "",
    method: Annotated[
        str, typer.Option("--method", metavar="NAME", help="Such as newton, bfgs, lbfgs, adam, scipy:BFGS.")
    ] = "newton",
    tol: Annotated[float, typer.Option("--tol", metavar="TOL", help="For the largest entry of the gradient.")] = 1e-8,
    steps: Annotated[
        int, typer.Option("--steps", "--max-steps", metavar="N", min=0, help="At most so many steps.")
    ] = 1000,
    data: Annotated[
        str,
        typer.Option(
            "--data", metavar="DATA",
            help="Other symbols: a=2,b=0.5, or the columns of a CSV file; then the mean over its rows is minimised.",
        ),
    ] = "",
    target: Annotated[Target, typer.Option("--target", metavar="TARGET", help="cpu, cuda or reference.")] = Target.cpu,
) -> None:  # fmt: skip
    """Minimise a formula; the exit code is 1 where the run did not converge."""
    from symdiff.terminal.minimize_command import run_minimize

    if not run_minimize(output(), expression, start, method, tol, steps, data, target.value):
        raise typer.Exit(FAILURE)


@app.command("run")
def run_(
    problem: Annotated[Path, typer.Argument(metavar="PROBLEM", help="A problem file, such as heat.toml.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="PATH",
            help="A .npz, .nc or .zarr file, or a folder that saved states are written to on the way. PROBLEM.npz by "
            "default.",
        ),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", metavar="FILE", help="Such as heat.png; beside the output by default.")
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option("--checkpoint", metavar="FILE", help="Keep the run here, and go on from there if it exists."),
    ] = None,
    target: Annotated[Target, typer.Option("--target", metavar="TARGET", help="cpu, cuda or reference.")] = Target.cpu,
    overwrite: Annotated[bool, typer.Option("--overwrite", metavar="", help="Replace files that exist.")] = False,
) -> None:  # fmt: skip
    """Solve the partial differential equations of a TOML file; write the result and a picture."""
    from symdiff.terminal.run_command import run_problem

    if not run_problem(output(), problem, out, picture, checkpoint, target.value, overwrite):
        raise typer.Exit(INTERRUPTED)


@app.command("compile", context_settings={"ignore_unknown_options": True})
def compile_(
    expression: Annotated[str, typer.Argument(metavar="EXPR", help="A formula, such as 'exp(-x**2)*sin(3*x)'.")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="The name of the C function.")] = "f",
    gradient: Annotated[
        bool, typer.Option("--gradient", metavar="", help="Add the derivatives by all symbols, or those of --wrt.")
    ] = False,
    wrt: Annotated[str, typer.Option("--wrt", metavar="NAMES", help="Differentiate by these symbols.")] = "",
    arguments: Annotated[
        str, typer.Option("--arguments", metavar="NAMES", help="The order of the arguments; alphabetical by default.")
    ] = "",
    folder: Annotated[Path, typer.Option("--folder", metavar="FOLDER", help="Where the files go.")] = Path("."),
    dtype: Annotated[
        Real, typer.Option("--dtype", metavar="DTYPE", help="The kind of numbers: float64 or float32.")
    ] = Real.float64,
    cpu: Annotated[
        str | None, typer.Option("--cpu", metavar="CPU", help="Another processor, such as x86-64-v3.")
    ] = None,
    triple: Annotated[
        str | None, typer.Option("--triple", metavar="TRIPLE", help="Another kind, as aarch64-unknown-linux-gnu.")
    ] = None,
    no_library: Annotated[
        bool, typer.Option("--no-library", metavar="", help="No shared library, which takes a C compiler.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", metavar="", help="Replace files that exist.")] = False,
) -> None:
    """Compile a formula to a C function: object file, shared library, header and example."""
    from symdiff.terminal.compile_command import run_compile

    run_compile(
        output(), expression, name, folder, arguments, wrt, gradient, dtype.value, cpu, triple, not no_library,
        overwrite,
    )  # fmt: skip


@app.command()
def bench(
    cases: Annotated[list[str] | None, typer.Argument(metavar="[CASE]...", help="All where none is named.")] = None,
    size: Annotated[
        str, typer.Option("--size", metavar="SIZES", help="Such as n=1000 or n=2000,d=8; all sizes by default.")
    ] = "",
    peers: Annotated[
        str, typer.Option("--peers", metavar="NAMES", help="Such as numpy,jax, or none; all installed by default.")
    ] = "all",
    rounds: Annotated[int, typer.Option("--rounds", metavar="N", min=1, help="Processes of each, in turns.")] = 3,
    target: Annotated[Target, typer.Option("--target", metavar="TARGET", help="cpu, cuda or reference.")] = Target.cpu,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write everything that was measured here too.")
    ] = None,
    png: Annotated[
        Path | None, typer.Option("--png", metavar="FOLDER", help="Draw cost over size as PNG files (matplotlib).")
    ] = None,
    kept: Annotated[
        bool, typer.Option("--kept", metavar="", help="Measure nothing: show the newest figures of all kept runs.")
    ] = False,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Measure nothing: show this record.")
    ] = None,
    show: Annotated[bool, typer.Option("--list", metavar="", help="List the cases.")] = False,
) -> None:
    """Measure symdiff beside the other libraries that are installed, their results compared first.

    With --target cuda, the cases of a GPU: what the card takes at least, and what it takes if there is one.
    """
    from symdiff.terminal import bench as room

    console = output()
    if show:
        room.list_cases(console)
        return
    if target is Target.cuda:
        from symdiff.terminal.bench_gpu import run_gpu

        if not run_gpu(console, cases or [], json_file):
            raise typer.Exit(FAILURE)
        return
    if kept or file is not None:
        record = room.show_kept(console, file)
    else:
        record = room.run_bench(console, cases or [], size, peers, rounds, target.value)
        room.keep_run(console, record)
    if json_file is not None:
        record.save(json_file)
    if png is not None:
        room.save_pictures(console, record, png)
    if room.failures(record):
        raise typer.Exit(FAILURE)


@app.command()
def doctor() -> None:
    """Tell what is installed, what this machine can do, and whether compiled code is right."""
    from symdiff.terminal.doctor import run_doctor

    if not run_doctor(output()):
        raise typer.Exit(FAILURE)


@app.command()
def repl() -> None:
    """Start a Python prompt with symdiff's names, in IPython where it is installed."""
    from symdiff.terminal.repl import run_repl

    run_repl()


@app.command()
def version() -> None:
    """Print the version."""
    import symdiff

    typer.echo(f"symdiff {symdiff.__version__}")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit; the console script `symdiff`."""
    arguments = sys.argv[1:] if arguments is None else arguments
    sys.exit(run(arguments))


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit code."""
    if "--debug" in arguments:
        # Also after the command, where people write it.
        return _exit_code(app([a for a in arguments if a != "--debug"], prog_name="symdiff", standalone_mode=False))
    try:
        return _exit_code(app(arguments, prog_name="symdiff", standalone_mode=False))
    except (KeyboardInterrupt, typer.Abort):
        fail("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe has gone, as in `symdiff tour | head`: nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except ParseError as error:
        fail(str(error))
        return USAGE
    except SymdiffError as error:
        fail(str(error))
        return FAILURE
    except Exception as error:
        # Usage errors of typer: their class is private, their interface is not.
        if hasattr(error, "format_message"):
            if error.format_message():  # empty where the help was printed in its place
                fail(f"{error.format_message()} Try 'symdiff --help'.")
            return int(getattr(error, "exit_code", USAGE))
        fail(f"{type(error).__name__}: {error} (an error of symdiff itself; --debug shows where)")
        return FAILURE


def _exit_code(result: Any) -> int:
    """Return the code of a command that came back: typer turns exits and Ctrl-C into plain results."""
    if result == INTERRUPTED:
        fail("interrupted")
    return result if isinstance(result, int) and not isinstance(result, bool) else 0


if __name__ == "__main__":
    main()
