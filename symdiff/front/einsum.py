"""einsum: sums of products in index notation, as transposes, reshapes and batched matrix products."""

from __future__ import annotations

from typing import Any

from symdiff.front import arrays
from symdiff.front.contraction import Tree, contraction
from symdiff.ir.dims import Extent, product
from symdiff.ir.errors import ShapeError
from symdiff.ir.node import Node, as_node, brief
from symdiff.ops import index, leaves, linalg

Labels = tuple[str, ...]


def einsum(subscripts: str, *operands: Any) -> Node:
    """Return the sum of products that the subscripts name, with NumPy's rules (implicit output and "..." too).

    Three or more operands are multiplied in the order that costs least; see `contraction`. Raises ShapeError where
    subscripts and shapes do not fit.

    >>> from symdiff.front.symbols import array
    >>> einsum("bij,bjk->bik", array("a", ("b", 2, 3)), array("c", ("b", 3, 4))).shape
    (b, 2, 4)
    """
    nodes = [as_node(x) for x in operands]
    inputs, output = _parse(subscripts, nodes)
    extents = _check_extents(subscripts, inputs, nodes)
    terms = [_diagonal(x, labels) for x, labels in zip(nodes, inputs, strict=True)]
    tree = contraction([frozenset(labels) for _, labels in terms], frozenset(output), extents)
    x, labels = _contracted(tree, terms, frozenset(output))
    x, labels = _sum_out(x, labels, set(output))
    return index.transpose(x, perm=tuple(labels.index(label) for label in output))


def _contracted(tree: Tree, terms: list[tuple[Node, Labels]], needed: frozenset[str]) -> tuple[Node, Labels]:
    """Multiply the terms of a tree; `needed` are the labels that others need. As deep as there are operands."""
    if isinstance(tree, int):
        return terms[tree]
    left, right = tree
    names = [frozenset().union(*(terms[k][1] for k in _operands(side))) for side in tree]
    x, x_labels = _contracted(left, terms, needed | names[1])
    y, y_labels = _contracted(right, terms, needed | names[0])
    return _product(x, x_labels, y, y_labels, set(needed))


def _operands(tree: Tree) -> list[int]:
    return [tree] if isinstance(tree, int) else [k for side in tree for k in _operands(side)]


def _parse(subscripts: Any, nodes: list[Node]) -> tuple[list[Labels], Labels]:
    if not isinstance(subscripts, str):
        raise ShapeError(f"einsum takes subscripts such as 'ij,jk->ik' first, got {subscripts!r}.")
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    parts = left.split(",")
    if len(parts) != len(nodes):
        raise ShapeError(f"einsum {subscripts!r} names {len(parts)} operands, got {len(nodes)}.")
    inputs = [_labels(part, x, subscripts) for part, x in zip(parts, nodes, strict=True)]
    # The axes under "..." are labelled from the right, "...0" being the last, so that they broadcast.
    dots = sorted({label for labels in inputs for label in labels if label.startswith(".")}, key=_from_right)
    if arrow:
        named = _split(right, subscripts)
        output = tuple(dots if c == "..." else [c] for c in named)
        flat = tuple(label for group in output for label in group)
    else:
        every = [label for labels in inputs for label in labels if not label.startswith(".")]
        flat = (*dots, *sorted(label for label in set(every) if every.count(label) == 1))
    known = {label for labels in inputs for label in labels}
    for label in flat:
        if label not in known or flat.count(label) > 1:
            raise ShapeError(f"einsum {subscripts!r}: the output index {label!r} is not one index of the operands.")
    return inputs, flat


def _from_right(label: str) -> int:
    return -int(label[3:])


def _split(part: str, subscripts: str) -> list[str]:
    head, dots, tail = part.partition("...")
    found = [*head, *(["..."] if dots else []), *tail]
    for c in found:
        if c != "..." and not (c.isascii() and c.isalpha()):
            raise ShapeError(f"einsum {subscripts!r}: an index is a letter, got {c!r}.")
    return found


