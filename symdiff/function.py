"""Function: a compiled expression, called like a Python function.

A call binds values to symbols, checks shapes and dtypes before anything runs, and hands arrays to the kernel of
its target. Where scalars were declared and arrays come, the graph is mapped over a leading axis (`diff.batch`)
and compiled once more for that combination of arguments.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from symdiff.arguments import Arguments
from symdiff.foreign import Foreign
from symdiff.form import pack, result_names, unpack
from symdiff.ir.dims import as_extent, shape_text
from symdiff.ir.errors import CompileError, ShapeError
from symdiff.ir.graph import count_ops
from symdiff.ir.node import PRIMITIVES, Node, make
from symdiff.loader import Loaded, Loader

if TYPE_CHECKING:
    from symdiff.background import Later
    from symdiff.blame import Blame
    from symdiff.explain import Explanation
    from symdiff.program.ir import Program

# The run-time size of the axis that arrays in place of scalars are mapped over.
POINTS = "points__"
# Seconds and runs that `explain` takes to time a function.
_PATIENCE, _FEWEST_RUNS = 0.2, 3


class Function(Foreign):
    """A compiled function of `inputs`. Make one with `sd.compile`.

    Call it with one value per input, by position or by name. Scalars give Python numbers, arrays NumPy arrays, and
    arrays on a GPU such as CuPy's arrays of the same library: see `on_device`.
    """

    def __init__(self, inputs: Sequence[Node], outputs: Sequence[Node], form: Any, loader: Loader | Later):
        self.inputs, self.outputs, self.target = tuple(inputs), tuple(outputs), loader.target
        self._arguments = Arguments(inputs)
        self.names = self._arguments.names
        self._form, self._loader = form, loader
        self._code: Any
        self._code, loaded = loader.find(self.outputs, self.inputs, (), lambda: (self.outputs, self.inputs))
        if loaded is not None:
            self._loaded = loaded
        # What stands for the code while it is made in the background.
        self._later: Any = self._code if loader.is_later else None
        self._scalar = tuple(s.shape == () for s in inputs)
        self._mapped: dict[tuple[bool, ...], Any] = {}
        # The door gives a list where the result is a dict or nested.
        self._is_repacked = not isinstance(form, str)
        self._door: Any = None
        self._call: Callable[..., Any] = _no_door
        # What `explain` tells of: which arguments were mapped, the sizes, seconds, number of runs.
        self._last_run: tuple[tuple[bool, ...], Mapping[str, int], float, int] | None = None
        self._patience = 0.0
        self._call_out: Callable[..., Any] = _no_door

    @functools.cached_property
    def _loaded(self) -> Loaded:
        """The kernel and what it was made from; made now for a function that came from the store as code."""
        if self._later is not None:
            self._adopt()
            if "_loaded" in self.__dict__:
                return self.__dict__["_loaded"]
        return self._loader.load(self.outputs, self.inputs)

    def _adopt(self) -> None:
        """Take over what is made in the background, waiting for it. Raises what making it raised."""
        self._code, loaded = self._later.result()
        if loaded is not None:
            self._loaded = loaded
        self._later = None

    @property
    def ready(self) -> bool:
        """Whether the compiled code is there: always, but after `sd.compile(..., wait=False)`."""
        return self._later is None or self._later.ready

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the compiled code, at most `timeout` seconds; returns whether it is there.

        Raises: what compiling raised.
        """
        if self._later is not None and self._later.wait(timeout):
            self._adopt()
        return self._later is None

    @property
    def kernel(self) -> Any:
        """The kernel of the target."""
        return self._loaded.kernel

    @property
    def graph(self) -> list[Node]:
        """The outputs after all passes."""
        return self._loaded.graph

    @property
    def program(self) -> Program | None:
        """What the kernel runs; None for the interpreter."""
        return self._loaded.program

    def __repr__(self) -> str:
        kinds = [f"{s.dtype}{shape_text(s.shape) if s.shape else ''}" for s in self.inputs]
        args = ", ".join(f"{n}: {kind}" for n, kind in zip(self.names, kinds, strict=True))
        return f"<symdiff function ({args}) on {self.target}, {count_ops(self.outputs)} operations>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the expressions: another process compiles them, or finds the code in the store."""
        from symdiff.ir.text import to_text

        text = to_text([*self.inputs, *self.outputs])
        return _restored, (text, len(self.inputs), self._form, self.target, self._loader.threads)

    def __call__(self, *args: Any, out: Any = None, **named: Any) -> Any:
        """Evaluate. `out` is an array, or a list, tuple or dict of arrays like the result, to write into.

        For target="cuda", `stream=` puts the work on a stream, and arrays that lie on a GPU give results there.
        Raises: TypeError for a wrong number or kind of arguments, ShapeError for wrong shapes, naming the argument.
        """
        if not named:
            if out is None:
                result = self._call(*args)
                if result is not NotImplemented:
                    return pack(self._form, result) if self._is_repacked else result
            else:
                result = self._call_out(self._unpacked(out) if self._is_repacked else out, *args)
                if result is not NotImplemented:
                    return out
        return self._general(args, named, out)

    def _general(self, args: tuple[Any, ...], named: Mapping[str, Any], out: Any) -> Any:
        if self.target == "cuda":
            from symdiff.on_device import on_device

            result = on_device(self, args, named, out)
            if result is not NotImplemented:
                return result
        arrays = self._arrays(args, named)
        mapped = tuple(s and a.ndim > 0 for s, a in zip(self._scalar, arrays, strict=True))
        if any(mapped):
            return self._map(args, arrays, mapped, out)
        sizes = self._arguments.sizes(arrays)
        shapes = [self._result_shape(f, sizes) for f in self.outputs]
        targets, copies = self._targets(out, shapes, arrays)
        if self._later is not None and self._later.ready:
            self._adopt()
        results = self._run((), self._code, [_readable(a) for a in arrays], sizes, targets)
        self._learn(args, self._code, sizes, [s if s else None for s in shapes])
        return self._pack_arrays(results) if out is None else self._finish_out(out, copies)

    def _run(self, mapped: tuple[bool, ...], code: Any, *args: Any) -> Any:
        """Run code on (arrays, sizes, outputs), and remember for `explain` how long it took."""
        began = time.perf_counter()
        results = code(*args)
        seconds, count = time.perf_counter() - began, 1
        end = began + self._patience
        while self._patience and (count < _FEWEST_RUNS or time.perf_counter() < end):
            began = time.perf_counter()
            code(args[0], args[1], results)
            seconds, count = min(seconds, time.perf_counter() - began), count + 1
        self._last_run = mapped, args[1], seconds, count
        return results

    def _learn(
        self, args: Sequence[Any], kernel: Any, sizes: Mapping[str, int], results: Sequence[tuple[int, ...] | None]
    ) -> None:
        """Teach the door the calls that look like this one; a result that is a number has no shape."""
        is_there = self._later is None and getattr(kernel, "ready", True)
        if not is_there or len(args) != len(self.inputs) or not self._open_door():
            return
        looks = []
        for a, s in zip(args, self.inputs, strict=True):
            if type(a) is np.ndarray and a.dtype == s.dtype:
                looks.append((s.dtype, a.shape))
            elif s.shape == () and isinstance(a, (int, float)):
                looks.append((s.dtype, None))
            else:
                return
        outputs = [(f.dtype, shape) for f, shape in zip(self.outputs, results, strict=True)]
        kernel.teach(self._door, looks, outputs, sizes)

    def _open_door(self) -> bool:
        """Have a door, if the target has one and finds it worth while by now."""
        make = getattr(self._code, "door", None)
        if self._door is None and make is not None:
            form = "list" if self._is_repacked else self._form
            self._door = make(len(self.inputs), len(self.outputs), form)
            if self._door is not None:
                self._call, self._call_out = self._door.call, self._door.call_out
        return self._door is not None

    # --- arguments ----------------------------------------------------------

    def arguments(self, args: tuple[Any, ...], named: Mapping[str, Any]) -> list[Any]:
        """Return the arguments of a call in the order of the inputs. Raises TypeError for a wrong number."""
        return self._arguments.bind(args, named)

    def bound(self, args: tuple[Any, ...]) -> tuple[list[np.ndarray], dict[str, int]]:
        """Return the arguments as arrays, and the run-time sizes. Raises TypeError, ShapeError, naming the argument."""
        arrays = self._arrays(args, {})
        return arrays, self._arguments.sizes(arrays)

    def _arrays(self, args: tuple[Any, ...], named: Mapping[str, Any]) -> list[np.ndarray]:
        return [self._arguments.array(k, v) for k, v in enumerate(self._arguments.bind(args, named))]

    def _result_shape(self, f: Node, sizes: Mapping[str, int]) -> tuple[int, ...]:
        from symdiff.ir.interpret import concrete_shape

        return concrete_shape(f.shape, sizes)

    # --- results ------------------------------------------------------------

    def _pack(self, values: list[Any]) -> Any:
        return pack(self._form, values)

    def _pack_arrays(self, results: Sequence[np.ndarray]) -> Any:
        """Results without axes become Python numbers."""
        return self._pack([r if r.ndim else r.item() for r in results])

    def _targets(
        self, out: Any, shapes: Sequence[tuple[int, ...]], arrays: Sequence[np.ndarray]
    ) -> tuple[list[np.ndarray] | None, list[tuple[np.ndarray, np.ndarray]]]:
        """The arrays to write into, and copies to make afterwards: code writes to contiguous memory of its own.

        An array that overlaps an input or another output gets its values when all are computed.
        """
        if out is None:
            return None, []
        items = self._unpacked(out)
        targets: list[np.ndarray] = []
        copies = []
        for k, (item, f, shape) in enumerate(zip(items, self.outputs, shapes, strict=True)):
            fits = isinstance(item, np.ndarray) and item.shape == shape and item.dtype == f.dtype
            if not fits or not item.flags.writeable:
                raise ShapeError(
                    f"out[{k}] must be a writeable {f.dtype} array of shape {shape}, got {type(item).__name__} "
                    f"{getattr(item, 'dtype', '')} {getattr(item, 'shape', '')}."
                )
            if item.flags.carray and not any(np.may_share_memory(item, a) for a in (*arrays, *targets)):
                targets.append(item)
            else:
                targets.append(np.empty(shape, f.dtype))
                copies.append((item, targets[-1]))
        return targets, copies

    def _unpacked(self, out: Any) -> list[Any]:
        """The arrays of `out` in the order of the outputs."""
        items = unpack(self._form, out)
        if len(items) != len(self.outputs):
            raise ShapeError(f"out= needs {len(self.outputs)} arrays, got {len(items)}.")
        return items

    def _finish_out(self, out: Any, copies: Sequence[tuple[np.ndarray, np.ndarray]]) -> Any:
        for item, value in copies:
            item[...] = value
        return out

    # --- arrays where scalars were declared ------------------------------------

    def _map(self, args: Sequence[Any], arrays: Sequence[np.ndarray], mapped: tuple[bool, ...], out: Any) -> Any:
        try:
            shape = np.broadcast_shapes(*(a.shape for a, m in zip(arrays, mapped, strict=True) if m))
        except ValueError:
            every = ", ".join(f"{n!r} {a.shape}" for n, a, m in zip(self.names, arrays, mapped, strict=True) if m)
            raise ShapeError(f"The arrays given for scalar arguments do not broadcast together: {every}.") from None
        full = []
        for a, m in zip(arrays, mapped, strict=True):
            if m:
                a = np.ascontiguousarray(a if a.shape == shape else np.broadcast_to(a, shape)).reshape(-1)
            full.append(_readable(a))
        sizes = self._arguments.sizes([a if not m else np.empty(()) for a, m in zip(arrays, mapped, strict=True)])
        points = int(np.prod(shape, dtype=np.int64))
        cores = [self._result_shape(f, sizes) for f in self.outputs]
        targets, copies = self._targets(out, [(*shape, *core) for core in cores], arrays)
        flat = None if targets is None else [t.reshape((points, *core)) for t, core in zip(targets, cores, strict=True)]
        kernel, sizes = self.code_for(mapped), {**sizes, POINTS: points}
        results = self._run(mapped, kernel, full, sizes, flat)
        if all(a.shape == shape for a, m in zip(arrays, mapped, strict=True) if m):
            self._learn(args, kernel, sizes, [(*shape, *core) for core in cores])
        if out is not None:
            return self._finish_out(out, copies)
        return self._pack([r.reshape((*shape, *core)) for r, core in zip(results, cores, strict=True)])

    def code_for(self, mapped: tuple[bool, ...]) -> Any:
        """Return what runs with arrays in place of some scalars."""
        if not any(mapped):
            return self._code
        if mapped not in self._mapped:
            found = self._loader.find(self.outputs, self.inputs, mapped, lambda: self._lifted(mapped))
            self._mapped[mapped] = found[0]
        return self._mapped[mapped]

    def _lifted(self, mapped: tuple[bool, ...]) -> tuple[list[Node], list[Node]]:
        """The outputs mapped over a leading axis of some inputs, and the inputs."""
        from symdiff.diff.batch import batch

        points = as_extent(POINTS)
        symbols, replaced = [], {}
        for s, m in zip(self.inputs, mapped, strict=True):
            if m:
                lifted = make(PRIMITIVES["symbol"], (), {**s.params, "shape": (points,)})
                replaced[s] = lifted
                s = lifted
            symbols.append(s)
        return batch(self.outputs, replaced), symbols

    # --- looking inside -------------------------------------------------------

    def inspect(self, what: str = "llvm") -> str:
        """Return the "graph", "program", "llvm", "asm" or "ptx" of the function as text."""
        if what == "graph":
            from symdiff.ir.text import to_text

            return to_text(self.graph)
        if what == "program" and self.program is not None:
            return str(self.program)
        if what in ("llvm", "asm", "ptx", "program"):
            return self.kernel.inspect(what)
        raise CompileError(f"inspect shows 'graph', 'program', 'llvm', 'asm' or 'ptx', got {what!r}.")

    def explain(self, *args: Any, **named: Any) -> Explanation:
        """Return what became of the function: operations and bytes after each pass, statements, memory, code, limits.

        With arguments it is run on them several times; without, the first call with the latest sizes is told of. The
        limit is that of the machine, measured once: the inputs read and the outputs written once, or the arithmetic.
        Raises: with arguments, what a call raises.

        >>> import symdiff as sd
        >>> x = sd.symbols("x")
        >>> sd.compile(x**2 * 3, [x]).explain().operations[0]
        ('as written', 2)
        """
        from symdiff.explain import explain

        self._run_often(args, named)
        loaded = self._loaded
        if self._last_run is not None and any(self._last_run[0]):
            loaded = self._loader.load(*self._lifted(self._last_run[0]))
        return explain(repr(self), self.outputs, loaded.kernel, loaded.program, self._last_run)

    def _run_often(self, args: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        if (args or named) and not getattr(self._code, "can_run", True):
            from symdiff.on_device import look

            self._last_run = (*look(self, args, named), 0.0, 0)
        elif args or named:
            self._patience = _PATIENCE
            try:
                self._general(args, named, None)
            finally:
                self._patience = 0.0

    def trace(self, *args: Any, **named: Any) -> Blame:
        """Return which operation, on which line of the user's, makes the first NaN or Inf of a call.

        Values and derivatives are searched alike: a node of a derivative has the line of what it is the derivative
        of, and `.outputs` names the results that are not finite. Loops tell the turn; a `root` that did not converge
        is named. A branch of `where` that is not taken is never to blame.
        Raises: what a call raises. Cost: one evaluation by the interpreter, whatever the target.

        >>> import symdiff as sd
        >>> x = sd.symbols("x")
        >>> fn = sd.compile({"value": sd.sqrt(x), "slope": sd.diff(sd.sqrt(x), x)}, [x])
        >>> report = fn.trace(0.0)
        >>> report.kind, report.operation, report.arguments, report.outputs
        ('Inf', '0.5/sqrt(x)', ('sqrt(x) = 0.0',), ("'slope'",))
        """
        from symdiff.blame import blame
        from symdiff.passes import optimise, stabilise

        arrays = self._arrays(args, named)
        mapped = tuple(s and a.ndim > 0 for s, a in zip(self._scalar, arrays, strict=True))
        self._arguments.sizes([np.empty(()) if m else a for a, m in zip(arrays, mapped, strict=True)])
        outputs, symbols = list(self.outputs), list(self.inputs)
        if any(mapped):
            outputs, symbols = self._lifted(mapped)
            together = iter(np.broadcast_arrays(*(a for a, m in zip(arrays, mapped, strict=True) if m)))
            arrays = [next(together).reshape(-1) if m else a for a, m in zip(arrays, mapped, strict=True)]
        if self.target != "reference":
            outputs = optimise(outputs, [stabilise])  # compiled code has the stable forms
        return blame(outputs, dict(zip(symbols, arrays, strict=True)), result_names(self._form, len(self.outputs)))


def _restored(text: str, n_inputs: int, form: Any, target: str, threads: int | None) -> Function:
    """Undo `Function.__reduce__`."""
    from symdiff.ir.text import parse_text

    nodes = parse_text(text)
    return Function(nodes[:n_inputs], nodes[n_inputs:], form, Loader(target, threads))


def _no_door(*args: Any) -> Any:
    """Every call takes the general way."""
    return NotImplemented


def _readable(a: np.ndarray) -> np.ndarray:
    """The array in memory that code can read: contiguous and aligned."""
    return a if a.flags.c_contiguous and a.flags.aligned else np.array(a, order="C")
