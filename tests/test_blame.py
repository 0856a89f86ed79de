"""fn.trace: the operation and the line that make the first NaN or Inf; `where` is safe by construction."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from rich.console import Console

import symdiff as sd

EPS = np.finfo(float).eps
TARGETS = ("reference", "cpu")
x, a = sd.symbols("x a")
v = sd.vector("v", 4)


def here(offset: int = 0) -> str:
    """The caller's "file:line"."""
    frame = inspect.currentframe().f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno + offset}"


@pytest.mark.parametrize("target", TARGETS)
def test_the_first_operation_of_finite_arguments_is_named(target):
    logarithm, line = sd.log(x), here()
    f = sd.exp(sd.sin(logarithm) * a) + sd.cos(a)
    report = sd.compile(f, [x, a], target=target).trace(-2.0, 0.5)
    assert not report.finite
    assert (report.kind, report.operation, report.line) == ("NaN", "log(x)", line)
    assert report.arguments == ("x = -2.0",)
    assert report.outputs == ("the result",)
    assert report.code == "logarithm, line = sd.log(x), here()"
    assert str(report).startswith(f"NaN comes from log(x) at {line}.")


@pytest.mark.parametrize("target", TARGETS)
def test_all_finite_is_said(target):
    report = sd.compile([sd.log(x), x / a], [x, a], target=target).trace(2.0, 0.5)
    assert report.finite
    assert str(report) == "All results are finite."


@pytest.mark.parametrize("target", TARGETS)
def test_a_derivative_is_blamed_with_the_line_of_its_function(target):
    root, line = sd.sqrt(x), here()
    f = root * a
    fn = sd.compile({"value": f, "slope": sd.diff(f, x)}, [x, a], target=target)
    report = fn.trace(0.0, 2.0)
    assert (report.kind, report.line, report.outputs) == ("Inf", line, ("'slope'",))
    assert report.arguments == ("sqrt(x) = 0.0",)


@pytest.mark.parametrize("target", TARGETS)
def test_the_entry_of_an_array_and_the_point_of_a_mapped_call(target):
    quotient, line = 1 / (v - 2.0), here()
    report = sd.compile(sd.sum(quotient), [v], target=target).trace(np.array([1.0, 3.0, 2.0, 4.0]))
    assert (report.kind, report.line, report.entry) == ("Inf", line, (2,))
    report = sd.compile(sd.log(x) * a, [x, a], target=target).trace(np.array([[2.0], [-3.0]]), np.array([0.5, 1.0]))
    assert (report.kind, report.operation, report.arguments) == ("NaN", "log(x)", ("x = -3.0",))


@pytest.mark.parametrize("target", TARGETS)
def test_an_argument_that_was_not_finite_is_named(target):
    report = sd.compile(sd.sin(x) + a, [x, a], target=target).trace(1.0, np.inf)
    assert (report.kind, report.operation) == ("Inf", "the argument 'a'")


@pytest.mark.parametrize("target", TARGETS)
def test_a_loop_tells_the_turn(target):
    # 3, 1.0986, 0.0940, -2.36: the fourth logarithm has no value.
    out, _ = sd.while_loop(lambda u, k: k < 9, lambda u, k: [sd.log(u) * a, k + 1], [x, 0.0])
    line = here(-1)
    fn = sd.compile([a * 2, out, sd.diff(out, x)], [x, a], target=target)
    report = fn.trace(3.0, 1.0)
    assert (report.kind, report.line, report.turn) == ("NaN", line, 4)
    assert report.outputs == ("result 1", "result 2")
    assert "in turn 4 of its loop" in str(report)
    assert fn.trace(3.0, 5.0).finite


def test_a_condition_that_shares_nodes_with_the_body_does_not_miscount():
    out, _ = sd.while_loop(
        lambda u, k: (sd.exp(u) > 0) & (k < 9), lambda u, k: [sd.exp(u) * a, k + 1], [x, 0.0]
    )  # fmt: skip
    values = [2.0]
    while np.isfinite(values[-1]):
        with np.errstate(over="ignore"):
            values.append(float(np.exp(values[-1])))
    report = sd.compile(out, [x, a]).trace(2.0, 1.0)
    assert (report.kind, report.turn) == ("Inf", len(values) - 1)


