"""Block: one straight-line graph on its way to statements: the whole function, or one turn of a loop.

Elementwise nodes of one shape that are ready at the same time share one nest, so chains are fused and common
parts are computed once. Ready times are counted in stages: a nest of stage s reads only what stages < s wrote.
A node is written to memory only if something reads it through a view, at a later stage, or at another shape.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field

from symdiff.ir.dims import Shape
from symdiff.ir.errors import CompileError
from symdiff.ir.graph import topological
from symdiff.ir.node import Node
from symdiff.ir.primitive import Elementwise
from symdiff.program.bodies import Body
from symdiff.program.ir import Buffer, Nest, Reduce, Statement, Store
from symdiff.program.nests import normalise
from symdiff.program.pool import Pool
from symdiff.program.views import View, of_literal, over, parts_of, read, through_units, whole, write

REDUCTIONS = frozenset({"sum", "prod", "max", "min"})


@dataclass(slots=True)
class _Group:
    """What one nest will do: nodes to write, reductions over `axes`, copies of views."""

    writes: dict[Node, View] = field(default_factory=dict)
    reductions: list[tuple[Node, View]] = field(default_factory=list)
    copies: list[tuple[View, View, tuple[Buffer, ...]]] = field(default_factory=list)


_Key = tuple[int, Shape, tuple[int, ...]]
# How a primitive that is neither elementwise nor a view gets its statements: by name.
Lowerings = Mapping[str, Callable[["Block", Node], None]]


class Block:
    """Lowers one straight-line graph: the whole function, or one turn of a loop."""

    def __init__(self, pool: Pool, views: Mapping[Node, View], lowerings: Lowerings):
        self.pool = pool
        self.lowerings = lowerings
        self.views = dict(views)
        self.ready: dict[Node, int] = dict.fromkeys(views, 0)
        self.stage: dict[Node, int] = {}
        self.earlier: dict[Node, list[tuple[int, View]]] = {}
        self.dest: dict[Node, View] = {}
        self.groups: dict[_Key, _Group] = {}
        self.uses: Counter[Node] = Counter()
        self.others: dict[int, list[Statement]] = {}
        # Buffers that an inner loop takes over for values of its state, by loop and position.
        self.homes: dict[Node, dict[int, View]] = {}
        self.where: dict[Node, View] = {}

    def lower(
        self, roots: Sequence[tuple[Node, View]], kept: Sequence[Node] = (), volatile: Container[object] = ()
    ) -> list[Statement]:
        """Return the statements that write every root to its view.

        The nodes `kept` are in memory afterwards, outside the buffers `volatile`; see `where`.
        """
        order = topological([*(r for r, _ in roots), *kept], known=self.views)
        self.uses = Counter(a for n in order for a in n.args)
        self.uses.update(r for r, _ in roots)
        self.uses.update(kept)
        copies = self._choose_destinations(order, roots)
        for node in order:
            self._place(node)
        for node, view in self.dest.items():
            self.materialise(node, view)
        for node, view in copies:
            self.copy(self.view(node), view, self.ready[node])
        for node in kept:
            self.where[node] = self.own_copy(node) if self.view(node).base in volatile else self.view(node)
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
            if node in self.dest or not self._can_write(node, view):
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
                    if inner not in self.dest and self._can_write(inner, place):
                        self.dest[inner] = place
        return copies

    def _can_write(self, node: Node, place: View) -> bool:
        if node in self.views:
            return False
        name = node.op.name
        if name == "matmul":
            # What BLAS writes has no gaps.
            return place.is_contiguous()
        return isinstance(node.op, Elementwise) or name in REDUCTIONS or name in ("concatenate", "take", "recurrence")

    # --- stages -------------------------------------------------------------

    def _place(self, node: Node) -> None:
        """Give a node its stage, and what its kind needs."""
        name = node.op.name
        if name == "const":
            self.know(node, of_literal(node.params["value"], node.dtype))
        elif name == "size":
            self.know(node, View("index", node.params["dim"], (), ()))
        elif name == "iota":
            self.know(node, View("index", 0, (1,), node.shape))
        elif isinstance(node.op, Elementwise):
            self.stage[node] = max((self.inline_stage(a, node.shape) for a in node.args), default=0)
        elif name in REDUCTIONS:
            self._reduce(node)
        elif name in self.lowerings:
            self.lowerings[name](self, node)
        elif name in ("symbol", "input"):
            name = node.params.get("name", "an input")
            raise CompileError(f"{name!r} ({node.line}) is used but not among the inputs of the function.")
        else:
            raise CompileError(f"The primitive {name!r} ({node.line}) has no lowering.")

    def know(self, node: Node, view: View, ready: int = 0) -> None:
        if node in self.views:
            # A copy made for one reader is there a stage later than what the others read: see `view_at`.
            self.earlier.setdefault(node, []).append((self.ready[node], self.views[node]))
        self.views[node], self.ready[node] = view, ready

    def view_at(self, node: Node, stage: int) -> View:
        """Return a view of a node that can be read at a stage; the node's own where it can."""
        view = self.view(node)
        if self.ready[node] <= stage:
            return view
        return next((known for ready, known in reversed(self.earlier.get(node, [])) if ready <= stage), view)

    def inline_stage(self, arg: Node, shape: Shape) -> int:
        """The first stage at which a nest over `shape` can have the value of `arg`."""
        if arg in self.stage and arg not in self.views and arg.shape == shape:
            return self.stage[arg]
        self.view(arg)
        return self.stage[arg] if arg in self.stage and arg.shape == shape else self.ready[arg]

    def view(self, node: Node) -> View:
        """Return a view of a node, which is written to memory if it is not there yet."""
        if node not in self.views:
            self.materialise(node, self.dest.get(node) or self.pool.temp(node.shape, node.dtype))
        return self.views[node]

    def ready_view(self, node: Node) -> int:
        """Return the stage at which a view of a node can be read."""
        self.view(node)
        return self.ready[node]

    def materialise(self, node: Node, view: View) -> None:
        if node in self.views:
            return
        stage = self.stage[node]
        self.group((stage, node.shape, ())).writes[node] = view
        self.know(node, view, stage + 1)

    def group(self, key: _Key) -> _Group:
        return self.groups.setdefault(key, _Group())

    def copy(self, source: View, target: View, stage: int, zero: tuple[Buffer, ...] = ()) -> None:
        self.group((stage, source.shape, ())).copies.append((source, target, zero))

    def buffered(self, node: Node) -> View:
        """Return a view of real memory without guards, copying if need be."""
        view = self.view(node)
        if isinstance(view.base, Buffer) and not view.guards:
            return view
        copied = self.pool.temp(node.shape, node.dtype)
        self.copy(view, copied, self.ready[node])
        self.know(node, copied, self.ready[node] + 1)
        return copied

    def own_copy(self, node: Node) -> View:
        """A copy that a library routine may overwrite."""
        copied = whole(self.pool.new(node.shape, node.dtype))
        self.copy(self.view(node), copied, self.ready[node])
        return copied

    def emit(self, statement: Statement, stage: int, node: Node, result: View) -> None:
        """Run a statement at a stage; `result` then holds `node`."""
        self.others.setdefault(stage, []).append(statement)
        self.know(node, result, stage + 1)

    def _reduce(self, node: Node) -> None:
        (arg,) = node.args
        stage = self.inline_stage(arg, arg.shape)
        target = self.dest.get(node) or self.pool.temp(node.shape, node.dtype)
        self.group((stage, arg.shape, node.params["axes"])).reductions.append((node, target))
        self.know(node, target, stage + 1)

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
