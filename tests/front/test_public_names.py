"""The public door: which names exist, and what importing them must not load."""

import subprocess
import sys

import pytest

import symdiff as sd

PUBLIC = set(
    """
    Expr SparseExpr symbols vector matrix array pi e inf nan
    sin cos tan arcsin arccos arctan arctan2 sinh cosh tanh arcsinh arccosh arctanh exp exp2 expm1 log log2 log10
    log1p logaddexp sqrt cbrt hypot power square reciprocal absolute abs sign floor ceil trunc mod fmod
    add subtract multiply divide negative maximum minimum clip heaviside sigmoid softplus relu
    erf erfc gamma gammaln digamma polygamma where equal not_equal less less_equal greater greater_equal
    logical_and logical_or logical_xor logical_not isfinite isnan astype
    sum mean var std max min prod logsumexp softmax reshape ravel transpose swapaxes expand_dims squeeze broadcast_to
    moveaxis flip hstack repeat roll split tile vstack pad diag diagonal trace tril triu cumsum cumprod recurrence
    j0 j1 y0 y1 i0 i1 i0e i1e k0 k1 k0e k1e jv yv iv kv ive kve jn yn kn
    erfinv erfcinv erfcx ndtr ndtri log_ndtr beta betaln logit expit
    argmax argsort median quantile sort take_along_axis conv1d conv2d convolve
    avg_pool1d avg_pool2d max_pool1d max_pool2d
    concatenate stack take scatter_add full zeros ones zeros_like ones_like eye arange
    matmul dot tensordot outer cross norm einsum while_loop scan cond
    solve triangular_solve cholesky det slogdet logdet inv eigh eigvalsh qr
    parse from_sympy to_sympy lambdify
    root argmin fixed_point custom_derivative stop_gradient opaque
    diff gradient jvp vjp jacobian hessian hvp taylor accumulation finite_difference richardson
    compare check dot_product_test taylor_test compile minimize least_squares
    SymdiffError ShapeError DTypeError DomainError ParseError DerivativeError UnknownSymbolError CompileError
    CapacityError ConvergenceError CheckError NotFittedError pde optimize models __version__
    """.split()  # noqa: SIM905  # read as prose
)
HEAVY = ("sympy", "numba", "llvmlite", "scipy", "mpmath", "rich", "matplotlib", "cupy", "mpi4py")


def test_the_list_of_public_names():
    assert set(sd.__all__) == PUBLIC
    assert set(dir(sd)) >= PUBLIC


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="sine"):
        sd.sine  # noqa: B018


def test_every_function_has_a_docstring():
    for name in PUBLIC - {
        "pi",
        "e",
        "inf",
        "nan",
        "__version__",
        "least_squares",
        "minimize",
        "compile",
        "pde",
        "optimize",
        "models",
    }:
        assert getattr(sd, name).__doc__, name


def test_importing_loads_no_heavy_module():
    code = (
        "import sys, symdiff as sd\n"
        "x = sd.symbols('x'); f = sd.exp(x)*sd.sum(sd.vector('w', 3)); str(f); f.latex(); sd.parse('sin(x)')\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_diff_stays_a_function_after_its_package_was_imported():
    code = "import symdiff.diff.symbolic, symdiff as sd; x = sd.symbols('x'); print(sd.diff(sd.sin(x), x))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "cos(x)"
