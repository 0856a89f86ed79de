"""f.latex(): an expression as LaTeX; a large one as aligned lines with named common subexpressions."""

from __future__ import annotations

import math
import re

import numpy as np

from symdiff.front.layout import (
    ATOM,
    BIT_AND,
    BIT_OR,
    BIT_XOR,
    COMPARE,
    POWER,
    PRODUCT,
    SUM,
    UNARY,
    Text,
    lay_out,
)
from symdiff.front.printing import slices_text
from symdiff.ir.graph import count_ops
from symdiff.ir.node import Node

GREEK = frozenset(
    [
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "zeta",
        "eta",
        "theta",
        "iota",
        "kappa",
        "lambda",
        "mu",
        "nu",
        "xi",
        "omicron",
        "rho",
        "sigma",
        "tau",
        "upsilon",
        "phi",
        "chi",
        "psi",
        "omega",
        "Gamma",
        "Delta",
        "Theta",
        "Lambda",
        "Xi",
        "Sigma",
        "Upsilon",
        "Phi",
        "Psi",
        "Omega",
    ]
)
# name -> (operator, level of the result, least level of the left and of the right operand)
INFIX = {
    "add": (" + ", SUM, SUM, PRODUCT),
    "sub": (" - ", SUM, SUM, PRODUCT),
    "mod": (r" \bmod ", PRODUCT, UNARY, UNARY),
    "matmul": (r" \, ", PRODUCT, PRODUCT, UNARY + 1),
    "and": (r" \wedge ", BIT_AND, BIT_AND, SUM),
    "xor": (r" \veebar ", BIT_XOR, BIT_XOR, BIT_AND),
    "or": (r" \vee ", BIT_OR, BIT_OR, BIT_XOR),
    "lt": (" < ", COMPARE, BIT_OR, BIT_OR),
    "le": (r" \leq ", COMPARE, BIT_OR, BIT_OR),
    "gt": (" > ", COMPARE, BIT_OR, BIT_OR),
    "ge": (r" \geq ", COMPARE, BIT_OR, BIT_OR),
    "eq": (" = ", COMPARE, BIT_OR, BIT_OR),
    "ne": (r" \neq ", COMPARE, BIT_OR, BIT_OR),
}
# functions with a LaTeX command; the others are set in upright letters
COMMANDS = {
    "sin": r"\sin", "cos": r"\cos", "tan": r"\tan", "arcsin": r"\arcsin", "arccos": r"\arccos", "arctan": r"\arctan",
    "sinh": r"\sinh", "cosh": r"\cosh", "tanh": r"\tanh", "log": r"\log", "maximum": r"\max", "minimum": r"\min",
    "gamma": r"\Gamma", "gammaln": r"\log\Gamma", "digamma": r"\psi", "sigmoid": r"\sigma", "log2": r"\log_{2}",
    "log10": r"\log_{10}", "heaviside": r"\theta", "sign": r"\operatorname{sign}",
}  # fmt: skip
AROUND = {
    "sqrt": (r"\sqrt{", "}"),
    "cbrt": (r"\sqrt[3]{", "}"),
    "abs": (r"\left|", r"\right|"),
    "floor": (r"\left\lfloor ", r"\right\rfloor"),
    "ceil": (r"\left\lceil ", r"\right\rceil"),
}
REDUCTIONS = {"sum": r"\sum", "prod": r"\prod", "max": r"\max", "min": r"\min"}


def to_latex(root: Node) -> str:
    """Return LaTeX source without dollar signs."""
    layout = lay_out(root, write, lambda k: f"t_{{{k}}}")
    if not layout.lines:
        return layout.result
    lines = [f"{name} &= {text}" for name, text in layout.lines]
    if layout.n_hidden:
        lines.append(rf"&\;\;\vdots\quad\text{{{layout.n_hidden} more lines; {count_ops([root])} operations in all}}")
    body = " \\\\\n".join([*lines, f"&\\phantom{{=}}\\; {layout.result}"])
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def symbol_latex(name: str) -> str:
    """Set a name: Greek letters by their commands, x1 and x_1 with a subscript, words upright."""
    base, _, rest = name.partition("_")
    match = re.fullmatch(r"([^\W\d_]+)([0-9]+)", base)
    subscripts = [rest.replace("_", ",")] if rest else []
    if match and (len(match[1]) == 1 or match[1] in GREEK):
        base = match[1]
        subscripts.insert(0, match[2])
    if base in GREEK:
        text = rf"\{base}"
    elif len(base) == 1:
        text = base
    else:
        escaped = base.replace("\\", r"\backslash ").replace("_", r"\_") or r"\_"
        text = rf"\mathrm{{{escaped}}}"
    shown = ",".join(rf"\{s}" if s in GREEK else s for s in subscripts)
    return f"{text}_{{{shown}}}" if shown else text


def number_latex(value: float, dtype: str) -> Text:
    """Set a literal; a power of ten instead of an e."""
    if dtype == "bool":
        return Text(r"\text{True}" if value else r"\text{False}")
    x = float(value)
    sign = "-" if math.copysign(1, x) < 0 else ""
    if not math.isfinite(x):
        text = r"\text{NaN}" if x != x else r"\infty"
    elif abs(x) in (math.pi, math.e):
        text = r"\pi" if abs(x) == math.pi else "e"
    elif x == int(x) and abs(x) < 1e16:
        text = str(abs(int(x)))
    else:
        text = str(abs(np.float32(x))) if dtype == "float32" else repr(abs(x))
        digits, _, power = text.partition("e")
        if power:
            return Text(rf"{sign}{digits} \cdot 10^{{{int(power)}}}", PRODUCT if not sign else SUM)
    return Text(sign + text, UNARY - 1 if sign else ATOM)


