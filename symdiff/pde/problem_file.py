"""Problems from TOML files.

    title = "Gray-Scott"                      # optional, as are [parameters], [run], [track]

    [domain]                                  # axis = [lower, upper]
    x = [0, 2.5]
    y = [0, 2.5]

    [parameters]                              # name = number
    F = 0.04
    k = 0.06

    [equations]                               # field = its time derivative, or an equation with "=":
    u = "2e-5*laplace(u) - u*v**2 + F*(1 - u)"
    v = "dt(v) = 1e-5*laplace(v) + u*v**2 - (F + k)*v"

    [initial]                                 # field, or "dt(u)" = expression, number, or one of the tables
    u = "1 - exp(-80*((x - 1.25)**2 + (y - 1.25)**2))/2"
    v = {random = [0, 0.1], seed = 3}         # uniform numbers; or {file = "v.npy"}, beside the problem file

    [boundary]                                # axis = condition, or [lower, upper]; a field has a table of its own
    x = "periodic"
    y = ["slope = 0", "value = 0"]            # of all fields

    [boundary.v]
    y = ["dn(v) = 0", "v = exp(-t)"]          # equations in the field and its outward derivative; two on one side,
                                              # for equations of fourth order: [["v = 0", "dn(v) = 0"], […, …]]

    [grid]
    shape = [256, 256]
    order = 2                                 # 2, 4, 6 or 8; 2 if left out

    [run]                                     # what Solver.run takes
    until = 1000
    method = "rk4"

    [track]                                   # name = a number to record after every step
    mass = "integral(u)"                      # or "conserved(integral(u))", or bounds = "maximum_principle(u)"

Expressions are those of `symdiff.pde.parse`: text is parsed and never executed.
"""

from __future__ import annotations

import difflib
import functools
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from symdiff.front.symbols import symbols
from symdiff.ir.errors import DomainError, ParseError, ShapeError, SymdiffError
from symdiff.ir.node import Node
from symdiff.pde.conditions import Dirichlet, Neumann, Periodic
from symdiff.pde.domain import Box
from symdiff.pde.equations import Eq
from symdiff.pde.monitors import monitor_from
from symdiff.pde.problem import Problem
from symdiff.pde.solution import Solution
from symdiff.pde.solver import Solver
from symdiff.pde.text import field_of, parse, rate
from symdiff.pde.toml_lines import Source

_TABLES = ("title", "domain", "parameters", "equations", "initial", "boundary", "grid", "run", "track")
_NEEDED = ("domain", "equations", "boundary", "grid")
_RUN = ("until", "method", "dt", "save_every", "target", "force", "linear_solver", "tol", "track_every")


@dataclass(frozen=True, slots=True)
class ProblemFile:
    """A problem with its grid, the values of its parameters, and the settings of its run."""

    title: str
    problem: Problem
    shape: tuple[int, ...]
    order: int
    parameters: dict[str, float]
    settings: dict[str, Any]
    track: dict[str, Any]
    source: Source = field(default=Source("", ""), repr=False)

    def solver(self) -> Solver:
        """Return the problem on its grid."""
        with located(self.source, "grid", {"order": self.order}, usual="shape"):
            return self.problem.discretize(self.shape, self.order)

    def run(self, **more: Any) -> Solution:
        """Run the problem with the settings of the file; `more`, such as progress=True, goes before them.

        A steady problem is solved. Raises ParseError for settings that are missing or mean nothing for it.
        """
        settings = {"track": self.track, **self.settings, **more}
        if self.problem.is_steady:
            return self._steady({name: value for name, value in settings.items() if value})
        if "until" not in settings:
            raise ParseError("The problem file has no end of the run; add until = … to [run], or call run(until=…).")
        solver = self.solver()
        with located(self.source, "run", self.settings):
            return solver.run(parameters=self.parameters, **settings)

    def _steady(self, settings: dict[str, Any]) -> Solution:
        known = {name: settings.pop(name) for name in ("target", "linear_solver") if name in settings}
        settings.pop("progress", None)
        if settings:
            raise ParseError(
                f"No equation of the problem file has a time derivative, so {', '.join(settings)} means nothing; leave "
                "it out, or write dt(u) = …."
            )
        return self.solver().steady(parameters=self.parameters, **known)


