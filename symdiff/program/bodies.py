"""bodies: the straight-line code of one nest, each instruction once.

An argument is computed in the nest if it belongs to the nest's stage and shape, waits for its only user, or is
cheap; otherwise it is read from memory through a view.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from symdiff.ir.dims import Shape
from symdiff.ir.errors import CompileError
from symdiff.ir.node import Node
from symdiff.ir.primitive import Elementwise
from symdiff.program.ir import Const, Gather, Instr, Op
from symdiff.program.views import View, broadcast, read

# Recomputing one of these from memory costs less than writing and reading its result.
_CHEAP = frozenset(
    {"add", "sub", "mul", "neg", "abs", "where", "lt", "le", "gt", "ge", "eq", "ne", "cast", "not", "and", "or"}
)


class Placement(Protocol):
    """What a body asks of the scheduler: stages and numbers of uses of nodes, and views of those in memory."""

    stage: dict[Node, int]
    views: dict[Node, View]
    uses: Counter[Node]

    def view_at(self, node: Node, stage: int) -> View:
        """Return a view of a node that can be read at a stage; the node is written to memory if it is not there yet."""


class Body:
    """Collects the instructions of one nest, each once."""

    def __init__(self, block: Placement, stage: int, space: Shape):
        self.block, self.stage, self.space = block, stage, space
        self.instrs: list[Instr] = []
        self.numbers: dict[Instr, int] = {}
        self.values: dict[Node, int] = {}

    def add(self, instr: Instr) -> int:
        number = self.numbers.get(instr)
        if number is None:
            number = self.numbers[instr] = len(self.instrs)
            self.instrs.append(instr)
        return number

    def operand(self, node: Node) -> int:
        """The value of an argument: read from memory, or computed here."""
        block = self.block
        if node in self.values:
            return self.values[node]
        here = node in block.stage and node.shape == self.space
        if here and self._fits(node):
            return self.value(node)
        view = block.view_at(node, self.stage)
        return self.add(read(broadcast(view, self.space)))

    def _fits(self, node: Node) -> bool:
        """Whether a node of this space is computed here: it belongs here, or waits for its only user, or is cheap."""
        block = self.block
        if block.stage[node] == self.stage:
            return True
        alone = isinstance(node.op, Elementwise) and block.uses[node] == 1
        return node not in block.views and (alone or self._is_cheap(node))

    def _is_cheap(self, node: Node) -> bool:
        op = node.op
        if op.name == "take":
            return node.args[1].shape == ()  # a row, which is read where it stands
        return isinstance(op, Elementwise) and op.native in _CHEAP and all(a in self.block.views for a in node.args)

    def value(self, root: Node) -> int:
        """Compute a node in this nest, with everything it needs that is not in memory. Iterative: chains are long."""
        stack = [root]
        while stack:
            node = stack[-1]
            if node in self.values:
                stack.pop()
                continue
            args = () if node.op.name == "take" else node.args
            waiting = [a for a in args if a not in self.values and self._computes(a)]
            if waiting:
                stack += reversed(waiting)
                continue
            stack.pop()
            self.values[node] = self._instr(node)
        return self.values[root]

    def _computes(self, node: Node) -> bool:
        stage = self.block.stage.get(node)
        if stage is None or node.shape != self.space:
            return False
        return stage == self.stage or self._fits(node)

    def _instr(self, node: Node) -> int:
        if node.op.name == "take":
            return self._take(node)
        assert isinstance(node.op, Elementwise)
        if node.op.native is None:
            raise CompileError(f"The primitive {node.op.name!r} ({node.line}) has no native form and no expansion.")
        args = tuple(self.operand(a) for a in node.args)
        if node.op.native.startswith("scipy."):
            # SciPy's functions take parameters, such as the order of a Bessel function, in front.
            args = (*(self.add(Const(p, node.dtype)) for p in node.params.values()), *args)
        return self.add(Op(node.op.native, args, node.dtype, node.source))

    def _take(self, node: Node) -> int:
        x, index = (self.block.view_at(a, self.stage) for a in node.args)
        axis, m = node.params["axis"], len(index.shape)
        place = self.add(read(spread(index, node.shape, axis)))
        strides = (*x.strides[:axis], *(0,) * m, *x.strides[axis + 1 :])
        gather = Gather(place, x.strides[axis], x.shape[axis], uniform=m == 0)
        return self.add(read(View(x.base, x.offset, strides, node.shape), (gather,)))


def spread(index: View, shape: Shape, axis: int) -> View:
    """Read an index array that stands at `axis` of a larger shape."""
    lead, tail = axis, len(shape) - axis - len(index.shape)
    strides = (*(0,) * lead, *index.strides, *(0,) * tail)
    guards = tuple(type(g)(g.offset, (*(0,) * lead, *g.coefs, *(0,) * tail), g.limit) for g in index.guards)
    return View(index.base, index.offset, strides, shape, guards)
