"""Problems from text, from TOML files and from SymPy, against the same problems stated in Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy

import symdiff as sd
from symdiff import pde

k = sd.symbols("k")
x, y, t = pde.coordinates("x y t")
u, v = pde.field("u"), pde.field("v")
FILE = """
title = "two fields"
domain = {x = [0, 1], y = [0, 2]}
parameters = {k = 0.1, unused = 3}
equations = {u = "div((k + u**2)*grad(u)) - v", v = "dt(v) = k*laplace(v) + d2_dx2(u)/10"}
boundary = {x = "periodic", y = ["slope = 0", "value = 1"], v = {y = ["dn(v) = u*sin(t)", "v = cos(t)"]}}
initial = {u = "1 + 0.1*sin(2*pi*x)*(4 - y**2)", v = 1}
grid = {shape = [8, 9], order = 2}
run = {until = 0.05, method = "heun", dt = 0.0025}
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("laplace(u)", pde.laplacian(u)),
        ("laplacian(u**2)", pde.laplacian(u**2)),
        ("gradient_squared(u)", pde.gradient_squared(u)),
        ("dot(gradient(u), grad(v))", pde.dot(pde.grad(u), pde.grad(v))),
        ("divergence(k*gradient(u))", pde.div(k * pde.grad(u))),
        ("div(vector(y, x)*u)", pde.div(pde.vector(y, x) * u)),
        ("d_dx(u) + dx(u) + d2_dy2(u) + dy(u, 2)", pde.dx(u) + pde.dx(u) + pde.dy(u, 2) + pde.dy(u, 2)),
        ("u - mean(u)*sin(k*x)", u - pde.mean(u) * sd.sin(k * x)),
        ("integral(u**3)", pde.integral(u**3)),
        ("upwind(k, u, 3)", pde.upwind(k, u, order=3)),
    ],
)
def test_text_means_what_python_does(text: str, expected: Any) -> None:
    assert pde.parse(text, "u v") is expected


def test_equations_as_text() -> None:
    found = pde.parse("dt(u, 2) + k*dt(u) = laplace(u)", [u])
    assert (found.lhs, found.rhs) == (pde.dt(u, 2) + k * pde.dt(u), pde.laplacian(u))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("laplace(u", "never closed"),
        ("laplac(u)", "did you mean 'laplace'"),
        ("u = v = 1", "one '='"),
        ("div(u)", "takes a vector"),
        ("__import__('os')", "Unknown function"),
        ("dx(u, 1.5)", "int >= 0"),
        ("u.real", "attributes"),
    ],
)
def test_wrong_text(text: str, match: str) -> None:
    with pytest.raises(sd.ParseError, match=match):
        pde.parse(text, "u v")


def test_a_file_is_the_problem_in_python(tmp_path: Path) -> None:
    path = tmp_path / "problem.toml"
    path.write_text(FILE)
    file = pde.from_toml(path)
    box = pde.Box(x=(0, 1), y=(0, 2))
    equations = [
        pde.Eq(pde.dt(u), pde.div((k + u**2) * pde.grad(u)) - v),
        pde.Eq(pde.dt(v), k * pde.laplacian(v) + pde.dx(u, 2) / 10),
    ]
    sides = {
        "x": pde.Periodic(),
        "y": (pde.Neumann(0), pde.Dirichlet(1)),
        v: {"y": (pde.Neumann(u * sd.sin(t)), pde.Dirichlet(sd.cos(t)))},
    }
    start = {u: 1 + 0.1 * sd.sin(2 * sd.pi * x) * (4 - y**2), v: 1}
    same = pde.Problem(equations, box, sides, start).discretize((8, 9))
    assert file.title == "two fields"
    assert file.parameters == {"k": 0.1}
    ours = file.run(target="reference")
    theirs = same.run(0.05, "heun", 0.0025, {k: 0.1}, target="reference")
    for f in (u, v):
        np.testing.assert_array_equal(ours[f], theirs[f])


