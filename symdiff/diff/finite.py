"""Finite differences: derivatives from values alone, as a check on every rule.

    forward   (f(x+h) - f(x)) / h            h = eps^(1/2): half of the digits
    central   (f(x+h) - f(x-h)) / 2h         h = eps^(1/3): two thirds of them
    complex   Im f(x+ih) / h                 nothing cancels: all of them, for analytic f
    richardson  central differences for falling h, extrapolated to h = 0 with an estimate of the error

Method: Ridders 1982 (Advances in Engineering Software 4, 75) for the table, Squire & Trapp 1998 (SIAM Review 40,
110) for the complex step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args
from typing import Literal as OneOf

import numpy as np

from symdiff.diff.wrt import as_function, as_list, as_symbol
from symdiff.ir.errors import DerivativeError, DomainError, DTypeError, UnknownSymbolError
from symdiff.ir.graph import free_symbols
from symdiff.ir.interpret import bind_sizes, interpret
from symdiff.ir.node import Node, as_node, brief

Method = OneOf["forward", "central", "complex", "richardson"]
METHODS: tuple[str, ...] = get_args(Method)

Values = dict[Node, np.ndarray]
# The value of f after adding dx to one entry of one symbol.
Probe = Callable[[Any], np.ndarray]

_ROWS = 12
_SHRINK = 1.6


def finite_difference(
    f: Any, point: Mapping[Any, Any], wrt: Any = None, method: Method = "central", step: float | None = None
) -> Any:
    """Return the numbers df/dx at `point` by differences of values of `f`.

    `point` maps symbols, or their names, to numbers or arrays. `wrt` is a symbol or a list of them, by default
    every real symbol of `f`. `step` replaces the step that balances truncation and rounding.

    Shapes: (*f.shape, *x.shape) for each symbol, a float for two scalars; list in, list out.
    Raises: UnknownSymbolError, DerivativeError, ShapeError, DomainError for a step that is not positive.
    Cost: per entry of `wrt` one value of `f` (forward, complex), two (central) or some forty (richardson).

    >>> import symdiff as sd
    >>> x = sd.symbols("x")
    >>> abs(sd.finite_difference(sd.sin(x), {x: 0.0}, wrt=x) - 1.0) < 1e-9
    True
    """
    node, values, symbols, single = read_point(f, point, wrt)
    rule = _rule(method)
    check_step(step)
    out = [as_number(_by_entries(node, values, x, rule, step)[0]) for x in symbols]
    return out[0] if single else out


def richardson(f: Any, point: Mapping[Any, Any], wrt: Any = None, step: float | None = None) -> tuple[Any, Any]:
    """Return (df/dx, estimated error) by Ridders' extrapolation; both have the form of `finite_difference`.

    >>> import symdiff as sd
    >>> x = sd.symbols("x")
    >>> value, error = sd.richardson(sd.exp(x), {x: 1.0}, wrt=x)
    >>> bool(abs(value - 2.718281828459045) <= error < 1e-10)
    True
    """
    node, values, symbols, single = read_point(f, point, wrt)
    check_step(step)
    pairs = [_by_entries(node, values, x, _ridders, step) for x in symbols]
    value, error = ([as_number(p[k]) for p in pairs] for k in (0, 1))
    return (value[0], error[0]) if single else (value, error)


def read_point(f: Any, point: Mapping[Any, Any], wrt: Any = None) -> tuple[Node, Values, list[Node], bool]:
    """Check a function, a point and the symbols to differentiate by; keys of `point` may be names.

    Returns the function, the values as arrays of the symbols' dtypes, the symbols, whether `wrt` was a single one.
    """
    as_function(f)
    # What the user wrote, not a stabilised form of it: differences judge that form too.
    node = as_node(f)
    known = free_symbols([node])
    if not isinstance(point, Mapping):
        raise DTypeError(
            f"A point is a mapping from symbols to numbers, such as {{x: 1.2}}, got {type(point).__name__}."
        )
    values: Values = {}
    for key, value in point.items():
        symbol = _named(key, known) if isinstance(key, str) else key
        if not isinstance(symbol, Node) or symbol.op.name != "symbol":
            raise UnknownSymbolError(f"A point maps symbols or their names to numbers, got the key {key!r}.")
        if symbol in values:
            raise UnknownSymbolError(f"The point gives {brief(symbol)} twice, as a symbol and by its name.")
        # The interpreter's conversion names the symbol in its errors; an expression without operations runs it.
        values[symbol] = np.array(interpret([symbol], {symbol: value})[0])
    if wrt is None:
        symbols, single = [s for s in known if s.dtype.startswith("float")], False
    else:
        given, single = as_list(wrt)
        symbols = [as_symbol(_named(x, known) if isinstance(x, str) else x) for x in given]
    for symbol in (*known, *symbols):
        if symbol not in values:
            raise UnknownSymbolError(f"The point gives no value for {brief(symbol)} ({symbol.line}).")
    bind_sizes(values)
    return node, values, symbols, single


def _named(name: str, known: Sequence[Node]) -> Node:
    found = [s for s in known if s.params["name"] == name]
    if len(found) != 1:
        have = ", ".join(repr(s.params["name"]) for s in known)
        problem = "is no symbol of the expression" if not found else "names several symbols; use the symbols as keys"
        raise UnknownSymbolError(f"{name!r} {problem}; it has {have or 'no symbols'}.")
    return found[0]


def check_step(step: float | None) -> None:
    """Raise DomainError unless a step is None or a positive number."""
    if step is not None and not 0 < step < np.inf:
        raise DomainError(f"The step of a difference is a positive number, got {step!r}.")


def as_number(array: np.ndarray) -> Any:
    """Return a float for an array without axes, else the array."""
    return array.item() if array.ndim == 0 else array


def default_step(method: str, x: float, eps: float) -> float:
    """Return the step at `x` that balances truncation and rounding errors for numbers of precision `eps`."""
    match method:
        case "forward":
            return eps ** (1 / 2) * max(abs(x), 1.0)
        case "central":
            return eps ** (1 / 3) * max(abs(x), 1.0)
        case "complex":
            # Truncation is (h/x)^2, rounding does not depend on h: far below eps*|x|, but no underflow.
            return max(1e-20 * abs(x), 1e-280) if x else 1e-30
    return 0.1 * max(abs(x), 1.0)


def exact_step(x: Any, h: Any) -> Any:
    """Return the step nearest to `h` for which x + h is a floating-point number."""
    moved = x + h
    return moved - x


def _rule(method: str) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    rules = {"forward": _forward, "central": _central, "complex": _complex, "richardson": _ridders}
    if method not in rules:
        raise DerivativeError(f"The method of a difference is one of {', '.join(METHODS)}, got {method!r}.")
    return rules[method]


def _by_entries(
    f: Node, values: Values, x: Node, rule: Callable[..., tuple[np.ndarray, np.ndarray]], step: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the (derivative, error) of `f` by every entry of `x`, stacked along the axes of `x`."""
    here = values[x]
    f0 = interpret([f], values)[0]
    eps = max(np.finfo(here.dtype).eps, np.finfo(f0.dtype).eps)
    blocks = []
    for index in np.ndindex(here.shape):

        def probe(dx: Any, index: tuple[int, ...] = index) -> np.ndarray:
            numbers = "complex" if isinstance(dx, complex) else "numpy"
            moved = here.astype(complex) if numbers == "complex" else here.copy()
            moved[index] += dx
            return np.asarray(interpret([f], {**values, x: moved}, numbers)[0])

        with np.errstate(all="ignore"):
            blocks.append(rule(probe, f0, here[index], float(eps), step))
    shape = (*f0.shape, *here.shape)
    if not blocks:
        return np.zeros(shape), np.zeros(shape)
    value, error = (np.stack([b[k] for b in blocks], axis=-1).reshape(shape) for k in (0, 1))
    return value, error