def from_toml(source: str | Path) -> ProblemFile:
    """Read a problem from a TOML file, or from its text (the format is that of `symdiff.pde.problem_file`).

    Raises ParseError naming the table and the key, and what the statement of a `Problem` raises.

    >>> text = '''
    ... domain = {x = [0, 1]}
    ... equations = {u = "k*laplace(u)"}
    ... parameters = {k = 0.1}
    ... initial = {u = "sin(pi*x)"}
    ... boundary = {x = "u = 0"}
    ... grid = {shape = 33}
    ... run = {until = 0.1}
    ... '''
    >>> file = from_toml(text)
    >>> print(file.problem.equations[0], file.shape, file.parameters, file.settings)
    u_t = k*u_laplacian (33,) {'k': 0.1} {'until': 0.1}
    """
    read, folder = _read(source)
    try:
        data = tomllib.loads(read.text)
    except tomllib.TOMLDecodeError as error:
        raise ParseError(f"{read.name or 'The problem file'} is not TOML: {error}.") from None
    _check_keys(data, _TABLES, "the problem file", read)
    for name in _NEEDED:
        if name not in data:
            raise ParseError(f"The problem file has no table [{name}]; it needs {', '.join(_NEEDED)}.")
    for name in _TABLES[1:]:
        if not isinstance(data.get(name, {}), dict):
            raise ParseError(f"{read.at(name)} is a table of keys and values, got {data[name]!r}.")
    return _Reader(data, folder, read).file()


@contextmanager
def located(source: Source, table: str, settings: Mapping[str, Any], usual: str = "") -> Iterator[None]:
    """Name the line of the setting that an error speaks of, by its name or its value, or that of the `usual` one."""
    try:
        yield
    except (DomainError, ShapeError) as error:
        asked = str(error).partition(";")[0]  # what is advised may name others
        found = [
            name
            for name, value in settings.items()
            if re.search(rf"\b{re.escape(name)}\b", asked) or (isinstance(value, str) and repr(value) in asked)
        ]
        if not (found or usual):
            raise
        raise type(error)(f"{source.at(table, (*found, usual)[0])}: {error}") from None


def _read(source: str | Path) -> tuple[Source, Path]:
    """Return the text and the folder of a file, or the text itself."""
    if isinstance(source, str) and ("\n" in source or "=" in source):
        return Source("", source), Path()
    path = Path(source)
    try:
        return Source(path.name, path.read_text(encoding="utf-8")), path.parent
    except (OSError, UnicodeDecodeError) as error:
        raise ParseError(f"The problem file {path} cannot be read: {error}.") from None


