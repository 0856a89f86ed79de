"""The perceptron: a plane between two classes, found by correcting one mistake after the other."""

from __future__ import annotations

import functools
import warnings
from itertools import combinations
from typing import Any

import numpy as np

from symdiff.front.symbols import array
from symdiff.ir.node import Node, const
from symdiff.ir.primitive import cast
from symdiff.models.checks import (
    check_choice,
    check_count,
    check_features,
    check_fitted,
    check_labels,
    random_numbers,
)
from symdiff.models.estimator import Classifier
from symdiff.models.votes import by_votes
from symdiff.ops.control import while_loop
from symdiff.ops.elementwise import where
from symdiff.ops.index import take, zeros_like
from symdiff.ops.linalg import matmul
from symdiff.ops.reduce import sum_


class Perceptron(Classifier):
    """Classification by planes, w·x + b > 0: every sample on the wrong side, one after the other, moves its plane.

    For labels y of -1 and 1 and a sample with y (w·x + b) <= 0:  w += y x,  b += y. An epoch takes all samples, in an
    order drawn once by `random_state`. The run ends after an epoch without a mistake, which comes after at most (R/m)²
    mistakes in all if a plane through 0 separates the samples (x, 1) of length at most R with margin m. Otherwise it
    ends after `max_iter` epochs with a warning, and the plane is that with the fewest samples on its wrong side at the
    end of an epoch.

    More than two classes: "ovr", one plane for each class against the rest, of which the highest score wins, or "ovo",
    one for each pair of classes, and the pairs vote.

    After `fit`: `coef_` (1, n_classes or n_pairs, n_features), `intercept_`, `classes_`, `n_mistakes_` (samples on the
    wrong side of each plane), `n_iter_` (the most epochs), `n_features_in_`.

    Method: Rosenblatt 1958; Novikoff 1962 (the bound); Gallant 1990 (the best plane is kept).

    >>> model = Perceptron(target="reference").fit([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [1.0, 3.0]], [0, 0, 1, 1])
    >>> model.predict([[0.5, 0.5], [3.0, 3.0]]), model.n_mistakes_
    (array([0, 1]), array([0]))
    """

    coef_: np.ndarray
    intercept_: np.ndarray
    n_mistakes_: np.ndarray
    n_iter_: int

    def __init__(
        self,
        multi_class: str = "ovr",
        fit_intercept: bool = True,
        max_iter: int = 1000,
        random_state: int = 0,
        target: str = "cpu",
    ) -> None:
        self.multi_class = multi_class
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.random_state = random_state
        self.target = target

    def fit(self, X: Any, y: Any) -> Perceptron:
        """Fit to samples X of shape (n, n_features) and labels y of shape (n,); returns self.

        Raises: ShapeError, DTypeError, DomainError, naming what is wrong with the data.
        """
        check_choice(self, ("ovr", "ovo"), multi_class=self.multi_class)
        check_count(self, max_iter=self.max_iter)
        x = check_features(X, self)
        classes, index = check_labels(y, len(x), self)
        order = random_numbers(self, self.random_state).permutation(len(x))
        planes = [self._plane(x[k], sign) for k, sign in _questions(index, order, len(classes), self.multi_class)]
        weights, mistakes, epochs = (np.array(values) for values in zip(*planes, strict=True))
        d = x.shape[1]
        self.coef_, self.intercept_ = weights[:, :d], weights[:, d] if self.fit_intercept else np.zeros(len(weights))
        self.n_mistakes_, self.n_iter_ = mistakes, int(epochs.max())
        self.classes_, self.n_features_in_ = classes, d
        if mistakes.any():
            warnings.warn(
                f"Perceptron: after {self.n_iter_} epochs {mistakes.max()} of {len(x)} samples are on the wrong side "
                "of a plane; perhaps none separates the classes. LogisticRegression minimises a loss instead.",
                RuntimeWarning,
                stacklevel=2,
            )
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the scores: (n,) for two classes, else (n, n_classes)."""
        check_fitted(self)
        z = check_features(X, self, self.n_features_in_) @ self.coef_.T + self.intercept_
        if len(self.classes_) == 2:
            return z[:, 0]
        return z if self.multi_class == "ovr" else by_votes(z, len(self.classes_))

    def _plane(self, x: np.ndarray, sign: np.ndarray) -> tuple[np.ndarray, int, int]:
        """Return (w, with b at the end), the samples on the wrong side, and the epochs."""
        if self.fit_intercept:
            x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
        w, mistakes, epochs = _compiled(self.target)(x, sign, int(min(self.max_iter, 2**62)))
        return w, int(mistakes), int(epochs)


def _questions(index: np.ndarray, order: np.ndarray, n_classes: int, multi_class: str) -> list[Any]:
    """Return (samples, labels of -1 and 1) for each plane."""
    if n_classes == 2:
        return [(order, np.where(index[order] == 1, 1.0, -1.0))]
    if multi_class == "ovr":
        return [(order, np.where(index[order] == k, 1.0, -1.0)) for k in range(n_classes)]
    found = []
    for i, j in combinations(range(n_classes), 2):
        members = order[(index[order] == i) | (index[order] == j)]
        found.append((members, np.where(index[members] == i, 1.0, -1.0)))
    return found


def epoch(x: Node, y: Node, w: Node) -> Node:
    """Return the weights after one turn through the samples."""
    n = cast(const(0, "int64") + x.shape[0], "int64")

    def turn(k: Node, w: Node) -> list[Node]:
        sample, label = take(x, k, axis=0), take(y, k, axis=0)
        wrong = label * sum_(sample * w, axes=(0,)) <= 0
        return [k + 1, where(wrong, w + label * sample, w)]

    return while_loop(lambda k, _: k < n, turn, [const(0, "int64"), w])[1]


def run(x: Node, y: Node, most: Node) -> list[Node]:
    """Return the best weights, the samples on their wrong side, and the number of epochs, at most `most`."""

    def going(k: Node, w: Node, best: Node, fewest: Node) -> Node:
        return (k < most) & (fewest > 0)

    def turn(k: Node, w: Node, best: Node, fewest: Node) -> list[Node]:
        w = epoch(x, y, w)
        wrong = sum_(cast(y * matmul(x, w) <= 0, "int64"), axes=(0,))
        better = wrong < fewest
        return [k + 1, w, where(better, w, best), where(better, wrong, fewest)]

    zero = const(0, "int64")
    nothing = zeros_like(x[0])
    all_wrong = cast(zero + x.shape[0], "int64") + 1  # more than any plane leaves
    k, _, best, fewest = while_loop(going, turn, [zero, nothing, nothing, all_wrong])
    return [best, fewest, k]


@functools.cache
def _compiled(target: str) -> Any:
    # Late: the compiler loads LLVM.
    from symdiff.compile import compile

    x, y, most = array("X", ("n", "d")), array("y", "n"), array("most", (), dtype="int64")
    return compile(run(x, y, most), [x, y, most], target=target)


__all__ = ["Perceptron", "epoch", "run"]