def _forward(probe: Probe, f0: np.ndarray, x: Any, eps: float, step: float | None) -> tuple[np.ndarray, np.ndarray]:
    h = exact_step(x, x.dtype.type(step or default_step("forward", float(x), eps)))
    value = (probe(h) - f0) / h
    return value, np.full_like(value, np.nan)


def _central(probe: Probe, f0: np.ndarray, x: Any, eps: float, step: float | None) -> tuple[np.ndarray, np.ndarray]:
    h = x.dtype.type(step or default_step("central", float(x), eps))
    up, down = exact_step(x, h), exact_step(x, -h)
    value = (probe(up) - probe(down)) / (up - down)
    return value, np.full_like(value, np.nan)


def _complex(probe: Probe, f0: np.ndarray, x: Any, eps: float, step: float | None) -> tuple[np.ndarray, np.ndarray]:
    h = step or default_step("complex", float(x), eps)
    value = np.imag(probe(1j * h)) / h
    return value, np.full_like(value, np.nan)


def _ridders(probe: Probe, f0: np.ndarray, x: Any, eps: float, step: float | None) -> tuple[np.ndarray, np.ndarray]:
    best = np.full(f0.shape, np.nan)
    error = np.full(f0.shape, np.inf)
    row: list[np.ndarray] = []
    for k, h in enumerate(ridders_steps(float(x), step)):
        row, errors = _extend(probe, x, h, row if k % _ROWS else [], eps)
        for value, e in zip(row, errors, strict=True):
            better = e < error
            best, error = np.where(better, value, best), np.where(better, e, error)
    return best, error


def ridders_steps(x: float, step: float | None = None) -> list[float]:
    """Return the steps of Ridders' tables at `x`, one table of falling steps after the other."""
    starts = [step] if step else [0.1 * max(abs(x), 1.0)]
    if not step and 0 < abs(x) < 1:
        # A second table in steps that are small against x, for functions with a singularity at 0.
        starts.append(0.1 * abs(x))
    return [start / _SHRINK**k for start in starts for k in range(_ROWS)]


def _extend(probe: Probe, x: Any, h: float, above: list[np.ndarray], eps: float) -> tuple[list[np.ndarray], list[Any]]:
    """Return the next row of Ridders' table with an error estimate for each entry.

    The error expands in even powers of h, so column j removes h^(2j). An entry's error is its distance to its
    two parents plus the rounding of the difference itself: eps |f| / h.
    """
    up, down = exact_step(x, x.dtype.type(h)), exact_step(x, x.dtype.type(-h))
    right, left = probe(up), probe(down)
    row = [(right - left) / (up - down)]
    noise = eps * np.maximum(np.abs(right), np.abs(left)) / h
    errors: list[Any] = [np.inf]
    for j, old in enumerate(above, start=1):
        factor = _SHRINK ** (2 * j)
        row.append((factor * row[-1] - old) / (factor - 1))
        errors.append(np.maximum(np.abs(row[-1] - row[-2]), np.abs(row[-1] - old)) + noise)
    return row, [np.where(np.isnan(e), np.inf, e) for e in errors]
