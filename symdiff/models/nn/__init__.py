"""Networks as functions of parameter trees, with PyTorch's names, definitions and layouts of weights.

net = nn.Sequential(nn.Linear(784, 512), nn.relu, nn.Linear(512, 10))
fit = nn.minimize(lambda w, training: cross_entropy(net(w, X, training), y), net.init(seed=5), {X: …, y: …})
predict = nn.compile(net, fit.params, X)
"""

from symdiff.models.nn.activations import elu, gelu, relu, sigmoid, softmax, softplus, tanh
from symdiff.models.nn.attention import MultiheadAttention, positional_encoding, scaled_dot_product_attention
from symdiff.models.nn.convolution import AvgPool2d, Conv2d, MaxPool2d
from symdiff.models.nn.dropout import Dropout
from symdiff.models.nn.initialisers import (
    Initialiser,
    constant,
    kaiming_normal,
    kaiming_uniform,
    normal,
    orthogonal,
    uniform,
    xavier_normal,
    xavier_uniform,
)
from symdiff.models.nn.layer import Function, Layer, Residual, Sequential
from symdiff.models.nn.linear import Flatten, Linear
from symdiff.models.nn.minimize import Trained, compile, minimize
from symdiff.models.nn.normalisation import BatchNorm, LayerNorm
from symdiff.models.nn.recurrent import GRU, LSTM, RNN, Recurrent
from symdiff.models.nn.training import Training
from symdiff.models.nn.tree import leaves, map_tree, named_leaves, pairs, symbols, values

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "AvgPool2d",
    "BatchNorm",
    "Conv2d",
    "Dropout",
    "Flatten",
    "Function",
    "Initialiser",
    "Layer",
    "LayerNorm",
    "Linear",
    "MaxPool2d",
    "MultiheadAttention",
    "Recurrent",
    "Residual",
    "Sequential",
    "Trained",
    "Training",
    "compile",
    "constant",
    "elu",
    "gelu",
    "kaiming_normal",
    "kaiming_uniform",
    "leaves",
    "map_tree",
    "minimize",
    "named_leaves",
    "normal",
    "orthogonal",
    "pairs",
    "positional_encoding",
    "relu",
    "scaled_dot_product_attention",
    "sigmoid",
    "softmax",
    "softplus",
    "symbols",
    "tanh",
    "uniform",
    "values",
    "xavier_normal",
    "xavier_uniform",
]
