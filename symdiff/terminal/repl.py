"""`symdiff repl`: a Python prompt with symdiff's names, where expressions are shown as mathematics."""

from __future__ import annotations

import code
import importlib.util
import sys
from collections.abc import Callable
from typing import Any

from symdiff.diff.compare import Comparison
from symdiff.ir.node import Node
from symdiff.terminal.comparison import ComparisonTable
from symdiff.terminal.console import output
from symdiff.terminal.maths import Maths

_EXAMPLES = (
    ("gradient(exp(-x**2)*sin(y), [x, y])", "derivatives are expressions"),
    ("compare(x*sin(y), {x: 1.2, y: 0.7})", "every method against 50 digits"),
    ("compile(x*sin(y), [x, y])(1.2, 0.7)", "machine code"),
)
# From symdiff straight into the prompt; what Python itself calls sum, max, abs … stays Python's.
_NAMES = (
    "sin cos tan arcsin arccos arctan arctan2 sinh cosh tanh exp expm1 log log1p sqrt erf gammaln where "
    "maximum minimum pi symbols vector matrix array parse diff gradient jacobian hessian "
    "jvp vjp hvp compare minimize lambdify"
)


def names() -> dict[str, Any]:
    """Return what is known at the prompt."""
    import numpy as np

    import symdiff as sd

    out: dict[str, Any] = {"sd": sd, "np": np, "pde": sd.pde, "compile": sd.compile}
    out |= {name: getattr(sd, name) for name in _NAMES.split()}
    out |= {name: sd.symbols(name) for name in "xyzt"}
    return out


def run_repl() -> None:
    """Start the prompt: IPython's in a terminal where it is installed, else Python's; plain for a piped input."""
    if not sys.stdin.isatty():
        _run_piped()
        return
    if importlib.util.find_spec("IPython") is None:
        output().print(banner("pip install 'symdiff[repl]' brings completion and history."))
        _install_display()
        code.interact(banner="", local=names(), exitmsg="")
        return
    import IPython
    from traitlets.config import Config

    output().print(banner())
    settings = Config()
    settings.TerminalIPythonApp.display_banner = False
    settings.TerminalInteractiveShell.confirm_exit = False
    namespace = names() | {"__symdiff_display__": _install_in_ipython}
    settings.InteractiveShellApp.exec_lines = ["__symdiff_display__(get_ipython()); del __symdiff_display__"]
    IPython.start_ipython(argv=[], user_ns=namespace, config=settings)


def banner(hint: str = "") -> Any:
    """Return the greeting, with three examples to copy."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    import symdiff

    rows = Table.grid(padding=(0, 3))
    for example, meaning in _EXAMPLES:
        rows.add_row(Text(f"  {example}", "cyan"), Text(meaning, "dim"))
    version = f"symdiff {symdiff.__version__}, Python {sys.version.split()[0]}"
    known = "x y z t are symbols; sd, np, pde and the functions of symdiff are loaded. Try:"
    return Group(Text(version, "bold"), Text(known), rows, Text(hint, "dim"))


def shown(value: Any) -> Any:
    """Return what rich draws for a value: mathematics for expressions and lists of them, else the value itself."""
    if isinstance(value, Node):
        return Maths(value)
    if isinstance(value, Comparison):
        return ComparisonTable(value)
    if isinstance(value, (list, tuple)) and value and all(isinstance(v, Node) for v in value):
        from rich.console import Group

        return Group(*(Maths(v, f"[{k}]") for k, v in enumerate(value)))
    return None


def _install_display() -> None:
    """Show results by rich, expressions as mathematics."""
    from rich import pretty

    console = output()
    pretty.install(console)
    plain: Callable[[Any], Any] = sys.displayhook

    def display(value: Any) -> None:
        drawn = shown(value)
        if drawn is None:
            plain(value)
            return
        import builtins

        builtins._ = value  # type: ignore[attr-defined]  # as Python's own hook does
        console.print(drawn)

    sys.displayhook = display


def _install_in_ipython(shell: Any) -> None:
    """Let IPython's formatter of plain text ask `shown` first; notebooks have LaTeX from the expressions."""
    from rich import pretty

    console = output()
    pretty.install(console)
    formatter = shell.display_formatter.formatters["text/plain"]
    plain = type(formatter).__call__

    class Formatter(type(formatter)):  # type: ignore[misc]  # the class that rich made
        def __call__(self, value: Any) -> Any:
            drawn = shown(value)
            if drawn is None:
                return plain(self, value)
            console.print()  # the first line of a formula must not stand behind "Out[1]:"
            console.print(drawn)
            return None

    shell.display_formatter.formatters["text/plain"] = Formatter(parent=shell.display_formatter)


def _run_piped() -> None:
    """Run lines from a pipe or a file: no banner, no prompts; errors as Python shows them."""
    _install_display()
    console = code.InteractiveConsole(names(), filename="<input>")
    more = False
    for line in sys.stdin:
        more = console.push(line.rstrip("\n"))
    if more:
        # An open block ends with the input, as with an empty line.
        console.push("")