def _check_keys(given: Iterable[str], known: Iterable[str], where: str, source: Source) -> None:
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(key, list(known), n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            table = where.partition("[")[2].partition("]")[0]
            at = source.at(table, key) if table else source.at(key)
            raise ParseError(f"{at}: Unknown key {key!r} in {where}{hint}; there are {', '.join(known)}.")


class _Reader:
    """One reading: the data of a file, and the names that its expressions may use."""

    def __init__(self, data: Mapping[str, Any], folder: Path, source: Source):
        self.data, self.folder, self.source = data, folder, source
        with self._at("domain"):
            self.domain = Box(**{axis: self._pair("domain", axis, value) for axis, value in data["domain"].items()})
        self.parameters = {name: self._number(name, x) for name, x in data.get("parameters", {}).items()}
        self.fields = list(data["equations"])
        known = [*self.domain.axes, "t", *self.parameters]
        clash = [n for n in self.fields if n in known]
        if clash:
            raise ParseError(
                f"{source.at('equations', clash[0])}: {clash[0]!r} in [equations] is the name of an axis or a "
                "parameter too; rename one."
            )
        self.known: dict[str, Node] = {name: symbols(name) for name in known}

    def _number(self, name: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ParseError(f"{self.source.at('parameters', name)}: parameters.{name} is a number, got {value!r}.")
        return float(value)

    def _pair(self, table: str, key: str, value: Any) -> tuple[float, float]:
        numbers = value if isinstance(value, list) else []
        if len(numbers) != 2 or any(isinstance(x, bool) or not isinstance(x, (int, float)) for x in numbers):
            raise ParseError(
                f"{self.source.at(table, key)}: {table}.{key} is a pair of numbers such as [0, 1], got {value!r}."
            )
        return float(numbers[0]), float(numbers[1])

    @contextmanager
    def _at(self, table: str, key: str = "") -> Iterator[None]:
        """Name the place in the file in an error."""
        try:
            yield
        except SymdiffError as error:
            at = self.source.at(table, key)
            text = str(error)
            raise ParseError(text if text.startswith(at) else f"{at}: {text}") from None

    def file(self) -> ProblemFile:
        grid, run = self.data["grid"], self.data.get("run", {})
        _check_keys(grid, ("shape", "order"), "[grid]", self.source)
        _check_keys(run, _RUN, "[run]", self.source)
        if "shape" not in grid:
            raise ParseError("[grid] has no shape; add shape = [64, 64], the number of points along each axis.")
        shape = tuple(grid["shape"]) if isinstance(grid["shape"], list) else (grid["shape"],)
        equations = [self._equation(name, text) for name, text in self.data["equations"].items()]
        conditions, start = self._boundary(), self._initial(shape)
        try:
            problem = Problem(equations, self.domain, conditions, start)
        except SymdiffError as error:
            raise type(error)(f"{self.source.name or 'The problem file'}: {error}") from None
        values = {s.params["name"]: self.parameters[s.params["name"]] for s in problem.parameters}
        track = {name: self._tracked(name, text) for name, text in self.data.get("track", {}).items()}
        title, order = str(self.data.get("title", "")), grid.get("order", 2)
        return ProblemFile(title, problem, shape, order, values, dict(run), track, self.source)

    def _equation(self, name: str, text: Any) -> Eq:
        with self._at("equations", name):
            return rate(name, text, self.fields, self.known)

    def _tracked(self, name: str, text: Any) -> Any:
        with self._at("track", name):
            read = functools.partial(parse, fields=self.fields, known=self.known)
            return monitor_from(str(text), read) or read(str(text))

    # -- conditions -----------------------------------------------------------------------------------------------

    def _boundary(self) -> dict[Any, Any]:
        out: dict[Any, Any] = {}
        for key, value in self.data["boundary"].items():
            if isinstance(value, dict):
                out[field_of(key)] = {a: self._condition(f"boundary.{key}", a, c) for a, c in value.items()}
            else:
                out[key] = self._condition("boundary", key, value)
        return out

    def _condition(self, table: str, axis: str, value: Any) -> Any:
        if isinstance(value, list):
            return tuple(self._condition(table, axis, side) for side in value)
        if not isinstance(value, str):
            raise ParseError(
                f'{self.source.at(table, axis)}: a condition is text such as "periodic" or "u = 0", got {value!r}.'
            )
        if value.strip().lower() == "periodic":
            return Periodic()
        name, _, given = value.partition("=")
        kinds = {"value": Dirichlet, "slope": Neumann}
        with self._at(table, axis):
            if name.strip() in kinds and name.strip() not in self.fields:
                return kinds[name.strip()](parse(given, self.fields, self.known))
            parsed = parse(value, self.fields, self.known)
            if not isinstance(parsed, Eq):
                raise ParseError(f'{value!r} is no condition; write "u = 0", "dn(u) = 0" or "periodic".')
            return parsed

    # -- start ----------------------------------------------------------------------------------------------------

    def _initial(self, shape: tuple[int, ...]) -> dict[Node, Any]:
        return {field_of(name): self._start(name, value, shape) for name, value in self.data.get("initial", {}).items()}

    def _start(self, name: str, value: Any, shape: tuple[int, ...]) -> Any:
        with self._at("initial", name):
            if not isinstance(value, dict):
                return parse(str(value), (), self.known)
            _check_keys(value, ("file", "random", "seed"), f"[initial] {name}", self.source)
            if "file" in value:
                path = self.folder / str(value["file"])
                try:
                    return np.load(path, allow_pickle=False)
                except (OSError, ValueError) as error:
                    raise ParseError(f"{path} cannot be read as a NumPy array: {error}.") from None
            lower, upper = self._pair(f"initial.{name}", "random", value.get("random"))
            return np.random.default_rng(value.get("seed", 0)).uniform(lower, upper, size=shape)
