"""Programs: what a target runs. Buffers, and statements over them in order.

A `Nest` is a perfect loop nest with a straight-line scalar body. A `Call` is a library routine. A `Loop`
repeats statements and then exchanges the buffers of its state. Extents, offsets and strides are `Extent`s:
polynomials in the run-time sizes, so one program serves all sizes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Union

from symdiff.ir.callback import Callback
from symdiff.ir.dims import Extent, Shape, multiply, product
from symdiff.program.requirements import Requirement

ITEMSIZE = {"float64": 8, "float32": 4, "int64": 8, "bool": 1}


@dataclass(frozen=True, slots=True)
class Buffer:
    """Contiguous memory for an array in C order. `kind` is "input", "output" or "temp"."""

    id: int
    shape: Shape
    dtype: str
    kind: str

    @property
    def n_bytes(self) -> Extent:
        """The size in bytes."""
        return multiply(product(self.shape), ITEMSIZE[self.dtype])

    def __str__(self) -> str:
        return f"b{self.id}"


@dataclass(frozen=True, slots=True)
class Guard:
    """Valid where 0 <= offset + sum(coefs * index) < limit; elsewhere the value is 0."""

    offset: Extent
    coefs: tuple[Extent, ...]
    limit: Extent


@dataclass(frozen=True, slots=True)
class Gather:
    """An index from data: body value `value`, negative from the end, times `stride`; `extent` bounds it.

    A `uniform` index is the same at all points of the nest: it chooses a row, whose entries stay side by side.
    """

    value: int
    stride: Extent
    extent: Extent
    uniform: bool = False


@dataclass(frozen=True, slots=True)
class Access:
    """The address offset + sum(strides * loop index) [+ gathers] of a buffer, in elements."""

    buffer: Buffer
    offset: Extent
    strides: tuple[Extent, ...]
    guards: tuple[Guard, ...] = ()
    gathers: tuple[Gather, ...] = ()


@dataclass(frozen=True, slots=True)
class Load:
    """A body value read from memory."""

    access: Access
    dtype: str


@dataclass(frozen=True, slots=True)
class Affine:
    """A body value offset + sum(coefs * loop index), an int64; zero outside the guards."""

    offset: Extent
    coefs: tuple[Extent, ...]
    guards: tuple[Guard, ...] = ()
    dtype: str = "int64"


@dataclass(frozen=True, slots=True)
class Const:
    """A literal; zero outside the guards."""

    value: Any
    dtype: str
    guards: tuple[Guard, ...] = ()


@dataclass(frozen=True, slots=True)
class Op:
    """A native operation on body values; `source` is the user's line."""

    name: str
    args: tuple[int, ...]
    dtype: str
    source: Any = field(default=None, compare=False)


Instr = Union[Load, Affine, Const, Op]


@dataclass(frozen=True, slots=True)
class Store:
    """Write body value `value`; with `add`, add it to what is there (scatter; only in serial nests)."""

    value: int
    access: Access
    add: bool = False


@dataclass(frozen=True, slots=True)
class Reduce:
    """Combine body value `value` over the nest's reduced axes by `op` ("sum", "prod", "max", "min").

    Inside `Rows` also by "log1p", the sum of log1p(value): see `log_products`.
    """

    op: str
    value: int
    access: Access
    dtype: str