def test_starts_from_files_and_random_numbers(tmp_path: Path) -> None:
    start = np.linspace(0, 1, 9)
    np.save(tmp_path / "u.npy", start)
    text = """
    domain = {x = [0, 1]}
    equations = {u = "dt(u, 2) = laplace(u)"}
    boundary = {x = "dn(u) = 0"}
    initial = {u = {file = "u.npy"}, "dt(u)" = {random = [-1, 2], seed = 5}}
    grid = {shape = 9}
    """
    (tmp_path / "problem.toml").write_text(text)
    file = pde.from_toml(tmp_path / "problem.toml")
    np.testing.assert_array_equal(file.problem.initial[u], start)
    noise = file.problem.initial[file.problem.velocities[u]]
    np.testing.assert_array_equal(noise, np.random.default_rng(5).uniform(-1, 2, size=9))
    with pytest.raises(sd.ParseError, match="no end of the run"):
        file.run()


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("domain =", "domian =", "did you mean 'domain'"),
        ("grid = {shape = [8, 9], order = 2}", "", "no table \\[grid\\]"),
        ("domain = {x = [0, 1],", "domain = {x = 1,", "x is a pair"),
        ("k*laplace(v)", "kk*laplace(v)", "\\[equations\\] v: Unknown name 'kk'"),
        ("k*laplace(v)", "k*laplace(w)", "Unknown name 'w'"),
        ('"slope = 0"', '"slope 0"', "Unknown name 'slope'"),
        ('"slope = 0"', "3", "a condition is text"),
        ('"slope = 0"', '"u + 1"', "is no condition"),
        ("v = 1}", 'v = {fil = "x"}}', "Unknown key 'fil'"),
        ("v = 1}", 'v = {file = "nowhere.npy"}}', "cannot be read as a NumPy array"),
        ("v = 1}", "v = {random = 3}}", "pair of numbers"),
        ("until = 0.05", "untill = 0.05", "did you mean 'until'"),
        ("k = 0.1", 'k = "a"', "parameters.k is a number"),
        ("k = 0.1", "u = 0.1, k = 0.1", "'u' in \\[equations\\]"),
        ("title = ", "title ", "is not TOML"),
        ('"periodic"', '"v = 0"', "no boundary condition|contains neither"),
    ],
)
def test_wrong_files(old: str, new: str, match: str) -> None:
    assert old in FILE
    with pytest.raises(sd.SymdiffError, match=match):
        pde.from_toml(FILE.replace(old, new, 1))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(sd.ParseError, match="cannot be read"):
        pde.from_toml(tmp_path / "nothing.toml")


def test_sympys_equations() -> None:
    xs, ts, ks = sympy.symbols("x t k")
    us, vs = sympy.Function("u")(xs, ts), sympy.Function("v")(xs, ts)
    equations = [
        sympy.Eq(us.diff(ts), ks * us.diff(xs, 2) + sympy.sin(xs) * vs),
        sympy.Eq(vs.diff(ts, 2), sympy.Derivative((1 + us**2) * sympy.Derivative(vs, xs), xs)),
    ]
    problem = pde.Problem(equations, pde.Box(x=(0, 1)), {"x": pde.Periodic()}, {u: 0, v: 0, pde.dt(v): 0})
    assert set(problem.parameters) == {k}
    numbers = {u: 0.3, v: 0.7, pde.dx(u, 2): 1.7, k: 0.4, x: 0.2}
    assert float(problem.rhs[u].subs(numbers)) == pytest.approx(0.4 * 1.7 + np.sin(0.2) * 0.7)
    assert str(problem.rhs[problem.velocities[v]]) == "flux((u**2 + 1)*v_x)_x"
    with pytest.raises(sd.ParseError, match="function of coordinates"):
        pde.Problem(sympy.Eq(us.subs(xs, 2 * xs), 0), pde.Box(x=(0, 1)))


