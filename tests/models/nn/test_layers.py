"""Every layer against PyTorch's recorded values and gradients (record_torch.py), against differences, and refusals."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.ir.interpret import interpret
from symdiff.models import nn
from tests.models.nn.record_torch import LAYERS

EPS = float(np.finfo(float).eps)
RECORDED = np.load(LAYERS)

CASES: dict[str, Any] = {
    "linear": nn.Linear(3, 5),
    "linear-3d": nn.Linear(3, 2, bias=False),
    "conv2d": nn.Conv2d(3, 4, (3, 2), stride=2, padding=1),
    "conv2d-groups": nn.Conv2d(4, 6, 3, groups=2, dilation=2, bias=False),
    "max_pool": nn.MaxPool2d(3, stride=2, padding=1),
    "avg_pool": nn.AvgPool2d(2),
    "batch_norm-train": nn.BatchNorm(4, momentum=0.3),
    "batch_norm-train-mean": nn.BatchNorm(4, momentum=None),
    "batch_norm-eval": nn.BatchNorm(4),
    "batch_norm-2d": nn.BatchNorm(3, eps=1e-3),
    "layer_norm": nn.LayerNorm(5),
    "layer_norm-2": nn.LayerNorm((2, 5), eps=1e-2),
    "elu": nn.Function(functools.partial(nn.elu, alpha=0.7)),
    "gelu": nn.Function(nn.gelu),
    "gelu-tanh": nn.Function(functools.partial(nn.gelu, approximate="tanh")),
    "attention": nn.MultiheadAttention(6, 3),
    "attention-causal": nn.MultiheadAttention(6, 3, causal=True),
    "rnn": nn.RNN(3, 5),
    "rnn-relu": nn.RNN(3, 5, nonlinearity="relu"),
    "lstm": nn.LSTM(3, 5),
    "gru": nn.GRU(3, 5),
}
TRAINED = ("batch_norm-train", "batch_norm-train-mean", "batch_norm-2d")


def recorded(case: str, name: str) -> np.ndarray:
    return RECORDED[f"{case}/{name}"]


def parameters(case: str, prefix: str = "p") -> Any:
    """The recorded parameters as a tree of the layer's form: same names, same shapes."""
    tree = CASES[case].init(seed=3)
    names = nn.named_leaves(tree) if tree != () else {}
    assert sorted(f"{case}/{prefix}/{k}" for k in names) == sorted(
        k for k in RECORDED if k.startswith(f"{case}/{prefix}/")
    )
    arrays = {name: recorded(case, f"{prefix}/{name}") for name in names}
    assert {k: v.shape for k, v in arrays.items()} == {k: v.shape for k, v in names.items()}
    return nn.values(nn.symbols(tree), dict(zip(nn.leaves(nn.symbols(tree)), arrays.values(), strict=True)))


def build(case: str, dtype: str = "float64") -> tuple[Any, Any, Any, Any, dict[Any, np.ndarray]]:
    """Return (x, w, y, training, values) of a case."""
    params = nn.map_tree(lambda a: a.astype(dtype), parameters(case))
    given = recorded(case, "x").astype(dtype)
    x, w = sd.array("x", ("n", *given.shape[1:]), dtype), nn.symbols(params)
    training = nn.Training() if case in TRAINED else None
    return x, w, CASES[case](w, x, training), training, {x: given, **nn.pairs(w, params)}


# Compiled: those that are more than a product and an activation.
COMPILED = ("conv2d", "max_pool", "batch_norm-2d", "attention-causal", "lstm", "gelu")
RUNS = [(case, "reference") for case in CASES] + [(case, "cpu") for case in COMPILED]