def brackets(piece: Text, least: int) -> str:
    """Put brackets around a piece that binds less than `least`."""
    return piece.text if piece.level >= least else rf"\left({piece.text}\right)"


def write(node: Node, args: list[Text]) -> Text:
    """Set one node from the LaTeX of its arguments."""
    name = node.op.name
    if name in INFIX:
        sign, level, left, right = INFIX[name]
        # "a - -2 b" is bracketed too: two signs in a row do not read as mathematics.
        last = brackets(Text(args[1].text, 0) if level == SUM and args[1].text.startswith("-") else args[1], right)
        return Text(f"{brackets(args[0], left)}{sign}{last}", level)
    if name in AROUND:
        before, after = AROUND[name]
        return Text(f"{before}{args[0].text}{after}")
    match name:
        case "symbol":
            return Text(symbol_latex(node.params["name"]))
        case "const":
            return number_latex(node.params["value"], node.dtype)
        case "mul":
            return _product(*args)
        case "div":
            return Text(rf"\frac{{{args[0].text}}}{{{args[1].text}}}", POWER)
        case "neg":
            return Text(f"-{brackets(args[0], PRODUCT)}", SUM)
        case "not":
            return Text(rf"\neg {brackets(args[0], UNARY)}", UNARY)
        case "pow":
            return Text(f"{brackets(args[0], ATOM)}^{{{args[1].text}}}", POWER)
        case "exp":
            return Text(f"e^{{{args[0].text}}}", POWER)
        case "exp2":
            return Text(f"2^{{{args[0].text}}}", POWER)
        case "where":
            return _cases(node, args)
        case "cast" if node.dtype.startswith("float"):
            return args[0]
        case "polygamma":
            return Text(rf"\psi^{{({node.params['n']})}}\left({args[0].text}\right)")
        case "jv" | "yv" | "iv" | "kv":
            order = number_latex(node.params["v"], "float64").text
            return Text(rf"{name[0].upper()}_{{{order}}}\left({args[0].text}\right)")
        case "j0" | "j1" | "y0" | "y1" | "i0" | "i1" | "k0" | "k1":
            return Text(rf"{name[0].upper()}_{{{name[1]}}}\left({args[0].text}\right)")
        case "custom" | "opaque":
            name = node.params["name"] if name == "custom" else node.params["function"].name
            return Text(rf"{_upright(name)}\left({', '.join(a.text for a in args)}\right)")
    if node.params:
        return _structured(node, args)
    inner = ", ".join(a.text for a in args)
    return Text(rf"{COMMANDS.get(name) or _upright(name)}\left({inner}\right)")


def _upright(name: str) -> str:
    escaped = name.replace("_", r"\_")
    return rf"\operatorname{{{escaped}}}"


def _product(left: Text, right: Text) -> Text:
    a, b = brackets(left, PRODUCT), brackets(right, UNARY)
    # Two digits side by side would read as one number.
    sign = r" \cdot " if b[0].isdigit() or b.startswith("-") else " "
    return Text(f"{a}{sign}{b}", PRODUCT)


def _cases(node: Node, args: list[Text]) -> Text:
    """Set a choice; a chain of choices in the second branch becomes further rows."""
    condition, yes, no = args
    last = rf"{no.text} & \text{{otherwise}} \end{{cases}}"
    if node.args[2].op.name == "where" and no.text.startswith(r"\begin{cases} "):
        last = no.text.removeprefix(r"\begin{cases} ")
    rows = rf"{yes.text} & \text{{for}}\: {condition.text} \\ {last}"
    return Text(rf"\begin{{cases}} {rows}", 0)


def _structured(node: Node, args: list[Text]) -> Text:
    """Set views, reductions and loops."""
    p, name = node.params, node.op.name
    if name in REDUCTIONS:
        everything = len(p["axes"]) == node.args[0].ndim
        under = "" if everything else rf"_{{\text{{axis }}{','.join(map(str, p['axes']))}}}"
        return Text(f"{REDUCTIONS[name]}{under} {brackets(args[0], PRODUCT)}", SUM)
    match name:
        case "slice":
            return Text(f"{_base(args[0])}_{{{slices_text(node)}}}")
        case "take" if p["axis"] == 0:
            return Text(f"{_base(args[0])}_{{{args[1].text}}}")
        case "transpose" if node.ndim == 2:
            return Text(rf"{_base(args[0])}^{{\mathsf{{T}}}}", POWER)
        case "reshape" | "broadcast_to":
            # A change of layout only: the entries are those of the argument.
            return args[0]
        case "size":
            return Text(str(p["dim"]).replace("*", " "), ATOM if str(p["dim"]).isidentifier() else SUM)
        case "data":
            return Text(_data_latex(p["array"].array))
        case "iota":
            return Text(rf"\left(0, \ldots, {p['n']} - 1\right)")
        case "input":
            return Text(rf"\mathrm{{state}}_{{{p['k']}}}")
        case "item":
            return Text(f"{_base(args[0])}_{{{p['k']}}}")
    return Text(rf"{_upright(name)}\left({', '.join(a.text for a in args)}\right)")


def _base(piece: Text) -> str:
    # A base that has a subscript already gets brackets: a double subscript is an error in LaTeX.
    plain = piece.level >= ATOM and "_" not in piece.text and "^" not in piece.text
    return f"{{{piece.text}}}" if plain else rf"\left({piece.text}\right)"


def _data_latex(array: np.ndarray) -> str:
    if array.size > 12 or array.ndim > 2:
        return rf"\text{{data of shape {array.shape}}}"
    rows = [" & ".join(number_latex(v, str(array.dtype)).text for v in row) for row in np.atleast_2d(array)]
    body = r" \\ ".join(rows)
    return rf"\begin{{bmatrix}} {body} \end{{bmatrix}}"
