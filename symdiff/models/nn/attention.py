"""Attention (Vaswani et al. 2017)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.front.arrays import softmax, transpose
from symdiff.front.literals import arange
from symdiff.ir.errors import DomainError, ShapeError
from symdiff.ir.node import Node, as_node, brief
from symdiff.models.nn.initialisers import xavier_uniform
from symdiff.models.nn.layer import Layer
from symdiff.models.nn.linear import DEFAULT, check_sizes
from symdiff.models.nn.training import Training
from symdiff.models.nn.tree import Tree
from symdiff.ops.elementwise import where
from symdiff.ops.index import reshape
from symdiff.ops.linalg import matmul
from symdiff.ops.matmul import matrix_transpose


def scaled_dot_product_attention(query: Any, key: Any, value: Any, mask: Any = None, causal: bool = False) -> Node:
    """Return softmax(Q K' / sqrt(d)) V over the last two axes, as PyTorch's function of this name.

    `mask` is a bool array, False where a query does not see a key, or numbers to add to the scores; `causal` lets a
    query see the keys up to its own place. A query that sees no key gives NaN.

    Shapes: query (…, t, d), key (…, s, d), value (…, s, e), mask broadcasts to (…, t, s); returns (…, t, e).
    Method: equation 1 of the paper.
    """
    q, k, v = (as_node(x) for x in (query, key, value))
    for name, x in (("query", q), ("key", k), ("value", v)):
        if x.ndim < 2:
            raise ShapeError(
                f"Attention: the {name} has at least the axes (place, feature), got {brief(x)} ({x.line})."
            )
    d = k.shape[-1]
    if not isinstance(d, int):
        raise ShapeError(f"Attention: the number of features is known when it is built, got {brief(k)} ({k.line}).")
    scores = matmul(q, matrix_transpose(k)) / math.sqrt(d)
    if mask is not None:
        given = as_node(mask)
        scores = where(given, scores, -math.inf) if given.dtype == "bool" else scores + given
    if causal:
        t, s = scores.shape[-2:]
        scores = where(reshape(arange(t), shape=(t, 1)) >= arange(s), scores, -math.inf)
    return matmul(softmax(scores), v)


@dataclass(frozen=True, slots=True)
class MultiheadAttention(Layer):
    """Attention of several heads side by side, as `torch.nn.MultiheadAttention` with `batch_first`.

    As a layer, a sequence attends to itself; `attend` takes query, key, value and a mask (True: may be seen, as in
    `scaled_dot_product_attention`; PyTorch's class has it the other way round).

    Parameters: in_proj_weight (3 embed_dim, embed_dim), in_proj_bias, out_proj.weight, out_proj.bias.
    Shapes: (instances, places, embed_dim). Method: section 3.2.2 of the paper.
    """

    embed_dim: int
    num_heads: int = 1
    causal: bool = False

    def __post_init__(self) -> None:
        """Raise DomainError unless the heads share the features evenly."""
        check_sizes(self, "embed_dim", "num_heads")
        if self.embed_dim % self.num_heads:
            raise DomainError(
                f"MultiheadAttention: {self.embed_dim} features are no multiple of {self.num_heads} heads."
            )

    def parameters(self, random: np.random.Generator) -> Tree:
        d = self.embed_dim
        return {
            "in_proj_weight": xavier_uniform()(random, (3 * d, d)),
            "in_proj_bias": np.zeros(3 * d),
            "out_proj": {"weight": DEFAULT(random, (d, d)), "bias": np.zeros(d)},
        }

    def __call__(self, p: Tree, x: Any, training: Training | None = None) -> Node:
        return self.attend(p, x, x, x)

    def attend(self, p: Tree, query: Any, key: Any, value: Any, mask: Any = None) -> Node:
        """Return the attention of `query` to the pairs (key, value); a mask broadcasts to (n, heads, t, s)."""
        d = self.embed_dim
        q, k, v = (self._projected(p, x, part) for part, x in enumerate((query, key, value)))
        seen = scaled_dot_product_attention(q, k, v, mask, self.causal)
        joined = reshape(transpose(seen, (0, 2, 1, 3)), shape=(*as_node(query).shape[:2], d))
        return _affine(joined, p["out_proj"]["weight"], p["out_proj"]["bias"])

    def _projected(self, p: Tree, x: Any, part: int) -> Node:
        """Project x to queries, keys or values (part 0, 1, 2): (instances, heads, places, embed_dim / num_heads)."""
        node, d = as_node(x), self.embed_dim
        if node.ndim != 3 or node.shape[2] != d:
            raise ShapeError(f"{self} takes (instances, places, {d}), got {brief(node)} ({node.line}).")
        rows = slice(part * d, (part + 1) * d)
        y = _affine(node, as_node(p["in_proj_weight"])[rows], as_node(p["in_proj_bias"])[rows])
        split = reshape(y, shape=(*node.shape[:2], self.num_heads, d // self.num_heads))
        return transpose(split, (0, 2, 1, 3))


def _affine(x: Node, weight: Any, bias: Any) -> Node:
    n, t, d = x.shape
    w = as_node(weight)
    return reshape(reshape(x, shape=(n * t, d)) @ w.T + bias, shape=(n, t, w.shape[0]))


def positional_encoding(length: int, features: int) -> np.ndarray:
    """Return the sines and cosines of the places, (length, features), to be added to a sequence.

    Method: section 3.5 of the paper: sin(place / 10000^(2i/features)) in column 2i, its cosine in column 2i + 1.

    >>> positional_encoding(3, 4).round(4).tolist()[1]
    [0.8415, 0.5403, 0.01, 1.0]
    """
    columns = np.arange(features)
    angles = np.arange(length)[:, None] / 10000.0 ** (columns // 2 * 2 / features)
    return np.where(columns % 2 == 0, np.sin(angles), np.cos(angles))
