"""Random programs of nested loops, scans and branches, as the source text of a function `program`.

Names begin with their kind: s, v, m, w, q are real numbers, (n,), (3, n), (3,) and (2, 9, 9), f a float32 (n,),
i an int, k ints (n,) that are indices of it, b bools (n,). `{v}` in a template is any such value, `{at}` an index of
a row that depends on data, `{c}` a number, `{old}` the value of the state that is updated.
"""

from __future__ import annotations

import random
import re
from typing import Any

import numpy as np

import symdiff as sd
from symdiff.ir.node import Node, as_node, const
from symdiff.ir.primitive import cast
from symdiff.ops.control import build_loop
from symdiff.ops.index import embed, scatter_add
from symdiff.ops.rows import set_row

# fmt: off
FORMULAS = {
    "s": ["sd.tanh({s} + {s})", "{s} * {c}", "sd.tanh(sd.sum({v}))", "{v}[{at}]", "{m}[{at}, 1]", "{q}[{at}, 3, 4]",
          "sd.sum(sd.where({b}, {v}, 0.0)) * 0.2", "sd.tanh(sd.sum({m} * {v}))", "cast(sd.sum({f}), 'float64') * 0.1"],
    "v": ["sd.tanh({v} + {v})", "{v} * {s}", "{m}[{at}]", "sd.take({v}, {k}, axis=0)", "set_row({v}, {s}, {at})",
          "{v}[::-1]", "sd.concatenate([{v}[1:], {v}[:1]])", "{v} + scatter_add({v} * {c}, {k}, axis=0, extent=n)",
          "{v} + embed({v}[1:], shape=(n,), starts=(1,), steps=(1,))", "sd.where({b}, {v}, {v})", "{w} @ {m} * 0.3",
          "embed({v}[1:], shape=(n,), starts=(0,), steps=(1,))", "sd.cumsum({v}) * 0.2", "sd.sort({v})", "{v}",
          "set_row(set_row({v}, {s}, {at}), {s} * {c}, {at})", "cast({f}, 'float64')"],
    "m": ["sd.tanh({m} + {m})", "{m} * {v}", "set_row({m}, {v}, {at})", "{m}[::-1]", "{w}[:, None] * {v}", "{m}",
          "sd.stack([{v}, {v}, {m}[1]])", "sd.transpose(sd.transpose({m})[::-1])",
          "{m} + scatter_add({m} * {c}, {k}, axis=1, extent=n)", "set_row({m}, {m}[{at}] * {c}, {at})",
          "sd.tanh(({m} @ sd.transpose({m})) @ {m} * 0.2)", "sd.reshape(sd.reshape({m}, (3 * n,)), (3, n))"],
    "w": ["sd.tanh({w} + {s})", "{m} @ {v} * 0.2", "{m}[:, -1]", "set_row({w}, {s}, {at})", "{q}[{at}, 2:5, 1]"],
    "q": ["sd.tanh({q} @ {q} * 0.1)", "sd.tanh({q} @ {q}[{at}] * 0.1)", "{q}[::-1]", "sd.transpose({q}, (0, 2, 1))",
          "set_row({q}, {q}[{at}], {at})", "{q} * {s}"],
    "f": ["sd.tanh({f} + {f})", "cast({v}, 'float32')", "set_row({f}, {s}, {at})", "{f}[::-1]"],
    "i": ["({i} + 1)", "({i} * 2 + {i}) % 3", "{k}[{at}]", "cast(sd.tanh({s}) * 2.7, 'int64')", "{i}"],
    "k": ["-1 - ({k} + {k}) % 2", "{k}[::-1]", "set_row({k}, {i} % 2, {at})", "cast({b}, 'int64')"],
    "b": ["({v} > {s})", "~{b}", "set_row({b}, {s} > 0.1, {at})", "({k} > 0)", "{b}[::-1]"],
}
# What programs do in place, with operands that read the same array.
UPDATES = {
    "v": ["set_row({old}, {s}, {at})", "{old} + scatter_add({old}, {k}, axis=0, extent=n)",
          "set_row({old} + embed({v}[1:], shape=(n,), starts=(0,), steps=(1,)), {s}, {at})",
          "set_row({old}, {old}[{at}], {at}) + scatter_add({old}[::-1], {k}, axis=0, extent=n)",
          "{old} + embed({old}[:-1] * {c}, shape=(n,), starts=(1,), steps=(1,))"],
    "m": ["set_row({old}, {v}, {at})", "set_row({old}, {old}[{at}], {at})",
          "set_row(set_row({old}, {old}[0], {at}), {old}[{at}] + {v}, {at})",
          "{old} + embed({old}[:, 1:] * {c}, shape=(3, n), starts=(0, 0), steps=(1, 1))",
          "{old} + embed({v}[None, :], shape=(3, n), starts=(2, 0), steps=(1, 1)) + "
          "scatter_add({old}[1] * {c}, {at}, axis=0, extent=3)"],
    "w": ["set_row({old}, {s}, {at})"],
    "q": ["set_row({old}, {q}[0] @ {old}[1] * 0.1, {at})"],
    "f": ["set_row({old}, {s}, {at})"],
    "k": ["set_row({old}, {i} % 2, {at})"],
    "b": ["set_row({old}, {b}[{at}], {at})"],
}
# fmt: on
KINDS, WEIGHTS = "svmwfikb", (3, 7, 6, 2, 1, 1, 1, 1)
ROWS = {"v": "s", "m": "v"}

