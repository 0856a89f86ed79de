"""The text form reads back to the same objects, is stable, and refuses what is damaged."""

from __future__ import annotations

import copy
import math
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import symdiff as sd
from symdiff.ir.node import Node, as_node, const
from symdiff.ir.text import parse_text, to_text
from tests.diff.programs import array_programs, scalar_programs

x, y = sd.symbols("x y")


@given(scalar_programs(), array_programs())
@settings(max_examples=60)
def test_round_trip_is_the_identity(scalar: tuple[Node, Any], array: tuple[Node, Any]) -> None:
    roots = [scalar[0], array[0], *sd.gradient(scalar[0], list(scalar[1]))]
    again = parse_text(to_text(roots))
    assert all(a is b for a, b in zip(again, roots, strict=True))


def special() -> list[Node]:
    w = sd.vector("w", "n")
    loop = sd.while_loop(lambda u, k: k < 3, lambda u, k: (u * y + w[0], k + 1), [x, 0])
    return [
        *(const(v) for v in (0.0, -0.0, math.nan, math.inf, -math.inf, 1e-320, 0.1)),
        const(7, "int64"),
        const(True, "bool"),
        const(0.1, "float32"),
        as_node(np.arange(6.0).reshape(2, 3)),
        as_node(np.array([], dtype=float)),
        as_node(np.array([True, False])),
        w[1:-1:2] + w.shape[0],
        sd.reshape(w[None, :] * w[:, None], (-1,)),
        *loop,
        sd.diff(loop[0], x),
    ]


@pytest.mark.parametrize("k", range(len(special())))
def test_special_values_round_trip(k: int) -> None:
    root = special()[k]
    assert parse_text(to_text([root]))[0] is root
    assert pickle.loads(pickle.dumps(root)) is root
    assert copy.deepcopy(root) is root
    assert copy.copy(root) is root


def test_signed_zeros_and_nan_are_different_literals() -> None:
    assert const(0.0) is not const(-0.0)
    assert const(math.nan) is const(math.nan)
    assert const(1, "int64") is not const(1.0)
    assert const(True, "bool") is not const(1, "int64")


def test_a_pickle_from_another_process() -> None:
    code = (
        "import pickle, sys, symdiff as sd; x, y = sd.symbols('x y');"
        "sys.stdout.buffer.write(pickle.dumps([sd.sin(x) * y, x]))"
    )
    raw = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert pickle.loads(raw) == [sd.sin(x) * y, x]


GOLDEN = {
    "product": (
        lambda: [x * y + x],
        """
        %0 = symbol {"name": "x", "shape": [], "dtype": "float64"}
        %1 = symbol {"name": "y", "shape": [], "dtype": "float64"}
        %2 = mul %0 %1
        %3 = add %2 %0
        return %3
        """,
    ),
    "shared": (
        lambda: [sd.sin(x) * sd.sin(x), sd.sin(x)],
        """
        %0 = symbol {"name": "x", "shape": [], "dtype": "float64"}
        %1 = sin %0
        %2 = mul %1 %1
        return %2 %1
        """,
    ),
    "literal and comparison": (
        lambda: [sd.where(x > 0.5, x, 2)],
        """
        %0 = symbol {"name": "x", "shape": [], "dtype": "float64"}
        %1 = const {"value": {"float": "0x1.0000000000000p-1"}, "dtype": "float64"}
        %2 = gt %0 %1
        %3 = const {"value": {"float": "0x1.0000000000000p+1"}, "dtype": "float64"}
        %4 = where %2 %0 %3
        return %4
        """,
    ),
    "mean over a run-time size": (
        lambda: [sd.sum(sd.vector("w", "n")) / sd.vector("w", "n").shape[0]],
        """
        %0 = symbol {"name": "w", "shape": [{"dim": [[["n"], 1]]}], "dtype": "float64"}
        %1 = sum %0 {"axes": [0]}
        %2 = size {"dim": {"dim": [[["n"], 1]]}}
        %3 = cast %2 {"dtype": "float64"}
        %4 = div %1 %3
        return %4
        """,
    ),
    "slice": (
        lambda: [sd.vector("v", 5)[1:5:2]],
        """
        %0 = symbol {"name": "v", "shape": [5], "dtype": "float64"}
        %1 = slice %0 {"starts": [1], "extents": [2], "steps": [2]}
        return %1
        """,
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str) -> None:
    build, text = GOLDEN[name]
    assert to_text(build()) == "\n".join(line.strip() for line in text.strip().splitlines())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "%0 = sin",
        "%0 = sin %1\nreturn %0",
        "%0 = nothing\nreturn %0",
        '%0 = symbol {"name": "x", "shape": [], "dtype": "float64"',
        '%0 = symbol {"name": "x", "shape": [], "dtype": "float64"}\nreturn %7',
        '%0 = symbol {"name": "x", "shape": [], "dtype": "float64"}\nreturned %0',
        '%0 = symbol {"name": "x", "shape": [], "dtype": "float64"}\n%1 = sin %0 %0 %0\nreturn %1',
        '%0 = symbol {"name": "x"}\nreturn %0',
        '%0 = symbol {"name": "x", "shape": [], "dtype": "complex"}\nreturn %0',
        '%0 = const {"value": {"strange": 1}, "dtype": "float64"}\nreturn %0',
        '%0 = data {"array": {"array": "AAAA", "shape": [9], "dtype": "<f8"}}\nreturn %0',
        "%0 = symbol []\nreturn %0",
    ],
)
def test_damaged_text(text: str) -> None:
    with pytest.raises(sd.SymdiffError):
        parse_text(text)