@dataclass(frozen=True, slots=True)
class Nest:
    """for index in space: body; stores; reductions. The axes `reduced` are the same for all reductions.

    A `serial` nest runs in index order on one thread (scatter_add); `zero` lists buffers set to zero before.
    """

    space: Shape
    body: tuple[Instr, ...]
    stores: tuple[Store, ...]
    reductions: tuple[Reduce, ...]
    reduced: tuple[int, ...]
    serial: bool = False
    zero: tuple[Buffer, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A library routine: "gemm", its operands accesses over (row, column), or a primitive's name on stacks of matrices.

    Of "opaque" the operands are the address of a C function, its arguments and its result; `callback` holds the
    function, which is data and no part of the program's text.
    """

    name: str
    operands: tuple[Access, ...]
    extents: tuple[Extent, ...]
    dtype: str
    flags: tuple[str, ...] = ()
    callback: Callback | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Loop:
    """while cond; flag: body; exchange the buffers of every pair in `swaps`."""

    cond: tuple[Statement, ...]
    flag: Buffer
    body: tuple[Statement, ...]
    swaps: tuple[tuple[Buffer, Buffer], ...]


@dataclass(frozen=True, slots=True)
class Read:
    """A body value that is an entry of a swept array, `offsets` away from the point; `old`: of the turn before."""

    value: int
    buffer: Buffer
    offsets: tuple[int, ...]
    old: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """What a turn computes on a box of grid points; loop indices are the point, and the body's other accesses use them.

    `lower` and `upper` bound the box; None along a periodic axis, which has no end. In every turn the piece runs on
    plane g of axis 0 when plane g + `delay` begins, and `halo` = (below, above) points of each axis beyond a tile.
    """

    body: tuple[Instr, ...]
    reads: tuple[Read, ...]
    stores: tuple[Store, ...]
    lower: tuple[Extent | None, ...]
    upper: tuple[Extent | None, ...]
    delay: int
    halo: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Ring:
    """An array of which a tile keeps `planes` planes of axis 0 in every turn; of a state's start, `taken` ones."""

    buffer: Buffer
    planes: int
    taken: int = 0
    taken_delay: int = 0


@dataclass(frozen=True, slots=True)
class Sweep:
    """A loop whose turns can be made tile by tile, several turns in one tile.

    `ahead` is the part of a turn that reads no swept array: it runs several turns ahead, and what the pieces read of
    it, `recorded`, is kept for each turn. `states` are the (old, new) arrays, exchanged after every sweep. A turn
    starts `lag` planes after the one before and reaches `reach` = (below, above) points further along each axis.
    `domain` is the first point and the extent of each axis, and `periodic` says which have no end. On these the loop
    starts only if `checks`, the differences of the points beyond the sides from what they repeat, are all 0, and
    `fills` writes those points in the end. `begins` are copies of inputs to old arrays, before the loop, and `ends`
    copies of old arrays to outputs, after it: a sweep reads the input and writes the output itself. A turn makes `slab`
    planes at every step along axis 0.
    """

    loop: Loop
    ahead: tuple[Statement, ...]
    ahead_swaps: tuple[tuple[Buffer, Buffer], ...]
    recorded: tuple[Buffer, ...]
    states: tuple[tuple[Buffer, Buffer], ...]
    pieces: tuple[Piece, ...]
    rings: tuple[Ring, ...]
    slab: int
    lag: int
    reach: tuple[tuple[int, int], ...]
    margin: tuple[tuple[int, int], ...]
    domain: tuple[tuple[Extent, Extent], ...]
    periodic: tuple[bool, ...]
    checks: tuple[tuple[Nest, Buffer], ...]
    fills: tuple[Nest, ...]
    begins: tuple[tuple[Nest, Buffer, Buffer], ...] = ()
    ends: tuple[tuple[Nest, Buffer, Buffer], ...] = ()


@dataclass(frozen=True, slots=True)
class Member:
    """A statement that can run on some rows: row i is the turns [i * factor, (i + 1) * factor) of its first loop.

    Of a product, `sums` tells whether the rows are those of its result or what it sums over; a nest that `sums`
    reduces over the rows.
    """

    statement: Nest | Call
    factor: Extent
    sums: bool


@dataclass(frozen=True, slots=True)
class Rows:
    """Statements that go through the rows together: all of them on one block of rows, then on the next.

    A block stays in cache from its first statement to its last. The buffers `local` are used nowhere else, so they
    need to hold the rows of one block only; `row_bytes` is what the statements read and write of a row.
    """

    extent: Extent
    members: tuple[Member, ...]
    local: tuple[Buffer, ...]
    row_bytes: Extent


Statement = Union[Nest, Call, Loop, Sweep, Rows]


@dataclass(frozen=True, slots=True)
class Program:
    """Statements with the buffers they use. `inputs` and `outputs` are in the order of the call.

    `data` holds the literal arrays, passed after the inputs; `requirements` is what must hold of the run-time sizes.
    """

    inputs: tuple[Buffer, ...]
    data: tuple[Any, ...]
    outputs: tuple[Buffer, ...]
    temps: tuple[Buffer, ...]
    statements: tuple[Statement, ...]
    sizes: tuple[str, ...]
    requirements: tuple[Requirement, ...] = ()

    def check(self, sizes: Mapping[str, int]) -> None:
        """Raise DomainError if the run-time sizes do not fit the slices and reductions of the program."""
        for requirement in self.requirements:
            requirement.check(sizes)

    def __str__(self) -> str:
        from symdiff.program.text import lines  # late: it reads the classes of this module

        return "\n".join(lines(self))


def walk(statements: tuple[Statement, ...], inside_rows: bool = True) -> Iterator[Statement]:
    """Yield every statement, those inside loops too, and unless told otherwise those inside `Rows`."""
    stack = list(reversed(statements))
    while stack:
        s = stack.pop()
        yield s
        if isinstance(s, Loop):
            stack.extend(reversed((*s.cond, *s.body)))
        elif isinstance(s, Rows) and inside_rows:
            stack.extend(reversed([m.statement for m in s.members]))
        elif isinstance(s, Sweep):
            copies = [nest for nest, _, _ in (*s.begins, *s.ends)]
            stack.extend(reversed((s.loop, *s.ahead, *(nest for nest, _ in s.checks), *s.fills, *copies)))
