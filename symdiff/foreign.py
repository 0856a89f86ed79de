"""Foreign: a compiled function for other languages, as a file for C, in Numba's code, and by its address."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from symdiff.ir.errors import CompileError
from symdiff.ir.node import Node

if TYPE_CHECKING:
    from pathlib import Path

    from symdiff.export import Export
    from symdiff.program.ir import Program


class Foreign(ABC):
    """The ways by which others than Python call a function; the base of `Function`."""

    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    names: tuple[str, ...]
    target: str
    _form: Any
    _later: Any
    _code: Any

    @property
    @abstractmethod
    def kernel(self) -> Any:
        """The kernel of the target."""

    @property
    @abstractmethod
    def program(self) -> Program | None:
        """What the kernel runs."""

    @abstractmethod
    def _adopt(self) -> None:
        """Take over what is made in the background."""

    @abstractmethod
    def _lifted(self, mapped: tuple[bool, ...]) -> tuple[list[Node], list[Node]]:
        """The outputs mapped over a leading axis of some inputs, and the inputs."""

    def export(
        self,
        name: str,
        folder: str | Path = ".",
        *,
        cpu: str | None = None,
        triple: str | None = None,
        library: bool = True,
        overwrite: bool = False,
    ) -> Export:
        """Write `name.o`, `libname.so`, `name.h` and `name_example.c`: the function for C, without Python.

        The header says what the arguments are. A function of numbers only has a second one, `name_map`, for arrays of
        points. `cpu` and `triple` name another processor, by LLVM's names, such as "x86-64-v3" for every x86 with
        AVX2; then a C compiler for it is needed, or `library=False`.
        Raises: CompileError for names that C cannot have, files that exist, and what a program calls that C lacks
        (LAPACK, SciPy's functions, Python's); DomainError for an unknown processor.

        >>> import symdiff as sd
        >>> x, y = sd.symbols("x y")
        >>> fn = sd.compile({"value": x * y, "slope": y}, [x, y])
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     files = fn.export("product", folder, library=False)
        >>> files.declarations[0]
        'int product(double x, double y, double *value, double *slope)'
        """
        from symdiff.export import export

        return export(self, self._form, self._lifted, name, folder, cpu, triple, library, overwrite)

    @functools.cached_property
    def njit(self) -> Any:
        """The function as one of Numba's, for use in `@numba.njit` code; the Function itself can be used there too.

        Takes numbers and C-contiguous arrays as declared, gives a number, an array or a tuple of them. It runs on
        the calling thread and its code stays in memory for ever.

        >>> import numba, symdiff as sd
        >>> x, y = sd.symbols("x y")
        >>> fn = sd.compile(x * y, [x, y])
        >>> @numba.njit
        ... def shifted(a, b):
        ...     return fn(a, b) + 1
        >>> shifted(3.0, 0.5)
        2.5
        """
        make = getattr(self.kernel, "njit", None)
        if make is None:
            raise CompileError(f"A function for target={self.target!r} cannot be called from Numba; use target='cpu'.")
        return make(self.names, self._form == "single")

    @property
    def _numba_type_(self) -> Any:
        """What Numba asks of objects that it meets in its code."""
        return self.njit._numba_type_

    @property
    def cfunc(self) -> Any:
        """The function as one of ctypes, `double f(double, ...)`.

        Its address for C code is `ctypes.cast(fn.cfunc, ctypes.c_void_p).value`; the code lives as long as this object.
        Takes and gives float64 numbers; an index out of range gives NaN. Raises: CompileError for other functions.

        >>> import symdiff as sd
        >>> x, y = sd.symbols("x y")
        >>> sd.compile(x - y, [x, y]).cfunc(3.0, 0.5)
        2.5
        """
        return self._c_functions[0]

    @property
    def low_level_callable(self) -> Any:
        """The function as SciPy's LowLevelCallable, for quad and its kind: no Python is run between evaluations.

        >>> import scipy.integrate, symdiff as sd
        >>> x = sd.symbols("x")
        >>> round(scipy.integrate.quad(sd.compile(x**2, [x]).low_level_callable, 0, 3)[0], 12)
        9.0
        """
        import scipy

        return scipy.LowLevelCallable(self._c_functions[0 if len(self.inputs) == 1 else 1])

    @functools.cached_property
    def _c_functions(self) -> tuple[Any, Any]:
        if self.target != "cpu":
            raise CompileError(f"A function for target={self.target!r} cannot be called from C; use target='cpu'.")
        from backends.cpu.c_door import c_functions

        return c_functions(self.kernel, self.names, self._form == "single")

    @property
    def address(self) -> int:
        """The address of `void entry(int64_t *context)`; see `backends.cpu.layout` for the context."""
        if self._later is not None:
            self._adopt()
        address = getattr(self._code, "address", None)
        if address is None:
            raise CompileError(f"A function for target={self.target!r} has no address.")
        return address
