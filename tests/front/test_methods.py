"""What hangs on an expression: subs, free_symbols, count_ops, texts."""

import numpy as np
import pytest

import symdiff as sd
from symdiff.ir.interpret import interpret

X, Y = sd.symbols("x y")
A, W = sd.matrix("A", "n", 3), sd.vector("w", 3)


def test_subs_is_simultaneous_and_folds():
    f = X**2 + sd.sin(Y)
    assert f.subs({X: Y, Y: X}) is Y**2 + sd.sin(X)
    assert f.subs(X, 2.0) is 4 + sd.sin(Y)
    assert float(f.subs({X: 3, Y: 0})) == 9.0
    assert f.subs({X**2: Y}) is Y + sd.sin(Y)
    assert f.subs({sd.symbols("z"): 1}) is f


def test_subs_checks_shapes_and_keeps_dtypes():
    f = sd.sum(W * 2)
    np.testing.assert_array_equal(interpret([f.subs({W: X})], {X: 1.5})[0], 9.0)
    assert float(interpret([f.subs({W: [1, X, 3]})], {X: 2.0})[0]) == 12.0
    with pytest.raises(sd.ShapeError, match="'w'"):
        f.subs({W: sd.vector("v", 2)})
    n = sd.array("n", (), "int64")
    assert (n * 2).subs({n: 3}).dtype == "int64"
    with pytest.raises(sd.DTypeError):
        f.subs({"w": 1})


def test_subs_reaches_into_loops():
    (out,) = sd.while_loop(lambda k: k < Y, lambda k: (k * X,), [1.0])
    assert float(interpret([out.subs({X: 2, Y: sd.symbols("z")})], {sd.symbols("z"): 100.0})[0]) == 128.0


def test_properties():
    f = sd.exp(-(X**2)) * sd.sin(Y)
    assert f.free_symbols == {X, Y}
    assert f.count_ops() == 5
    assert A.size == 3 * A.shape[0]
    assert W.size == 3
    assert X.ndim == 0
    assert A.T.shape == (3, A.shape[0])
    assert A.T.T is A
    assert A.dot(W) is A @ W
    assert W.flatten() is W
    assert (X > 0).astype(float).dtype == "float64"
    assert X.astype(np.float32).dtype == "float32"


TEXTS = [
    (A @ W, "A @ w"),
    (W[1:-1], "w[1:2]"),
    (A[1:-1], "A[1:-1]"),
    (A[1:, 0], "A[1:, 0]"),
    (A[::-1], "A[::-1]"),
    (A.T @ A, "A.T @ A"),
    (A.sum(axis=0), "sum(A, axis=0)"),
    (sd.mean(W), "sum(w)/3"),
    (sd.sum(sd.log1p(sd.exp(-(A @ W)))), "sum(log1p(exp(-(A @ w))))"),
    (W[[2, 0]], "w[array([2, 0])]"),
    (A.reshape(-1), "reshape(A, (3*n,))"),
    (2.0 * X - 0.1, "2*x - 0.1"),
    (-(X * Y) + (-X) ** 2 - -2 * X, "-(x*y) + (-x)**2 - -2*x"),
    ((X > 0) & ~(Y >= 1), "(x > 0) & ~(y >= 1)"),
    (sd.pi * X + sd.e, "pi*x + E"),
]


@pytest.mark.parametrize(("f", "text"), TEXTS, ids=[t for _, t in TEXTS])
def test_str(f, text):
    assert str(f) == repr(f) == text


LATEX = [
    (sd.exp(-(X**2)) * sd.sin(Y), r"e^{-x^{2}} \sin\left(y\right)"),
    ((X - Y) / (X * 2), r"\frac{x - y}{x \cdot 2}"),
    (sd.sqrt(sd.symbols("alpha")) ** 2, r"\sqrt{\alpha}^{2}"),
    (
        sd.where(X > 0, X, sd.where(Y > 0, 1, 2)),
        r"\begin{cases} x & \text{for}\: x > 0 \\ 1 & \text{for}\: y > 0 \\ 2 & \text{otherwise} \end{cases}",
    ),
    ((A @ W).sum(), r"\sum A \, w"),
    (sd.symbols("x1") * sd.symbols("x_dot"), r"x_{1} x_{dot}"),
    (X - -2 * Y, r"x - \left(-2 y\right)"),
    (1e-20 * sd.abs(X), r"1 \cdot 10^{-20} \left|x\right|"),
    (A.T[0], r"\left({A}^{\mathsf{T}}\right)_{:1}"),
]


@pytest.mark.parametrize(("f", "text"), LATEX, ids=[str(f) for f, _ in LATEX])
def test_latex(f, text):
    assert f.latex() == text
    assert f._repr_latex_() == f"$\\displaystyle {text}$"


def test_latex_is_set_by_matplotlib():
    mathtext = pytest.importorskip("matplotlib.mathtext")
    parser = mathtext.MathTextParser("path")
    for f, text in LATEX:
        if "cases" not in text:
            parser.parse(f"${f.latex()}$".replace(r"\text", r"\mathrm").replace(r"\mathsf", r"\mathrm"))
