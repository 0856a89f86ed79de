"""Training against PyTorch's recorded runs on scikit-learn's digits, and what its results must not depend on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from symdiff.models import cross_entropy, mse, nn
from symdiff.optimize import SGD, Adam, Clip
from tests.models.nn.record_torch import BATCH, FEW_STEPS, METHODS, RUNS, SEED, STEPS, TRAIN_ROWS, digits

RECORDED = np.load(RUNS)
NETWORKS: dict[str, nn.Layer] = {
    "dense": nn.Sequential(
        nn.Linear(64, 24), nn.relu, nn.BatchNorm(24), nn.Linear(24, 16), nn.relu, nn.Linear(16, 10)
    ),
    "conv": nn.Sequential(
        nn.Function(lambda x: sd.reshape(x, (-1, 1, 8, 8))), nn.Conv2d(1, 4, 3, padding=1), nn.relu, nn.MaxPool2d(2),
        nn.Conv2d(4, 8, 3, bias=False), nn.BatchNorm(8), nn.elu, nn.Flatten(), nn.Linear(32, 10),
    ),
}  # fmt: skip
RULES = {"sgd": SGD(**METHODS["sgd"][1]), "adam": Adam(**METHODS["adam"][1])}
X, LABELS = sd.matrix("X", "n", 64), sd.array("labels", "n", "int64")


def start(name: str) -> Any:
    """The recorded parameters as a tree of the network's form."""
    w = nn.symbols(NETWORKS[name].init(seed=3))
    return nn.values(w, {s: RECORDED[f"{name}/p/{k}"] for k, s in nn.named_leaves(w).items()})


def train(name: str, method: str, steps: int) -> nn.Trained:
    x, y = digits()
    net = NETWORKS[name]
    return nn.minimize(
        lambda w, training: cross_entropy(net(w, X, training), LABELS), start(name),
        {X: x[:TRAIN_ROWS], LABELS: y[:TRAIN_ROWS]},
        RULES[method], seed=SEED, batch_size=BATCH, max_steps=steps, target="reference",
    )  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("method", METHODS)