@pytest.mark.parametrize(("case", "target"), RUNS)
def test_values_and_gradients_are_those_of_pytorch(case: str, target: str) -> None:
    x, w, y, _, values = build(case)
    bar = sd.array("bar", ("n", *recorded(case, "y").shape[1:]))
    moved = [(name, s) for name, s in nn.named_leaves(w).items() if "running" not in name] if w != () else []
    outputs = [y, *sd.gradient(sd.sum(y * bar), [x, *(s for _, s in moved)])]
    got = sd.compile(outputs, [*values, bar], target=target)(*values.values(), recorded(case, "bar"))
    want = [recorded(case, k) for k in ("y", "x_bar", *(f"bar/{name}" for name, _ in moved))]
    for name, a, b in zip(["y", "x", *(n for n, _ in moved)], got, want, strict=True):
        # Sums of up to a hundred terms near 1, in another order.
        np.testing.assert_allclose(a, b, rtol=100 * EPS, atol=200 * EPS, err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_float32_stays_float32(case: str) -> None:
    x, w, y, _, values = build(case, "float32")
    outputs = [y, *sd.gradient(sd.sum(y * y), [x, *(nn.leaves(w) if w != () else [])])]
    assert {e.dtype for e in outputs} == {"float32"}
    got = interpret(outputs[:1], values)[0]
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, recorded(case, "y"), rtol=0, atol=300 * float(np.finfo(np.float32).eps))


@pytest.mark.parametrize("case", TRAINED)
def test_running_statistics_follow_the_batch(case: str) -> None:
    """One step of a rule that stands still: only the running averages move."""
    x, *_, values = build(case)
    params = parameters(case)
    fit = nn.minimize(
        lambda w, training: sd.sum(CASES[case](w, x, training) ** 2), params, {x: values[x]},
        sd.optimize.SGD(lr=1e-300), tol=0.0, max_steps=1, target="reference",
    )  # fmt: skip
    for name in ("running_mean", "running_var"):
        np.testing.assert_allclose(fit.params[name], recorded(case, f"after/{name}"), rtol=64 * EPS)
        assert not np.array_equal(fit.params[name], params[name])
    np.testing.assert_array_equal(fit.params["weight"], params["weight"])


@pytest.mark.parametrize("case", ["batch_norm-2d", "attention-causal", "lstm", "gelu"])
def test_gradients_agree_with_differences(case: str) -> None:
    x, w, y, _, values = build(case)
    symbols = list(values) if case not in TRAINED else [x, w["weight"], w["bias"]]
    sd.taylor_test(sd.sum(sd.sin(y)), values, wrt=symbols)


def test_attention_with_masks() -> None:
    """A query sees the keys that the mask allows, computed by hand; numbers are added to the scores."""
    rng = np.random.default_rng(4)
    q, k, v = (rng.normal(size=(2, n, d)) for n, d in ((3, 4), (5, 4), (5, 2)))
    mask = rng.random((3, 5)) < 0.6
    mask[:, 2] = True
    scores = q @ k.transpose(0, 2, 1) / 2
    for given, changed in ((mask, np.where(mask, scores, -np.inf)), (np.log(0.1 + mask), scores + np.log(0.1 + mask))):
        powers = np.exp(changed)
        want = powers / powers.sum(-1, keepdims=True) @ v
        got = interpret([nn.scaled_dot_product_attention(q, k, v, given)], {})[0]
        np.testing.assert_allclose(got, want, rtol=32 * EPS, atol=32 * EPS)
    heads = nn.MultiheadAttention(4, 2)
    p = heads.init(seed=7)
    x = rng.normal(size=(2, 5, 4))
    allowed = np.tril(np.ones((5, 5), bool))
    by_mask, by_flag = heads.attend(p, x, x, x, allowed), nn.MultiheadAttention(4, 2, causal=True)(p, x)
    np.testing.assert_array_equal(*interpret([by_mask, by_flag], {}))


def test_activations_far_out() -> None:
    x = sd.vector("x", "n")
    points = np.array([-1e4, -38.0, -9.0, 0.0, 9.0, 1e4])
    for function in (nn.elu, nn.gelu, functools.partial(nn.gelu, approximate="tanh")):
        value, slope = interpret([function(x), sd.gradient(sd.sum(function(x)), x)], {x: points})
        assert np.isfinite(value).all()
        assert np.isfinite(slope).all()
        np.testing.assert_array_equal(value[-2:], points[-2:])
    # 1 + erf(-9/sqrt 2) is 0 in float64; the normal distribution's function is 1.1e-19 there.
    assert interpret([nn.gelu(x)], {x: points})[0][2] == pytest.approx(-9 * 1.1285884059538408e-19, rel=8 * EPS)


