"""Formulas as they are drawn, and the names of the prompt."""

import io

from rich.console import Console

import symdiff as sd
from symdiff.terminal.maths import Maths, layout
from symdiff.terminal.repl import names


def draw(thing, width=80, colours=False):
    out = io.StringIO()
    options = {"force_terminal": True, "color_system": "truecolor"} if colours else {"color_system": None}
    Console(file=out, width=width, **options).print(thing)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def formula(node):
    return [line.rstrip() for line in layout(node).lines]


def test_formulas():
    x, y = sd.symbols("x y")
    alpha1 = sd.symbols("alpha1")
    assert formula(x**2 * y) == ["x²·y"]
    assert formula(-(x + y) * alpha1) == ["-(x + y)·α₁"]
    assert formula(sd.sqrt(x + 1) / y) == ["√(x + 1)", "────────", "   y"]
    assert formula(x - (y - x)) == ["x - (y - x)"]
    assert formula(sd.where(x > 0, x, -y)) == ["⎧ x   if x > 0", "⎩ -y  otherwise"]
    assert formula(abs(x)) == ["│x│"]


def test_a_formula_that_is_too_wide_is_written_in_one_line():
    x, y = sd.symbols("x y")
    f = sd.exp(-(x**2)) / y
    for _ in range(5):
        f = f + sd.sin(f * y)
    text = draw(Maths(f, "f"), width=40)
    assert max(map(len, text)) <= 40
    assert "".join(text).replace(" ", "").startswith("f=")


def test_a_large_graph_is_not_laid_out():
    x = sd.symbols("x")
    f = x
    for _ in range(64):
        f = sd.sin(f) * f  # as a tree it has 2**64 leaves
    assert layout(f) is None
    assert draw(Maths(f))


def test_the_prompt_knows_the_promised_names():
    known = names()
    assert {"sd", "np", "pde", "x", "y", "z", "t", "sin", "diff", "gradient", "compare", "compile"} <= set(known)
    assert known["x"] is sd.symbols("x")
