"""A problem on a grid: stable steps, initial states, runs."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff.checkpoint import Checkpoint, identity
from symdiff.ir.errors import ConvergenceError, DomainError, DTypeError, ShapeError
from symdiff.ir.interpret import interpret
from symdiff.ir.node import Node, const
from symdiff.pde import stencils
from symdiff.pde.adaptive import Adaptive, AdaptiveKernel, adaptive_loop
from symdiff.pde.adaptive_run import AdaptiveRun
from symdiff.pde.domain import Grid
from symdiff.pde.evaluate import on_points
from symdiff.pde.implicit import Implicit
from symdiff.pde.kernel import Kernel, loop
from symdiff.pde.layout import fewest_points
from symdiff.pde.methods import as_stepper
from symdiff.pde.parameters import Values, values_of
from symdiff.pde.problem import Problem
from symdiff.pde.run import FixedRun, Run, Settings, unsolved
from symdiff.pde.schedule import plan, positive
from symdiff.pde.semidiscrete import Semidiscrete
from symdiff.pde.solution import Progress, Solution
from symdiff.pde.stepper import Stepper
from symdiff.pde.steps import Steps
from symdiff.pde.store import about_start, store_of
from symdiff.pde.track import Track
from symdiff.pde.whole import Whole

if TYPE_CHECKING:
    from symdiff.pde.gradient import Gradient

State = list[np.ndarray]
# Of the files in which runs are kept, and what tells their problems apart.
_FORMAT = "symdiff pde 1"
_PARTS = "equations, grid, parameters, start, method, dt, until, save points, tracked numbers or target"


class Solver:
    """A problem discretised in space; made by `Problem.discretize`. `grid` has the coordinates and the spacing."""

    def __init__(self, problem: Problem, shape: Any, order: int):
        if order not in stencils.ORDERS:
            raise DomainError(f"The order in space is one of {', '.join(map(str, stencils.ORDERS))}, got {order!r}.")
        self.problem, self.order = problem, int(order)
        elliptic = None
        if problem.constraints:
            from symdiff.pde.elliptic import Elliptic  # late, as all that most runs do not need

            elliptic = Elliptic(self)
        self.semi = Semidiscrete(problem, order, elliptic=elliptic)
        axes = problem.domain.axes
        self.grid = Grid(problem.domain, self._checked(shape), [problem.is_periodic(a) for a in axes])
        self._steps = Steps(self)
        self.whole = Whole(self)
        self.compiled: dict[Any, Any] = {}
        self._chosen: dict[tuple[Stepper, str], Stepper] = {}

    def _checked(self, shape: Any) -> tuple[int, ...]:
        given = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
        axes = self.problem.domain.axes
        whole = all(hasattr(n, "__index__") and not isinstance(n, (bool, np.bool_)) for n in given)
        if len(given) != len(axes) or not whole:
            raise ShapeError(
                f"The shape of the grid has one whole number of points for each axis {', '.join(axes)}, got {shape!r}."
            )
        counts = tuple(n.__index__() for n in given)
        for k, n in enumerate(counts):
            need = fewest_points(self.problem, self.semi.layout, k, self.order)
            if n < need:
                raise ShapeError(
                    f"Order {self.order} needs at least {need} points along {axes[k]!r} between its sides, got {n}; "
                    "take more points or a lower order."
                )
        return counts

    # -- what a run may use -----------------------------------------------------------------------------------------

    def stable_dt(
        self, method: str | Stepper = "rk4", parameters: Mapping[Any, Any] | None = None, until: float = 0.0
    ) -> float:
        """Return the largest stable time step of a method; infinite for implicit ones, 0 where every step is unstable.

        Of imex methods the explicit part has a limit, which the implicit one changes: both count together.

        The equations are linearised about the initial state; where the linearisation changes in time by itself, the
        smallest limit at 17 times up to `until` counts. What fields of elliptic equations feed back is left out. A
        nonlinear problem may become stiffer on the way: a run stops when that makes its values infinite. A stable step
        need not be an accurate one.
        """
        stepper, values = as_stepper(method).adapted(self.problem), values_of(self.semi, self.grid, parameters)
        return self._steps.limit(stepper, values, self._start(values), until)

    @property
    def grid_inputs(self) -> dict[Node, Any]:
        """The values of the symbols of the grid."""
        places, values = (*self.semi.spacings, *self.semi.points), (*self.grid.spacing, *self.grid.points)
        return dict(zip(places, values, strict=True))

    def _inputs(self, values: Values, state: State) -> dict[Node, Any]:
        blocks = [*self.semi.blocks.values(), *self.semi.solved.values()]
        return {**self.grid_inputs, **values, **dict(zip(blocks, state, strict=True))}

    # -- states -----------------------------------------------------------------------------------------------------

    @cached_property
    def _points(self) -> dict[str, np.ndarray]:
        return dict(zip(self.grid.axes, self.grid.mesh(), strict=True))

    def block(self, u: Node) -> tuple[slice, ...]:
        """Return which points of the grid a field is solved for: all but those with given values."""
        sides = [self.problem.boundary[u, axis] for axis in self.grid.axes]
        ends = [[int(side.kind == "value") for side in pair] for pair in sides]
        return tuple(slice(lo, n - hi) for (lo, hi), n in zip(ends, self.grid.shape, strict=True))

    def _start(self, values: Values) -> State:
        """Return the unknowns at time 0. Raises for an array of another shape and for values that are not finite."""
        out = []
        for u, initial in self.problem.initial.items():
            name = u.params["name"]
            if isinstance(initial, np.ndarray):
                if initial.shape != self.grid.shape:
                    raise ShapeError(
                        f"The initial array of {name!r} has shape {initial.shape}, the grid has {self.grid.shape}."
                    )
                full = initial
            elif not isinstance(initial, Node):
                full = self._called(name, initial)
            else:
                full = np.broadcast_to(on_points(initial, self._points, 0.0, values), self.grid.shape)
            block = np.array(full[self.block(u)], dtype=float)
            if not np.isfinite(block).all():
                raise DomainError(f"The initial condition of {name!r} is not finite at {self.place(u, block)}.")
            out.append(block)
        blocks = dict(zip(self.problem.initial, out, strict=True))
        return [blocks[u] for u in self.problem.states]

    def _called(self, name: str, function: Callable[..., Any]) -> np.ndarray:
        """Return the values of a function of the coordinates' arrays."""
        arrays = np.meshgrid(*self.grid.points, indexing="ij")
        try:
            inspect.signature(function).bind(*arrays)
        except (TypeError, ValueError) as error:
            raise DTypeError(
                f"The function that {name!r} starts from is called with the arrays of the coordinates "
                f"{', '.join(self.grid.axes)}: {error}."
            ) from None
        found = np.asarray(function(*arrays))
        if found.shape not in ((), self.grid.shape) or found.dtype.kind not in "iuf":
            raise ShapeError(
                f"The function that {name!r} starts from returned {found.dtype} of shape {found.shape} for the arrays "
                f"of the coordinates {', '.join(self.grid.axes)}, each of shape {self.grid.shape}; it returns one "
                "number for every point."
            )
        return np.broadcast_to(found, self.grid.shape)

    def _extended(self, stepper: Stepper, values: Values, state: State) -> State:
        """Return unknowns at time 0 with the points beyond them, and what the method remembers."""
        semi = replace(self.semi, guess=self.semi.solved)
        nodes = [*semi.extended(semi.blocks, const(0.0)), *stepper.memory(semi)]
        out = [np.asarray(a, order="C") for a in interpret(nodes, self._inputs(values, state))]
        for u, block in zip(self.problem.states, self.unknowns(out), strict=False):
            if u in self.problem.constraints and not np.isfinite(block).all():
                raise ConvergenceError(f"At the start {u.params['name']!r} cannot be found.{unsolved(self.problem)}")
        return out

    def unknowns(self, state: Sequence[np.ndarray]) -> State:
        """Return the unknowns in arrays that have the points beyond them too; what follows is left out."""
        out = []
        for u, array in zip(self.problem.states, state, strict=False):
            beyond = self.semi.layout[u].beyond
            cuts = (slice(lower, n - upper) for (lower, upper), n in zip(beyond, array.shape, strict=True))
            out.append(array[tuple(cuts)])
        return out

    def place(self, u: Node, block: np.ndarray) -> str:
        """Return the coordinates of the first value that is not finite, as text."""
        index = np.argwhere(~np.isfinite(block))[0]
        starts = [s.start for s in self.block(u)]
        pairs = zip(self.grid.axes, self.grid.points, index, starts, strict=True)
        return ", ".join(f"{axis} = {points[i + s]:.6g}" for axis, points, i, s in pairs)

    # -- runs -------------------------------------------------------------------------------------------------------

    def run(
        self,
        until: float,
        method: str | Stepper = "rk4",
        dt: float | None = None,
        parameters: Mapping[Any, Any] | None = None,
        save_every: float | None = None,
        progress: bool = False,
        callback: Callable[[Progress], Any] | None = None,
        target: str = "cpu",
        force: bool = False,
        linear_solver: str = "auto",
        tol: float = 1e-6,
        track: Mapping[str, Any] | None = None,
        save_to: str | os.PathLike[str] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        track_every: int = 1,
    ) -> Solution:
        """Advance the initial state from time 0 to `until`.

        Every step is at most `dt`; steps are shortened evenly so that save points (multiples of `save_every`) and
        `until` are hit exactly. `dt=None` takes 0.9 of the stability limit, for implicit methods 10 times the limit
        of explicit Euler for as fast a decay (at least until/1000): stable, but choose dt yourself where accuracy in
        time matters.

        `method` is "euler", "heun", "ssprk3", "rk4", "leapfrog"; "rk45", which takes `dt` for its first step only and
        keeps the error of every step below `tol` times the largest value of each field; implicit "backward-euler",
        "crank-nicolson", "sdirk2", "sdirk3", "bdf2"; "adi", in order 2 in space and without mixed derivatives, which
        eliminates along one axis after the other; or, for the linear derivatives of second and higher order alone
        implicit, "imex-euler", "imex-ars2", "imex-ars3", "imex-sbdf2". Implicit steps solve their linear systems in
        the way that fits the equations (`explain`), or by `linear_solver`: "banded", "lines", "transform",
        "multigrid", "cg" or "bicgstab".

        The loop is compiled once per method, for every grid, dt and parameter, and runs in chunks of about 50 ms;
        between chunks `progress` is shown and `callback` gets a `Progress` (also at the start and at the end) and may
        stop the run by returning True. Ctrl-C ends the run and returns what was reached.

        `track` names numbers to record after every step, `{"mass": pde.integral(u)}`, for `Solution.tracked`; with
        `pde.conserved(…)` or `pde.maximum_principle(u)` they have to hold as well. On large grids that takes as long as
        the steps: `track_every=10` records after every tenth, and at save points. Saved states are kept in memory, or
        where `save_to` says, written one by one while the run goes: a netCDF file (states.nc), a zarr store
        (states.zarr) or a folder of .npz files; `pde.load` reads them.

        `checkpoint` names a file that is written from time to time, at the end and on Ctrl-C, always as a whole; where
        it exists, the run goes on from it and gives the same numbers bit for bit. What cannot be written on the way,
        because the disk is full, is a warning, and the run goes on.

        Raises: DomainError for an unstable `dt` (unless `force`), naming the limit, for files that cannot be written at
        the start or belong to another run, and for other impossible values; UnknownSymbolError for missing
        parameters; RunError, whose `solution` holds everything up to the last good step, when values become infinite or
        NaN, an implicit step cannot be solved or a monitor finds what must not be.
        """
        if self.problem.is_steady:
            raise DomainError("Nothing evolves in this problem: its equations have no dt(...). Use solver.steady().")
        stepper, values = self._ready(method, linear_solver), values_of(self.semi, self.grid, parameters)
        until = positive(until, "until", "it is the time at which the run ends")
        if save_every is not None:
            save_every = positive(save_every, "save_every", "it is the time between two saved states")
        state = self._start(values)
        pieces = plan(until, self._steps.choose(stepper, dt, values, state, until, force), save_every)
        tol = positive(tol, "tol", "it bounds the error of a step")
        tracker = Track(self.semi, {} if track is None else track, self.grid.shape, track_every)
        if isinstance(stepper, Adaptive) and track_every != 1:
            raise DomainError("track_every is for methods with equal steps; rk45 records every step.")
        longest = max(p.dt for p in pieces)
        about = about_start(self.problem, stepper.name, longest, values, tracker)
        store = store_of(save_to, self, len(pieces) + 1, about)
        file, fixed = None, self._fixed(values)
        if checkpoint is not None:
            parts = (self._loop(stepper, tracker), list(fixed), state, pieces, tol, target, save_to is None)
            numbers = tracker.measured() if tracker.functionals else ()
            file = Checkpoint(checkpoint, identity(*parts, numbers, track_every), _FORMAT, _PARTS)
        began = time.perf_counter()
        key = (stepper, tracker.key if tracker.is_inside else ())
        function = self._compile(key, target, lambda: self._loop(stepper, tracker))
        measure = None
        if tracker.functionals and not tracker.is_inside:
            measure = self._compile(("measure", tracker.key), target, tracker.measured)
        seconds = time.perf_counter() - began
        inputs = self._inputs(values, state)
        watches = tracker.watches(self.grid, values, inputs)
        settings = Settings(values, until, longest, progress, callback, seconds, store, tracker, watches, file)
        n = len(tracker.functionals) if tracker.is_inside else 0
        if isinstance(stepper, Adaptive):
            kernel = AdaptiveKernel(function, fixed, n + 1 if n else 0)
            run: Run = AdaptiveRun(kernel, tol, [p.stop for p in pieces], self, stepper, settings)
        else:
            run = FixedRun(Kernel(function, fixed, n), measure, pieces, self, stepper, settings)
        return run.go(self._extended(stepper, values, state), tracker.first(inputs))

    def steady(
        self, parameters: Mapping[Any, Any] | None = None, target: str = "cpu", linear_solver: str = "auto"
    ) -> Solution:
        """Return the state at which nothing changes: the solution of steady equations, such as Poisson's.

        Newton's method from the initial values (0 where the problem gives none), whole in compiled code; a linear
        problem takes two iterations, of which the second one removes rounding errors. Where the equations determine
        the solution up to a constant (slopes on all sides), its mean mode is 0, if the data allow a solution.

        Raises: DomainError for equations that contain the time; RunError, whose `solution` is the last iterate, when
        the linear systems cannot be solved or the iteration does not settle.

        >>> from symdiff import pde
        >>> x, u = pde.coordinates("x"), pde.field("u")
        >>> poisson = pde.Problem(pde.Eq(pde.laplacian(u), -2), pde.Box(x=(0, 1)), {"x": pde.Dirichlet(0)})
        >>> poisson.discretize(5).steady()[u].round(12).tolist()
        [0.0, 0.1875, 0.25, 0.1875, 0.0]
        """
        values = values_of(self.semi, self.grid, parameters)
        from symdiff.pde.steady import find  # late, as all that most runs do not need

        return find(self, linear_solver, values, self._start(values)[: len(self.problem.fields)], target)

    def gradient(
        self,
        goal: Any,
        wrt: Any,
        until: float,
        method: str | Stepper = "rk4",
        dt: float | None = None,
        parameters: Mapping[Any, Any] | None = None,
        target: str = "cpu",
        force: bool = False,
        linear_solver: str = "auto",
        max_bytes: int = 2**30,
    ) -> Gradient:
        """Return a goal of a run and its derivatives, by the discrete adjoint.

        `goal` is a number made of the fields at `until`, such as `pde.integral((u - v)**2)`, an integral over time
        `pde.over_time(…)` of one, the misfit of `pde.Observations(…)`, or a list of these, to be added. `wrt` is a
        parameter, a known field, a field (its initial values) or a list of these. Steps are those of `run` without
        saves, or with those at the times of observation. The states of all steps are kept while they take no more than
        `max_bytes`; above, some are, and steps are computed again.

        Raises: as `run`; DomainError for "rk45", whose steps depend on the state; ConvergenceError where the run fails.

        >>> import symdiff as sd
        >>> from symdiff import pde
        >>> x, u, k = pde.coordinates("x"), pde.field("u"), sd.symbols("k")
        >>> sides = {"x": pde.Periodic()}
        >>> decay = pde.Problem(pde.Eq(pde.dt(u), -k * u), pde.Box(x=(0, 1)), sides, {u: 1})
        >>> found = decay.discretize(4).gradient(pde.mean(u), wrt=k, until=1.0, dt=0.01, parameters={k: 0.5})
        >>> print(f"{found.value:.6f} {found[k]:.6f}")  # exp(-k) and its derivative
        0.606531 -0.606531
        """
        from symdiff.pde.gradient import reversible  # late, as all that most runs do not need

        run = reversible(self, goal, wrt, until, method, dt, parameters, force, linear_solver, max_bytes)
        return run.gradient(target)

    def _ready(self, method: str | Stepper, linear_solver: str) -> Stepper:
        key = (as_stepper(method), linear_solver)
        if key not in self._chosen:
            adapted = key[0].adapted(self.problem)
            if isinstance(adapted, Implicit) or linear_solver != "auto":
                from symdiff.pde.choose import ready  # late: it loads all linear solvers

                adapted = ready(self, *key)
            self._chosen[key] = adapted
        return self._chosen[key]

    def explain(self, method: str | Stepper = "rk4", linear_solver: str = "auto") -> str:
        """Say how a method steps, and how its linear systems are solved.

        >>> from symdiff import pde
        >>> x, u = pde.coordinates("x"), pde.field("u")
        >>> heat = pde.Problem(pde.Eq(pde.dt(u), pde.laplacian(u)), pde.Box(x=(0, 1)), {"x": pde.Dirichlet(0)}, {u: x})
        >>> heat.discretize(11).explain("crank-nicolson")
        'crank-nicolson: implicit, order 2 in time; linear systems by elimination along 3 diagonals'
        """
        return self._ready(method, linear_solver).describe()

    def _fixed(self, values: Values) -> tuple[Any, ...]:
        return (*self.grid.spacing, *self.grid.points, *values.values())

    def _loop(self, stepper: Stepper, track: Track) -> tuple[list[Node], list[Node]]:
        wanted = track if track.is_inside else None
        if isinstance(stepper, Adaptive):
            return adaptive_loop(self.semi, wanted)
        return loop(self.semi, stepper, track=wanted)

    def _compile(
        self, key: Any, target: str, build: Callable[[], tuple[list[Node], list[Node]]]
    ) -> Callable[..., Sequence[Any]]:
        if (key, target) not in self.compiled:
            # Late: the compiler loads LLVM.
            from symdiff.compile import compile

            self.compiled[key, target] = compile(*build(), target=target)
        return self.compiled[key, target]

    def __repr__(self) -> str:
        return f"Solver({self.problem!r}, {self.grid!r}, order {self.order})"
