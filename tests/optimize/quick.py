"""First-order rules with rates at which they settle on small problems within some hundred steps."""

from __future__ import annotations

from symdiff.optimize import SGD, Adagrad, Adam, AdamW, InverseSqrt, RMSprop, Rule

QUICK: dict[str, Rule] = {
    "adagrad": Adagrad(lr=0.5),
    "adam": Adam(lr=0.1),
    "adamw": AdamW(lr=0.1, weight_decay=0.0),
    "momentum": SGD(lr=0.05, momentum=0.9),
    "nesterov": SGD(lr=0.05, momentum=0.9, nesterov=True),
    "rmsprop": RMSprop(lr=InverseSqrt(0.3), eps=1e-2),
    "sgd": SGD(lr=0.1),
}
