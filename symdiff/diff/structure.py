"""structure: which entries of a function depend on which entries of a symbol, at known sizes.

Every node carries a boolean matrix, its entries by those of x. Views move rows, sums and products merge them; what is
known before anything real is given (indices, masks, literal arrays) is evaluated, so a factor that is zero or a branch
that is never taken makes a structural zero. A primitive that says nothing else about itself is linearised, and a linear
one without a rule depends on everything it is given: the result may hold too much for it, never too little.

The structure of a Hessian is that of the gradient's derivative: what is linear has a constant gradient and leaves
nothing. Method: Griewank & Walther 2008, chapter 7.2 (propagation of index domains), with bit rows as CSR matrices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symdiff.diff.flow import carriers
from symdiff.diff.forward import push_one
from symdiff.ir.dims import evaluate
from symdiff.ir.graph import depends_on, made_order
from symdiff.ir.interpret import concrete_shape, interpret
from symdiff.ir.node import PRIMITIVES, Node, as_node, make
from symdiff.ir.primitive import Elementwise, Structured
from symdiff.ops import elementwise as el

# Primitives whose every entry is one entry of an argument, or 0.
_MOVES = frozenset({"broadcast_to", "reshape", "transpose", "slice", "embed", "take"})
# The largest array for which a linear primitive without a rule is run on every unit vector.
_PROBED = 1 << 10
# The states of a loop settle after as many turns as the longest way between two entries; beyond this, all on all.
_TURNS = 64


def propagate(f: Node, x: Node, sizes: Mapping[str, int], data: Mapping[Node, np.ndarray]) -> Any:
    """Return the structure of the derivative of `f` by `x`, a boolean CSR array of shape (f.size, x.size).

    `data` are the values of the integer and boolean symbols.
    """
    from scipy.sparse import eye_array

    walk = _Walk(f, x, sizes, data)
    return walk.run(f, {x: eye_array(walk.size(x), dtype=bool, format="csr")})


class _Walk:
    """One propagation. A matrix of None is an empty one."""

    def __init__(self, f: Node, x: Node, sizes: Mapping[str, int], data: Mapping[Node, np.ndarray]):
        self.sizes = sizes
        self.n_cols = int(np.prod(concrete_shape(x.shape, sizes), dtype=np.int64))
        symbols = [n for n in made_order([f, x]) if n.op.name in ("symbol", "input")]
        reals = [n for n in symbols if n.dtype.startswith("float")]
        self.varies = dict.fromkeys(made_order([f, x]), False) | dict.fromkeys(depends_on([f], reals), True)
        # Real symbols have their shapes only: zeros that nothing reads.
        self.values: dict[Node, Any] = {s: np.broadcast_to(0.0, concrete_shape(s.shape, sizes)) for s in reals}
        self.values |= {s: data[s] for s in symbols if s in data}

    def shape(self, node: Node) -> tuple[int, ...]:
        return concrete_shape(node.shape, self.sizes)

    def size(self, node: Node) -> int:
        return int(np.prod(self.shape(node), dtype=np.int64))

    def known(self, node: Node) -> np.ndarray | None:
        """The value of a node that depends on nothing real, in its full shape; None if it does."""
        if node not in self.varies:
            symbols = [n for n in made_order([node]) if n.op.name in ("symbol", "input")]
            self.varies[node] = any(s not in self.values or s.dtype.startswith("float") for s in symbols)
        if self.varies[node]:
            return None
        if node not in self.values:
            self.values[node] = interpret([node], self.values)[0]
        return np.asarray(self.values[node])

    def run(self, root: Node, start: Mapping[Node, Any]) -> Any:
        """Return the matrix of `root`, given those of some nodes below it."""
        memo: dict[Node, Any] = dict(start)
        for node in carriers([root], start):
            given = [memo.get(a) for a in node.args]
            real = node.dtype.startswith("float") or node.dtype == "tuple"
            memo[node] = self._through(node, given) if real and any(g is not None for g in given) else None
        found = memo[root]
        return self._empty(self.size(root)) if found is None else found

    def _empty(self, m: int) -> Any:
        from scipy.sparse import csr_array

        return csr_array((m, self.n_cols), dtype=bool)

    def _through(self, node: Node, given: Sequence[Any]) -> Any:
        op, name = node.op, node.op.name
        if isinstance(op, Elementwise):
            return self._elementwise(node, given)
        if name == "while_loop":
            return self._loop(node, given)
        if name == "item" and isinstance(given[0], list):
            return given[0][node.params["k"]]
        if node.dtype == "tuple" or name == "item":
            return self._all(node, given)
        if name in _MOVES:
            moved = self._moved(node, given[0])
            return self._all(node, given) if moved is None else moved
        if name == "concatenate":
            return self._joined(node, given)
        if name == "sum":
            return self._added(self._sum_places(node), self.size(node), given[0])
        if name == "scatter_add":
            places = self._scatter_places(node)
            return self._all(node, given) if places is None else self._added(places, self.size(node), given[0])
        if name == "matmul":
            return self._product(node, given)
        return self._linearised(node, given)

    # --- entry by entry -----------------------------------------------------------

    def _elementwise(self, node: Node, given: Sequence[Any]) -> Any:
        op = node.op
        assert isinstance(op, Elementwise)
        out = None
        if op is el.where:
            condition = self.known(node.args[0])
            for k, g in ((1, given[1]), (2, given[2])):
                mask = None if condition is None else (condition if k == 1 else ~condition)
                out = _either(out, self._spread(node, node.args[k], g, mask))
            return out
        if op.partials is None:
            return None
        for arg, partial, g in zip(node.args, op.partials(node, *node.args), given, strict=True):
            if partial is not None and g is not None:
                factor = self.known(as_node(partial))
                out = _either(out, self._spread(node, arg, g, None if factor is None else factor != 0))
        return out

    def _spread(self, node: Node, arg: Node, matrix: Any, mask: np.ndarray | None) -> Any:
        """Repeat the rows of an argument as broadcasting does, without those that a mask rules out."""
        if matrix is None or (mask is not None and not mask.any()):
            return None
        shape = self.shape(node)
        if self.shape(arg) != shape:
            numbers = np.arange(matrix.shape[0]).reshape(self.shape(arg))
            matrix = matrix[np.broadcast_to(numbers, shape).ravel()]
        if mask is None or mask.all():
            return matrix
        return _kept(matrix, np.broadcast_to(mask, shape).ravel())

    # --- moves and sums -----------------------------------------------------------

    def _evaluated(self, node: Node, value: np.ndarray, k: int = 0) -> np.ndarray | None:
        """The value of a primitive for another argument k; None if one of the other arguments is not known."""
        args = [value if j == k else self.known(a) for j, a in enumerate(node.args)]
        if any(a is None for a in args):
            return None
        params = {name: _concrete(v, self.sizes) for name, v in node.params.items()}
        return np.asarray(node.op.evaluate(params, *args))

    def _moved(self, node: Node, matrix: Any) -> Any:
        # Entry k is called k + 1, so that 0 means none.
        names = np.arange(1, matrix.shape[0] + 1).reshape(self.shape(node.args[0]))
        found = self._evaluated(node, names)
        if found is None:
            return None
        from_ = found.ravel() - 1
        if (from_ >= 0).all():
            return matrix[from_]
        return _kept(matrix[np.maximum(from_, 0)], from_ >= 0) if matrix.shape[0] else self._empty(len(from_))

    def _joined(self, node: Node, given: Sequence[Any]) -> Any:
        from scipy.sparse import vstack

        parts, names, begin = [], [], 0
        for arg, g in zip(node.args, given, strict=True):
            size = self.size(arg)
            parts.append(self._empty(size) if g is None else g)
            names.append(np.arange(begin, begin + size).reshape(self.shape(arg)))
            begin += size
        return vstack(parts, format="csr")[np.concatenate(names, axis=node.params["axis"]).ravel()]

    def _sum_places(self, node: Node) -> np.ndarray:
        (arg,) = node.args
        kept = tuple(1 if k in node.params["axes"] else d for k, d in enumerate(self.shape(arg)))
        numbers = np.arange(self.size(node)).reshape(kept)
        return np.broadcast_to(numbers, self.shape(arg)).ravel()

    def _scatter_places(self, node: Node) -> np.ndarray | None:
        """The number of the entry that each entry of the argument is added to."""
        index = self.known(node.args[1])
        if index is None:
            return None
        numbers = np.arange(self.size(node)).reshape(self.shape(node))
        return np.take(numbers, index, axis=node.params["axis"]).ravel()

    def _added(self, places: np.ndarray, m: int, matrix: Any) -> Any:
        """Merge row k into row places[k]."""
        from scipy.sparse import csr_array

        ones = np.ones(len(places), dtype=bool)
        return (csr_array((ones, (places, np.arange(len(places)))), shape=(m, len(places))) @ matrix).tocsr()

    # --- everything else ------------------------------------------------------------

    def _product(self, node: Node, given: Sequence[Any]) -> Any:
        from scipy.sparse import csr_array, eye_array, kron

        out = None
        shapes = [self.shape(a) for a in node.args]
        full = self.shape(node)
        for k, g in enumerate(given):
            if g is None:
                continue
            factor = self.known(node.args[1 - k])
            if factor is not None and factor.ndim <= 2 and len(shapes[k]) <= 2:
                # A[i, k] B[k, j]: entry (i, j) depends on A[i, k] where B[k, j] is not zero, and the other way round.
                a_rows = shapes[0][0] if len(shapes[0]) == 2 else 1
                b_cols = shapes[1][1] if len(shapes[1]) == 2 else 1
                matrix = factor.reshape(-1, b_cols) if k == 0 else factor.reshape(a_rows, -1)
                other = csr_array(matrix.T != 0 if k == 0 else matrix != 0)
                eye = eye_array(a_rows if k == 0 else b_cols, dtype=bool)
                links = kron(eye, other, format="csr") if k == 0 else kron(other, eye, format="csr")
                out = _either(out, (links.astype(bool) @ g).tocsr())
                continue
            axis = len(shapes[k]) - (1 if k == 0 or len(shapes[k]) == 1 else 2)
            kept = tuple(d for a, d in enumerate(shapes[k]) if a != axis)
            ones = tuple(1 if a == axis else d for a, d in enumerate(shapes[k]))
            numbers = np.arange(int(np.prod(kept, dtype=np.int64))).reshape(ones)
            merged = self._added(np.broadcast_to(numbers, shapes[k]).ravel(), numbers.size, g)
            # Repeat along the axis that the other factor brings.
            lined = numbers.reshape(ones if len(shapes[k]) > 1 else (1,))
            if len(shapes[1 - k]) == 1:
                lined = lined.reshape(kept)
            elif len(shapes[k]) == 1:
                lined = lined.reshape(())
            out = _either(out, merged[np.broadcast_to(lined, full).ravel()])
        return out

    def _linearised(self, node: Node, given: Sequence[Any]) -> Any:
        op = node.op
        assert isinstance(op, Structured)
        marks = [None if g is None else _mark(k, a) for k, (a, g) in enumerate(zip(node.args, given, strict=True))]
        tangent = push_one(node, marks)
        if tangent is None:
            return None
        if tangent.op is not op:
            return self.run(tangent, {m: g for m, g in zip(marks, given, strict=True) if m is not None})
        active = [k for k, g in enumerate(given) if g is not None]
        (k,) = active if len(active) == 1 else (0,)
        is_linear = tangent.args == (*node.args[:k], marks[k], *node.args[k + 1 :])
        if len(active) == 1 and is_linear and self.size(node.args[k]) <= _PROBED:
            probed = self._probed(node, given[k], k)
            if probed is not None:
                return probed
        return self._all(node, given)

    def _probed(self, node: Node, matrix: Any, k: int) -> Any:
        """The structure of what is linear in argument k, from its values at all unit vectors; None if unknown."""
        from scipy.sparse import csr_array

        shape = self.shape(node.args[k])
        columns = []
        for unit in np.eye(matrix.shape[0]):
            value = self._evaluated(node, unit.reshape(shape), k)
            if value is None:
                return None
            columns.append(value.ravel() != 0)
        if not columns:
            return self._empty(self.size(node))
        return (csr_array(np.stack(columns, axis=1)) @ matrix).tocsr()

    def _loop(self, node: Node, given: Sequence[Any]) -> list[Any]:
        """The state after any number of turns: what a turn adds to it is added until nothing is new."""
        body = node.params["body"]
        n, slots = len(body.outputs), body.input_nodes()
        state = [self._empty(self.size(a)) if g is None else g for a, g in zip(node.args[:n], given, strict=False)]
        outer = {s: g for s, g in zip(slots[n:], given[n:], strict=True) if g is not None}
        for _ in range(_TURNS):
            start = dict(zip(slots[:n], state, strict=True)) | outer
            turned = [_either(s, self.run(f, start)) for s, f in zip(state, body.outputs, strict=True)]
            if all(t.nnz == s.nnz for s, t in zip(state, turned, strict=True)):
                return state
            state = turned
        merged = self._all(node, given)
        return [merged[np.zeros(self.size(f), np.int64)] for f in body.outputs]

    def _all(self, node: Node, given: Sequence[Any]) -> Any:
        """Every entry depends on all that the arguments depend on."""
        out = None
        for g in given:
            if g is not None:
                merged = self._added(np.zeros(g.shape[0], np.int64), 1, g)
                out = _either(out, merged)
        size = 1 if node.dtype == "tuple" else self.size(node)
        return None if out is None else out[np.zeros(size, np.int64)]


def _either(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else (a + b).tocsr()


def _kept(matrix: Any, mask: np.ndarray) -> Any:
    """The matrix without the rows that a mask rules out."""
    from scipy.sparse import dia_array

    return (dia_array((mask[None, :], [0]), shape=(len(mask), len(mask))).tocsr() @ matrix).tocsr()


def _concrete(value: Any, sizes: Mapping[str, int]) -> Any:
    if isinstance(value, tuple):
        return tuple(_concrete(v, sizes) for v in value)
    return evaluate(value, sizes) if hasattr(value, "terms") else value


def _mark(k: int, like: Node) -> Node:
    return make(PRIMITIVES["symbol"], (), {"name": f"\0mark{k}", "shape": like.shape, "dtype": like.dtype})
