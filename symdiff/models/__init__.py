"""Losses and estimators: mathematics on top of expressions and `minimize`."""

from symdiff.models.estimator import Estimator
from symdiff.models.logistic_regression import LogisticRegression
from symdiff.models.losses import binary_cross_entropy_with_logits, cross_entropy, logistic, mse

__all__ = [
    "Estimator",
    "LogisticRegression",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "logistic",
    "mse",
]