def test_conditions_as_equations() -> None:
    heat, line = pde.Eq(pde.dt(u), pde.laplacian(u)), pde.Box(x=(0, 1))
    sides = {"x": (pde.Eq(2 * u, t), pde.Eq(3 * pde.dn(u) + u**4, x))}
    lower, upper = pde.Problem(heat, line, sides, {u: 0}).boundary[u, "x"]
    assert isinstance(lower, pde.Dirichlet)
    assert isinstance(upper, pde.Neumann)
    assert float(lower.value.subs({t: 3.0})) == 1.5
    assert float(upper.slope.subs({u: 2.0, x: 1.0})) == pytest.approx(-5.0)
    for wrong, match in (
        (pde.Eq(pde.dn(u) ** 2, 1), "not linear in dn\\(u\\)"),
        (pde.Eq(u**2, 1), "not linear in u"),
        (pde.Eq(t, 1), "contains neither u nor"),
    ):
        with pytest.raises(sd.SymdiffError, match=match):
            pde.Problem(heat, line, {"x": wrong}, {u: 0})
    two = [heat, pde.Eq(pde.dt(v), pde.laplacian(v))]
    circle = {u: {"x": pde.Eq(u, v)}, v: {"x": pde.Eq(v, u)}}
    with pytest.raises(sd.SymdiffError, match="given by each other"):
        pde.Problem(two, line, circle, {u: 0, v: 0})


def test_equations_of_a_problem_as_text() -> None:
    box, sides = pde.Box(x=(0, 1)), {"x": pde.Neumann(0)}
    text = pde.Problem(["dt(u) = k*laplace(w)", "w = u**3 - laplace(u)"], box, sides, {u: x})
    w = pde.field("w")
    same = pde.Problem(
        [pde.Eq(pde.dt(u), k * pde.laplacian(w)), pde.Eq(w, u**3 - pde.laplacian(u))], box, sides, {u: x}
    )
    assert text.all_rhs == same.all_rhs
    for wrong in ("laplace(u) = 1", "dt(u)"):
        with pytest.raises(sd.ParseError, match="no equation that names its field"):
            pde.Problem(wrong, box, sides, {u: x})


def test_other_statements_that_have_no_meaning() -> None:
    line, sides = pde.Box(x=(0, 1)), {"x": pde.Dirichlet(0)}
    w, z = pde.field("w"), pde.field("x")
    plane = pde.Box(x=(0, 1), y=(0, 1))
    with pytest.raises(sd.SymdiffError, match=r"velocity of upwind .* is a number"):
        pde.Problem(pde.Eq(pde.dt(u), pde.upwind(1, u)), plane, sides, {u: 0})
    with pytest.raises(sd.SymdiffError, match="condition of 'u' on the lower side of axis 'x' contains integral"):
        pde.Problem(pde.Eq(pde.dt(u), u), line, {"x": pde.Neumann(pde.integral(u))}, {u: 0})
    for equations, match in (
        ([pde.Eq(pde.dt(u), pde.div(pde.vector(1, 2) * u))], "component along axis 1, which the domain"),
        ([pde.Eq(pde.dt(u), pde.div(pde.vector(y=2) * u))], "component along the axis 'y', which the domain"),
        ([pde.Eq(pde.dt(u), pde.dn(u))], "is for boundary conditions"),
        ([pde.Eq(pde.dt(z), pde.laplacian(z))], "has the name of a coordinate"),
        ([pde.Eq(pde.dt(u), w), pde.Eq(w, u), pde.Eq(w, 2 * u)], "Two equations"),
        ([pde.Eq(pde.dt(u), w), pde.Eq(w, pde.laplacian(v)), pde.Eq(v, pde.laplacian(w))], "defined by each other"),
        ([pde.Eq(pde.dt(u), pde.grad(u))], "stands where a number is expected"),
        ([pde.Eq(pde.laplacian(u), 1), pde.Eq(pde.laplacian(u), 2)], "no field that no other"),
    ):
        with pytest.raises(sd.SymdiffError, match=match):
            pde.Problem(equations, line, sides, {u: 0})
    with pytest.raises(sd.UnknownSymbolError, match="no field of the problem that evolves"):
        pde.Problem([pde.Eq(pde.dt(u), w), pde.Eq(w, u)], line, sides, {u: 0, w: 0})
