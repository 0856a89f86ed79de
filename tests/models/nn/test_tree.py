"""Trees of parameters, and where parameters begin."""

from __future__ import annotations

import math

import numpy as np
import pytest

import symdiff as sd
from symdiff.models import nn

TREE = ({"weight": np.arange(6.0).reshape(2, 3), "bias": np.zeros(2)}, (), {"cells": [np.ones(4), np.float64(7.0)]})
FAN_IN, FAN_OUT = 3 * 20, 50 * 20  # of a weight (50, 3, 4, 5)


def test_symbols_pairs_and_values_are_inverse() -> None:
    w = nn.symbols(TREE)
    assert list(nn.named_leaves(w)) == ["0.weight", "0.bias", "2.cells.0", "2.cells.1"]
    assert [s.params["name"] for s in nn.leaves(w)] == list(nn.named_leaves(w))
    pairs = nn.pairs(w, TREE)
    back = nn.values(w, pairs)
    assert type(back) is tuple
    assert type(back[2]["cells"]) is list
    for a, b in zip(nn.leaves(back), nn.leaves(TREE), strict=True):
        assert a is b
    doubled = nn.map_tree(lambda a, b: a + b, TREE, TREE)
    np.testing.assert_array_equal(doubled[0]["weight"], 2 * TREE[0]["weight"])


def test_minimize_takes_the_pairs_of_a_tree() -> None:
    w = nn.symbols(TREE)
    f = sum(sd.sum((s - 2) ** 2) for s in nn.leaves(w))
    found = nn.values(w, sd.minimize(f, nn.pairs(w, TREE), target="reference").x)
    for leaf in nn.leaves(found):
        np.testing.assert_allclose(leaf, 2.0, rtol=1e-14)


def test_one_array_is_a_tree() -> None:
    assert nn.symbols(np.zeros(3)).params["name"] == "w"
    assert nn.leaves(3.0) == [3.0]


def test_wrong_trees_are_refused() -> None:
    with pytest.raises(sd.DomainError, match=r"Two parameters of the tree are named 'a.b'"):
        nn.symbols({"a": {"b": 1.0}, "a.b": 2.0})
    with pytest.raises(sd.DTypeError, match="strings, got 3"):
        nn.symbols({3: 1.0})
    with pytest.raises(sd.ShapeError, match=r"differ at 1\.weight: one has a leaf, another no branch"):
        nn.map_tree(max, (1, {"weight": 2}), (1, {"weight": ()}))
    with pytest.raises(sd.ShapeError, match="differ at the root: one has the branches 0, 1, another the branches 0"):
        nn.map_tree(max, (1, 2), (1,))
    with pytest.raises(sd.DTypeError, match="'name' is an array of numbers"):
        nn.symbols({"name": "text"})


@pytest.mark.parametrize(
    ("initialiser", "std", "bound"),
    [
        (nn.xavier_uniform(2.0), 2 * math.sqrt(2 / (FAN_IN + FAN_OUT)), 2 * math.sqrt(6 / (FAN_IN + FAN_OUT))),
        (nn.xavier_normal(), math.sqrt(2 / (FAN_IN + FAN_OUT)), math.inf),
        (nn.kaiming_uniform(), math.sqrt(2 / FAN_IN), math.sqrt(6 / FAN_IN)),
        (nn.kaiming_uniform(math.sqrt(5)), math.sqrt(1 / 3 / FAN_IN), math.sqrt(1 / FAN_IN)),
        (nn.kaiming_normal(0.2, "fan_out"), math.sqrt(2 / 1.04 / FAN_OUT), math.inf),
        (nn.uniform(-0.3, 0.3), 0.3 / math.sqrt(3), 0.3),
        (nn.normal(0.7), 0.7, math.inf),
        (nn.constant(0.0), 0.0, 0.0),
    ],
)
def test_initialisers_have_pytorchs_spread(initialiser: nn.Initialiser, std: float, bound: float) -> None:
    draw = initialiser(np.random.default_rng(5), (50, 3, 4, 5))
    assert draw.shape == (50, 3, 4, 5)
    assert np.abs(draw).max(initial=0.0) <= bound
    # 3000 draws: the standard deviation is known to 1/sqrt(6000), four of which are allowed.
    assert draw.std() == pytest.approx(std, rel=0.052)
    assert abs(draw.mean()) <= 4 * std / math.sqrt(3000)


@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (6, 2, 5)])
def test_orthogonal_matrices(shape: tuple[int, ...]) -> None:
    q = nn.orthogonal(1.5)(np.random.default_rng(5), shape).reshape(shape[0], -1)
    gram = q.T @ q if q.shape[0] >= q.shape[1] else q @ q.T
    np.testing.assert_allclose(gram, 2.25 * np.eye(len(gram)), atol=1e-14)


def test_seeds() -> None:
    net = nn.Sequential(nn.Linear(4, 3, weight=nn.xavier_normal()), nn.GRU(3, 2))
    first, again, other = (nn.leaves(net.init(seed=k)) for k in (5, 5, 6))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    assert {a.dtype.name for a in nn.leaves(net.init(seed=5, dtype="float32"))} == {"float32"}


def test_initialisers_need_a_matrix() -> None:
    with pytest.raises(sd.ShapeError, match=r"got shape \(3,\)"):
        nn.xavier_normal()(np.random.default_rng(5), (3,))
    with pytest.raises(sd.DomainError, match="'fan_in' or 'fan_out', got 'fan'"):
        nn.kaiming_normal(mode="fan")(np.random.default_rng(5), (3, 2))
