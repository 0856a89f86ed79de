"""unroll: the points of minimize as expressions, and their derivatives by settings, starts and data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.optimize import (
    FISTA,
    SGD,
    SVRG,
    Adagrad,
    Adam,
    AdamW,
    Averaged,
    Clip,
    CoordinateDescent,
    Cosine,
    GradientDescent,
    InverseSqrt,
    InverseTime,
    ProximalGradient,
    RandomSearch,
    RMSprop,
    StepDecay,
    WarmUp,
    unroll,
)
from tests.optimize.problems import EPS, regression

lr, other, lam = sd.symbols("lr other lam")
# Each with a setting as an expression: its value, and the rule for the setting's number.
RULES: list[tuple[str, Any]] = [
    ("sgd", lambda a, b: SGD(lr=a)),
    ("momentum", lambda a, b: SGD(lr=a, momentum=b, dampening=b, weight_decay=b)),
    ("nesterov", lambda a, b: SGD(lr=a, momentum=b, nesterov=True)),
    ("adagrad", lambda a, b: Adagrad(lr=a, lr_decay=b, initial_accumulator_value=b, eps=b)),
    ("rmsprop", lambda a, b: RMSprop(lr=a, alpha=b, momentum=b, centered=True, weight_decay=b)),
    ("adam", lambda a, b: Adam(lr=a, betas=(b, b), weight_decay=b)),
    ("adamw", lambda a, b: AdamW(lr=a, betas=(b, b), eps=b, weight_decay=b)),
    ("amsgrad", lambda a, b: Adam(lr=a, amsgrad=True, eps=b)),
    ("clip", lambda a, b: Clip(SGD(lr=a), b)),
    ("averaged", lambda a, b: Averaged(SGD(lr=a), start=2)),
    ("gd", lambda a, b: GradientDescent(lr=a, preconditioner="diagonal")),
    ("ista", lambda a, b: ProximalGradient(l1=b, lr=a)),
    ("fista", lambda a, b: FISTA(l1=b, lr=a)),
    ("cd", lambda a, b: CoordinateDescent(l1=b, order="random")),
    ("random", lambda a, b: RandomSearch(radius=b)),
    ("decay", lambda a, b: SGD(lr=StepDecay(a, 3, b))),
    ("time", lambda a, b: SGD(lr=InverseTime(a, b))),
    ("sqrt", lambda a, b: SGD(lr=InverseSqrt(a))),
    ("cosine", lambda a, b: SGD(lr=Cosine(a, 8))),
    ("warm-up", lambda a, b: SGD(lr=WarmUp(Cosine(a, 8), 4))),
]


@pytest.mark.parametrize(("name", "make"), RULES, ids=[name for name, _ in RULES])
def test_it_is_the_run_of_minimize_and_has_derivatives(name: str, make: Any) -> None:
    p, steps = regression(), 6
    a, b = 0.03, 0.2
    start = 0.1 * np.arange(1.0, 6.0)
    rule = make(lr, other)
    end = unroll(p.f, {p.w: start}, rule, steps)[p.w]
    res = sd.minimize(p.f, {p.w: start}, p.data, make(a, b), tol=0.0, max_steps=steps, target="reference")
    loss = sd.sum((end - 1) ** 2)
    wrt = [s for s in (lr, other) if s in loss.free_symbols]
    values = {**p.data, lr: a, other: b}
    outputs = [end, *sd.gradient(loss, wrt), *(sd.jvp(loss, [s], [1.0]) for s in wrt)]
    given = [s for s in values if s in loss.free_symbols]
    got, *slopes = sd.compile(outputs, given, target="reference")(*(values[s] for s in given))
    np.testing.assert_allclose(got, res.x[p.w], rtol=1e-12, atol=1e3 * EPS)
    assert wrt
    reverse, forward = slopes[: len(wrt)], slopes[len(wrt) :]
    np.testing.assert_allclose(reverse, forward, rtol=1e-10, atol=1e-12)
    exact = sd.finite_difference(loss, {s: values[s] for s in given}, wrt=wrt, method="central")
    # Central differences keep two thirds of the digits.
    np.testing.assert_allclose(reverse, exact, rtol=1e-6, atol=1e-8)


def test_hypergradients_in_closed_form(target: str) -> None:
    # Descent on a (w - c)²/2: w_k = c + (1 - lr a)^k (w0 - c).
    w, w0, c, a = sd.symbols("w w0 c a")
    k = 7
    end = unroll(a * (w - c) ** 2 / 2, {w: w0}, SGD(lr=lr), k)[w]
    fn = sd.compile([end, *sd.gradient(end, [lr, a, c, w0])], [lr, a, c, w0], target=target)
    q = 1 - 0.3 * 0.8
    expected = [
        2.0 + q**k * 3.0, -k * 0.8 * q ** (k - 1) * 3.0, -k * 0.3 * q ** (k - 1) * 3.0, 1 - q**k, q**k,
    ]  # fmt: skip
    np.testing.assert_allclose(fn(0.3, 0.8, 2.0, 5.0), expected, rtol=64 * EPS)
    second = sd.compile(sd.diff(end, lr, 2), [lr, a, c, w0], target=target)
    np.testing.assert_allclose(second(0.3, 0.8, 2.0, 5.0), k * (k - 1) * 0.64 * q ** (k - 2) * 3.0, rtol=256 * EPS)


def test_unrolled_and_implicit_hypergradients_agree() -> None:
    # A ridge weight by the loss on other data: at the minimum both are g'(-H^-1 dg/dlam).
    p = regression()
    x, y = p.data
    f = p.f + lam / 2 * sd.sum(p.w**2)
    rng = np.random.default_rng(4)
    x1, y1 = rng.normal(size=(13, 5)), rng.normal(size=13)

    def validation(w: Any) -> Any:
        return sd.sum((x1 @ w - y1) ** 2) / 26

    outer = [
        validation(w)
        for w in (
            unroll(f, p.start, SGD(lr=0.1), 300)[p.w],
            unroll(f, p.start, "newton", 2)[p.w],
            sd.argmin(f, p.w, 0.0),
        )
    ]
    got = sd.compile([sd.gradient(v, lam) for v in outer], [x, y, lam], target="reference")(*p.data.values(), 0.3)
    hess, x0, y0 = p.hessian() + 0.3 * np.eye(5), *p.arrays
    best = np.linalg.solve(hess, x0.T @ y0 / len(y0))
    exact = -(x1.T @ (x1 @ best - y1) / 13) @ np.linalg.solve(hess, best)
    # 300 steps of descent come within 1e-8 of the minimum, the others as near as rounding allows.
    np.testing.assert_allclose(got, exact, rtol=1e-6)
    np.testing.assert_allclose(got[1:], exact, rtol=1e-10)


def test_memory_can_be_bounded() -> None:
    p = regression()
    plain, bounded = (
        sd.gradient(sd.sum(unroll(p.f, p.start, SGD(lr=lr), 30, max_bytes=m)[p.w]), lr) for m in (None, 1000)
    )
    a, b = (sd.compile(g, [*p.data, lr]) for g in (plain, bounded))
    assert a(*p.data.values(), 0.03) == pytest.approx(b(*p.data.values(), 0.03), rel=1e-12)
    assert sum(t.n_bytes for t in b.program.temps if isinstance(t.n_bytes, int)) < sum(
        t.n_bytes for t in a.program.temps if isinstance(t.n_bytes, int)
    )


def test_no_steps_and_several_unknowns() -> None:
    u, v = sd.symbols("u"), sd.vector("v", 2)
    end = unroll(u**2 + sd.sum((v - u) ** 2), {u: 2, v: 0.5}, "gd", 0)
    assert [end[k].shape for k in (u, v)] == [(), (2,)]
    got = sd.compile([end[u], end[v]], [], target="reference")()
    np.testing.assert_array_equal(got[0], 2.0)
    np.testing.assert_array_equal(got[1], [0.5, 0.5])


def test_float32_settings() -> None:
    w = sd.array("w", (2,), dtype="float32")
    for rule in (SGD(lr=lr, momentum=other), Adam(lr=lr, betas=(other, other)), RMSprop(lr=lr, alpha=other)):
        end = unroll(sd.sum((w - 1) ** 2), {w: 0.0}, rule, 3)[w]
        assert end.dtype == "float32"


def test_wrong_use_is_refused() -> None:
    p = regression()
    for make, error, text in (
        (lambda: unroll(p.f, p.start, SVRG(0.1), 3), sd.DomainError, "SVRG goes by batches"),
        (lambda: unroll(p.f, p.start, "sgd", -1), sd.DomainError, "steps is an int >= 0, got -1"),
        (lambda: unroll(p.f, p.start, "sgd", 2.0), sd.DomainError, "steps is an int >= 0, got 2.0"),
        (lambda: unroll(p.f, {p.w: np.zeros(4)}, "sgd", 2), sd.ShapeError, r"'w' has shape \(5,\), its start \(4,\)"),
        (lambda: unroll(p.f, {lam: 1.0}, "sgd", 2), sd.UnknownSymbolError, "start gives 'lam', which the function"),
        (lambda: unroll(p.f, [p.w], "sgd", 2), sd.DTypeError, "start is a dict"),
        (lambda: unroll(p.w, p.start, "sgd", 2), sd.ShapeError, "unroll needs a scalar function"),
        (lambda: unroll(p.f, p.start, SGD, 2), sd.DTypeError, "The method is a class"),
        (
            lambda: sd.minimize(p.f, p.start, p.data, SGD(lr=WarmUp(lr, 3))),
            sd.UnknownSymbolError,
            "SGD: the setting lr contains 'lr', which no data give a value",
        ),
    ):
        with pytest.raises(error, match=text):
            make()


def test_a_setting_made_of_the_data() -> None:
    # The rate 1/L of the data themselves.
    p = regression()
    x = next(iter(p.data))
    rule = SGD(lr=x.shape[0] / sd.sum(x * x))
    res = sd.minimize(p.f, p.start, p.data, rule, max_steps=2000, target="cpu")
    assert res.converged
