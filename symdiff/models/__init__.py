"""Losses and estimators: mathematics on top of expressions and `minimize`."""

from symdiff.models import kernels, nn, selection
from symdiff.models.estimator import Classifier, Estimator, Regressor, Transformer
from symdiff.models.gaussian_process import GaussianProcessRegressor
from symdiff.models.kernel_ridge import KernelRidge
from symdiff.models.lasso import Lasso
from symdiff.models.linear_regression import LinearRegression, Ridge
from symdiff.models.linear_svc import LinearSVC
from symdiff.models.logistic_regression import LogisticRegression
from symdiff.models.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    hinge,
    huber,
    kl,
    l1,
    logistic,
    mse,
    nll,
    perceptron,
    smooth_l1,
    squared_hinge,
)
from symdiff.models.pca import PCA
from symdiff.models.random_features import RandomFourierFeatures
from symdiff.models.random_projection import GaussianRandomProjection, johnson_lindenstrauss_min_dim
from symdiff.models.rosenblatt import Perceptron
from symdiff.models.svc import SVC

__all__ = [
    "PCA",
    "SVC",
    "Classifier",
    "Estimator",
    "GaussianProcessRegressor",
    "GaussianRandomProjection",
    "KernelRidge",
    "Lasso",
    "LinearRegression",
    "LinearSVC",
    "LogisticRegression",
    "Perceptron",
    "RandomFourierFeatures",
    "Regressor",
    "Ridge",
    "Transformer",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "hinge",
    "huber",
    "johnson_lindenstrauss_min_dim",
    "kernels",
    "kl",
    "l1",
    "logistic",
    "mse",
    "nll",
    "nn",
    "perceptron",
    "selection",
    "smooth_l1",
    "squared_hinge",
]