def test_steps_are_those_of_pytorch(name: str, method: str) -> None:
    fit = train(name, method, FEW_STEPS)
    # 20 steps, each of a few thousand roundings of numbers near 1, which the next ones carry on.
    for key, value in nn.named_leaves(fit.params).items():
        np.testing.assert_allclose(value, RECORDED[f"{name}/{method}/{key}"], rtol=1e-10, atol=1e-10, err_msg=key)
    losses = RECORDED[f"{name}/{method}-losses"][:FEW_STEPS]
    np.testing.assert_allclose(fit.result.history["loss"][:FEW_STEPS], losses, rtol=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_accuracies_are_those_of_pytorch(method: str) -> None:
    fit = train("dense", method, STEPS)
    x, y = digits()
    right = nn.compile(NETWORKS["dense"], fit.params, X, target="reference")(x).argmax(axis=1) == y
    got = [right[:TRAIN_ROWS].mean(), right[TRAIN_ROWS:].mean()]
    # A row that lies on the border of two classes may fall to the other side: one of 397.
    np.testing.assert_allclose(got, RECORDED[f"dense/{method}-accuracy"], rtol=0, atol=1.5 / 397)


def small(dropout: float = 0.4) -> nn.Sequential:
    return nn.Sequential(nn.Linear(64, 12), nn.BatchNorm(12), nn.relu, nn.Dropout(dropout), nn.Linear(12, 10))


def fit_small(target: str = "reference", steps: int = 7, **options: Any) -> nn.Trained:
    x, y = digits()
    net = small()
    return nn.minimize(
        lambda w, training: cross_entropy(net(w, X, training), LABELS), net.init(seed=5),
        {X: x[:300], LABELS: y[:300]}, Adam(lr=1e-2), target=target, max_steps=steps, **{"seed": 4, **options},
    )  # fmt: skip


@pytest.mark.slow
def test_dropout_is_the_same_on_every_target() -> None:
    one, other = fit_small("cpu", batch_size=32), fit_small(batch_size=32)
    # Seven steps of sums in another order.
    np.testing.assert_allclose(one.result.history["loss"], other.result.history["loss"], rtol=1e-12)
    for a, b in zip(nn.leaves(one.params), nn.leaves(other.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-9)  # a step of Adam has the sign of gradients near 0
    again, elsewhere = fit_small(batch_size=32), fit_small(batch_size=32, seed=5)
    np.testing.assert_array_equal(other.result.history["loss"], again.result.history["loss"])
    assert not np.allclose(other.result.history["loss"], elsewhere.result.history["loss"])


def test_dropout_draws_anew_in_each_step_and_layer() -> None:
    """Of ones, a share p becomes 0 and the rest 1/(1 - p): other places in each step, layer and row."""
    w, rows = sd.vector("w", 500), sd.matrix("R", "n", 500)
    seen: list[np.ndarray] = []

    class Twice(nn.Layer):
        def parameters(self, random: np.random.Generator) -> Any:
            return ()

        def __call__(self, p: Any, x: Any, training: Any = None) -> Any:
            return sd.stack([nn.Dropout(0.3)((), x, training) for _ in range(2)])

    def loss(tree: Any, training: nn.Training) -> Any:
        # The gradient of a sum is what dropout lets pass.
        return sd.sum(Twice()((), rows * tree, training) * np.array([1.0, 1000.0])[:, None, None])

    start = np.ones(500)
    for steps in (0, 1, 2):
        fit = nn.minimize(
            loss, start, {rows: np.ones((3, 500))}, SGD(lr=1.0), tol=0.0, max_steps=steps, target="reference"
        )
        seen.append(np.asarray(fit.params))
    assert w.shape == seen[0].shape
    # The gradients of steps 1 and 2: counts of kept entries of the three rows, of either layer.
    slopes = [seen[0] - seen[1], seen[1] - seen[2]]
    kept = [np.stack([np.round(g * 0.7) % 1000, np.round(g * 0.7) // 1000]) for g in slopes]
    for counts in kept:
        assert counts.min() >= 0
        assert counts.max() == 3
        # 1500 draws: 5 standard deviations.
        np.testing.assert_allclose(counts.mean(axis=1) / 3, 0.7, atol=5 * np.sqrt(0.21 / 1500))
    assert not np.array_equal(kept[0], kept[1])
    assert not np.array_equal(kept[0][0], kept[0][1])


def test_dropout_is_the_identity_when_the_network_is_used() -> None:
    net, p = small(), small().init(seed=5)
    plain = nn.Sequential(*net.layers[:3], nn.Function(lambda x: x), net.layers[4])
    assert net(p, X) is plain(p, X)


def test_float32_training_stays_near_float64() -> None:
    single = nn.map_tree(lambda a: a.astype("float32"), start("dense"))
    x, y = digits()
    rows = sd.matrix("X", "n", 64, "float32")
    fit = nn.minimize(
        lambda w, training: cross_entropy(NETWORKS["dense"](w, rows, training), LABELS), single,
        {rows: x[:TRAIN_ROWS].astype("float32"), LABELS: y[:TRAIN_ROWS]},
        RULES["adam"], seed=SEED, batch_size=BATCH, max_steps=FEW_STEPS, target="reference",
    )  # fmt: skip
    for key, value in nn.named_leaves(fit.params).items():
        assert value.dtype == np.float32
        # Adam's first steps have the sign of the gradient: where that is 0 to rounding, a step may go either way.
        off = np.abs(value - RECORDED[f"dense/adam/{key}"])
        assert np.median(off) < 1e-4, key
    np.testing.assert_allclose(
        fit.result.history["loss"][:FEW_STEPS], RECORDED["dense/adam-losses"][:FEW_STEPS], rtol=1e-4
    )


def test_rules_around_rules_leave_running_statistics_alone() -> None:
    """Clipping shortens the parameters' gradient only: the averages move as without."""
    x = sd.matrix("x", "n", 3)
    rng = np.random.default_rng(6)
    net = nn.Sequential(nn.BatchNorm(3), nn.Linear(3, 2))

    def fit(rule: Any) -> Any:
        values = {x: rng.normal(2.0, 3.0, (40, 3))}
        loss = lambda w, training: mse(net(w, x, training), sd.ones((x.shape[0], 2)))  # noqa: E731
        return nn.minimize(loss, net.init(seed=3), values, rule, max_steps=1, target="reference"), values[x]

    for rule in (Clip(SGD(lr=0.1), 1e-3), "bfgs"):
        trained, values = fit(rule)
        want = 0.1 * values.mean(axis=0)
        np.testing.assert_allclose(trained.params[0]["running_mean"], want, rtol=1e-14)
        np.testing.assert_allclose(trained.params[0]["running_var"], 0.9 + 0.1 * values.var(axis=0, ddof=1), rtol=1e-14)


def test_an_autoencoder_learns_the_principal_components() -> None:
    """Linear, of width k: its best loss is the sum of the smaller eigenvalues (Baldi & Hornik 1989)."""
    rng = np.random.default_rng(8)
    values = rng.normal(size=(60, 5)) @ np.diag([3.0, 2.0, 1.0, 0.3, 0.1]) @ rng.normal(size=(5, 5))
    values -= values.mean(axis=0)
    rows = sd.matrix("A", "n", 5)
    encoder, decoder = nn.Linear(5, 2, bias=False), nn.Linear(2, 5, bias=False)
    net = nn.Sequential(encoder, decoder)
    fit = nn.minimize(
        lambda w, _: mse(net(w, rows), rows),
        net.init(seed=3),
        {rows: values},
        "bfgs",
        max_steps=500,
        target="reference",
    )
    best = np.linalg.svd(values, compute_uv=False)[2:] ** 2
    assert fit.result.fun == pytest.approx(best.sum() / values.size, rel=1e-9)


def test_wrong_input() -> None:
    x, y = digits()
    data = {X: x, LABELS: y}

    def run(net: nn.Layer, params: Any, method: Any = "adam", **options: Any) -> Any:
        return nn.minimize(lambda w, t: cross_entropy(net(w, X, t), LABELS), params, data, method, **options)

    with pytest.raises(sd.DomainError, match="Newton"):
        run(small(), small().init(seed=3), "newton")
    with pytest.raises(sd.DomainError, match="LBFGS"):
        run(NETWORKS["dense"], start("dense"), "lbfgs", batch_size=10)
    with pytest.raises(sd.DTypeError, match=r"parameter '0.weight' .* got dtype int32"):
        run(small(), nn.map_tree(lambda a: a.astype("int32"), small().init(seed=3)))
    net = NETWORKS["dense"]
    with pytest.raises(sd.DomainError, match=r"does not hand `training` to the BatchNorm that '2.running_mean'"):
        nn.minimize(lambda w, t: cross_entropy(net(w, X), LABELS), start("dense"), data)
    with pytest.raises(sd.DomainError, match="takes the variance of a batch; batch_size is 2 or more"):
        run(net, start("dense"), batch_size=1)
    random = nn.Sequential(nn.Dropout(0.5), nn.Linear(64, 10))
    with pytest.raises(sd.DomainError, match="Dropout makes every step's loss another one, and BFGS compares"):
        run(random, random.init(seed=3), "bfgs")
    with pytest.raises(sd.DTypeError, match="loss takes two arguments"):
        nn.minimize(lambda w: w, start("dense"), data)  # type: ignore[arg-type, misc]  # that is the mistake
    wrong = small().init(seed=3)
    wrong[0]["bias"] = np.zeros(13)
    with pytest.raises(sd.ShapeError):
        run(small(), wrong)
