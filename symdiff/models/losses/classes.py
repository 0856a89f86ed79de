"""Cross-entropy of several classes: targets are classes by number, or their probabilities."""

from __future__ import annotations

from typing import Any

from symdiff.front.sorting import take_along_axis
from symdiff.ir.dims import Shape, shape_text
from symdiff.ir.errors import DomainError, DTypeError, ShapeError
from symdiff.ir.node import Node, as_node, brief, const
from symdiff.ir.primitive import cast
from symdiff.models.losses.common import Reduction, as_floats, reduced
from symdiff.ops.elementwise import exp, isfinite, log, ne, where
from symdiff.ops.index import broadcast_to, reshape, take, transpose
from symdiff.ops.reduce import max_, sum_


def cross_entropy(
    logits: Any,
    target: Any,
    reduction: Reduction = "mean",
    *,
    weight: Any = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Node:
    """Return -sum_k w_k t_k log(softmax(z)_k) for logits z, target probabilities t and weights w of the classes.

    A target of integers names the class with t_k = 1. Samples of class `ignore_index` then count nothing, and the mean
    divides by the weights of the others' classes; for probabilities it divides by the number of samples: PyTorch's
    definitions. `label_smoothing` s replaces t by (1 - s) t + s/n_classes.

    Shapes: the classes are along the second axis, that of a vector along its only one. Probabilities have the shape of
    the logits, integers that without the classes; weight is (n_classes,).
    Raises: ShapeError, DTypeError, DomainError; DomainError at run time for a class out of range.
    Method: log-sum-exp with the row's maximum taken out.

    >>> import symdiff as sd
    >>> z, t = sd.matrix("z", "n", 3), sd.array("t", "n", dtype="int64")
    >>> sd.compile(cross_entropy(z, t), [z, t])([[0.0, 0.0, 0.0], [9.0, 0.0, 0.0]], [1, 0])
    0.549429...
    """
    if not isinstance(label_smoothing, (int, float)) or not 0 <= label_smoothing <= 1:
        raise DomainError(f"cross_entropy: label_smoothing lies in [0, 1], got {label_smoothing!r}.")
    z, t = _rows("cross_entropy", as_floats("cross_entropy", logits)), as_node(target)
    w = None if weight is None else _class_weights("cross_entropy", weight, z)
    shifted, normaliser = _log_softmax(z)
    if t.ndim == z.ndim:
        t = _rows("cross_entropy", t)
        if t.shape != z.shape or not t.dtype.startswith("float"):
            raise _no_target("cross_entropy", z, t)
        if label_smoothing:
            t = (1 - label_smoothing) * t + label_smoothing / _n_classes(z)
        share = t if w is None else w * t
        losses = _total(share) * normaliser - _total(share * shifted)
        return reduced("cross_entropy", losses, reduction)
    log_p = shifted - _column(normaliser)
    return _of_classes("cross_entropy", log_p, t, w, ignore_index, label_smoothing, reduction)


def nll(
    log_probabilities: Any,
    target: Any,
    reduction: Reduction = "mean",
    *,
    weight: Any = None,
    ignore_index: int = -100,
) -> Node:
    """Return -w_k log_probabilities_k for the class k = target of each sample and weights w of the classes.

    Samples of class `ignore_index` count nothing; the mean divides by the sum of the other samples' weights.

    Shapes: the classes are along the second axis, that of a vector along its only one; target has the shape without
    it; weight is (n_classes,).
    Raises: as `cross_entropy`.
    """
    log_p, t = _rows("nll", as_floats("nll", log_probabilities)), as_node(target)
    w = None if weight is None else _class_weights("nll", weight, log_p)
    return _of_classes("nll", log_p, t, w, ignore_index, 0.0, reduction)


def _of_classes(
    name: str, log_p: Node, t: Node, w: Node | None, ignore_index: int, smoothing: float, reduction: Reduction
) -> Node:
    if t.dtype != "int64" or t.shape != log_p.shape[:-1]:
        raise _no_target(name, log_p, t)
    kept = ne(t, ignore_index)
    n_classes = cast(_n_classes(log_p), "int64")
    # A negative class must not count from the end: n_classes is out of range too, and `take` says so.
    legal = where(kept, where(t < 0, n_classes, t), 0)
    picked = reshape(take_along_axis(log_p, _column(legal)), shape=t.shape)
    one = broadcast_to(const(1.0, log_p.dtype), shape=t.shape)
    share = where(kept, one if w is None else take(w, legal, axis=0), 0.0)
    losses = where(kept, -share * picked, 0.0)
    if smoothing:
        all_classes = -_total(log_p if w is None else w * log_p)
        losses = (1 - smoothing) * losses + where(kept, smoothing / _n_classes(log_p) * all_classes, 0.0)
    return reduced(name, losses, reduction, share)


def _log_softmax(z: Node) -> tuple[Node, Node]:
    """Return (z less the row's maximum, the logarithm of the sum of its exponentials): their difference is the result.

    Kept apart: the difference rounds a small result away where it is added to large ones.
    """
    top = max_(z, axes=(z.ndim - 1,))
    # The value does not depend on what is taken out; an infinite maximum stays in and gives inf or NaN as it should.
    shifted = z - _column(where(isfinite(top), top, const(0.0, z.dtype)))
    return shifted, log(_total(exp(shifted)))


def _rows(name: str, z: Node) -> Node:
    """Return z with the axis of the classes moved to the end."""
    if not z.ndim:
        raise ShapeError(f"{name}: an axis holds the classes, got the scalar {brief(z)}.")
    return transpose(z, perm=(0, *range(2, z.ndim), 1)) if z.ndim > 2 else z


def _class_weights(name: str, weight: Any, z: Node) -> Node:
    w = as_node(weight, like=z.dtype)
    if w.shape != z.shape[-1:]:
        raise ShapeError(
            f"{name}: weight has one number a class, {shape_text(z.shape[-1:])}, got shape {shape_text(w.shape)}."
        )
    return w


def _no_target(name: str, z: Node, t: Node) -> ShapeError | DTypeError:
    def text(shape: Shape) -> str:
        # The user's order of axes.
        return shape_text((shape[0], shape[-1], *shape[1:-1]) if len(shape) > 2 else shape)

    kind = DTypeError if t.shape in (z.shape, z.shape[:-1]) else ShapeError
    probabilities = f", or probabilities of shape {text(z.shape)}" if name == "cross_entropy" else ""
    return kind(
        f"{name}: the target {brief(t)} holds classes, of dtype int64 and shape {shape_text(z.shape[:-1])}"
        f"{probabilities}; got dtype {t.dtype} and shape {text(t.shape)}."
    )


def _n_classes(z: Node) -> Node:
    return cast(as_node(z.shape[-1]), z.dtype)


def _total(x: Node) -> Node:
    return sum_(x, axes=(x.ndim - 1,))


def _column(x: Node) -> Node:
    return reshape(x, shape=(*x.shape, 1))


__all__ = ["cross_entropy", "nll"]
