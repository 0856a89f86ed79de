"""custom_derivative and stop_gradient: rules in every mode and order, checks of rules, wrong rules."""

from __future__ import annotations

import numpy as np
import pytest

import symdiff as sd
from symdiff.diff.batch import batch
from symdiff.ir.graph import made_order
from symdiff.ir.text import parse_text, to_text
from symdiff.passes.settle import settle

EPS = np.finfo(float).eps
TARGETS = ("reference", "cpu")
x, y = sd.symbols("x y")
v = sd.vector("v", "n")


def by_jvp():
    @sd.custom_derivative
    def product(p, q):
        return sd.sin(p) * q

    @product.jvp
    def _(primals, tangents):
        p, q = primals
        return sd.cos(p) * q * tangents[0] + sd.sin(p) * tangents[1]

    return product


def by_vjp():
    @sd.custom_derivative
    def product(p, q):
        return sd.sin(p) * q

    @product.vjp
    def _(primals, result, cotangent):
        p, q = primals
        return sd.cos(p) * q * cotangent, result / q * cotangent

    return product


def by_both():
    product = by_jvp()
    product.vjp(lambda primals, result, bar: (sd.cos(primals[0]) * primals[1] * bar, sd.sin(primals[0]) * bar))
    return product


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("make", [by_jvp, by_vjp, by_both])
def test_one_rule_serves_every_mode_and_order(make, target):
    product = make()

    def outputs(f):
        z = f(x * y, y) + f(y, x) ** 2
        g = sd.gradient(z, [x, y])
        return [
            z, *g, sd.diff(z, x), sd.jvp(z, [x, y], [0.3, 1.7]), sd.diff(z, x, 3), *sd.hvp(z, [x, y], [0.4, 2.0]),
            sd.gradient(g[0], y), sd.jacobian([z, z * y], [x, y], mode="reverse")[1][0],
        ]  # fmt: skip

    got = sd.compile(outputs(product), [x, y], target=target)
    wanted = sd.compile(outputs(lambda p, q: sd.sin(p) * q), [x, y], target=target)
    np.testing.assert_allclose(got(0.7, 1.3), wanted(0.7, 1.3), rtol=64 * EPS)
    points = np.linspace(0.2, 2.0, 7)
    np.testing.assert_allclose(got(points, 1.3), wanted(points, 1.3), rtol=256 * EPS)


@pytest.mark.parametrize("make", [by_jvp, by_vjp, by_both])
def test_derivatives_of_a_mapped_function(make):
    """Mapped first and differentiated afterwards: an argument that all instances share collects all cotangents."""
    xs = sd.vector("xs", 5)
    (mapped,) = batch([make()(x, y)], {x: xs})
    bar = np.linspace(0.5, 1.5, 5)
    outputs = [*sd.vjp(mapped, [xs, y], bar), sd.jvp(mapped, [xs, y], [bar, 2.0]), sd.gradient(sd.sum(mapped), y)]
    at = np.linspace(0.1, 2.0, 5)
    x_bar, y_bar, dot, total = sd.compile(outputs, [xs, y])(at, 1.3)
    np.testing.assert_allclose(x_bar, np.cos(at) * 1.3 * bar, rtol=8 * EPS)
    np.testing.assert_allclose([y_bar, total], [np.sin(at) @ bar, np.sin(at).sum()], rtol=16 * EPS)
    np.testing.assert_allclose(dot, np.cos(at) * 1.3 * bar + np.sin(at) * 2.0, rtol=8 * EPS)


@pytest.mark.parametrize("target", TARGETS)
def test_a_derivative_that_is_not_that_of_the_value(target):
    """The straight-through estimator: rounding with the derivative of the identity."""

    @sd.custom_derivative
    def rounded(z):
        return sd.floor(z + 0.5)

    rounded.jvp(lambda primals, tangents: tangents[0])
    f = sd.sum(rounded(2 * v) ** 2)
    value, slope = sd.compile([f, sd.gradient(f, v)], [v], target=target)(np.array([0.3, 1.4, -2.6]))
    np.testing.assert_array_equal(value, 1.0 + 9.0 + 25.0)
    np.testing.assert_array_equal(slope, [4.0, 12.0, -20.0])


def test_arrays_and_integers_as_arguments():
    index = sd.array("index", (2,), dtype="int64")

    @sd.custom_derivative(check=True)
    def chosen(z, k):
        return sd.take(z, k) ** 2

    @chosen.vjp
    def _(primals, result, cotangent):
        z, k = primals
        hits = sd.sum(sd.where(sd.equal(sd.arange(4).reshape((4, 1)), k), 2 * sd.take(z, k) * cotangent, 0.0), axis=1)
        return hits, None

    w = sd.vector("w", 4)
    f = sd.sum(chosen(w, index) * np.array([1.0, 3.0]))
    got = sd.compile([sd.gradient(f, w), sd.jvp(f, w, np.arange(4.0))], [w, index])(np.arange(1.0, 5.0), [2, 0])
    np.testing.assert_allclose(got[0], [6.0, 0.0, 6.0, 0.0], rtol=4 * EPS)
    assert got[1] == pytest.approx(12.0, rel=4 * EPS)


