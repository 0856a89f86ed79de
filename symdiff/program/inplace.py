"""inplace: state of a loop that a turn changes in a few entries only is changed where it stands.

    s' = set_row(s, row, i)      s' = s + scatter_add(v, i)      s' = s + embed(v)      and chains of these
    s' = the final value of an inner loop that began with s

Nothing else may read s' in the turn. Updates run last, so that whatever reads s has read it; an inner loop takes
the buffer over only if all other readers come before it. Everywhere else a turn writes new buffers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from symdiff.ir.graph import made_order
from symdiff.ir.node import Node
from symdiff.program.block import Block
from symdiff.program.bodies import spread
from symdiff.program.ir import Buffer, Gather, Instr, Nest, Op, Store
from symdiff.program.nests import normalise
from symdiff.program.views import View, broadcast, c_strides, read, sliced, write

_SPARSE = ("scatter_add", "embed")


@dataclass(frozen=True, slots=True)
class Updates:
    """What happens in place in one turn: chains of update nodes by state value, and loops that take values over."""

    chains: dict[int, list[Node]]
    inner: dict[int, Node]

    @property
    def reads(self) -> list[Node]:
        """The nodes that the updates read, and the values of inner loops."""
        found = [a for chain in self.chains.values() for node in chain for a in _operands(node)]
        return list(dict.fromkeys([*found, *self.inner.values()]))


def updates_of(outputs: Sequence[Node], slots: Sequence[Node]) -> Updates:
    """Find the state values that a turn from `slots` to `outputs` can change in place."""
    users: dict[Node, list[Node]] = {}
    for node in made_order(outputs):
        for arg in dict.fromkeys(node.args):
            users.setdefault(arg, []).append(node)
    chains, inner = {}, {}
    for k, out in enumerate(outputs):
        if out is slots[k] or outputs.count(out) > 1 or out in slots:
            continue
        chain = _chain(out, slots[k], users)
        if chain:
            chains[k] = chain
        elif _taken_over(out, slots[k], users, outputs):
            inner[k] = out
    return Updates(chains, inner)


def _chain(out: Node, slot: Node, users: dict[Node, list[Node]]) -> list[Node]:
    """Return the updates that lead from `slot` to `out`, first one first; empty if there is anything else."""
    chain: list[Node] = []
    node = out
    while node is not slot:
        if users.get(node, []) != chain[-1:]:
            return []
        chain.append(node)
        before = _before(node)
        if before is None:
            return []
        node = before
    return chain[::-1]


def _before(node: Node) -> Node | None:
    """The array that an update changes; None for nodes that are no updates."""
    if node.op.name == "set_row":
        return node.args[0]
    if node.op.name == "add" and node.args[0].shape == node.args[1].shape:
        for a, b in (node.args, node.args[::-1]):
            if b.op.name in _SPARSE and a.op.name not in _SPARSE:
                return a
    return None


def _added(node: Node) -> Node:
    a, b = node.args
    return b if _before(node) is a else a


def _operands(node: Node) -> tuple[Node, ...]:
    return node.args[1:] if node.op.name == "set_row" else _added(node).args


def _taken_over(out: Node, slot: Node, users: dict[Node, list[Node]], outputs: Sequence[Node]) -> bool:
    """Whether an inner loop may work on the buffer of `slot`: whatever else reads it is read by the loop's start."""
    if out.op.name != "item":
        return False
    loop, k = out.args[0], out.params["k"]
    if loop.args.count(slot) != 1 or loop.args[k] is not slot or slot in outputs:
        return False
    earlier = {loop, *made_order(loop.args)}

    def comes_before(u: Node) -> bool:
        # A row is read where it is used, which then has to be before the loop.
        return u.op.name == "take" and u in earlier and all(v in earlier for v in users.get(u, ()))

    return all(u is loop or (comes_before(u) and u not in outputs) for u in users[slot])


def update_nests(chain: Sequence[Node], home: View, where: Mapping[Node, View]) -> list[Nest]:
    """Return the nests that carry out a chain of updates on the array at `home`; its operands stand at `where`."""
    nests = []
    for node in chain:
        views = [where[a] for a in _operands(node)]
        if node.op.name == "set_row":
            nests.append(row_nest(home, *views))
        elif _added(node).op.name == "embed":
            p = _added(node).params
            place = sliced(home, p["starts"], views[0].shape, p["steps"])
            nests.append(_add_nest(views[0], place, (), ()))
        else:
            nests.append(scatter_nest(home, views[0], views[1], _added(node).params["axis"]))
    return nests


def row_nest(target: View, row: View, index: View) -> Nest:
    """Write a row at an index."""
    place = View(target.base, target.offset, target.strides[1:], row.shape)
    body = (read(row), read(broadcast(index, row.shape)))
    gather = Gather(1, target.strides[0], target.shape[0], uniform=True)
    return normalise(Nest(row.shape, body, (Store(0, write(place, (gather,))),), (), ()))


def scatter_nest(target: View, values: View, index: View, axis: int, zero: tuple[Buffer, ...] = ()) -> Nest:
    """Add values at the indices of an axis, in index order."""
    m = len(index.shape)
    strides = target.strides
    place = View(target.base, target.offset, (*strides[:axis], *(0,) * m, *strides[axis + 1 :]), values.shape)
    where = read(spread(index, values.shape, axis))
    gather = Gather(1, strides[axis], target.shape[axis], uniform=m == 0)
    if m == 0 and not zero:
        return _add_nest(values, place, (where,), (gather,))
    store = Store(0, write(place, (gather,)), add=True)
    return Nest(values.shape, (read(values), where), (store,), (), (), serial=True, zero=zero)


def _add_nest(values: View, place: View, index: tuple[Instr, ...], gathers: tuple[Gather, ...]) -> Nest:
    """Add values to entries that are all different: in any order, on lanes and threads."""
    assert isinstance(place.base, Buffer)
    body = (read(values), *index, read(place, gathers))
    last = len(body) - 1
    total = Op("add", (0, last), place.base.dtype)
    return normalise(Nest(values.shape, (*body, total), (Store(last + 1, write(place, gathers)),), (), ()))


def is_private(block: Block, node: Node) -> bool:
    """Whether a node has a whole buffer of its own that nobody else will read."""
    view = block.views[node]
    whole = isinstance(view.base, Buffer) and view.base.kind == "temp" and view.base.shape == node.shape
    return whole and block.uses[node] == 1 and view.strides == c_strides(node.shape)
