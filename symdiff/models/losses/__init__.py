"""Losses: expressions of predictions and targets, with PyTorch's definitions and options.

Every loss takes `reduction`: "mean", "sum" or "none" (one number for each sample). At kinks a derivative is the one of
symdiff: that of |x| and of max(x, 0) is 0 at 0.
"""

from symdiff.models.losses.binary import binary_cross_entropy, binary_cross_entropy_with_logits
from symdiff.models.losses.classes import cross_entropy, nll
from symdiff.models.losses.distances import huber, l1, mse, smooth_l1
from symdiff.models.losses.divergence import kl
from symdiff.models.losses.margins import hinge, logistic, perceptron, squared_hinge

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "hinge",
    "huber",
    "kl",
    "l1",
    "logistic",
    "mse",
    "nll",
    "perceptron",
    "smooth_l1",
    "squared_hinge",
]