def test_a_zero_tangent_leaves_its_part_of_the_rule_out():
    calls = by_jvp()(x, y)
    by_y = sd.diff(calls, y)
    assert all(node.op.name != "cos" for node in made_order([by_y]))


def test_custom_values_are_in_the_graph_until_it_is_compiled():
    root = by_jvp()(x, y)
    assert parse_text(to_text([root]))[0] is root
    assert str(root) == "product(x, y)"
    assert settle([root])[0] is sd.sin(x) * y
    assert sd.compile(root, [x, y], dtype="float32")(0.5, 2.0) == pytest.approx(2 * np.sin(0.5), rel=3e-7)


def test_a_right_rule_passes_its_check_and_is_checked_once():
    rounds = []

    @sd.custom_derivative(check=True)
    def f(p, q):
        rounds.append(1)
        return sd.exp(-p) @ q

    f.jvp(
        lambda primals, tangents: (-sd.exp(-primals[0]) * tangents[0]) @ primals[1] + sd.exp(-primals[0]) @ tangents[1]
    )
    w = sd.vector("w", "n")
    f(v, w)
    first = len(rounds)
    f(v, 2 * w)
    assert len(rounds) == first + 1


@pytest.mark.parametrize("kind", ["jvp", "vjp"])
def test_a_wrong_rule_is_found_on_first_use_and_the_argument_is_named(kind):
    @sd.custom_derivative(check=True)
    def slanted(first, second):
        return sd.sum(sd.sin(first) * second)

    if kind == "jvp":
        slanted.jvp(lambda p, t: sd.sum(sd.cos(p[0]) * p[1] * t[0]) + sd.sum(sd.cos(p[0]) * t[1]))
    else:
        slanted.vjp(lambda p, r, bar: (sd.cos(p[0]) * p[1] * bar, sd.cos(p[0]) * bar))
    with pytest.raises(sd.DerivativeError, match=r"slanted by 'second' is wrong: .* its rule gives .* differences"):
        slanted(v, 2 * v)


def test_checks_draw_from_the_domain():
    def make(**options):
        f = sd.custom_derivative(lambda z: sd.log(z - 5), check=True, **options)
        f.jvp(lambda primals, tangents: tangents[0] / (primals[0] - 5))
        return f

    with pytest.raises(sd.DomainError, match=r"arguments from \(0.1, 2.0\), where it is not finite; give"):
        make()(x)
    assert str(make(domain=(6.0, 9.0))(x)) == "<lambda>(x)"
    with pytest.raises(sd.DomainError, match="domain is a pair"):
        make(domain=(2.0, 1.0))(x)


def test_wrong_rules_say_what_is_wrong():
    f = sd.custom_derivative(lambda z: z**2)
    with pytest.raises(sd.DerivativeError, match="has no derivative yet"):
        f(x)
    f.jvp(lambda primals, tangents: sd.exp(tangents[0]))
    with pytest.raises(sd.DerivativeError, match=r"jvp of .* is not linear in the tangents: exp at .*test_custom.py"):
        f(x)
    f.jvp(lambda primals, tangents: tangents[0] * tangents[0])
    with pytest.raises(sd.DerivativeError, match="not linear"):
        f(x)
    f.jvp(lambda primals, tangents: v)
    with pytest.raises(sd.ShapeError, match=r"jvp of .* returns shape \(n,\) where \(\) is needed"):
        f(x)
    g = sd.custom_derivative(lambda p, q: p * q)
    g.vjp(lambda primals, result, bar: bar)
    with pytest.raises(sd.DerivativeError, match="returns 1 cotangents for 2 arguments"):
        g(x, y)
    g.vjp(lambda primals, result, bar: (bar**2, bar))
    with pytest.raises(sd.DerivativeError, match=r"vjp of .* is not linear in the cotangent"):
        g(x, y)
    with pytest.raises(sd.DTypeError, match="decorates a function"):
        sd.custom_derivative(3.0)
    h = sd.custom_derivative(lambda z: z > 0)
    h.jvp(lambda primals, tangents: tangents[0])
    with pytest.raises(sd.DerivativeError, match="returns bool"):
        h(x)


@pytest.mark.parametrize(
    "rule",
    [
        lambda p, t: sd.cos(p[0]), lambda p, t: t[0] + 1, lambda p, t: 1.0, lambda p, t: np.full(3, 2.0),
        lambda p, t: sd.where(p[0] > 0.5, sd.cos(p[0]) * t[0], 3.0), lambda p, t: p[0] - t[0], lambda p, t: None,
        lambda p, t: sd.scan(lambda c, _: (c + 1.0, None), t[0], length=2)[0],
        lambda p, t: sd.stack([t[0][0], p[0][1], 0]),
    ],
)  # fmt: skip
def test_a_jvp_that_is_not_zero_without_tangents_is_refused(rule):
    u = sd.vector("u", 3)
    f = sd.custom_derivative(sd.sin)
    f.jvp(rule)
    with pytest.raises(sd.SymdiffError, match=r"jvp of (sin|.*) (leaves out|has a term without|returns)") as caught:
        f(u)
    assert caught.type in (sd.DerivativeError, sd.ShapeError)