def test_positional_encoding() -> None:
    table = nn.positional_encoding(50, 7)
    assert table.shape == (50, 7)
    np.testing.assert_allclose(table[:, 0] ** 2 + table[:, 1] ** 2, 1, rtol=4 * EPS)
    assert table[13, 4] == pytest.approx(np.sin(13 / 10000 ** (4 / 7)))
    assert table[13, 5] == pytest.approx(np.cos(13 / 10000 ** (4 / 7)))


def test_the_tree_reads_like_the_layers() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.relu, nn.MaxPool2d(2), nn.Flatten(), nn.Residual(nn.Linear(36, 36), nn.Dropout(0.1)),
        nn.BatchNorm(36),
    )  # fmt: skip
    assert list(nn.named_leaves(net.init(seed=3))) == [
        "0.weight", "0.bias", "4.0.weight", "4.0.bias", "5.weight", "5.bias", "5.running_mean", "5.running_var",
    ]  # fmt: skip
    assert repr(net) == (
        "Sequential(Conv2d(in_channels=1, out_channels=4, kernel_size=3, stride=1, padding=0, dilation=1, groups=1, "
        "bias=True), relu, MaxPool2d(kernel_size=2, stride=None, padding=0), Flatten(), "
        "Residual(Linear(in_features=36, out_features=36, bias=True), Dropout(p=0.1)), "
        "BatchNorm(num_features=36, eps=1e-05, momentum=0.1))"
    )


X, P = sd.matrix("X", "n", 3), nn.Linear(3, 2).init(seed=3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Linear(3, 0), "Linear: out_features is a positive int, got 0"),
        (lambda: nn.Linear(4, 2)(P, X), r"Linear\(in_features=4, .* takes 4 features in the last axis, got 'X'"),
        (lambda: nn.Sequential(nn.Linear(3, 2), nn.relu)((P,), X), "has 2 layers and takes as many trees .* got 1"),
        (lambda: nn.Sequential(nn.Linear(3, 2), nn.Linear), "A layer is an object such as"),
        (lambda: nn.Residual(nn.Linear(3, 2))((P,), X), r"Residual adds its input of shape \(n, 3\)"),
        (lambda: nn.BatchNorm(4)({}, X), "4 features in axis 1, got 'X'"),
        (lambda: nn.LayerNorm(4)({}, X), r"takes the last axes \(4,\), got 'X'"),
        (lambda: nn.Dropout(1.0), r"Dropout: p lies in \[0, 1\), got 1.0"),
        (lambda: nn.Conv2d(3, 4, 3, groups=2), "multiples of the groups"),
        (lambda: nn.MultiheadAttention(6, 4), "6 features are no multiple of 4 heads"),
        (lambda: nn.MultiheadAttention(3, 1)({"in_proj_weight": 0, "in_proj_bias": 0}, X), "takes .* got 'X'"),
        (lambda: nn.scaled_dot_product_attention(X[0], X, X), "the query has at least the axes"),
        (lambda: nn.RNN(3, 2, "sin"), "nonlinearity is 'tanh' or 'relu'"),
        (lambda: nn.Conv2d(1, 2, (3, 0)), r"Conv2d: kernel_size is a positive int, got \(3, 0\)"),
        (lambda: nn.MaxPool2d(0), "MaxPool2d: kernel_size is a positive int, got 0"),
        (lambda: nn.LayerNorm(0), "LayerNorm: normalized_shape is a positive int, got 0"),
        (lambda: nn.RNN(0, 2), "RNN: input_size is a positive int, got 0"),
        (lambda: nn.GRU(3, 0), "GRU: hidden_size is a positive int, got 0"),
        (lambda: nn.LSTM(3, 2)({}, X), "takes .*places, 3.* got 'X'"),
        (lambda: nn.gelu(X, "erf"), "approximate is 'none' or 'tanh'"),
        (lambda: nn.Linear(3, 2).init(seed=-1), "init: seed is an int from 0"),
        (lambda: nn.Linear(3, 2).init(dtype="float16"), "init: dtype is"),
    ],
)
def test_wrong_input_is_refused(make: Any, message: str) -> None:
    with pytest.raises(sd.SymdiffError, match=message):
        make()
