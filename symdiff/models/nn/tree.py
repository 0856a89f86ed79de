"""Trees of parameters: dicts, tuples and lists of arrays, nested at will.

A leaf is named by its path, as in PyTorch's state_dict: "0.weight", "encoder.2.bias".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from symdiff.ir.errors import DomainError, DTypeError, ShapeError
from symdiff.ir.node import DTYPES, Node
from symdiff.ops import leaves as leaf_ops

Tree = Any  # a dict of trees by name, a tuple or list of trees, or a leaf


def named_leaves(tree: Tree) -> dict[str, Any]:
    """Return the leaves by name, in order.

    Raises: DomainError for two leaves of one name.

    >>> list(named_leaves(({"weight": 1.0, "bias": 2.0}, (), {"weight": 3.0})))
    ['0.weight', '0.bias', '2.weight']
    """
    out: dict[str, Any] = {}
    for name, leaf in _walk(tree, ()):
        if name in out:
            raise DomainError(f"Two parameters of the tree are named {name!r}; rename a key.")
        out[name] = leaf
    return out


def leaves(tree: Tree) -> list[Any]:
    """Return the leaves in order."""
    return list(named_leaves(tree).values())


def map_tree(function: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """Return the tree of function(leaf, …) for the leaves of trees of one form. Raises ShapeError for other forms."""
    return _map(function, (tree, *others), ())


def symbols(params: Tree) -> Tree:
    """Return a tree of symbols for a tree of arrays: the unknowns of a network.

    >>> import numpy as np
    >>> w = symbols(({"weight": np.zeros((2, 3)), "bias": np.zeros(2)},))
    >>> w[0]["weight"].shape
    (2, 3)
    """
    found = {name: _symbol(name, leaf) for name, leaf in named_leaves(params).items()}
    return _filled(params, iter(found.values()))


def pairs(w: Tree, params: Tree) -> dict[Node, Any]:
    """Return {symbol: array} for a tree of symbols and one of arrays, as `sd.minimize` takes its start."""
    out: dict[Node, Any] = {}
    map_tree(out.__setitem__, w, params)
    return out


def values(w: Tree, found: Mapping[Any, Any]) -> Tree:
    """Undo `pairs`: return the tree of the values of its symbols, such as `res.x` holds them."""
    return map_tree(lambda symbol: found[symbol], w)


def _walk(tree: Tree, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    children = _children(tree)
    if children is None:
        yield ".".join(path) or "w", tree
        return
    for key, child in children:
        yield from _walk(child, (*path, key))


def _children(tree: Tree) -> list[tuple[str, Tree]] | None:
    """The branches by name, None for a leaf."""
    if isinstance(tree, Mapping):
        bad = [key for key in tree if not isinstance(key, str)]
        if bad:
            raise DTypeError(f"The keys of a tree of parameters are strings, got {bad[0]!r}.")
        return list(tree.items())
    return [(str(k), t) for k, t in enumerate(tree)] if isinstance(tree, (tuple, list)) else None


def _map(function: Callable[..., Any], trees: tuple[Tree, ...], path: tuple[str, ...]) -> Tree:
    branches = [_children(t) for t in trees]
    first = branches[0]
    keys = [None if b is None else [key for key, _ in b] for b in branches]
    for other in keys[1:]:
        if other != keys[0]:
            at = ".".join(path) or "the root"
            raise ShapeError(f"Trees of parameters differ at {at}: one has {_form(keys[0])}, another {_form(other)}.")
    if first is None:
        return function(*trees)
    below = [[child for _, child in b or ()] for b in branches]
    done = [_map(function, children, (*path, first[k][0])) for k, children in enumerate(zip(*below, strict=True))]
    return _built(trees[0], done)


def _form(keys: list[str] | None) -> str:
    return "a leaf" if keys is None else "the branches " + ", ".join(keys) if keys else "no branch"


def _built(like: Tree, children: list[Tree]) -> Tree:
    if isinstance(like, Mapping):
        return dict(zip(like, children, strict=True))
    return children if isinstance(like, list) else tuple(children)


def _filled(tree: Tree, stream: Iterator[Any]) -> Tree:
    return map_tree(lambda _: next(stream), tree)


def _symbol(name: str, leaf: Any) -> Node:
    array = np.asarray(leaf)
    dtype = str(array.dtype)
    if dtype not in DTYPES:
        raise DTypeError(f"The parameter {name!r} is an array of numbers such as float64, got dtype {dtype}.")
    return leaf_ops.symbol(name=name, shape=array.shape, dtype=dtype)