@pytest.mark.parametrize(
    "rule",
    [
        lambda p, r, c: sd.cos(p[0]), lambda p, r, c: c + 1, lambda p, r, c: r, lambda p, r, c: None,
        lambda p, r, c: [None], lambda p, r, c: 2.0,
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["custom", "opaque"])
def test_a_vjp_that_is_not_zero_without_the_cotangent_is_refused(rule, kind):
    if kind == "opaque":
        f = sd.opaque(np.sin, (), vjp=rule)
    else:
        f = sd.custom_derivative(sd.sin)
        f.vjp(rule)
    with pytest.raises(sd.DerivativeError, match=r"[vV]jp of .* (leaves out|has a term without|returns None)"):
        f(x)


@pytest.mark.parametrize(
    "rule",
    [
        lambda p, t: sd.where(p[0] > 0.5, sd.cos(p[0]) * t[0], 0.0), lambda p, t: np.zeros(3) + 2 * t[0],
        lambda p, t: sd.scan(lambda c, r: (c * r, None), t[0], sd.stack([p[0], p[0]]))[0],
        lambda p, t: sd.scan(lambda c, r: (c + r, c), 0.0, t[0])[1], lambda p, t: sd.cumsum(t[0])[::-1],
        lambda p, t: sd.solve(sd.diag(1 + p[0]), t[0]), lambda p, t: 0.0, lambda p, t: np.zeros(3),
        lambda p, t: sd.concatenate([t[0][:1], np.zeros(2)]), lambda p, t: -t[0],
    ],
)  # fmt: skip
def test_linear_rules_are_taken(rule):
    """The reference is the rule itself, at numbers."""
    u = sd.vector("u", 3)
    f = sd.custom_derivative(sd.sin)
    f.jvp(rule)
    at, dot = np.array([0.3, 0.9, 1.7]), np.array([0.5, -2.0, 3.0])
    symbol = sd.vector("dot", 3)
    wanted = sd.compile(sd.zeros(3) + rule((u,), (symbol,)), [u, symbol])(at, dot)
    got = sd.compile(sd.jvp(f(u), u, symbol), [u, symbol])(at, dot)
    np.testing.assert_allclose(got, wanted, rtol=8 * EPS)


def test_rules_of_wrong_shape_or_arity():
    u = sd.vector("u", 3)
    f = sd.custom_derivative(sd.sin)
    f.jvp(lambda primals, tangents: sd.sum(tangents[0]))
    with pytest.raises(sd.ShapeError, match=r"jvp of sin returns shape \(\) where \(3,\) is needed"):
        f(u)
    f.jvp(lambda primals: primals[0])
    with pytest.raises(sd.DTypeError, match=r"jvp of sin is called with \(primals, tangents\).*too many"):
        f(u)
    g = sd.opaque(np.sin, (3,), vjp=lambda primals, cotangent: cotangent)
    with pytest.raises(sd.DTypeError, match=r"vjp of sin is called with \(primals, result, cotangent\)"):
        g(u)
    h = sd.opaque(np.sin, (3,), vjp=lambda primals, result, cotangent: sd.sum(cotangent))
    with pytest.raises(sd.ShapeError, match=r"vjp of sin returns shape \(\)"):
        h(u)


def test_what_a_function_reads_from_outside_is_not_lost_silently():
    f = sd.custom_derivative(lambda z: y * z)
    f.jvp(lambda primals, tangents: y * tangents[0])
    assert str(sd.diff(f(x), x)) == "y"
    with pytest.raises(sd.DerivativeError, match=r"reads 'y' .* from outside its arguments.*make it an argument"):
        sd.gradient(f(x), y)
    # Substitution reaches it all the same.
    assert sd.compile(f(x).subs({y: 3.0}), [x])(2.0) == 6.0


@pytest.mark.parametrize("target", TARGETS)
def test_stop_gradient_is_the_identity_without_a_derivative(target):
    f = sd.stop_gradient(sd.sin(x)) * x + sd.stop_gradient(v)[0] * sd.sum(v)
    outputs = [f, sd.diff(f, x), sd.gradient(f, v), sd.diff(f, x, 2)]
    value, by_x, by_v, twice = sd.compile(outputs, [x, v], target=target)(0.5, np.array([2.0, 3.0, 4.0]))
    assert value == pytest.approx(np.sin(0.5) * 0.5 + 18.0, rel=4 * EPS)
    assert by_x == pytest.approx(np.sin(0.5), rel=2 * EPS)
    np.testing.assert_array_equal(by_v, [2.0, 2.0, 2.0])
    assert twice == 0.0
    # Nothing below it is differentiated: rounding to integers has no derivative that could be asked for.
    whole = sd.stop_gradient(sd.astype(x, "int64"))
    assert whole.dtype == "int64"