def test_loops_in_loops_and_branches():
    def inner(u):
        return sd.while_loop(lambda s, j: j < 3, lambda s, j: [sd.sqrt(s - 1.0), j + 1], [u, 0.0])[0]

    out, _ = sd.while_loop(lambda u, k: k < 2, lambda u, k: [inner(u) + 2.0, k + 1], [x, 0.0])
    report = sd.compile(out, [x]).trace(3.0)
    # sqrt(3 - 1) = 1.41, sqrt(0.41) = 0.64, and then there is no root.
    assert (report.kind, report.turn) == ("NaN", 3)
    assert report.operation.startswith("sqrt(")
    branch = sd.cond(x > 0, lambda u: sd.log(u), lambda u: sd.sqrt(u), x)
    report = sd.compile(branch, [x]).trace(-1.0)
    assert (report.kind, report.turn) == ("NaN", None)
    assert report.operation.startswith("sqrt(")


def test_a_solution_that_was_not_found_is_named():
    root, line = sd.root(x**2 + a, x, start=1.0), here()
    fn = sd.compile([root * 2, sd.diff(root, a)], [a])
    report = fn.trace(1.0)
    assert (report.kind, report.operation, report.line) == ("NaN", "root", line)
    assert "did not converge" in report.note
    assert report.arguments == ("a = 1.0",)
    assert fn.trace(-1.0).finite


def test_a_harmless_nan_is_not_blamed_for_another():
    harmless = sd.where(x > 0, sd.sqrt(x), 0.0)
    guilty, line = sd.log(a), here()
    report = sd.compile(harmless + guilty, [x, a]).trace(-1.0, -1.0)
    assert (report.operation, report.line) == ("log(a)", line)


def test_stable_forms_are_traced_as_they_are_compiled():
    f = sd.log(1 + sd.exp(x))
    assert sd.compile(f, [x]).trace(1000.0).finite
    assert sd.compile(f, [x], target="reference").trace(1000.0).operation == "exp(x)"


def test_the_report_is_shown_by_rich():
    console = Console(record=True, width=100, file=open("/dev/null", "w"))  # noqa: SIM115  # the console keeps it
    console.print(sd.compile(sd.log(x), [x]).trace(-1.0))
    assert "NaN from log(x)" in console.export_text()
    console.file.close()


def test_wrong_arguments_are_errors_as_in_a_call():
    fn = sd.compile(sd.sum(v) * x, [v, x])
    with pytest.raises(TypeError, match="'x' is missing"):
        fn.trace(np.ones(4))
    with pytest.raises(sd.ShapeError, match="'v' has shape"):
        fn.trace(np.ones(3), 1.0)


# A branch that is not taken has derivatives that are infinite or NaN at these points.
SAFE = {
    "log": (lambda z: sd.where(z > 0, sd.log(z), 0.0), -1.5),
    "sqrt at 0": (lambda z: sd.where(z > 0, sd.sqrt(z), 0.0), 0.0),
    "sqrt below": (lambda z: sd.where(z > 0, sd.sqrt(z) * z, z), -2.0),
    "1/z": (lambda z: sd.where(sd.equal(z, 0.0), 1.0, sd.sin(z) / z), 0.0),
    "power": (lambda z: sd.where(z > 0, z**a, 0.0), -0.5),
    "arccos": (lambda z: sd.where(sd.absolute(z) < 1, sd.arccos(z), z**2), 3.0),
    "overflow": (lambda z: sd.where(z < 10, sd.exp(z), 2 * z), 1000.0),
    "norm": (lambda z: sd.where(z > 0, sd.sqrt(sd.sum(sd.stack([z, 2 * z]) ** 2)), 0.0), 0.0),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", SAFE)
def test_where_is_safe_by_construction_in_every_mode(name, target):
    build, at = SAFE[name]
    f = build(x)
    w = sd.vector("w", 3)
    mapped = sd.sum(sd.stack([build(w[k]) for k in range(3)]) * np.array([1.0, 2.0, 4.0]))
    outputs = {
        "value": f, "symbolic": sd.diff(f, x), "second": sd.diff(f, x, 2), "forward": sd.jvp(f, x, 1.7),
        "reverse": sd.gradient(f, x), "hessian": sd.hessian(f, x), "hvp": sd.hvp(f, x, 0.3),
        "array": sd.gradient(mapped, w), "jacobian": sd.jacobian(w * f, x, mode="forward"),
    }  # fmt: skip
    fn = sd.compile(outputs, [x, a, w], target=target)
    got = fn(at, 0.5, np.array([at, at, at]))
    assert all(np.isfinite(value).all() for value in got.values()), got
    assert fn.trace(at, 0.5, np.full(3, at)).finite
    taken = {"sqrt below": 1.0, "arccos": 6.0, "overflow": 2.0}.get(name, 0.0)
    assert got["symbolic"] == got["reverse"] == got["forward"] / 1.7 == taken
    np.testing.assert_array_equal(got["array"], taken * np.array([1.0, 2.0, 4.0]))
