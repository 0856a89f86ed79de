"""ADBench's own instances with references of 20 digits and more, where the folder with them is at hand."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from demos.adbench import hand, problems

FOLDER = Path(__file__).parents[3] / "shared" / "truth"


@dataclass(frozen=True, slots=True)
class Reference:
    """An array and the largest error it allows, in units of `scale`."""

    value: np.ndarray
    scale: Any
    tolerance: float

    def error(self, got):
        """Return the largest error in units of `scale`; NaN if there is one."""
        if np.shape(got) != self.value.shape:
            raise ValueError(f"Expected shape {self.value.shape}, got {np.shape(got)}.")
        return float(np.max(np.abs(got - self.value) / self.scale))


@cache
def _file(kind):
    return json.loads((FOLDER / f"adbench_{kind}.json").read_text())["instances"]


def instances() -> Iterator[tuple[str, str]]:
    """Yield kind and name of every instance; of none where the folder is not there."""
    for kind in ("gmm", "ba", "lstm", "hand"):
        if (FOLDER / f"adbench_{kind}.json").exists():
            yield from ((kind, instance["id"]) for instance in _file(kind))


def read(kind, name):
    """Return an instance's problem, and its references by quantity."""
    instance = dict(next(i for i in _file(kind) if i["id"] == name))
    data = FOLDER / instance.get("data", f"adbench_{name}.npz")
    if data.exists():
        instance |= np.load(data)
    return {"gmm": _gmm, "ba": _ba, "lstm": _lstm, "hand": _hand}[kind](instance)


def _floats(instance, *names):
    return [np.array(instance[name], dtype=float) for name in names]


def _scalar(instance, of_gradient):
    """Objective to 1e-12 of itself, derivatives to a part of their largest entry."""
    found = {}
    for name, tolerance in (("objective", 1e-12), ("gradient", of_gradient), ("hessian", of_gradient)):
        if name in instance:
            (value,) = _floats(instance, name)
            value = value.reshape(1) if name == "objective" else value
            found[name] = Reference(value, np.max(np.abs(value)), tolerance)
    return found


def _gmm(instance):
    arguments = _floats(instance, "alphas", "means", "icf", "x", "gamma", "m")
    problem = problems.gmm_problem(arguments, "hessian" in instance)
    return problem, _scalar(instance, 1e-10 if instance["n"] == 1000 else 1e-11)


def _lstm(instance):
    layers, b = instance["layers"], instance["char_bits"]
    shapes = (layers, 2, 4, b), (3, b), (layers, 2, b), (-1, b)
    arrays = _floats(instance, "main_params", "extra_params", "state", "sequence")
    arguments = [a.reshape(shape) for a, shape in zip(arrays, shapes, strict=True)]
    return problems.lstm_problem(arguments, "hessian" in instance), _scalar(instance, 1e-11)


def _ba(instance):
    cameras, points, weights, features = _floats(instance, "cams", "points", "weights", "features")
    problem = problems.ba_problem(cameras, points, weights, np.array(instance["observations"]), features)
    errors, of_weights, jacobian = _floats(instance, "reproj_err", "w_err", "jacobian_blocks")
    return problem, {
        "errors": Reference(errors, np.maximum(1, np.abs(errors)), 1e-11),
        "errors of weights": Reference(of_weights, 1.0, 1e-11),
        # Every entry to 11 digits; at rotations near 0 too, as `rotate` takes no differences there.
        "jacobian": Reference(jacobian, np.where(jacobian == 0, 1.0, np.abs(jacobian)), 1e-11),
    }


def hand_model():
    """Return the mesh and bones of ADBench's hand."""
    arrays = np.load(FOLDER / "adbench_hand_model.npz")
    return hand.Model(*(arrays[name] for name in hand.Model.__dataclass_fields__))


def _hand(instance):
    names = ("theta", "correspondences", "points", "us")
    problem = problems.hand_problem(hand_model(), *(instance[name] for name in names if name in instance))
    errors, by_theta = instance["err"].reshape(-1, 3), instance["J_theta"].reshape(-1, 3, 26)
    references = {"errors": Reference(errors, 1.0, 1e-13), "jacobian": Reference(by_theta, 1.0, 1e-12)}
    if "J_us" in instance:
        references["jacobian by us"] = Reference(instance["J_us"], 1.0, 1e-12)
    return problem, references