def _labels(part: str, x: Node, subscripts: str) -> Labels:
    named = _split(part, subscripts)
    n_dots = x.ndim - sum(1 for c in named if c != "...")
    if n_dots < 0 or (n_dots and "..." not in named):
        raise ShapeError(f"einsum {subscripts!r}: {part!r} does not name the {x.ndim} axes of {brief(x)} ({x.line}).")
    out: list[str] = []
    for c in named:
        out.extend([f"...{k}" for k in reversed(range(n_dots))] if c == "..." else [c])
    return tuple(out)


def _check_extents(subscripts: str, inputs: list[Labels], nodes: list[Node]) -> dict[str, Extent]:
    """Return the extent of every label."""
    extents: dict[str, tuple[Extent, Node]] = {}
    for labels, x in zip(inputs, nodes, strict=True):
        for label, d in zip(labels, x.shape, strict=True):
            known, first = extents.setdefault(label, (d, x))
            if label.startswith(".") and 1 in (known, d):
                extents[label] = (d, x) if known == 1 else (known, first)
            elif known != d:
                raise ShapeError(
                    f"einsum {subscripts!r}: index {label!r} has extent {known} in {brief(first)} "
                    f"and {d} in {brief(x)} ({x.line})."
                )
    return {label: d for label, (d, _) in extents.items()}


def _diagonal(x: Node, labels: Labels) -> tuple[Node, Labels]:
    """Keep the diagonal of axes with the same label."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            i = labels.index(label)
            j = labels.index(label, i + 1)
            rest = [k for k in range(x.ndim) if k not in (i, j)]
            n = x.shape[i]
            moved = index.transpose(x, perm=(i, j, *rest))
            flat = index.reshape(moved, shape=(product((n, n)), *(x.shape[k] for k in rest)))
            x = index.take(flat, leaves.iota(n=n) * (n + 1), axis=0)
            labels = (label, *(labels[k] for k in rest))
    return x, labels


def _sum_out(x: Node, labels: Labels, needed: set[str]) -> tuple[Node, Labels]:
    gone = [k for k, label in enumerate(labels) if label not in needed]
    return (arrays.sum(x, gone) if gone else x), tuple(label for label in labels if label in needed)


def _product(x: Node, left: Labels, y: Node, right: Labels, needed: set[str]) -> tuple[Node, Labels]:
    """Multiply two terms and sum over the labels that nobody needs any more."""
    x, left = _sum_out(x, left, needed | set(right))
    y, right = _sum_out(y, right, needed | set(left))
    both = [label for label in left if label in right]
    # An axis under "..." that is repeated on one side only cannot be summed by a matrix product.
    inner = [label for label in both if label not in needed]
    batch = [label for label in both if label in needed]
    rows = [label for label in left if label not in right]
    cols = [label for label in right if label not in left]
    x = index.transpose(x, perm=tuple(left.index(label) for label in (*batch, *rows, *inner)))
    y = index.transpose(y, perm=tuple(right.index(label) for label in (*batch, *inner, *cols)))
    n_batch, n_inner = len(batch), len(inner)
    row_shape, col_shape = x.shape[n_batch : x.ndim - n_inner], y.shape[n_batch + n_inner :]
    x_inner, y_inner = x.shape[x.ndim - n_inner :], y.shape[n_batch : n_batch + n_inner]
    labels = (*batch, *rows, *cols)
    is_float = x.dtype.startswith("float") or y.dtype.startswith("float")
    if inner and is_float and x_inner == y_inner:
        wide = index.reshape(x, shape=(*x.shape[:n_batch], product(row_shape), product(x_inner)))
        tall = index.reshape(y, shape=(*y.shape[:n_batch], product(y_inner), product(col_shape)))
        out = linalg.matmul(wide, tall)
        return index.reshape(out, shape=(*out.shape[:n_batch], *row_shape, *col_shape)), labels
    # No common sum, or integers, which must stay exact: broadcast, multiply, sum.
    x = index.reshape(x, shape=(*x.shape[:n_batch], *row_shape, *x_inner, *(1 for _ in cols)))
    y = index.reshape(y, shape=(*y.shape[:n_batch], *(1 for _ in rows), *y_inner, *col_shape))
    first = n_batch + len(rows)
    return arrays.sum(x * y, tuple(range(first, first + n_inner))) if inner else x * y, labels