Known = dict[str, list[str]]


class Writer:
    """Writes the source of one program; `line` collects it."""

    def __init__(self, seed: int):
        self.draw = random.Random(seed)
        self.lines: list[str] = []
        self.count = 0

    def program(self) -> str:
        """Return the text."""
        known = {k: [f"{k}{j}" for j in range(2)] for k in FORMULAS}
        # Stacks of matrices are slow in numbers; few programs have them.
        known["q"] = ["q0"]
        self.line(0, f"def program({', '.join(x for xs in known.values() for x in xs)}, n):")
        self.statements(known, 1, self.draw.randint(0, 2), 0)
        self.loop(known, 1, self.draw.randint(0, 2))
        self.statements(known, 1, self.draw.randint(1, 3), 1)
        made = sorted((x for xs in known.values() for x in xs), key=lambda x: int(x[1:]))
        results = [*self.draw.choices(made[-5:], k=3), *[x for x in made if x[0] in "svmwq"][-2:]]
        self.line(1, f"return [{', '.join(results)}]")
        return "\n".join(self.lines)

    def line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count + 1}"

    def fill(self, template: str, known: Known, old: str = "") -> str:
        """Put random values into a template."""

        def value(hole: re.Match[str]) -> str:
            match hole[1]:
                case "old":
                    return old
                case "c":
                    return self.draw.choice(["0.5", "-0.7", "1.1"])
                case "at":
                    some = f"({self.draw.choice(known['i'])} % 2 - {self.draw.randint(0, 2)})"
                    return self.draw.choice(["1", "-2", some, some, some])
            return self.draw.choice(self.draw.choice([known[hole[1]], known[hole[1]][-4:]]))

        return re.sub(r"\{(\w+)\}", value, template)

    def formula(self, kind: str, known: Known) -> str:
        return self.fill(self.draw.choice(FORMULAS[kind]), known)

    def statements(self, known: Known, depth: int, count: int, loops: int) -> None:
        """Write some statements; loops among them are nested at most `loops` deep."""
        for _ in range(count):
            if loops and self.draw.random() < 0.4:
                self.loop(known, depth, loops - 1)
            else:
                (kind,) = self.kinds(1)
                text = self.formula(kind, known)
                known[kind].append(self.name(kind))
                self.line(depth, f"{known[kind][-1]} = {text}")

    def kinds(self, count: int) -> list[str]:
        return self.draw.choices(KINDS, WEIGHTS, k=count) if self.draw.random() < 0.9 else ["q"] * count

    def loop(self, known: Known, depth: int, loops: int) -> None:
        """Write a loop, a scan or a branch, whose results are known afterwards."""
        kinds = self.kinds(self.draw.randint(1, 4))
        form = self.draw.choice([self.while_loop, self.while_loop, self.scan, self.cond])
        results = [self.name(k) for k in kinds]
        form(known, depth, loops, kinds, results)
        for kind, result in zip(kinds, results, strict=True):
            known[kind].append(result)

    def cond(self, known: Known, depth: int, loops: int, kinds: list[str], results: list[str]) -> None:
        sides = [self.name("f_") for _ in range(2)]
        for side in sides:
            inner = {k: list(v) for k, v in known.items()}
            self.line(depth, f"def {side}():")
            self.statements(inner, depth + 1, self.draw.randint(0, 3), loops)
            self.line(depth + 1, f"return [{', '.join(self.formula(k, inner) for k in kinds)}]")
        test = self.fill("{i} % 2 == 0", known)
        self.line(depth, f"{', '.join(results)}, = sd.cond({test}, {', '.join(sides)})")

    def turn(self, known: Known, depth: int, loops: int, kinds: list[str], slots: list[str]) -> list[str]:
        """Write the statements of a turn; returns the next state: kept, exchanged, updated in place, or new."""
        for kind, slot in zip(kinds, slots, strict=True):
            known[kind] += [slot, slot]
        self.statements(known, depth, self.draw.randint(0, 4), loops)
        after = []
        for kind, slot in zip(kinds, slots, strict=True):
            same = [s for s, k in zip(slots, kinds, strict=True) if k == kind]
            update = self.fill(self.draw.choice(UPDATES.get(kind, FORMULAS[kind])), known, slot)
            choices = [self.draw.choice(same), self.draw.choice(known[kind]), self.formula(kind, known), update, update]
            after.append(self.draw.choice(choices))
        return after

    def while_loop(self, known: Known, depth: int, loops: int, kinds: list[str], results: list[str]) -> None:
        f, t, slots = self.name("f_"), self.name("i"), [self.name(k) for k in kinds]
        start = [self.formula(k, known) if self.draw.random() < 0.3 else self.draw.choice(known[k]) for k in kinds]
        count = str(self.draw.randint(0, 3))
        stop = self.draw.choice([count, f"({self.draw.choice(known['i'])} % 4)"])
        told = stop == count and self.draw.random() < 0.5
        inner = {k: list(v) for k, v in known.items()}
        inner["i"].append(t)
        self.line(depth, f"def {f}({', '.join([t, *slots])}):")
        after = self.turn(inner, depth + 1, loops, kinds, slots)
        self.line(depth + 1, f"return [{t} + 1, {', '.join(after)}]")
        init = f"[const(0, 'int64'), {', '.join(start)}]"
        make, turns = ("build_loop", f", turns={count}") if told else ("sd.while_loop", "")
        loop = f"{make}(lambda t, *_: t < {stop}, {f}, {init}{turns}{self.memory()})"
        self.line(depth, f"_, {', '.join(results)} = {loop}")

    def scan(self, known: Known, depth: int, loops: int, kinds: list[str], results: list[str]) -> None:
        f, slots = self.name("f_"), [self.name(k) for k in kinds]
        over = self.draw.choice("vm")
        row, ys = self.name(ROWS[over]), self.name(over)
        inner = {k: list(v) for k, v in known.items()}
        inner[ROWS[over]] += [row, row]
        self.line(depth, f"def {f}(state, {row}):")
        self.line(depth + 1, f"{', '.join(slots)}, = state")
        after = self.turn(inner, depth + 1, loops, kinds, slots)
        self.line(depth + 1, f"return [{', '.join(after)}], {self.draw.choice(inner[ROWS[over]])}")
        start = ", ".join(self.draw.choice(known[k]) for k in kinds)
        options = f"reverse={self.draw.random() < 0.4}{self.memory()}"
        self.line(
            depth,
            f"({', '.join(results)},), {ys} = sd.scan({f}, [{start}], {self.draw.choice(known[over])}, {options})",
        )
        known[over].append(ys)

    def memory(self) -> str:
        return self.draw.choice(["", "", ", max_bytes=20000"])


