"""schedule: turn a graph into a `Program`.

Elementwise nodes of one shape that are ready at the same time share one nest, so chains are fused and common
parts are computed once. Ready times are counted in stages: a nest of stage s reads only what stages < s wrote.
A node is written to memory only if something reads it through a view, at a later stage, or at another shape.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from symdiff.ir.dims import Extent, Shape, size_names
from symdiff.ir.errors import CompileError
from symdiff.ir.graph import made_order, topological
from symdiff.ir.node import Node, make
from symdiff.ir.primitive import Elementwise
from symdiff.ops.control import item
from symdiff.program.bodies import Body, spread
from symdiff.program.ir import Buffer, Call, Gather, Loop, Nest, Program, Reduce, Statement, Store
from symdiff.program.nests import normalise
from symdiff.program.pool import Pool
from symdiff.program.products import expand_products
from symdiff.program.requirements import requirements
from symdiff.program.views import (
    View,
    c_strides,
    of_literal,
    over,
    parts_of,
    read,
    sliced,
    steps_forward,
    through,
    through_units,
    whole,
    write,
)

_VIEWS = frozenset({"broadcast_to", "transpose", "slice", "embed", "reshape"})
_REDUCTIONS = frozenset({"sum", "prod", "max", "min"})
_CALLS = frozenset({"matmul", "solve", "cholesky"})


def schedule(outputs: Sequence[Node], inputs: Sequence[Node]) -> Program:
    """Return the program that computes `outputs` from the symbols `inputs`.

    Raises CompileError for a primitive that programs do not have.
    """
    pool = Pool()
    names = {n.op.name for n in made_order(outputs)}
    roots = expand_products(outputs) if "matmul" in names else list(outputs)
    views = {x: whole(pool.new(x.shape, x.dtype, "input")) for x in inputs}
    data = _all_data(roots) if names & {"data", "while_loop"} else []
    views |= {n: whole(pool.new(n.shape, n.dtype, "input")) for n in data}
    results = [pool.new(r.shape, r.dtype, "output") for r in roots]
    block = _Block(pool, views)
    statements = block.lower(list(zip(roots, [whole(b) for b in results], strict=True)))
    sizes: dict[str, None] = {}
    for b in pool.buffers:
        sizes |= dict.fromkeys(sorted(size_names(b.shape)))
    by_kind = {k: tuple(b for b in pool.buffers if b.kind == k) for k in ("input", "output", "temp")}
    return Program(
        by_kind["input"], tuple(n.params["array"].array for n in data), by_kind["output"], by_kind["temp"],
        tuple(statements), tuple(sizes), requirements(roots, inputs),
    )  # fmt: skip


def _all_data(roots: Sequence[Node]) -> list[Node]:
    """The literal arrays under `roots`, those in loop bodies too."""
    found: dict[Node, None] = {}
    stack = [list(roots)]
    while stack:
        for node in topological(stack.pop()):
            if node.op.name == "data":
                found[node] = None
            elif node.op.name == "while_loop":
                stack += [list(node.params["cond"].outputs), list(node.params["body"].outputs)]
    return list(found)


@dataclass(slots=True)
class _Group:
    """What one nest will do: nodes to write, reductions over `axes`, copies of views."""

    writes: dict[Node, View] = field(default_factory=dict)
    reductions: list[tuple[Node, View]] = field(default_factory=list)
    copies: list[tuple[View, View, tuple[Buffer, ...]]] = field(default_factory=list)


_Key = tuple[int, Shape, tuple[int, ...]]


class _Block:
    """Lowers one straight-line graph: the whole function, or one turn of a loop."""

    def __init__(self, pool: Pool, views: Mapping[Node, View]):
        self.pool = pool
        self.views = dict(views)
        self.ready: dict[Node, int] = dict.fromkeys(views, 0)
        self.stage: dict[Node, int] = {}
        self.dest: dict[Node, View] = {}
        self.groups: dict[_Key, _Group] = {}
        self.uses: Counter[Node] = Counter()
        self.others: dict[int, list[Statement]] = {}

    def lower(self, roots: Sequence[tuple[Node, View]]) -> list[Statement]:
        """Return the statements that write every root to its view."""
        order = topological([r for r, _ in roots], known=self.views)
        self.uses = Counter(a for n in order for a in n.args) + Counter(r for r, _ in roots)
        copies = self._choose_destinations(order, roots)
        for node in order:
            self._place(node)
        for node, view in self.dest.items():
            self._materialise(node, view)
        for node, view in copies:
            self._copy(self.view(node), view, self.ready[node])
        statements: dict[int, list[Statement]] = {s: list(v) for s, v in self.others.items()}
        # Last stage first: a nest may ask that an earlier one writes a node.
        for stage in sorted({k[0] for k in self.groups} | set(statements), reverse=True):
            keys = self._merge(stage)
            nests = [n for key in keys for n in self._nests(key)]
            statements[stage] = nests + statements.get(stage, [])
        return [s for stage in sorted(statements) for s in statements[stage]]

    # --- where results go ---------------------------------------------------

    def _choose_destinations(
        self, order: Sequence[Node], roots: Sequence[tuple[Node, View]]
    ) -> list[tuple[Node, View]]:
        """Let nodes write where their value is needed: outputs, and parts of a concatenation. The rest is copied."""
        copies = []
        for node, view in roots:
            if node in self.dest or not self._can_write(node):
                copies.append((node, view))
            else:
                self.dest[node] = view
        for node in reversed(order):
            if node.op.name == "concatenate":
                target = self.dest.setdefault(node, self.pool.temp(node.shape, node.dtype))
                for arg, part in zip(node.args, parts_of(node, target), strict=True):
                    inner, place = arg, part
                    # A scalar that is stacked writes to its entry directly.
                    while inner.op.name == "reshape" and inner not in self.views and inner not in self.dest:
                        direct = through_units(place, inner.args[0].shape)
                        if direct is None:
                            break
                        inner, place = inner.args[0], direct
                    if inner not in self.dest and self._can_write(inner):
                        self.dest[inner] = place
        return copies

    def _can_write(self, node: Node) -> bool:
        if node in self.views:
            return False
        name = node.op.name
        return isinstance(node.op, Elementwise) or name in _REDUCTIONS or name in ("concatenate", "take")

    # --- stages -------------------------------------------------------------

    def _place(self, node: Node) -> None:
        """Give a node its stage, and what its kind needs."""
        name = node.op.name
        if name == "const":
            self._known(node, of_literal(node.params["value"], node.dtype))
        elif name == "size":
            self._known(node, View("index", node.params["dim"], (), ()))
        elif name == "iota":
            self._known(node, View("index", 0, (1,), node.shape))
        elif name in _VIEWS:
            self._place_view(node)
        elif isinstance(node.op, Elementwise):
            self.stage[node] = max((self._inline_stage(a, node.shape) for a in node.args), default=0)
        elif name == "take":
            self._buffered(node.args[0])
            self.view(node.args[1])
            self.stage[node] = max(self.ready[a] for a in node.args)
        elif name in _REDUCTIONS:
            self._reduce(node)
        elif name == "concatenate":
            self._concatenate(node)
        elif name == "scatter_add":
            self._scatter(node)
        elif name in _CALLS:
            self._call(node)
        elif name == "while_loop":
            self._loop(node)
        elif name == "item":
            pass  # known since its loop was placed
        elif name in ("symbol", "input"):
            name = node.params.get("name", "an input")
            raise CompileError(f"{name!r} ({node.line}) is used but not among the inputs of the function.")
        else:
            raise CompileError(f"The primitive {name!r} ({node.line}) has no lowering.")

    def _known(self, node: Node, view: View, ready: int = 0) -> None:
        self.views[node], self.ready[node] = view, ready

    def _inline_stage(self, arg: Node, shape: Shape) -> int:
        """The first stage at which a nest over `shape` can have the value of `arg`."""
        if arg in self.stage and arg not in self.views and arg.shape == shape:
            return self.stage[arg]
        self.view(arg)
        return self.stage[arg] if arg in self.stage and arg.shape == shape else self.ready[arg]

    def view(self, node: Node) -> View:
        """Return a view of a node, which is written to memory if it is not there yet."""
        if node not in self.views:
            self._materialise(node, self.dest.get(node) or self.pool.temp(node.shape, node.dtype))
        return self.views[node]

    def _materialise(self, node: Node, view: View) -> None:
        if node in self.views:
            return
        stage = self.stage[node]
        self._group((stage, node.shape, ())).writes[node] = view
        self._known(node, view, stage + 1)

    def _group(self, key: _Key) -> _Group:
        return self.groups.setdefault(key, _Group())

    def _copy(self, source: View, target: View, stage: int, zero: tuple[Buffer, ...] = ()) -> None:
        self._group((stage, source.shape, ())).copies.append((source, target, zero))

    def _buffered(self, node: Node) -> View:
        """Return a view of real memory without guards, copying if need be."""
        view = self.view(node)
        if isinstance(view.base, Buffer) and not view.guards:
            return view
        copied = self.pool.temp(node.shape, node.dtype)
        self._copy(view, copied, self.ready[node])
        self._known(node, copied, self.ready[node] + 1)
        return copied

    def _place_view(self, node: Node) -> None:
        (arg,) = node.args
        view = through(node, self.view(arg))
        ready = self.ready[arg]
        if view is None and node.op.name == "embed":
            target = self.pool.new(node.shape, node.dtype)
            p = node.params
            place = sliced(whole(target), p["starts"], arg.shape, p["steps"])
            self._copy(self.view(arg), place, ready, (target,))
            view, ready = whole(target), ready + 1
        elif view is None:
            copied = self.pool.temp(arg.shape, arg.dtype)
            self._copy(self.view(arg), copied, ready)
            view, ready = through(node, copied), ready + 1
        assert view is not None
        self._known(node, view, ready)

    # --- structured nodes ---------------------------------------------------

    def _reduce(self, node: Node) -> None:
        (arg,) = node.args
        stage = self._inline_stage(arg, arg.shape)
        target = self.dest.get(node) or self.pool.temp(node.shape, node.dtype)
        self._group((stage, arg.shape, node.params["axes"])).reductions.append((node, target))
        self._known(node, target, stage + 1)

    def _concatenate(self, node: Node) -> None:
        target = self.dest[node]
        ready = 0
        for arg, part in zip(node.args, parts_of(node, target), strict=True):
            view = self.view(arg)
            if view != part:
                self._copy(view, part, self.ready[arg])
                ready = max(ready, self.ready[arg] + 1)
            ready = max(ready, self.ready[arg])
        self._known(node, target, ready)

    def _scatter(self, node: Node) -> None:
        x, index = node.args
        axis = node.params["axis"]
        target = self.pool.new(node.shape, node.dtype)
        values, places = self.view(x), spread(self.view(index), x.shape, axis)
        stage = max(self.ready[x], self.ready[index])
        strides = c_strides(node.shape)
        body = (read(values), read(places))
        gather = Gather(1, strides[axis], node.params["extent"])
        along = (*strides[:axis], *(0,) * index.ndim, *strides[axis + 1 :])
        store = Store(0, write(View(target, 0, along, x.shape), (gather,)), add=True)
        nest = Nest(x.shape, body, (store,), (), (), serial=True, zero=(target,))
        self.others.setdefault(stage, []).append(nest)
        self._known(node, whole(target), stage + 1)

    def _call(self, node: Node) -> None:
        match node.op.name:
            case "matmul":
                self._product(node)
            case "cholesky":
                matrix = self._own_copy(node.args[0])
                stage = self.ready[node.args[0]] + 1
                self._emit_call(Call("cholesky", (write(matrix),), (node.shape[0],), node.dtype), stage, node, matrix)
            case _:
                self._solve(node)

    def _product(self, node: Node) -> None:
        a, b = (self._matrix(x) for x in node.args)
        target = self.pool.temp(node.shape, node.dtype)
        extents: tuple[Extent, ...] = (node.shape[0], node.shape[1], a.shape[1])
        stage = max(self.ready[x] for x in node.args)
        self._emit_call(Call("gemm", (write(a), write(b), write(target)), extents, node.dtype), stage, node, target)

    def _own_copy(self, node: Node) -> View:
        """A copy that a library routine may overwrite."""
        copied = whole(self.pool.new(node.shape, node.dtype))
        self._copy(self.view(node), copied, self.ready[node])
        return copied

    def _solve(self, node: Node) -> None:
        """LAPACK overwrites its operands: it gets copies, the right-hand sides column by column."""
        matrix, b = node.args
        n, columns = b.shape[0], b.shape[1] if b.ndim == 2 else 1
        copied = self._own_copy(matrix)
        held = self.pool.new((columns, n), b.dtype)
        one = c_strides(held.shape)[1] or 0
        result = View(held, 0, (one, n if columns != 1 else 0) if b.ndim == 2 else (one,), b.shape)
        self._copy(self.view(b), result, self.ready[b])
        pivots = whole(self.pool.new((n,), "int64"))
        call = Call("solve", (write(copied), write(whole(held)), write(pivots)), (n, columns), node.dtype)
        self._emit_call(call, max(self.ready[matrix], self.ready[b]) + 1, node, result)

    def _matrix(self, node: Node) -> View:
        """A view that BLAS can take: one of its strides is 1 and the other no smaller than its rows are long."""
        view = self._buffered(node)
        row, col = view.strides
        m, n = view.shape
        if (col == 1 and steps_forward(row, view)) or (row == 1 and steps_forward(col, view)):
            return view
        if view.is_contiguous() and 1 not in (m, n):
            return view
        copied = self.pool.temp(node.shape, node.dtype)
        self._copy(view, copied, self.ready[node])
        self._known(node, copied, self.ready[node] + 1)
        return View(copied.base, 0, (n, 1), node.shape)

    def _emit_call(self, call: Call, stage: int, node: Node, result: View) -> None:
        self.others.setdefault(stage, []).append(call)
        self._known(node, result, stage + 1)

    def _loop(self, node: Node) -> None:
        cond, body = node.params["cond"], node.params["body"]
        n = len(body.outputs)
        slots = body.input_nodes()
        inner = dict(zip(slots[n:], (self.view(a) for a in node.args[n:]), strict=True))
        start = max((self.ready[a] for a in node.args[n:]), default=0)
        now = [whole(self.pool.new(s.shape, s.dtype)) for s in slots[:n]]
        for arg, view in zip(node.args[:n], now, strict=True):
            self._copy(self.view(arg), view, self.ready[arg])
            start = max(start, self.ready[arg] + 1)
        inner |= dict(zip(slots[:n], now, strict=True))
        inner |= {d: v for d, v in self.views.items() if d.op.name == "data"}
        flag = self.pool.new((), "bool")
        test = _Block(self.pool, inner).lower([(expand_products(cond.outputs)[0], whole(flag))])
        changed = [k for k in range(n) if body.outputs[k] is not slots[k]]
        after = expand_products([body.outputs[k] for k in changed])
        targets = [self.pool.new(slots[k].shape, slots[k].dtype) for k in changed]
        turn = _Block(self.pool, inner).lower([(f, whole(b)) for f, b in zip(after, targets, strict=True)])
        swaps = tuple((now[k].base, b) for k, b in zip(changed, targets, strict=True))
        self.others.setdefault(start, []).append(Loop(tuple(test), flag, tuple(turn), swaps))  # type: ignore[arg-type]
        self.views[node], self.ready[node] = now[0] if now else whole(flag), start + 1
        for k, view in enumerate(now):
            self._known(make(item, (node,), {"k": k}), view, start + 1)

    # --- nests --------------------------------------------------------------

    def _merge(self, stage: int) -> list[_Key]:
        """The groups of a stage; what is only written joins a reduction over the same space."""
        keys = [k for k in self.groups if k[0] == stage]
        for key in keys:
            partner = next((k for k in keys if k[1] == key[1] and k[2]), None)
            if not key[2] and partner is not None and not any(z for _, _, z in self.groups[key].copies):
                self.groups[partner].writes |= self.groups[key].writes
                self.groups[partner].copies += self.groups[key].copies
                self.groups[key] = _Group()
        return [k for k in keys if self.groups[k] != _Group()]

    def _nests(self, key: _Key) -> list[Nest]:
        stage, space, axes = key
        group = self.groups[key]
        body = Body(self, stage, space)
        nests = []
        stores = [Store(body.value(node), write(view)) for node, view in group.writes.items()]
        for source, target, zero in group.copies:
            if zero:
                nests.append(Nest(space, (read(source),), (Store(0, write(target)),), (), (), zero=zero))
            else:
                stores.append(Store(body.add(read(source)), write(target)))
        reductions = [
            Reduce(node.op.name, body.operand(node.args[0]), write(over(target, space, axes)), node.dtype)
            for node, target in group.reductions
        ]
        if stores or reductions:
            nests.append(Nest(space, tuple(body.instrs), tuple(stores), tuple(reductions), axes))
        return [normalise(n) for n in nests]
