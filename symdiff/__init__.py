"""symdiff: a compiler and a workbench for mathematics you can differentiate.

    import symdiff as sd
    x, y = sd.symbols("x y")
    sd.gradient(sd.exp(-x**2) * sd.sin(y), [x, y])

Names are looked up when they are first used, so that importing symdiff loads neither SymPy nor the compilers.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import symdiff.ops
from symdiff.front import methods as _methods  # attaches .T, .sum, [..] and the rest to expressions

if TYPE_CHECKING:  # the names that are submodules too; a type checker takes the others from __getattr__
    from symdiff.compile import compile as compile
    from symdiff.diff.symbolic import diff as diff
    from symdiff.lambdify import lambdify as lambdify

__version__ = "0.1.0"

_HOME = {
    "symdiff.front.symbols": "symbols vector matrix array",
    "symdiff.front.functions": (
        "pi e inf nan sin cos tan arcsin arccos arctan arctan2 sinh cosh tanh arcsinh arccosh arctanh "
        "exp exp2 expm1 log log2 log10 log1p logaddexp sqrt cbrt hypot power square reciprocal absolute sign "
        "floor ceil trunc mod fmod add subtract multiply divide negative maximum minimum clip heaviside "
        "sigmoid softplus relu erf erfc gamma gammaln digamma polygamma where equal not_equal less less_equal "
        "greater greater_equal logical_and logical_or logical_xor logical_not isfinite isnan astype"
    ),
    "symdiff.front.arrays": (
        "abs sum mean var std max min prod logsumexp softmax reshape ravel transpose swapaxes expand_dims squeeze "
        "moveaxis broadcast_to concatenate stack take scatter_add"
    ),
    "symdiff.front.special": (
        "j0 j1 y0 y1 i0 i1 i0e i1e k0 k1 k0e k1e jv yv iv kv ive kve jn yn kn erfinv erfcinv erfcx ndtr ndtri log_ndtr "
        "beta betaln logit expit"
    ),
    "symdiff.front.literals": "full zeros ones zeros_like ones_like eye arange",
    "symdiff.front.rearrange": "flip hstack repeat roll split tile vstack",
    "symdiff.front.padding": "pad",
    "symdiff.front.diagonals": "diag diagonal trace tril triu",
    "symdiff.front.scans": "cumsum cumprod recurrence",
    "symdiff.front.sorting": "argmax argsort median quantile sort take_along_axis",
    "symdiff.front.convolution": "conv1d conv2d convolve",
    "symdiff.front.pooling": "avg_pool1d avg_pool2d max_pool1d max_pool2d",
    "symdiff.front.products": "matmul dot tensordot outer cross",
    "symdiff.front.norms": "norm",
    "symdiff.front.linalg": "solve triangular_solve cholesky det slogdet logdet inv eigh eigvalsh qr",
    "symdiff.front.einsum": "einsum",
    "symdiff.ops.control": "while_loop",
    "symdiff.front.loops": "scan cond",
    "symdiff.front.parser": "parse",
    "symdiff.front.sympy_bridge": "from_sympy to_sympy",
    "symdiff.front.implicit": "root argmin fixed_point",
    "symdiff.front.custom": "custom_derivative opaque",
    "symdiff.ops.custom": "stop_gradient",
    "symdiff.lambdify": "lambdify",
    "symdiff.diff.symbolic": "diff",
    "symdiff.diff.sparse": "SparseExpr",
    "symdiff.diff.jacobian": "gradient jvp vjp jacobian hessian hvp",
    "symdiff.diff.taylor": "taylor",
    "symdiff.diff.accumulation": "accumulation",
    "symdiff.diff.finite": "finite_difference richardson",
    "symdiff.diff.compare": "compare",
    "symdiff.diff.check": "check",
    "symdiff.diff.dot_product": "dot_product_test",
    "symdiff.diff.taylor_remainder": "taylor_test",
    "symdiff.compile": "compile",
    "symdiff.optimize": "minimize least_squares",
    "symdiff.ir.errors": (
        "SymdiffError ShapeError DTypeError DomainError ParseError DerivativeError UnknownSymbolError "
        "CompileError CapacityError ConvergenceError CheckError NotFittedError"
    ),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names.split()} | {"Expr": "symdiff.ir.node"}
_SUBMODULES = ("pde", "optimize", "models")

__all__ = ["__version__", *sorted([*_MODULE_OF, *_SUBMODULES])]  # all are strings


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(module), "Node" if name == "Expr" else name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Door(ModuleType):
    """Keeps `sd.diff` and `sd.compile` functions.

    Importing the submodules of these names would bind the submodule over the function of the package.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _MODULE_OF and isinstance(value, ModuleType):
            return
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Door