def inputs(n: Any) -> list[Node]:
    """The symbols of a program, in the order of its arguments."""
    shapes = {"s": (), "v": (n,), "m": (3, n), "w": (3,), "q": (2, 9, 9), "f": (n,), "i": (), "k": (n,), "b": (n,)}
    dtypes = {"f": "float32", "i": "int64", "k": "int64", "b": "bool"}
    return [
        sd.array(f"{k}{j}", shapes[k], dtype=dtypes.get(k, "float64"))
        for k in FORMULAS
        for j in range(1 if k == "q" else 2)
    ]


def values(symbols: list[Node], n: int, seed: int) -> list[np.ndarray]:
    """Values for the symbols; `n` is at least 2."""
    rng = np.random.default_rng(seed)
    out = []
    for x in symbols:
        shape = tuple(d if isinstance(d, int) else n for d in x.shape)
        if x.dtype == "int64":
            out.append(rng.integers(-2, 2, shape) if shape else np.array(rng.integers(0, 4)))
        else:
            out.append((rng.random(shape) > 0.5) if x.dtype == "bool" else rng.uniform(-1, 1, shape).astype(x.dtype))
    return out


def build(source: str, symbols: list[Node]) -> list[Node]:
    """Run the text of a program on symbols."""
    names: dict[str, Any] = {
        "sd": sd, "const": const, "build_loop": build_loop, "set_row": set_row, "embed": embed,
        "cast": lambda x, t: cast(as_node(x), t),
        "scatter_add": lambda x, i, **params: scatter_add(x, cast(as_node(i), "int64"), **params),
    }  # fmt: skip
    exec(source, names)
    return [as_node(x) for x in names["program"](*symbols, symbols[2].shape[0])]
